// NodeTopology: which slots this node serves, and who serves the others; one frozen view.
//
// Threads: immutable; the main loop publishes a new one to each io loop.
// Owner:   shared.

#pragma once

#include <memory>
#include <string>

#include "common/cluster/cluster_view.h"
#include "common/slot/slot_map.h"
#include "storage_node/command/command_context.h"

namespace kvs {

struct NodeTopology {
  SlotSet owned;
  SlotMapPtr map;        // Null: the node is on its own, or has not heard of its namespace yet.
  bool managed = false;  // A config server decides.
  uint64_t epoch = 0;
  ClusterViewPtr cluster;  // What clients are shown; null: the node is on its own.

  // Returns an empty text if the slot is served here, else the error that tells where it is.
  std::string WhyNotServed(int slot) const;

  // The view of a node without a config server: every slot is its own.
  static std::shared_ptr<const NodeTopology> Standalone();
  // The view of node `node_id` in `map` (null: no slot is owned).
  static std::shared_ptr<const NodeTopology> Managed(const std::string& node_id, SlotMapPtr map);
};
using NodeTopologyPtr = std::shared_ptr<const NodeTopology>;

}  // namespace kvs
