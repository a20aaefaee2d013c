// ClusterView: who serves which slots, as one process shows it to clients that speak to a Redis
// Cluster.
//
// A node shows its map.  A proxy shows itself alone with all slots, or itself and its peers, who
// share them.  The view is a value; what CLUSTER SLOTS, SHARDS, NODES and INFO print is made from
// it and from nothing else.
//
// Threads: immutable once published; pure functions.
// Owner:   shared.

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/address.h"
#include "common/resp/resp_writer.h"
#include "common/slot/slot_map.h"

namespace kvs {

class ClusterView;
using ClusterViewPtr = std::shared_ptr<const ClusterView>;

// Words for a server that does not take part in a cluster.
inline constexpr std::string_view kClusterDisabledError =
    "ERR This instance has cluster support disabled";

// Returns 40 lower case hexadecimal digits that depend on `text` alone.
std::string DerivedNodeId(std::string_view text);

class ClusterView {
 public:
  // Node `id` in `map`.  A node that the map does not know, or that has no map (nullptr), shows
  // itself alone, without slots, under the address that a client has reached it by.
  static ClusterViewPtr OfNode(const std::string& id, const SlotMapPtr& map);
  // One process with all slots, under `address` or, if that was not announced to be the right one
  // for all, under the one that a client has reached it by.
  static ClusterViewPtr Single(const std::string& id, const NodeAddress& address, bool announced);
  // The processes `peers` share the slots evenly, in the order of their ids, whatever the order
  // here: all peers that know the same ones show the same.  `id` shows itself as one of them; if it
  // is not, it has no slots.
  // REQUIRES: 1 to kMaxShards of them
  static ClusterViewPtr Peers(const std::string& id, std::vector<ShardNode> peers, uint64_t epoch);

  // The view for one connection, whose own end is `local` ("host:port").
  ClusterView For(std::string_view local) const;

  const std::string& myself() const { return myself_; }
  const std::vector<Shard>& shards() const { return shards_; }
  // Returns the shard that `node_id` belongs to, or nullptr.
  const Shard* FindByNode(std::string_view node_id) const {
    return FindShardByNode(shards_, node_id);
  }
  // The slots of the process itself.
  const std::vector<SlotRange>& own_slots() const;
  // The 40 digits that stand for a shard.
  static std::string ShardId(const Shard& shard);

  // Texts as Redis words them.
  std::string NodesText() const;
  std::string InfoText() const;
  // The lines of the slaves of `master`, without line ends.
  std::vector<std::string> SlaveLines(const Shard& shard) const;
  void WriteSlots(RespWriter* reply) const;
  void WriteShards(RespWriter* reply) const;

 private:
  std::string NodeLine(const Shard& shard, const ShardNode& node) const;

  uint64_t epoch_ = 0;
  std::string myself_;
  bool has_address_ = true;  // false: the address is that of the connection.
  std::vector<Shard> shards_;
};

}  // namespace kvs
