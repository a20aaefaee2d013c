#include "proxy/route/route_table.h"

#include <algorithm>
#include <utility>

namespace kvs {

int RouteTable::HomeSlot(size_t shard) const {
  const auto found =
      std::find(slot_to_shard.begin(), slot_to_shard.end(), static_cast<int16_t>(shard));
  return found != slot_to_shard.end() ? static_cast<int>(found - slot_to_shard.begin())
                                      : static_cast<int>(shard * kSlotCount / shards.size());
}

MovedSlots MovedBetween(const RouteTable& from, const RouteTable& to) {
  MovedSlots moved;
  if (from.ring != nullptr || to.ring != nullptr) {
    return moved.set();
  }
  std::vector<int> same(from.shards.size(), -1);  // The same server's place in the other table.
  for (size_t i = 0; i < from.shards.size(); ++i) {
    const auto found = std::find(to.shards.begin(), to.shards.end(), from.shards[i]);
    same[i] = found == to.shards.end() ? -1 : static_cast<int>(found - to.shards.begin());
  }
  for (size_t slot = 0; slot < kSlotCount; ++slot) {
    const int before = from.slot_to_shard[slot];
    if (before >= 0) {
      // A server that is gone has lost its slots, also if nobody has them now.
      const int place = same[static_cast<size_t>(before)];
      moved[slot] = place < 0 || place != to.slot_to_shard[slot];
    }
  }
  return moved;
}

RouteTablePtr RouteTable::FromMap(const SlotMap& map) {
  auto table = std::make_shared<RouteTable>();
  table->epoch = map.epoch();
  table->known = true;
  table->name = map.name();
  for (const Shard& shard : map.shards()) {
    table->shards.push_back(shard.master.address);
    table->replicas.emplace_back();
    for (const ShardNode& slave : shard.slaves) {
      table->replicas.back().push_back(slave.address);
    }
  }
  for (int slot = 0; slot < kSlotCount; ++slot) {
    table->slot_to_shard[static_cast<size_t>(slot)] = map.shard_index(slot);
  }
  return table;
}

RouteTablePtr RouteTable::FromServers(const std::vector<NodeAddress>& servers, ServerRingPtr ring,
                                      const std::vector<std::vector<SlotRange>>& slots) {
  KVS_CHECK(!servers.empty());
  auto table = std::make_shared<RouteTable>();
  table->known = true;
  table->shards = servers;
  table->ring = std::move(ring);
  for (size_t slot = 0; slot < kSlotCount; ++slot) {
    table->slot_to_shard[slot] = static_cast<int16_t>(slot * servers.size() / kSlotCount);
  }
  for (size_t server = 0; server < slots.size(); ++server) {
    for (const SlotRange& range : slots[server]) {
      std::fill(table->slot_to_shard.begin() + range.first,
                table->slot_to_shard.begin() + range.last + 1, static_cast<int16_t>(server));
    }
  }
  return table;
}

}  // namespace kvs
