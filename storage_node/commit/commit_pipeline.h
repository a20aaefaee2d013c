// CommitPipeline: append, acknowledge, apply, reply; the one way by which anything is written.
//
// A thread hands in the batch of a loop turn.  The first in the queue becomes the leader: it stamps
// the queued batches with LSNs, writes them to the binlog with one append, publishes the stripes'
// last LSNs, moves the watermark as far as the policy allows and puts the changes into the record
// cache, where every reader finds them.  The binlog thread syncs, moves the watermark and tells the
// listeners, whose parked replies then leave.  No loop waits for an fsync.  With `everysec` replies
// are parked only while the disk is too slow to keep the promise of that policy (Watermark).
//
// Each engine instance has a thread that hands the fresh records over to it when there are enough
// of them: sorted, in one atomic step, and never beyond what is durable enough to be acknowledged.
// doc/architecture.md has the rules.
//
// Failures: a failed append leaves no trace and fails the turn.  A failed fsync freezes the
// watermark until restart.  A failed engine write costs nothing that was acknowledged: the records
// stay fresh, further writes are refused, and Repair() reopens the instance.
//
// Threads: thread-safe.  Lock order: queue_mu_ < commit order (leadership) < Carrier::mu <
//          apply_mu_ < mark_mu_.
// Owner:   Store.

#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/base/thread.h"
#include "storage_node/binlog/binlog_record.h"
#include "storage_node/binlog/binlog_writer.h"
#include "storage_node/cache/record_cache.h"
#include "storage_node/commit/slot_table.h"
#include "storage_node/commit/stripe_table.h"
#include "storage_node/commit/sync_gatherer.h"
#include "storage_node/commit/watermark.h"
#include "storage_node/engine/engine_cluster.h"

namespace kvs {

// What one thread wants to be written, all or nothing.
struct TurnBatch {
  BinlogBatch ops;
  std::unordered_map<uint16_t, SlotDelta> slots;
  StripeSet dirty;  // The stripes whose keys the batch changes.

  bool empty() const { return ops.empty() && slots.empty(); }
  void Clear() {
    ops.Clear();
    slots.clear();
    dirty.reset();
  }
};

// Told when the watermark has moved, in the thread that moved it: only hand the news on.
class WatermarkListener {
 public:
  virtual ~WatermarkListener() = default;
  virtual void OnWatermark(uint64_t lsn) = 0;
};

struct CommitStats {
  uint64_t records = 0;  // Turns that were written.
  uint64_t appends = 0;  // Writes into the log; records / appends is the group size.
  uint64_t bytes = 0;    // Appended.
  uint64_t syncs = 0;
  uint64_t failed = 0;
  uint64_t delayed = 0;  // Groups that waited for an fsync although the policy is `everysec`.
};

class CommitPipeline {
 public:
  struct Parts {
    BinlogWriter* binlog;
    EngineCluster* engines;
    SlotTable* slots;
    StripeTable* stripes;
    RecordCache* cache;
    Clock* clock;
    std::string binlog_dir;
    uint64_t epoch;
    uint64_t last_lsn;       // Of the recovered log; the engines and the cache hold it all.
    uint64_t last_time_ms;   // Of the newest record in the log.
    size_t hand_over_bytes;  // An instance with so many fresh bytes is handed them over.
  };

  explicit CommitPipeline(const Parts& parts);
  ~CommitPipeline();

  // Without a binlog (a damaged one is not opened) every write is refused from the start.
  void Start();
  // Syncs what is appended and stops the threads.  What is fresh stays in the cache.
  void Stop();

  // Writes the batch and returns its LSN.  The effects may be shown once watermark() reaches it.
  //   kMisconf: nothing was written
  // REQUIRES: the caller holds the dirty stripes, and releases them only afterwards
  Result<uint64_t> Commit(TurnBatch* batch) KVS_EXCLUDES(queue_mu_);

  uint64_t watermark() const { return watermark_value_.load(std::memory_order_acquire); }
  // The node's clock for expiry: never behind the newest record, never backwards.
  int64_t NowMillis() const;

  // Brings the instance's fresh records to the engine and waits for it.
  Status HandOver(int instance);
  // As HandOver(), by the instance's thread and without waiting.
  void RequestHandOver(int instance);
  // Everything up to this record is in the cache or in the engines.
  uint64_t cached_lsn() const { return cached_lsn_.load(std::memory_order_acquire); }
  // Returns when all of a record is there to be read, of which a stripe has told.  Who has read one
  // key of it sees the others after this.
  void AwaitCached(uint64_t lsn) KVS_EXCLUDES(apply_mu_) {
    if (cached_lsn() < lsn) {
      const MutexLock lock(&apply_mu_);  // Stripes tell of it with this held.
    }
  }
  // Whether an instance takes its fresh records more slowly than they come.
  bool IsBehind(int instance) const {
    return parts_.cache->fresh_bytes(instance) >= 2 * parts_.hand_over_bytes;
  }

  void SetPolicy(SyncPolicy policy) KVS_EXCLUDES(mark_mu_);
  SyncPolicy policy() const { return policy_.load(std::memory_order_relaxed); }

  // REQUIRES: a listener outlives its registration.
  void AddListener(WatermarkListener* listener) KVS_EXCLUDES(listeners_mu_);
  void RemoveListener(WatermarkListener* listener) KVS_EXCLUDES(listeners_mu_);

  // Whether an fsync has failed: what waits for it is never acknowledged.
  bool frozen() const { return frozen_.load(std::memory_order_acquire); }

  // OK, or why writes are refused.
  Status Health() const KVS_EXCLUDES(mark_mu_);
  // As Health(), and why the last append failed if it did; the next may succeed.
  Status LastWrite() const KVS_EXCLUDES(mark_mu_);
  // Reopens failed instances; what their memory held is fresh again.  OK if all are well
  // afterwards.
  Status Repair();
  // How often records that an engine had became fresh again.  Whoever misses a record in the cache
  // and then reads the engine must begin anew if it has changed meanwhile.
  uint64_t restores() const { return restores_.load(std::memory_order_acquire); }

  uint64_t appended_lsn() const { return appended_lsn_.load(std::memory_order_acquire); }
  CommitStats stats() const;

 private:
  struct Waiter {
    TurnBatch* batch;
    CondVar ready;
    bool done = false;
    Status status;
    uint64_t lsn = 0;
  };
  // Takes the fresh records of one instance to it.
  struct Carrier {
    Mutex mu;  // One hand-over, or one Reopen(), at a time.
    uint64_t handed_lsn KVS_GUARDED_BY(mu) = 0;
    std::atomic<bool> wanted{false};
    Mutex wake_mu;
    CondVar wake;
    bool stop KVS_GUARDED_BY(wake_mu) = false;
    Thread thread;
  };

  void LeadGroup(const std::vector<Waiter*>& group);
  void StageSlots(TurnBatch* batch, std::unordered_map<uint16_t, SlotMeta>* staged);
  void ApplyGroup(const std::vector<Waiter*>& group,
                  const std::unordered_map<uint16_t, SlotMeta>& staged, uint64_t last_lsn)
      KVS_EXCLUDES(apply_mu_);
  void RequestDueHandOvers();
  void CarrierThread(int instance);
  void PublishStripes(const std::vector<Waiter*>& group);
  void PublishSlots(const std::unordered_map<uint16_t, SlotMeta>& staged);
  Status NoteAppend(const Status& status) KVS_EXCLUDES(mark_mu_);
  void WakeSweeper(const std::vector<Waiter*>& group);
  void OnEngineFailure(const Status& cause) KVS_EXCLUDES(mark_mu_);
  Status RepairInstance(int instance);
  // Makes the instance's records of (after_lsn, through_lsn] fresh again.
  Status RestoreFresh(int instance, uint64_t after_lsn, uint64_t through_lsn)
      KVS_EXCLUDES(apply_mu_);
  uint64_t AdvanceAppended(uint64_t lsn) KVS_EXCLUDES(mark_mu_);
  void RequestSync(uint64_t ops) KVS_EXCLUDES(thread_mu_);
  void BinlogThread();
  // Waits until an fsync should begin, at most `wait_ms` if nobody asks for one.  Returns how many
  // operations wait for it.
  uint64_t WaitForWork(int64_t wait_ms, bool* stopping) KVS_EXCLUDES(thread_mu_);
  void SyncOnce(int64_t began_ms);
  // Publishes the watermark and tells the listeners.
  void Settle() KVS_EXCLUDES(mark_mu_);
  void FreezeWatermark(const Status& cause) KVS_EXCLUDES(mark_mu_);
  void TellListeners(uint64_t lsn) KVS_EXCLUDES(listeners_mu_);
  void FinishGroup(const std::vector<Waiter*>& group) KVS_EXCLUDES(queue_mu_);

  const Parts parts_;

  Mutex queue_mu_;
  std::deque<Waiter*> queue_ KVS_GUARDED_BY(queue_mu_);

  // The leader's own, one leader at a time.
  std::string encoded_;
  std::atomic<uint64_t> appended_lsn_;
  std::atomic<int64_t> last_time_ms_;

  // Held while a group enters the cache, so that a hand-over takes whole records.
  Mutex apply_mu_;
  std::atomic<uint64_t> cached_lsn_;
  std::vector<std::unique_ptr<Carrier>> carriers_;
  std::atomic<uint64_t> restores_{0};

  mutable Mutex mark_mu_;
  Watermark watermark_ KVS_GUARDED_BY(mark_mu_);
  Status refusal_ KVS_GUARDED_BY(mark_mu_);       // Why writes are refused.
  Status append_error_ KVS_GUARDED_BY(mark_mu_);  // Of the last append.
  std::atomic<bool> append_failed_{false};        // Whether append_error_ is one.
  bool engine_failed_ KVS_GUARDED_BY(mark_mu_) = false;
  uint64_t told_lsn_ KVS_GUARDED_BY(mark_mu_) = 0;  // What the listeners know.
  std::atomic<uint64_t> watermark_value_;
  std::atomic<bool> refuses_{false};
  std::atomic<bool> frozen_{false};
  std::atomic<SyncPolicy> policy_{SyncPolicy::kEverySecond};

  Mutex listeners_mu_;
  std::vector<WatermarkListener*> listeners_ KVS_GUARDED_BY(listeners_mu_);

  Mutex thread_mu_;
  CondVar wake_;
  bool stop_ KVS_GUARDED_BY(thread_mu_) = false;
  uint64_t waiting_ops_ KVS_GUARDED_BY(thread_mu_) = 0;  // Appended and waiting for an fsync.
  uint64_t wake_at_ops_ KVS_GUARDED_BY(thread_mu_) = 1;  // The binlog thread sleeps until so many.
  SyncGatherer gatherer_ KVS_GUARDED_BY(thread_mu_);
  Thread thread_;

  std::atomic<uint64_t> records_{0};
  std::atomic<uint64_t> appends_{0};
  std::atomic<uint64_t> bytes_{0};
  std::atomic<uint64_t> syncs_{0};
  std::atomic<uint64_t> failed_{0};
  std::atomic<uint64_t> delayed_{0};
};

}  // namespace kvs
