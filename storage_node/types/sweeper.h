// Sweeper: deletes what nobody asks for any more: expired keys, the keys of dead generations, and
// the elements of dead versions.
//
// Expired keys are found through a slot's expiry index, which is only looked at once the slot is
// due, and deleted like a client would, through the log.  Dead generations are removed from the
// engine alone: nobody can see them, and each node does it for itself.  A crash may bring some of
// their keys back after the slot has forgotten the generation, so what is swept is everything below
// the live generation, and every slot that ever had a dead one is looked at once after a start.
// The elements of a deleted collection go in the same way.  The key that names their version goes
// last, so whatever a crash brings back is found again.
//
// All work comes in small steps, each with a commit of its own, so no lock is held for long.
//
// Threads: one owner.
// Owner:   SweeperThread, or a test; the store must outlive it.

#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "storage_node/commit/store.h"
#include "storage_node/commit/txn.h"

namespace kvs {

struct SweepStats {
  uint64_t expired_keys = 0;
  uint64_t dead_records = 0;  // Engine keys of dead generations and versions.
};

class Sweeper {
 public:
  Sweeper(Store* store, Clock* clock)
      : store_(store),
        clock_(clock),
        txn_(
            store,
            [this](const Status& status, uint64_t /*lsn*/) {
              TellEvents(status.ok());
              TellTracked();
            },
            Txn::Manner::kGivesUp) {}

  // Sweeps all slots in turn for about `budget_us` of time.  Returns whether there is more to do.
  // An error ends the slice; the next one tries again.
  Result<bool> RunSlice(int64_t budget_us);
  // Whether slices delete expired keys, as they do at first, or dead generations alone.
  void set_active_expire(bool active) { active_expire_ = active; }

  // Is told of each key that a slice has deleted, when that is committed.
  using OnExpired = std::function<void(const std::string& key)>;
  void set_on_expired(OnExpired on_expired) { on_expired_ = std::move(on_expired); }

  // Deletes up to `limit` keys of the slot that are due, in one commit, and returns how many.
  // Afterwards due_ms() of the slot tells when it needs the next call.
  Result<size_t> SweepExpired(uint16_t slot, size_t limit);

  // Removes up to `limit` engine keys below the slot's live generation, and returns how many.  If
  // that were all, fewer than `limit`, the slot forgets its dead generations.
  //   kBusy: some of it is still on the way into the engine; call again
  Result<size_t> SweepDeadGenerations(uint16_t slot, size_t limit);

  // Removes up to `limit` elements of the slot's dead versions, and returns how many.  Afterwards
  // may_have_dead_versions() of the slot tells whether it needs another call.
  //   kBusy: some of it is still on the way into the engine; call again
  Result<size_t> SweepDeadVersions(uint16_t slot, size_t limit);

  // Gets the events of each commit.
  using EventSink = std::function<void(KeyEventKinds kinds, std::vector<KeyEvent> events)>;
  void set_event_sink(EventSink sink) { event_sink_ = std::move(sink); }
  // Is told which keys have gone, for clients that track keys; `tracking` counts those.
  using TrackedSink = std::function<void(Txn::TrackedWrites writes)>;
  void set_tracked_sink(const std::atomic<size_t>* tracking, TrackedSink sink) {
    txn_.CollectTrackedWrites(tracking);
    tracked_sink_ = std::move(sink);
  }

  const SweepStats& stats() const { return stats_; }

 private:
  struct DueKeys;
  Result<DueKeys> FindDue(uint16_t slot, size_t limit);
  // Returns the keys.  If somebody holds one for long, `due->next_ms` is soon.
  Result<std::vector<std::string>> DeleteDue(uint16_t slot, DueKeys* due);
  enum class Dead : uint8_t { kGenerations, kVersions };
  bool MayHaveDead(Dead what, uint16_t slot) const;
  Result<std::vector<std::string>> FindDeadVersions(uint16_t slot);
  Result<size_t> SweepVersion(uint16_t slot, const std::string& dead_key, size_t limit);
  struct Removed {
    size_t records = 0;
    bool all = false;  // Else there is more, or the ends stay for a while.
  };
  // Removes up to `limit` engine keys of a range that nobody sees, and its two ends last.
  Result<Removed> RemoveRange(uint16_t slot, const std::string& lower, const std::string& upper,
                              size_t limit);
  Status RemoveKey(uint16_t slot, const std::string& key);
  Status Delete(Engine* engine, const std::vector<std::string>& keys);
  // Whether a walk that comes by where the range was would soon be past it, were its ends gone.
  //   kBusy: there is something between the ends
  Result<bool> IsSoonPassed(Engine* engine, const std::string& first, const std::string& last);
  // A range whose ends were kept when the live generation was that.
  struct Kept {
    uint16_t slot = 0;
    uint32_t generation = 0;
    int64_t delay_us = 0;
    int64_t retry_us = 0;
  };
  void Keep(uint16_t slot, const std::string& lower);
  bool IsKept(uint16_t slot, const std::string& lower) const;
  // Has the versions looked at again whose time has come.
  void WakeKept();
  // Both return whether time ran out; they go on in the next slice where they stopped.
  Result<bool> ExpireSlots(int64_t deadline_us);
  Result<bool> SweepSlots(int64_t deadline_us);
  Result<bool> SweepSlot(Dead what, uint16_t slot, int64_t deadline_us);

  Store* const store_;
  Clock* const clock_;
  // Those of what was committed, or was not: before anybody else can change the keys.
  void TellEvents(bool committed);
  void TellTracked();

  Txn txn_;
  SweepStats stats_;
  OnExpired on_expired_;
  EventSink event_sink_;
  TrackedSink tracked_sink_;
  bool active_expire_ = true;
  uint16_t expire_slot_ = 0;
  uint16_t dead_slot_ = 0;
  std::bitset<kNodeSlotCount> looked_at_;  // Slots without leftovers of a crash.
  // How far the range that begins with `lower` has been removed: behind its first record, up to
  // that at `last`.
  struct {
    std::string lower;
    std::string first;
    std::string last;
  } progress_;
  std::map<std::string, Kept> kept_;  // By where the range begins.
  int64_t next_retry_us_ = INT64_MAX;
};

}  // namespace kvs
