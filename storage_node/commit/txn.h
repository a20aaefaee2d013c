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

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "storage_node/commit/key_events.h"
#include "storage_node/commit/store.h"
#include "storage_node/commit/txn_iterator.h"

namespace kvs {

class Txn {
 public:
  // Told of every commit, also of those that Lock() makes in the middle of a turn; `lsn` is the
  // turn's record if `status` is OK.  Not called for turns that wrote nothing.
  using OnCommit = std::function<void(const Status& status, uint64_t lsn)>;

  // How it goes about stripes that somebody else holds.
  enum class Manner : uint8_t {
    kWaits,
    kGivesUp,  // Waits, but not for one who holds them for long.
    // Waits, and may hold what it gets for long; gives up when set_gives_up_when() says so.
    kHoldsLong,
  };

  explicit Txn(Store* store, OnCommit on_commit = {}, Manner manner = Manner::kWaits);
  // REQUIRES: committed
  ~Txn();
  Txn(const Txn&) = delete;
  Txn& operator=(const Txn&) = delete;

  Store* store() const { return store_; }
  int64_t NowMillis() const { return now_ms_; }

  // Begins a command: forgets what the last one observed and samples the clock.
  void Begin();

  // Locks the keys' stripes for a command that may write, or that reads several keys at one moment.
  // May commit the turn so far.  Returns false, and holds nothing, if it has given up.
  bool Lock(std::span<const std::string_view> keys);
  bool Lock(std::string_view key) { return Lock(std::span(&key, 1)); }
  // Locks every stripe, after committing the turn so far.  Returns false as Lock().
  bool LockAll();
  // Asked again and again while one of kHoldsLong waits for another one of them.
  void set_gives_up_when(std::function<bool()> gives_up) { gives_up_when_ = std::move(gives_up); }
  // Whether Lock() or LockAll() has given up since Begin().
  bool gave_up() const { return gave_up_; }
  // Whether the command that runs holds the key's stripe.
  bool Holds(std::string_view key) const {
    return current_.test(static_cast<size_t>(StripeTable::IndexOf(key)));
  }
  bool HoldsAll() const { return current_.all(); }
  // Tells others that what is held now may be held for long; until it is released.
  void HoldLong();
  // Notes that the command's answer depends on `key`, which it read without a lock.  Call after the
  // reading.
  void Observe(std::string_view key);
  // As Observe() for an answer that depends on any number of keys, such as that of an iteration.
  // REQUIRES: the turn's own writes are committed
  void ObserveAll();

  // Reads an engine key as this turn sees it.  kNotFound: no such key.
  Status Get(uint16_t slot, std::string_view engine_key, std::string* value) const;
  // Walks the records of elements in [lower, upper), all of one version, as this turn sees them;
  // perhaps `expected` of them are wanted.
  // REQUIRES: the stripe of the user key is locked, and nothing is written during the walk
  Result<TxnIterator> NewElementIterator(uint16_t slot, const std::string& lower,
                                         const std::string& upper, uint64_t expected = 16) const;

  // REQUIRES, for the changes below: the stripe of the user key is locked.
  void Put(uint16_t slot, std::string_view engine_key, std::string_view value);
  void Delete(uint16_t slot, std::string_view engine_key);
  void AddKeys(uint16_t slot, int64_t count) { Delta(slot).keys += count; }
  void AddExpires(uint16_t slot, int64_t count) { Delta(slot).expires += count; }
  // Tells that a key of the slot expires at that time; its index entry is in this batch.
  void LowerDue(uint16_t slot, int64_t expire_at_ms);
  // Makes everything in the slot invisible.  REQUIRES: LockAll() in this command
  void StartNewGeneration(uint16_t slot) {
    Delta(slot).new_generation = true;
    store_->watches().OnSlotCleared(slot);
    cleared_slots_ = true;
    tracked_.everything = true;
  }
  // Tells that a dead generation has left the engine.
  void ForgetGeneration(uint16_t slot, uint32_t generation) {
    Delta(slot).swept.push_back(generation);
  }
  // Returns a version that no collection of the slot has had.
  uint64_t NewVersion(uint16_t slot);
  // Tells that the elements of a version can be swept; the key that names it is in this batch.
  void NoteDeadVersion(uint16_t slot) { Delta(slot).dead_version = true; }

  // Tells those who watch a user key that this turn changes it.
  void NoteChange(uint16_t slot, std::string_view key, KeyChange change) {
    store_->watches().OnChange(slot, key, change);
    OfferKey(key);
    if (tracking_ != nullptr) {
      NoteForTracking(key, change);
    }
  }
  // Tells those alone who wait for a user key that there may be something for them.
  void OfferKey(std::string_view key) {
    if (waiting_ != nullptr && waiting_->load(std::memory_order_acquire) > 0) {
      changed_keys_.emplace_back(key);
    }
  }
  // While the number is not 0, the keys that are written are noted.  It outlives the Txn.
  void CollectChanges(const std::atomic<size_t>* waiting) { waiting_ = waiting; }
  // Returns the keys that were noted since the last call, some perhaps twice.
  std::vector<std::string> TakeChangedKeys() { return std::exchange(changed_keys_, {}); }
  // Returns whether a slot has been made invisible since the last call.
  bool TakeClearedSlots() { return std::exchange(cleared_slots_, false); }

  // What clients that track keys are to be told once a record is in the log.
  struct TrackedWrites {
    struct Write {
      uint64_t client;  // Who has changed it; 0: its time has come.
      std::string key;
    };
    std::vector<Write> writes = {};
    bool everything = false;  // Slots were cleared.
    bool unnoted = false;     // There were others, while nobody tracked.
  };
  // While the number is not 0, the keys that are changed are noted.  It outlives the Txn.
  void CollectTrackedWrites(const std::atomic<size_t>* tracking) { tracking_ = tracking; }
  // On whose behalf keys are changed from now on; 0: nobody's.
  void set_writer(uint64_t client) { writer_ = client; }
  // Returns what was noted since the last call.
  TrackedWrites TakeTrackedWrites() { return std::exchange(tracked_, {}); }

  // Notes an event of a kind that is asked for.  `name` is a literal.
  void NoteEvent(KeyEventKinds kind, std::string_view name, std::string_view key) {
    if ((event_kinds_ & kind) != 0) {
      events_.push_back({name, std::string(key)});
    }
  }
  // Tells that the command has made, or removed, a user key; for its events.
  void NoteMade(std::string_view key);
  void NoteRemoved(std::string_view key) {
    if (event_kinds_ != 0) {
      removed_keys_.emplace_back(key);
    }
  }
  // Whether the command has removed the key; false if no events are asked for.
  bool HasRemoved(std::string_view key) const;
  // As of Begin().
  KeyEventKinds event_kinds() const { return event_kinds_; }
  // Returns the events that were noted since the last call, and forgets what was removed: the
  // command is over, if not what runs as one with it.
  std::vector<KeyEvent> TakeEvents() {
    removed_keys_.clear();
    return std::exchange(events_, {});
  }

  // Writes the batch, if there is one, and releases all stripes.  A command that commits while it
  // runs depends, after a success, on observed_lsn() and no longer on the turn.
  Status Commit();

  // Around several commands that run as one: from Pin() to Unpin() no stripe is released.  Between
  // them commands lock only what is locked already; unless that is everything, they do not commit.
  void Pin() { pinned_ = true; }
  void Unpin() { pinned_ = false; }

  // Remembers what the batch is now, until the next commit or the end of the command.
  void Save();
  // Whether Rollback() is possible: nothing was committed since Save().
  bool saved() const { return saved_.has_value(); }
  // Forgets what was written since Save(), of which nobody has seen anything; who watches the keys
  // was told all the same.  REQUIRES: saved()
  void Rollback();
  // There will be no Rollback().
  void Keep() { saved_.reset(); }

  // Not OK if a commit has failed since Save(): what was written in between is lost.
  const Status& failure() const { return failure_; }

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
  struct Saved {
    BinlogBatch::Mark ops;
    std::unordered_map<uint16_t, SlotDelta> slots;
    StripeSet dirty;
    bool depends_on_turn;
    size_t changed_keys;
    // What the overlays held before; nothing: they did not know it.
    std::unordered_map<std::string, std::optional<std::optional<std::string>>> before;
  };

  void NoteForTracking(std::string_view key, KeyChange change) {
    if (tracking_->load(std::memory_order_acquire) == 0) {
      tracked_.unnoted = true;
    } else {
      tracked_.writes.push_back({change == KeyChange::kGone ? 0 : writer_, std::string(key)});
    }
  }
  SlotDelta& Delta(uint16_t slot);
  const std::optional<std::string>* FindInOverlay(std::string_view engine_key) const;
  void SetInOverlay(std::string_view engine_key, std::optional<std::string> value);
  bool TryLockAll(const std::vector<int>& stripes);
  bool WaitFor(const std::vector<int>& stripes);
  bool WaitForOne(int stripe);
  void NoteHeld(int stripe);
  void ReleaseAll();

  Store* const store_;
  const OnCommit on_commit_;
  const Manner manner_;
  TurnBatch batch_;
  std::unordered_map<std::string, std::optional<std::string>> overlay_;
  ElementOverlay element_overlay_;  // Those of the overlay that are walked through.
  StripeSet held_;
  StripeSet current_;  // Locked by or for the command that runs.
  bool pinned_ = false;
  bool gave_up_ = false;
  std::function<bool()> gives_up_when_;
  bool holds_long_ = false;
  Status failure_;
  std::optional<Saved> saved_;
  bool depends_on_turn_ = false;
  uint64_t observed_lsn_ = 0;
  const std::atomic<size_t>* waiting_ = nullptr;
  std::vector<std::string> changed_keys_;
  bool cleared_slots_ = false;
  const std::atomic<size_t>* tracking_ = nullptr;
  uint64_t writer_ = 0;
  TrackedWrites tracked_;
  KeyEventKinds event_kinds_ = 0;
  std::vector<KeyEvent> events_;
  std::vector<std::string> removed_keys_;  // By the command.
  int64_t now_ms_ = 0;
  int64_t lock_micros_ = 0;
  int64_t commit_micros_ = 0;
  int64_t last_commit_micros_ = 0;
};

}  // namespace kvs
