// RouteTable: which shard serves which slot, at one epoch; what a loop routes by.
//
// It is made of the config server's slot map, or of a static list of servers: the slots are spread
// over them evenly or as the list says, or keys go by consistent hashing and slots have no meaning.
//
// Threads: immutable; the main loop publishes a new one to each io loop.
// Owner:   shared.

#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/base/address.h"
#include "common/slot/slot.h"
#include "common/slot/slot_map.h"
#include "proxy/hash/server_ring.h"
#include "proxy/route/slot_lanes.h"

namespace kvs {

struct RouteTable {
  uint64_t epoch = 0;  // 0: there is no map yet, or the list is static.
  bool known = false;  // false: nothing has told us the map.
  std::string name;    // Of the namespace; empty for a static list.
  std::vector<NodeAddress> shards;
  std::vector<std::vector<NodeAddress>> replicas;  // Of each shard; shorter where none are known.
  std::array<int16_t, kSlotCount> slot_to_shard;   // -1: nobody serves it.

  ServerRingPtr ring;  // Says whose a key is, instead of the slots; usually there is none.
  // The slot that stands for a shard: its first one, or where it would be if all had as many.
  int HomeSlot(size_t shard) const;

  RouteTable() { slot_to_shard.fill(-1); }
  static std::shared_ptr<const RouteTable> FromMap(const SlotMap& map);
  // `slots` are those of each server; if there are none, they are spread evenly.
  // REQUIRES: at least one server
  static std::shared_ptr<const RouteTable> FromServers(
      const std::vector<NodeAddress>& servers, ServerRingPtr ring = nullptr,
      const std::vector<std::vector<SlotRange>>& slots = {});
};
using RouteTablePtr = std::shared_ptr<const RouteTable>;

// Returns the slots that `to` has another server for than `from`; all of them where a ring says
// whose a key is.
MovedSlots MovedBetween(const RouteTable& from, const RouteTable& to);

}  // namespace kvs
