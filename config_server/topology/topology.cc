#include "config_server/topology/topology.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace kvs {
namespace {

bool IsNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

std::string NodeKey(const std::string& id) {
  return "node/" + id;
}

std::string NodeRecord(const Registration& registration) {
  Json json = Json::MakeObject();
  json.Set("id", registration.id);
  json.Set("address", FormatAddress(registration.address));
  json.Set("namespace", registration.namespace_name);
  return json.ToString();
}

}  // namespace

Status CheckNamespaceName(std::string_view name) {
  if (name.empty() || name.size() > kMaxNamespaceNameSize || name.front() == '-' ||
      !std::all_of(name.begin(), name.end(), IsNameCharacter)) {
    return Status::InvalidArgument(
        "that is no name for a namespace; use 1 to 63 characters of a-z, 0-9 and '-', and begin "
        "with a letter or digit");
  }
  return Status::Ok();
}

Result<NamespaceSpec> NamespaceSpec::FromJson(const Json& json) {
  NamespaceSpec spec;
  KVS_RETURN_IF_ERROR(json.CheckFields({"name", "mode", "nodes", "shards"}));
  KVS_ASSIGN_OR_RETURN(spec.name, json.GetString("name"));
  KVS_RETURN_IF_ERROR(CheckNamespaceName(spec.name));
  KVS_ASSIGN_OR_RETURN(const std::string mode, json.GetString("mode", "store"));
  KVS_ASSIGN_OR_RETURN(spec.mode, ParseClusterMode(mode));
  KVS_ASSIGN_OR_RETURN(const uint64_t shards, json.GetUint("shards", 0));
  if (shards > kMaxShards) {
    return Status::InvalidArgument(
        fmt::format("'shards' is {}; use at most {}", shards, kMaxShards));
  }
  spec.shards = static_cast<size_t>(shards);
  if (const Json* nodes = json.Find("nodes"); nodes != nullptr && !nodes->is_null()) {
    KVS_ASSIGN_OR_RETURN(const Json::Array* array, nodes->AsArray("'nodes'"));
    for (const Json& node : *array) {
      KVS_ASSIGN_OR_RETURN(const std::string* text, node.AsString("an element of 'nodes'"));
      spec.nodes.push_back(*text);
    }
  }
  if (spec.nodes.size() > kMaxShards) {
    return Status::InvalidArgument(fmt::format("too many nodes; use at most {}", kMaxShards));
  }
  return spec;
}

Result<TopologyChange> Topology::PlanCreate(const NamespaceSpec& spec,
                                            const std::set<std::string>& online) const {
  KVS_RETURN_IF_ERROR(CheckNamespaceName(spec.name));
  if (maps_.contains(spec.name)) {
    return Status::AlreadyExists(
        fmt::format("namespace '{}' exists; choose another name or delete it", spec.name));
  }
  if (maps_.size() >= kMaxNamespaces) {
    return Status::Unavailable(
        fmt::format("there are {} namespaces; delete one first", maps_.size()));
  }
  KVS_ASSIGN_OR_RETURN(const std::vector<const TopologyNode*> nodes, ChooseNodes(spec, online));

  SlotMapParts parts;
  parts.name = spec.name;
  parts.mode = spec.mode;
  parts.epoch = LastEpoch(spec.name) + 1;
  const std::vector<SlotRange> ranges = SpreadSlots(nodes.size());
  for (size_t i = 0; i < nodes.size(); ++i) {
    Shard shard;
    // The epoch makes it one that no earlier namespace of this name has had.
    shard.id = fmt::format("shard-{}-{}", parts.epoch, i + 1);
    shard.master = {nodes[i]->id, nodes[i]->address};
    shard.slots = {ranges[i]};
    parts.shards.push_back(std::move(shard));
  }
  KVS_ASSIGN_OR_RETURN(const SlotMapPtr map, SlotMap::Build(std::move(parts)));
  TopologyChange change;
  Publish(*map, &change);
  return change;
}

Result<std::vector<const TopologyNode*>> Topology::ChooseNodes(
    const NamespaceSpec& spec, const std::set<std::string>& online) const {
  if (spec.nodes.empty() && spec.shards == 0) {
    return Status::InvalidArgument(
        "neither nodes nor a number of shards is given; give 'nodes', 'shards' or both");
  }
  if (!spec.nodes.empty() && spec.shards != 0 && spec.nodes.size() != spec.shards) {
    return Status::InvalidArgument(fmt::format(
        "{} nodes for {} shards; give one node for each shard", spec.nodes.size(), spec.shards));
  }
  std::vector<const TopologyNode*> chosen;
  for (const std::string& text : spec.nodes) {
    KVS_ASSIGN_OR_RETURN(const TopologyNode* node, FindFreeNode(text, spec, online));
    if (std::find(chosen.begin(), chosen.end(), node) != chosen.end()) {
      return Status::InvalidArgument(fmt::format("node '{}' is named twice; name it once", text));
    }
    chosen.push_back(node);
  }
  if (!chosen.empty()) {
    return chosen;
  }
  for (const auto& [id, node] : nodes_) {
    const bool suits = node.wanted_namespace.empty() || node.wanted_namespace == spec.name;
    if (node.namespace_name.empty() && suits && online.contains(id)) {
      chosen.push_back(&node);
    }
  }
  if (chosen.size() < spec.shards) {
    return Status::Unavailable(
        fmt::format("{} of {} nodes that '{}' needs are free and online; start more nodes",
                    chosen.size(), spec.shards, spec.name));
  }
  // Operators number their nodes by address, ids are random.
  std::sort(chosen.begin(), chosen.end(),
            [](const TopologyNode* a, const TopologyNode* b) { return a->address < b->address; });
  chosen.resize(spec.shards);
  return chosen;
}

Result<const TopologyNode*> Topology::FindFreeNode(const std::string& text,
                                                   const NamespaceSpec& spec,
                                                   const std::set<std::string>& online) const {
  const TopologyNode* node = FindNode(text);
  if (node == nullptr) {
    for (const auto& [id, candidate] : nodes_) {
      // Of several that had one address, the one that has it now is meant.
      if (FormatAddress(candidate.address) == text && (node == nullptr || online.contains(id))) {
        node = &candidate;
      }
    }
  }
  if (node == nullptr) {
    return Status::NotFound(fmt::format(
        "node '{}' is not registered; start it, or see /api/v1/nodes for those that are", text));
  }
  if (!node->namespace_name.empty()) {
    return Status::AlreadyExists(fmt::format("node '{}' belongs to namespace '{}'; name a free one",
                                             text, node->namespace_name));
  }
  if (!node->wanted_namespace.empty() && node->wanted_namespace != spec.name) {
    return Status::AlreadyExists(fmt::format(
        "node '{}' is kept for namespace '{}'; name another or change its option 'namespace'", text,
        node->wanted_namespace));
  }
  if (!online.contains(node->id)) {
    return Status::Unavailable(fmt::format("node '{}' is offline; start it", text));
  }
  return node;
}

Result<TopologyChange> Topology::PlanDelete(const std::string& name) const {
  if (!maps_.contains(name)) {
    return Status::NotFound(
        fmt::format("there is no namespace '{}'; see /api/v1/namespaces for those that are", name));
  }
  TopologyChange change;
  Delete("namespace/" + name, &change);
  Put("epoch/" + name, std::to_string(LastEpoch(name) + 1), &change);
  return change;
}

Result<TopologyChange> Topology::PlanRegister(const Registration& registration,
                                              const std::set<std::string>& online) const {
  if (registration.epoch > kMaxEpoch) {
    return Status::InvalidArgument("'epoch' is impossibly high");
  }
  TopologyChange change;
  PlanSeenEpoch(registration, &change);
  if (registration.kind == ControlKind::kNode) {
    KVS_RETURN_IF_ERROR(PlanNode(registration, online, &change));
  }
  return change;
}

// Somebody holds a newer map than we know of: our records were lost, or come from a backup.  What
// we publish from now on must be newer still, unless that would put an old map over a newer one.
void Topology::PlanSeenEpoch(const Registration& registration, TopologyChange* change) const {
  const std::string& name = registration.map_namespace;
  if (registration.epoch <= LastEpoch(name)) {
    return;
  }
  if (maps_.contains(name)) {
    change->warning = fmt::format(
        "{} {} has the map of '{}' at epoch {}, we have {}: this config server's data is older "
        "than "
        "the cluster; restore a newer backup",
        ControlKindName(registration.kind), FormatAddress(registration.address), name,
        registration.epoch, LastEpoch(name));
    return;
  }
  if (CheckNamespaceName(name).ok()) {
    change->warning =
        fmt::format("{} {} has a map of '{}', which is unknown here; its epochs go on from {}",
                    ControlKindName(registration.kind), FormatAddress(registration.address), name,
                    registration.epoch);
    Put("epoch/" + name, std::to_string(registration.epoch), change);
  }
}

Status Topology::PlanNode(const Registration& registration, const std::set<std::string>& online,
                          TopologyChange* change) const {
  for (const auto& [id, other] : nodes_) {
    if (id != registration.id && other.address == registration.address && online.contains(id)) {
      return Status::AlreadyExists(fmt::format(
          "node {} is online at {}; give this one another port", id, FormatAddress(other.address)));
    }
  }
  const TopologyNode* const known = FindNode(registration.id);
  if (known == nullptr && nodes_.size() >= kMaxNodes) {
    return Status::Unavailable(fmt::format("there are {} nodes already", nodes_.size()));
  }
  if (known != nullptr && !known->namespace_name.empty()) {
    KVS_RETURN_IF_ERROR(PlanAddress(*known, registration.address, change));
  }
  const std::string value = NodeRecord(registration);
  const auto found = records_.find(NodeKey(registration.id));
  if (found == records_.end() || found->second != value) {
    Put(NodeKey(registration.id), value, change);
  }
  return Status::Ok();
}

// A node of a map listens elsewhere: the map says so from now on.
Status Topology::PlanAddress(const TopologyNode& node, const NodeAddress& address,
                             TopologyChange* change) const {
  if (node.address == address) {
    return Status::Ok();
  }
  SlotMapParts parts = FindMap(node.namespace_name)->parts();
  parts.epoch = LastEpoch(parts.name) + 1;
  for (Shard& shard : parts.shards) {
    if (shard.master.id == node.id) {
      shard.master.address = address;
    }
    for (ShardNode& slave : shard.slaves) {
      if (slave.id == node.id) {
        slave.address = address;
      }
    }
  }
  KVS_ASSIGN_OR_RETURN(const SlotMapPtr map, SlotMap::Build(std::move(parts)));
  Publish(*map, change);
  return Status::Ok();
}

SlotMapPtr Topology::FindMap(const std::string& name) const {
  const auto found = maps_.find(name);
  return found == maps_.end() ? nullptr : found->second;
}

const TopologyNode* Topology::FindNode(const std::string& id) const {
  const auto found = nodes_.find(id);
  return found == nodes_.end() ? nullptr : &found->second;
}

uint64_t Topology::LastEpoch(const std::string& name) const {
  const auto found = epochs_.find(name);
  return found == epochs_.end() ? 0 : found->second;
}

bool Topology::IsDead(const std::string& name, uint64_t epoch) const {
  return epoch > 0 && epoch < LastEpoch(name);
}

void Topology::Put(const std::string& key, std::string value, TopologyChange* change) const {
  const auto found = records_.find(key);
  change->transaction.compares.push_back(
      {key, found == records_.end() ? std::nullopt : std::optional(found->second)});
  change->transaction.puts.emplace_back(key, std::move(value));
}

void Topology::Delete(const std::string& key, TopologyChange* change) const {
  const auto found = records_.find(key);
  KVS_CHECK(found != records_.end());
  change->transaction.compares.push_back({key, found->second});
  change->transaction.deletes.push_back(key);
}

void Topology::Publish(const SlotMap& map, TopologyChange* change) const {
  Put("namespace/" + map.name(), map.ToJson().ToString(), change);
  Put("epoch/" + map.name(), std::to_string(map.epoch()), change);
}

}  // namespace kvs
