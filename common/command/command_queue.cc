#include "common/command/command_queue.h"

#include "common/base/strings.h"

namespace kvs {

bool CommandQueue::Add(const CommandSpec& spec, CommandArgs args, size_t max_bytes) {
  size_t size = bytes_.size() + (commands_.size() + 1) * sizeof(Queued) +
                (arg_sizes_.size() + args.size()) * sizeof(size_t);
  for (const std::string_view arg : args) {
    size += arg.size();
  }
  if (size > max_bytes) {
    return false;
  }
  commands_.push_back({.spec = &spec, .arg_count = args.size()});
  for (const std::string_view arg : args) {
    arg_sizes_.push_back(arg.size());
    bytes_.append(arg);
  }
  return true;
}

void CommandQueue::Clear() {
  commands_.clear();
  arg_sizes_.clear();
  std::string().swap(bytes_);
}

std::string RefusalOf(std::string_view name, std::string_view error) {
  if (!EqualsIgnoreCase(name, "exec")) {
    return std::string(error);
  }
  error.remove_prefix(error.starts_with("ERR ") ? 4 : 0);
  return "EXECABORT Transaction discarded because of: " + std::string(error);
}

}  // namespace kvs
