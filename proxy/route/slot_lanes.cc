#include "proxy/route/slot_lanes.h"

#include <algorithm>
#include <set>

#include "common/base/check.h"

namespace kvs {

void SlotLanes::Move(const MovedSlots& moved) {
  if (wide_moved_ != nullptr) {
    *wide_moved_ |= moved;
  }
}

bool SlotLanes::Guard(const MovedSlots& moved, int lane) {
  if (lane == kEverySlot) {
    if (moved.none()) {
      return false;
    }
    if (wide_guards_++ == 0) {
      wide_moved_ = std::make_unique<MovedSlots>();
    }
    *wide_moved_ |= moved;
    return true;
  }
  if (!moved[static_cast<size_t>(lane)]) {
    return false;
  }
  ++guards_[lane];
  return true;
}

void SlotLanes::Finish(int lane) {
  if (lane == kEverySlot) {
    KVS_CHECK(wide_guards_ > 0);
    if (--wide_guards_ == 0) {
      wide_moved_.reset();
      changed_ = true;
    }
    return;
  }
  const auto guard = guards_.find(lane);
  KVS_CHECK(guard != guards_.end());
  if (--guard->second == 0) {
    guards_.erase(guard);
    changed_ = true;
  }
}

bool SlotLanes::MeetsGuard(const Footprint& footprint) const {
  if (footprint.every_slot) {
    return !guards_.empty() || wide_guards_ > 0;
  }
  return std::any_of(footprint.slots.begin(), footprint.slots.end(),
                     [this](int slot) { return IsGuarded(slot); });
}

bool SlotLanes::Blocks(const Footprint& footprint) const {
  if (held_wide_ > 0 || MeetsGuard(footprint)) {
    return true;
  }
  if (footprint.every_slot) {
    return !held_.empty();
  }
  return std::any_of(footprint.slots.begin(), footprint.slots.end(),
                     [this](int slot) { return held_slots_.contains(slot); });
}

void SlotLanes::Hold(uint64_t id, Footprint footprint) {
  held_wide_ += footprint.every_slot ? 1 : 0;
  for (const int slot : footprint.slots) {
    ++held_slots_[slot];
  }
  held_.push_back({id, std::move(footprint)});
}

std::vector<uint64_t> SlotLanes::TakeReady(const MovedSlots& alone) {
  std::vector<uint64_t> ready;
  if (!std::exchange(changed_, false)) {
    return ready;
  }
  std::vector<Held> left;
  std::set<int> blocked;  // By those that stay, for those behind them.
  bool all_blocked = false;
  bool any_alone = false;
  for (Held& held : std::exchange(held_, {})) {
    const Footprint& footprint = held.footprint;
    const bool waits = all_blocked || MeetsGuard(footprint) ||
                       (footprint.every_slot && (!left.empty() || any_alone)) ||
                       std::any_of(footprint.slots.begin(), footprint.slots.end(),
                                   [&blocked](int slot) { return blocked.contains(slot); });
    if (waits) {
      all_blocked |= footprint.every_slot;
      blocked.insert(footprint.slots.begin(), footprint.slots.end());
      left.push_back(std::move(held));
      continue;
    }
    for (const int slot : footprint.slots) {
      if (alone[static_cast<size_t>(slot)]) {
        blocked.insert(slot);
        any_alone = true;
      }
    }
    ready.push_back(held.id);
    held_wide_ -= footprint.every_slot ? 1 : 0;
    for (const int slot : footprint.slots) {
      if (const auto found = held_slots_.find(slot); --found->second == 0) {
        held_slots_.erase(found);
      }
    }
  }
  held_ = std::move(left);
  changed_ |= any_alone;  // It may fail at once and guard nothing.
  return ready;
}

}  // namespace kvs
