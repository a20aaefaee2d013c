// Store: the data of one node, opened: engines, log, slots, locks and the pipeline that joins them.
//
// Open() brings the engines to the end of the log: it scans the log, cuts a torn tail, and replays
// what the instances' memory held.  Damage that is not a torn tail leaves the store readable, and
// every write is refused with a text that names file and offset.
//
// Threads: thread-safe after Open().
// Owner:   the node's app; outlives every Txn.

#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "storage_node/binlog/binlog_recovery.h"
#include "storage_node/binlog/binlog_writer.h"
#include "storage_node/commit/commit_pipeline.h"
#include "storage_node/commit/key_events.h"
#include "storage_node/commit/key_watch.h"
#include "storage_node/commit/merged_iterator.h"
#include "storage_node/engine/engine_cluster.h"

namespace kvs {

struct StoreOptions {
  std::string dir;  // Holds binlog/ and engine/.
  int instance_count = 8;
  uint64_t binlog_segment_size = uint64_t{64} << 20;
  // Replay at start needs at most about this much log: beyond it lagging instances are flushed.
  uint64_t max_replay_bytes = uint64_t{256} << 20;
  uint64_t keep_log_bytes = 0;  // Log that is kept although no instance needs it,
  int64_t keep_log_ms = 0;      // ...or because it is younger.
  SyncPolicy sync_policy = SyncPolicy::kEverySecond;
  size_t record_cache_bytes = size_t{256} << 20;  // For clean records.
  size_t write_behind_bytes = size_t{64} << 20;   // For fresh ones, before they are handed over.
  EngineClusterOptions engines;                   // dir and instance_count are set by Open().
};

class Store {
 public:
  static Result<std::unique_ptr<Store>> Open(const StoreOptions& options, Clock* clock);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // Syncs the log, flushes the engines, leaves the mark of a clean stop.
  // REQUIRES: no other thread uses the store any more
  Status Close();

  // Reads an engine key: from the record cache, else from the engine.
  //   kNotFound: no such key; kUnavailable: the instance is being reopened
  Status Get(uint16_t slot, std::string_view engine_key, std::string* value) const;
  // Walks the engine keys in [lower, upper), all of `slot`, of which perhaps `expected` are wanted.
  Result<std::unique_ptr<MergedIterator>> NewIterator(uint16_t slot, const std::string& lower,
                                                      const std::string& upper,
                                                      uint64_t expected = 16) const;

  // Whether a write to the slot would wait for its instance now.
  bool IsStalled(uint16_t slot) const { return pipeline_->IsBehind(engines_->InstanceOf(slot)); }
  // OK, or why writes are refused.
  Status WriteHealth() const;

  SlotTable& slots() { return slots_; }
  StripeTable& stripes() { return stripes_; }
  KeyWatches& watches() { return watches_; }
  CommitPipeline& pipeline() { return *pipeline_; }
  EngineCluster& engines() { return *engines_; }
  RecordCache& cache() { return *cache_; }
  // REQUIRES: has_binlog()
  BinlogWriter& binlog() { return *binlog_; }
  // False if the log is damaged: the store is read only.
  bool has_binlog() const { return binlog_ != nullptr; }
  // Changes how much of the log is kept although no instance needs it.
  void SetLogRetention(uint64_t bytes, int64_t age_ms) {
    keep_log_bytes_.store(bytes, std::memory_order_relaxed);
    keep_log_ms_.store(age_ms, std::memory_order_relaxed);
  }
  // Which events of keys are asked for.
  KeyEventKinds event_kinds() const { return event_kinds_.load(std::memory_order_relaxed); }
  void SetEventKinds(KeyEventKinds kinds) { event_kinds_.store(kinds, std::memory_order_relaxed); }
  int64_t NowMillis() const { return pipeline_->NowMillis(); }
  Clock* clock() const { return clock_; }
  const RecoveredLog& recovered() const { return recovered_; }
  uint64_t replayed_records() const { return replayed_records_; }

 private:
  Store(const StoreOptions& options, Clock* clock) : options_(options), clock_(clock) {
    SetLogRetention(options.keep_log_bytes, options.keep_log_ms);
  }

  Status OpenEngines();
  Status OpenLog();
  Status Replay();
  size_t HandOverBytes() const {
    return options_.write_behind_bytes / static_cast<size_t>(options_.instance_count);
  }
  void MaintenanceThread();
  void PurgeLog();

  const StoreOptions options_;
  Clock* const clock_;
  std::string binlog_dir_;
  RecoveredLog recovered_;
  uint64_t replayed_records_ = 0;
  std::atomic<uint64_t> keep_log_bytes_{0};
  std::atomic<int64_t> keep_log_ms_{0};
  std::atomic<KeyEventKinds> event_kinds_{0};
  // The engines' environments call it from their background threads, possibly before it is opened.
  std::atomic<BinlogWriter*> writer_for_engines_{nullptr};
  std::unique_ptr<BinlogWriter> binlog_;
  std::unique_ptr<EngineCluster> engines_;
  std::unique_ptr<RecordCache> cache_;
  SlotTable slots_;
  StripeTable stripes_;
  KeyWatches watches_;
  std::unique_ptr<CommitPipeline> pipeline_;
  bool closed_ = false;

  Mutex maintenance_mu_;
  CondVar maintenance_wake_;
  bool stop_ KVS_GUARDED_BY(maintenance_mu_) = false;
  Thread maintenance_;
};

}  // namespace kvs
