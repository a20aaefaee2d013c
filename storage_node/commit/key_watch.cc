#include "storage_node/commit/key_watch.h"

namespace kvs {

void KeyWatches::Add(uint16_t slot, std::string_view key, bool exists,
                     const std::shared_ptr<WatchMark>& mark) {
  Shard& shard = ShardOf(slot);
  const MutexLock lock(&shard.mu);
  shard.slots[slot][std::string(key)].push_back({.mark = mark, .exists = exists});
  shard.count.fetch_add(1, std::memory_order_release);
  count_.fetch_add(1, std::memory_order_release);
}

void KeyWatches::Remove(uint16_t slot, std::string_view key, const WatchMark* mark) {
  Shard& shard = ShardOf(slot);
  const MutexLock lock(&shard.mu);
  const auto keys = shard.slots.find(slot);
  if (keys == shard.slots.end()) {
    return;
  }
  const auto found = keys->second.find(key);
  if (found == keys->second.end()) {
    return;
  }
  const size_t removed =
      std::erase_if(found->second, [mark](const Watcher& w) { return w.mark.get() == mark; });
  if (found->second.empty()) {
    keys->second.erase(found);
  }
  if (keys->second.empty()) {
    shard.slots.erase(keys);
  }
  shard.count.fetch_sub(removed, std::memory_order_release);
  count_.fetch_sub(removed, std::memory_order_release);
}

void KeyWatches::Mark(const std::vector<Watcher>& watchers, KeyChange change) {
  for (const Watcher& watcher : watchers) {
    if (change == KeyChange::kWritten || watcher.exists) {
      watcher.mark->changed.store(true, std::memory_order_release);
    }
  }
}

void KeyWatches::OnChange(uint16_t slot, std::string_view key, KeyChange change) {
  Shard& shard = ShardOf(slot);
  if (!any() || shard.count.load(std::memory_order_acquire) == 0) {
    return;
  }
  const MutexLock lock(&shard.mu);
  const auto keys = shard.slots.find(slot);
  if (keys == shard.slots.end()) {
    return;
  }
  if (const auto found = keys->second.find(key); found != keys->second.end()) {
    Mark(found->second, change);
  }
}

void KeyWatches::OnSlotCleared(uint16_t slot) {
  Shard& shard = ShardOf(slot);
  if (!any() || shard.count.load(std::memory_order_acquire) == 0) {
    return;
  }
  const MutexLock lock(&shard.mu);
  const auto keys = shard.slots.find(slot);
  if (keys != shard.slots.end()) {
    for (const auto& [key, watchers] : keys->second) {
      Mark(watchers, KeyChange::kGone);
    }
  }
}

}  // namespace kvs
