// SlotLanes: keeps a session's requests for one slot in their order while slots change owners.
//
// Requests of one slot travel over one link, which keeps their order.  When the owner of a slot
// changes while requests for it are in flight, the slot is guarded: what the session sends for it
// is held until the former owner has answered those, and then goes to the new one.  Requests for
// other slots go on.  A held request holds what comes behind it and shares a slot with it, so the
// order within a slot never changes; a request for every slot, such as FLUSHALL, waits for all
// guards and holds all that comes later.  As long as no owner changes none of this costs anything.
//
// A request in flight is known by its lane: its slot, or kEverySlot if it went to several nodes or
// its slots were not noted.  The latter guards every slot that moves while it is in flight.
//
// Threads: loop-owned.
// Owner:   ProxySession.

#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "common/slot/slot.h"

namespace kvs {

// The slots whose owner has changed.
using MovedSlots = std::bitset<kSlotCount>;

// The slots that a request touches.
struct Footprint {
  bool every_slot = false;
  std::vector<int> slots;  // Of a request that does not touch every slot; may repeat.
};

class SlotLanes {
 public:
  static constexpr int kEverySlot = -1;

  // Whether any request may be sent without a further look.
  bool open() const { return guards_.empty() && wide_guards_ == 0 && held_.empty(); }
  size_t held() const { return held_.size(); }

  // Slots have new owners.  Before the calls of Guard() for the requests that are in flight.
  void Move(const MovedSlots& moved);
  // A request in flight, which is not guarding yet, went to the owners before the move.  Returns
  // whether it guards slots from now on: then Finish() tells of its end.
  bool Guard(const MovedSlots& moved, int lane);
  // A guarding request has been answered, or has failed.
  void Finish(int lane);

  // Whether a new request has to be held.
  bool Blocks(const Footprint& footprint) const;
  // Holds a request that is blocked; `id` comes back from TakeReady().
  void Hold(uint64_t id, Footprint footprint);
  // Returns the held requests that may be sent now, in the order in which they have to be; of those
  // that touch a slot in `alone` the first one only, which guards it unless it fails at once: so
  // call it again when that is known.
  std::vector<uint64_t> TakeReady(const MovedSlots& alone = {});

 private:
  struct Held {
    uint64_t id;
    Footprint footprint;
  };

  bool IsGuarded(int slot) const {
    return guards_.contains(slot) ||
           (wide_moved_ != nullptr && wide_moved_->test(static_cast<size_t>(slot)));
  }
  bool MeetsGuard(const Footprint& footprint) const;

  std::map<int, uint32_t> guards_;          // By slot: requests in flight to its former owner.
  uint32_t wide_guards_ = 0;                // Requests of lane kEverySlot that guard,
  std::unique_ptr<MovedSlots> wide_moved_;  // and what has moved since they were sent, if any.
  std::vector<Held> held_;
  std::map<int, uint32_t> held_slots_;  // How many held requests touch a slot.
  uint32_t held_wide_ = 0;              // How many touch every slot.
  bool changed_ = false;                // A guard has gone since the last TakeReady().
};

}  // namespace kvs
