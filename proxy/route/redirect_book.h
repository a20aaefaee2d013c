// RedirectBook: a session's requests that a node refused because their slot is not its own, and
// when each of them is sent again.
//
// A refused request has done nothing, so it goes to the slot's owner once more, and the client does
// not notice that the proxy's map was old.  Until it is answered SlotLanes holds what the session
// sends for its slots.  What was in flight behind it, at the node that refused, is refused as well
// if the node means it; all of it is sent again together, in order, when the last refusal has come.
// A request that was executed nevertheless has overtaken the refused one: if one of both writes,
// the refused one fails instead, because the order of a client's commands never changes.
//
// When to try: as soon as the router knows another map than the one that the request was sent by;
// or, since the node may be the one with the old map, after kPatienceMs.
//
// Threads: loop-owned.
// Owner:   ProxySession.

#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "proxy/route/slot_lanes.h"

namespace kvs {

// A request, or one part of it.
struct RefusedRequest {
  uint64_t number = 0;  // Of the request among the session's; grows in their order.
  uint32_t part = 0;
  bool is_write = false;
  std::vector<int> slots;   // What it touches.
  int slot = -1;            // The slot that was refused,
  std::string owner = {};   // and whose it is, as the node says; may be empty.
  uint64_t generation = 0;  // Of the map that it was sent by.
  int64_t since_ms = 0;
  int64_t give_up_ms = 0;
  bool overtaken = false;
};

class RedirectBook {
 public:
  static constexpr int64_t kPatienceMs = 50;

  // A request that is somewhere on its way.
  struct InFlight {
    uint64_t number;  // From 1.
    int lane;         // Its slot, or SlotLanes::kEverySlot.
  };
  struct Ready {
    std::vector<RefusedRequest> send;    // In the order in which they have to be.
    std::vector<RefusedRequest> fail;    // Overtaken, or too old.
    std::vector<RefusedRequest> follow;  // Of `send`: nobody but the node said whose they are.
  };

  bool empty() const { return refused_.empty(); }
  void Add(RefusedRequest request);
  // A request, or a part of it, has been executed, or may have been.
  void OnExecuted(uint64_t number, const Footprint& footprint, bool is_write);
  // Returns how many parts of a request have been refused and wait.
  size_t CountOf(uint64_t number) const;
  // `generation` is that of the router's map.  Of requests that touch a slot in `alone` only the
  // first is returned.  What is returned is forgotten.
  Ready TakeReady(uint64_t generation, std::span<const InFlight> in_flight, int64_t now_ms,
                  const MovedSlots& alone = {});
  // Returns all of them, and forgets them.
  std::vector<RefusedRequest> TakeAll();

 private:
  std::vector<RefusedRequest> refused_;  // Ascending by number.
};

}  // namespace kvs
