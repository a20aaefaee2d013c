// Txn: one thread's view of the store during a loop turn: reads, locks, and one batch of writes.
//
// Commands of a turn share a batch, which Commit() writes at the turn's end.  A command first locks
// the stripes of the keys that it may change (Lock), and they stay locked until the commit, so
// nobody sees or changes what is not yet in the log.  If a stripe is taken, what the turn has so
// far is committed and everything is released before the thread waits: nobody waits holding a lock.
// Later commands of the turn see the batch through an overlay.
//
// What a reply may depend on is told by depends_on_turn() and observed_lsn(); see Gate in
// storage_node/server.
//
// Threads: one owner (an io loop or the sweeper).
// Owner:   that thread's server object; the store must outlive it.

#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/base/status.h"
#include "storage_node/commit/store.h"

namespace kvs {

class Txn {
 public:
  // Told of every commit, also of those that Lock() makes in the middle of a turn; `lsn` is the
  // turn's record if `status` is OK.  Not called for turns that wrote nothing.
  using OnCommit = std::function<void(const Status& status, uint64_t lsn)>;

  explicit Txn(Store* store, OnCommit on_commit = {});
  // REQUIRES: committed
  ~Txn();
  Txn(const Txn&) = delete;
  Txn& operator=(const Txn&) = delete;

  Store* store() const { return store_; }
  int64_t NowMillis() const { return now_ms_; }

  // Begins a command: forgets what the last one observed and samples the clock.
  void Begin();

  // Locks the keys' stripes for a command that may write, or that reads several keys at one moment.
  // May commit the turn so far.
  void Lock(std::span<const std::string_view> keys);
  void Lock(std::string_view key) { Lock(std::span(&key, 1)); }
  // Locks every stripe, after committing the turn so far.
  void LockAll();
  // Notes that the command's answer depends on `key`, which it read without a lock.  Call after the
  // reading.
  void Observe(std::string_view key);
  // As Observe() for an answer that depends on any number of keys, such as that of an iteration.
  // REQUIRES: the turn's own writes are committed
  void ObserveAll();

  // Reads an engine key as this turn sees it.  kNotFound: no such key.
  Status Get(uint16_t slot, std::string_view engine_key, std::string* value) const;

  // REQUIRES, for the changes below: the stripe of the user key is locked.
  void Put(uint16_t slot, std::string_view engine_key, std::string_view value);
  void Delete(uint16_t slot, std::string_view engine_key);
  void AddKeys(uint16_t slot, int64_t count) { Delta(slot).keys += count; }
  void AddExpires(uint16_t slot, int64_t count) { Delta(slot).expires += count; }
  // Tells that a key of the slot expires at that time; its index entry is in this batch.
  void LowerDue(uint16_t slot, int64_t expire_at_ms);
  // Makes everything in the slot invisible.  REQUIRES: LockAll() in this command
  void StartNewGeneration(uint16_t slot) { Delta(slot).new_generation = true; }
  // Tells that a dead generation has left the engine.
  void ForgetGeneration(uint16_t slot, uint32_t generation) {
    Delta(slot).swept.push_back(generation);
  }
  // Returns a version that no collection of the slot has had.
  uint64_t NewVersion(uint16_t slot);

  // Writes the batch, if there is one, and releases all stripes.  A command that commits while it
  // runs depends, after a success, on observed_lsn() and no longer on the turn.
  Status Commit();

  bool has_writes() const { return !batch_.empty(); }
  bool holds_locks() const { return held_.any(); }
  size_t batch_bytes() const { return batch_.ops.ApproximateBytes(); }
  // Whether the command wrote, or read a key that this turn has changed: its reply waits for the
  // turn's record, and becomes an error if that fails.
  bool depends_on_turn() const { return depends_on_turn_; }
  // The last record that the command's answer may show.
  uint64_t observed_lsn() const { return observed_lsn_; }

  // How long the command has waited for stripes, and how long the commits that it made took.
  int64_t lock_micros() const { return lock_micros_; }
  int64_t commit_micros() const { return commit_micros_; }
  // How long the last commit that wrote something took.
  int64_t last_commit_micros() const { return last_commit_micros_; }

 private:
  SlotDelta& Delta(uint16_t slot);
  bool TryLockAll(const std::vector<int>& stripes);
  void WaitFor(const std::vector<int>& stripes);
  void ReleaseAll();

  Store* const store_;
  const OnCommit on_commit_;
  TurnBatch batch_;
  std::unordered_map<std::string, std::optional<std::string>> overlay_;
  StripeSet held_;
  StripeSet current_;  // Locked by or for the command that runs.
  bool depends_on_turn_ = false;
  uint64_t observed_lsn_ = 0;
  int64_t now_ms_ = 0;
  int64_t lock_micros_ = 0;
  int64_t commit_micros_ = 0;
  int64_t last_commit_micros_ = 0;
};

}  // namespace kvs
