#include "storage_node/server/transaction.h"

namespace kvs {

bool Transaction::Queue(const CommandSpec& spec, CommandArgs args, size_t max_bytes) {
  if (queue_.Add(spec, args, max_bytes)) {
    return true;
  }
  Spoil();
  return false;
}

void Transaction::Watch(uint16_t slot, std::string_view key, bool exists) {
  if (mark_ == nullptr) {
    mark_ = std::make_shared<WatchMark>();
  }
  if (watched_.emplace(key, Watched{.slot = slot, .exists = exists}).second) {
    watched_bytes_ += key.size();
    watches_->Add(slot, key, exists, mark_);
  }
}

void Transaction::Unwatch() {
  for (const auto& [key, watched] : watched_) {
    watches_->Remove(watched.slot, key, mark_.get());
  }
  watched_.clear();
  watched_bytes_ = 0;
  mark_.reset();
}

}  // namespace kvs
