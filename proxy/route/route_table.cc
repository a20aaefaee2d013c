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

RouteTablePtr RouteTable::FromMap(const SlotMap& map) {
  auto table = std::make_shared<RouteTable>();
  table->epoch = map.epoch();
  table->known = true;
  table->name = map.name();
  for (const Shard& shard : map.shards()) {
    table->shards.push_back(shard.master.address);
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
