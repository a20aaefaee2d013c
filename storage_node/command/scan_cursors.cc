#include "storage_node/command/scan_cursors.h"

#include <utility>

#include "common/base/check.h"
#include "common/base/random.h"

namespace kvs {

ScanCursors::ScanCursors() : first_token_(static_cast<uint32_t>(Random::FromKernel().Next())) {}

uint64_t ScanCursors::After(uint16_t slot, std::string_view key) {
  const MutexLock lock(&mu_);
  if (first_token_ + static_cast<uint32_t>(entries_.size()) == 0) {
    Push({slot, {}});  // Token 0 stands for the beginning of a slot and is never handed out.
  }
  const uint32_t token = first_token_ + static_cast<uint32_t>(entries_.size());
  Push({slot, std::string(key)});
  return AtSlot(slot) | token;
}

void ScanCursors::Push(Entry entry) {
  key_bytes_ += entry.key.size();
  entries_.push_back(std::move(entry));
  while (entries_.size() > 1 && (entries_.size() > kMaxPositions || key_bytes_ > kMaxKeyBytes)) {
    DropOldest();
  }
}

void ScanCursors::DropOldest() {
  key_bytes_ -= entries_.front().key.size();
  entries_.pop_front();
  ++first_token_;
}

ScanCursors::Position ScanCursors::Find(uint64_t cursor) const {
  KVS_CHECK(cursor < kCursorEnd);
  const auto slot = static_cast<uint16_t>(cursor >> 32);
  const auto token = static_cast<uint32_t>(cursor);
  if (token == 0) {
    return {.slot = slot};
  }
  const MutexLock lock(&mu_);
  const uint32_t index = token - first_token_;
  if (index >= entries_.size() || entries_[index].slot != slot) {
    return {.slot = slot};
  }
  return {.slot = slot, .after = entries_[index].key};
}

}  // namespace kvs
