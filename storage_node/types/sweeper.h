// Sweeper: deletes what nobody asks for any more: expired keys, and the keys of dead generations.
//
// Expired keys are found through a slot's expiry index, which is only looked at once the slot is
// due, and deleted like a client would, through the log.  Dead generations are removed from the
// engine alone: nobody can see them, and each node does it for itself.  A crash may bring some of
// their keys back after the slot has forgotten the generation, so what is swept is everything below
// the live generation, and every slot that ever had a dead one is looked at once after a start.
//
// All work comes in small steps, each with a commit of its own, so no lock is held for long.
//
// Threads: one owner.
// Owner:   SweeperThread, or a test; the store must outlive it.

#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "storage_node/commit/store.h"
#include "storage_node/commit/txn.h"

namespace kvs {

struct SweepStats {
  uint64_t expired_keys = 0;
  uint64_t dead_records = 0;  // Engine keys of dead generations.
};

class Sweeper {
 public:
  Sweeper(Store* store, Clock* clock) : store_(store), clock_(clock), txn_(store) {}

  // Sweeps all slots in turn for about `budget_us` of time.  Returns whether there is more to do.
  // An error ends the slice; the next one tries again.
  Result<bool> RunSlice(int64_t budget_us);
  // Whether slices delete expired keys, as they do at first, or dead generations alone.
  void set_active_expire(bool active) { active_expire_ = active; }

  // Deletes up to `limit` keys of the slot that are due, in one commit, and returns how many.
  // Afterwards due_ms() of the slot tells when it needs the next call.
  Result<size_t> SweepExpired(uint16_t slot, size_t limit);

  // Removes up to `limit` engine keys below the slot's live generation, and returns how many.  If
  // that were all, fewer than `limit`, the slot forgets its dead generations.
  //   kBusy: some of it is still on the way into the engine; call again
  Result<size_t> SweepDeadGenerations(uint16_t slot, size_t limit);

  const SweepStats& stats() const { return stats_; }

 private:
  struct DueKeys;
  Result<DueKeys> FindDue(uint16_t slot, size_t limit);
  Result<size_t> DeleteDue(uint16_t slot, const DueKeys& due);
  bool MayHaveDead(uint16_t slot) const;
  // Both return whether time ran out; they go on in the next slice where they stopped.
  Result<bool> ExpireSlots(int64_t deadline_us);
  Result<bool> SweepSlots(int64_t deadline_us);

  Store* const store_;
  Clock* const clock_;
  Txn txn_;
  SweepStats stats_;
  bool active_expire_ = true;
  uint16_t expire_slot_ = 0;
  uint16_t dead_slot_ = 0;
  std::bitset<kNodeSlotCount> looked_at_;  // Slots without leftovers of a crash.
};

}  // namespace kvs
