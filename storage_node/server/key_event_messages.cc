#include "storage_node/server/key_event_messages.h"

#include <string>
#include <utility>

namespace kvs {

std::vector<Message> MessagesOf(KeyEventKinds kinds, KeyEvent event) {
  std::vector<Message> messages;
  if ((kinds & KeyEventKind::kKeyspace) != 0) {
    messages.push_back(
        {.channel = "__keyspace@0__:" + event.key, .payload = std::string(event.name)});
  }
  if ((kinds & KeyEventKind::kKeyevent) != 0) {
    messages.push_back(
        {.channel = "__keyevent@0__:" + std::string(event.name), .payload = std::move(event.key)});
  }
  return messages;
}

}  // namespace kvs
