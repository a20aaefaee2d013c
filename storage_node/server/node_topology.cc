#include "storage_node/server/node_topology.h"

#include <fmt/format.h>

#include <utility>

namespace kvs {

std::string NodeTopology::WhyNotServed(int slot) const {
  if (owned.test(static_cast<size_t>(slot))) {
    return "";
  }
  const Shard* shard = map == nullptr ? nullptr : map->Find(slot);
  return shard == nullptr ? "CLUSTERDOWN Hash slot not served"
                          : fmt::format("MOVED {} {}", slot, FormatAddress(shard->master.address));
}

NodeTopologyPtr NodeTopology::Standalone() {
  auto topology = std::make_shared<NodeTopology>();
  topology->owned.set();
  return topology;
}

NodeTopologyPtr NodeTopology::Managed(const std::string& node_id, SlotMapPtr map) {
  auto topology = std::make_shared<NodeTopology>();
  topology->managed = true;
  topology->cluster = ClusterView::OfNode(node_id, map);
  if (map != nullptr) {
    topology->epoch = map->epoch();
    for (int slot = 0; slot < kSlotCount; ++slot) {
      const Shard* shard = map->Find(slot);
      if (shard != nullptr && shard->master.id == node_id) {
        topology->owned.set(static_cast<size_t>(slot));
      }
    }
    topology->map = std::move(map);
  }
  return topology;
}

}  // namespace kvs
