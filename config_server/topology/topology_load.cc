// The records of the MetaStore and their parsed form.

#include <fmt/format.h>

#include "common/base/strings.h"
#include "config_server/topology/topology.h"

namespace kvs {
namespace {

constexpr std::string_view kNodePrefix = "node/";
constexpr std::string_view kNamespacePrefix = "namespace/";
constexpr std::string_view kEpochPrefix = "epoch/";

}  // namespace

Result<Topology> Topology::Load(const std::vector<MetaRecord>& records) {
  Topology topology;
  for (const auto& [key, value] : records) {
    const Status status = topology.LoadRecord(key, value);
    if (!status.ok()) {
      return Status::Corruption(fmt::format("record '{}' of the meta store: {}; restore a backup",
                                            key, status.message()));
    }
    topology.records_[key] = value;
  }
  const Status linked = topology.Link();
  if (!linked.ok()) {
    return Status::Corruption(
        fmt::format("the meta store contradicts itself: {}; restore a backup", linked.message()));
  }
  return topology;
}

Status Topology::LoadRecord(const std::string& key, const std::string& value) {
  if (key.starts_with(kNodePrefix)) {
    return LoadNode(key.substr(kNodePrefix.size()), value);
  }
  if (key.starts_with(kNamespacePrefix)) {
    return LoadMap(key.substr(kNamespacePrefix.size()), value);
  }
  if (key.starts_with(kEpochPrefix)) {
    uint64_t epoch = 0;
    if (!ParseUint64(value, &epoch) || epoch == 0) {
      return Status::InvalidArgument("not an epoch");
    }
    epochs_[key.substr(kEpochPrefix.size())] = epoch;
    return Status::Ok();
  }
  return Status::InvalidArgument("unknown; a newer program wrote it");
}

Status Topology::LoadNode(const std::string& id, const std::string& value) {
  KVS_ASSIGN_OR_RETURN(const Json json, Json::Parse(value));
  KVS_RETURN_IF_ERROR(json.CheckFields({"id", "address", "namespace"}));
  TopologyNode node;
  KVS_ASSIGN_OR_RETURN(node.id, json.GetString("id"));
  if (node.id != id || !IsValidNodeId(id)) {
    return Status::InvalidArgument("the id is not that of the key");
  }
  KVS_ASSIGN_OR_RETURN(const std::string address, json.GetString("address"));
  KVS_ASSIGN_OR_RETURN(node.address, ParseAddress(address));
  KVS_ASSIGN_OR_RETURN(node.wanted_namespace, json.GetString("namespace"));
  nodes_[id] = std::move(node);
  return Status::Ok();
}

Status Topology::LoadMap(const std::string& name, const std::string& value) {
  KVS_ASSIGN_OR_RETURN(SlotMapPtr map, SlotMap::Parse(value));
  if (map->name() != name) {
    return Status::InvalidArgument("the name is not that of the key");
  }
  maps_[name] = std::move(map);
  return Status::Ok();
}

void Topology::Forget(const std::string& key) {
  KVS_CHECK(key.starts_with(kNamespacePrefix));  // Nothing else is ever deleted.
  maps_.erase(key.substr(kNamespacePrefix.size()));
}

// Tells each node which namespace it belongs to.
Status Topology::Link() {
  for (auto& [id, node] : nodes_) {
    node.namespace_name.clear();
  }
  for (const auto& [name, map] : maps_) {
    if (LastEpoch(name) != map->epoch()) {
      return Status::InvalidArgument(fmt::format("namespace '{}' has epoch {}, its counter {}",
                                                 name, map->epoch(), LastEpoch(name)));
    }
    for (const Shard& shard : map->shards()) {
      std::vector<std::string> members{shard.master.id};
      for (const ShardNode& slave : shard.slaves) {
        members.push_back(slave.id);
      }
      for (const std::string& id : members) {
        const auto found = nodes_.find(id);
        if (found == nodes_.end() || !found->second.namespace_name.empty()) {
          return Status::InvalidArgument(fmt::format(
              "node {} of namespace '{}' is not registered or belongs to another one", id, name));
        }
        found->second.namespace_name = name;
      }
    }
  }
  return Status::Ok();
}

void Topology::Apply(const TopologyChange& change) {
  for (const auto& [key, expected] : change.transaction.compares) {
    const auto found = records_.find(key);
    KVS_CHECK(expected.has_value() ? found != records_.end() && found->second == *expected
                                   : found == records_.end());
  }
  for (const auto& [key, value] : change.transaction.puts) {
    KVS_CHECK(LoadRecord(key, value).ok());
    records_[key] = value;
  }
  for (const std::string& key : change.transaction.deletes) {
    Forget(key);
    records_.erase(key);
  }
  KVS_CHECK(Link().ok());
}

}  // namespace kvs
