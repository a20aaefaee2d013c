// PendingTable: what is in the log but not yet acknowledged, so not yet in the engine.
//
// Commands see an earlier command's effect at once although the engine holds only what is at or
// below the watermark: reads look here first, iterations merge both.  With asynchronous policies
// the table stays empty, because everything appended is applied at once.
//
// Threads: thread-safe.  Add and RemoveUpTo come from CommitPipeline, ordered by its apply lock.
// Owner:   CommitPipeline.

#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

#include "storage_node/binlog/binlog_record.h"

namespace kvs {

struct PendingEntry {
  std::string key;
  std::optional<std::string> value;  // Nothing: deleted.
};

class PendingTable {
 public:
  void Add(uint64_t lsn, BinlogOpIterator ops);
  // Forgets the entries whose last change is at or below `lsn`.
  // REQUIRES: the engine holds everything up to `lsn`
  void RemoveUpTo(uint64_t lsn);

  bool empty() const { return size_.load(std::memory_order_acquire) == 0; }
  // Returns whether the table knows the key; `*value` is then its value, or nothing if deleted.
  bool Find(std::string_view key, std::optional<std::string>* value) const;
  // Returns copies of the entries in [lower, upper), in order.
  std::vector<PendingEntry> Range(std::string_view lower, std::string_view upper) const;
  size_t size() const { return size_.load(std::memory_order_relaxed); }

 private:
  struct Change {
    uint64_t lsn;
    std::optional<std::string> value;
  };

  mutable std::shared_mutex mu_;
  std::map<std::string, Change, std::less<>> changes_;  // The newest change of each key.
  std::multimap<uint64_t, std::string> by_lsn_;
  std::atomic<size_t> size_{0};
};

}  // namespace kvs
