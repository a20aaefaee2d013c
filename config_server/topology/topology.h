// Topology: the truth about the cluster: which nodes there are, which namespaces, who serves what.
//
// It is the parsed form of the MetaStore's records and is changed in three steps: a Plan function
// looks at the present state and returns what a change would write; the host commits that; only
// then Apply() takes it over.  So memory never runs ahead of the disk, and a change that fails
// leaves no trace.  Nothing here touches sockets, files, threads or clocks.
//
// Each change of a namespace takes the next epoch of its name.  The counter outlives the namespace:
// one that is created again goes on where the last one ended, so nodes and proxies that still hold
// an old map cannot take it for the newer one.
//
// Threads: loop-owned.
// Owner:   ConfigServer.
// Format:  doc/formats/meta_store.md

#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/address.h"
#include "common/base/status.h"
#include "common/control/control_message.h"
#include "common/slot/slot_map.h"
#include "config_server/meta/meta_store.h"

namespace kvs {

inline constexpr size_t kMaxNamespaces = 256;
inline constexpr size_t kMaxNodes = 4096;
inline constexpr size_t kMaxNamespaceNameSize = 63;
// A node that claims to have seen a higher epoch is wrong: nobody makes so many changes.
inline constexpr uint64_t kMaxEpoch = uint64_t{1} << 53;

// Returns kInvalidArgument unless `name` is 1 to 63 of a-z 0-9 '-', beginning with a letter or
// digit.
Status CheckNamespaceName(std::string_view name);

// What an operator asks for.
struct NamespaceSpec {
  std::string name;
  ClusterMode mode = ClusterMode::kStore;
  std::vector<std::string> nodes;  // Ids or addresses; empty: chosen among the free ones.
  size_t shards = 0;               // 0: one for each of `nodes`.

  // Reads {"name", "mode", "nodes", "shards"}; all but the name may be missing.
  // Returns kInvalidArgument that names the field.
  static Result<NamespaceSpec> FromJson(const Json& json);
};

struct TopologyNode {
  std::string id;
  NodeAddress address;
  std::string wanted_namespace;  // The only one it may be given to; empty for any.
  std::string namespace_name;    // That it belongs to; empty: free.
};

// One planned change.
struct TopologyChange {
  MetaTransaction transaction;
  std::vector<SlotMapPtr> maps;   // New ones, to be published.
  std::string deleted_namespace;  // Whose members become free; empty for none.
  std::string warning;            // For the log; empty for none.
  bool empty() const { return transaction.puts.empty() && transaction.deletes.empty(); }
};

class Topology {
 public:
  Topology() = default;
  // Reads all records of a store.
  // Returns kCorruption if one cannot be read or two contradict each other.
  static Result<Topology> Load(const std::vector<MetaRecord>& records);

  // Plans a namespace.  `online` holds the ids of the nodes that could serve now.
  //   kInvalidArgument: the spec breaks a rule
  //   kAlreadyExists: the name is taken, or a node belongs to another namespace
  //   kNotFound: a node is unknown
  //   kUnavailable: a node is offline, or too few are free
  Result<TopologyChange> PlanCreate(const NamespaceSpec& spec,
                                    const std::set<std::string>& online) const;
  // Plans that a namespace and its map go away and its nodes become free.
  //   kNotFound: there is no such namespace
  Result<TopologyChange> PlanDelete(const std::string& name) const;
  // Plans what a registration changes: nothing if it says what is known already.
  //   kAlreadyExists: another node that is online has this address
  //   kInvalidArgument: the address is taken by another node of its map, or an impossible epoch
  //   kUnavailable: too many nodes
  Result<TopologyChange> PlanRegister(const Registration& registration,
                                      const std::set<std::string>& online) const;

  // Takes over a change that has been committed.
  // REQUIRES: it was planned from the present state
  void Apply(const TopologyChange& change);

  const std::map<std::string, TopologyNode>& nodes() const { return nodes_; }
  const std::map<std::string, SlotMapPtr>& maps() const { return maps_; }
  // Returns the map, or nullptr.
  SlotMapPtr FindMap(const std::string& name) const;
  const TopologyNode* FindNode(const std::string& id) const;
  // Returns the last epoch that `name` has had; 0 if it never existed.
  uint64_t LastEpoch(const std::string& name) const;
  // Whether there is a namespace, or has been one, as far as we know.
  bool ever_had_namespace() const { return !epochs_.empty(); }
  // Whether a process that is not in `name` and holds its map at `epoch` can be told that this map
  // is dead: we have known that epoch, and later ones.  A config server that lost its records knows
  // nothing and must not stop anybody.
  bool IsDead(const std::string& name, uint64_t epoch) const;

 private:
  // Adds to a transaction, with the compare that goes with it.
  void Put(const std::string& key, std::string value, TopologyChange* change) const;
  void Delete(const std::string& key, TopologyChange* change) const;
  void Publish(const SlotMap& map, TopologyChange* change) const;

  Result<std::vector<const TopologyNode*>> ChooseNodes(const NamespaceSpec& spec,
                                                       const std::set<std::string>& online) const;
  Result<const TopologyNode*> FindFreeNode(const std::string& text, const NamespaceSpec& spec,
                                           const std::set<std::string>& online) const;
  Status PlanNode(const Registration& registration, const std::set<std::string>& online,
                  TopologyChange* change) const;
  Status PlanAddress(const TopologyNode& node, const NodeAddress& address,
                     TopologyChange* change) const;
  void PlanSeenEpoch(const Registration& registration, TopologyChange* change) const;

  Status LoadRecord(const std::string& key, const std::string& value);
  Status LoadNode(const std::string& id, const std::string& value);
  Status LoadMap(const std::string& name, const std::string& value);
  void Forget(const std::string& key);
  Status Link();

  std::map<std::string, std::string> records_;  // As the store holds them.
  std::map<std::string, TopologyNode> nodes_;   // By id.
  std::map<std::string, SlotMapPtr> maps_;      // By namespace.
  std::map<std::string, uint64_t> epochs_;      // By namespace, also of deleted ones.
};

}  // namespace kvs
