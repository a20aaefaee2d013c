#include "storage_node/commit/pending_table.h"

#include <mutex>
#include <utility>

namespace kvs {

void PendingTable::Add(uint64_t lsn, BinlogOpIterator ops) {
  const std::unique_lock lock(mu_);
  BinlogOp op;
  while (ops.Next(&op)) {
    Change& change = changes_[std::string(op.key)];
    change.lsn = lsn;
    if (op.type == BinlogOpType::kPut) {
      change.value = std::string(op.value);
    } else {
      change.value.reset();
    }
    by_lsn_.emplace(lsn, op.key);
  }
  size_.store(changes_.size(), std::memory_order_release);
}

void PendingTable::RemoveUpTo(uint64_t lsn) {
  const std::unique_lock lock(mu_);
  const auto end = by_lsn_.upper_bound(lsn);
  for (auto it = by_lsn_.begin(); it != end; ++it) {
    const auto found = changes_.find(it->second);
    if (found != changes_.end() && found->second.lsn <= lsn) {
      changes_.erase(found);
    }
  }
  by_lsn_.erase(by_lsn_.begin(), end);
  size_.store(changes_.size(), std::memory_order_release);
}

bool PendingTable::Find(std::string_view key, std::optional<std::string>* value) const {
  if (empty()) {
    return false;
  }
  const std::shared_lock lock(mu_);
  const auto found = changes_.find(key);
  if (found == changes_.end()) {
    return false;
  }
  *value = found->second.value;
  return true;
}

std::vector<PendingEntry> PendingTable::Range(std::string_view lower,
                                              std::string_view upper) const {
  std::vector<PendingEntry> entries;
  if (empty()) {
    return entries;
  }
  const std::shared_lock lock(mu_);
  for (auto it = changes_.lower_bound(lower); it != changes_.end(); ++it) {
    if (!upper.empty() && it->first >= upper) {
      break;
    }
    entries.push_back({it->first, it->second.value});
  }
  return entries;
}

}  // namespace kvs
