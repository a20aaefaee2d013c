#include "common/slot/slot_map.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "common/base/strings.h"

namespace kvs {
namespace {

std::string Quote(std::string_view text) {
  return QuoteForLog(text.substr(0, 2 * kMaxNameSize));
}

// Refuses ids and addresses that occur twice in a map.
class Uniqueness {
 public:
  Status Add(const ShardNode& node) {
    if (!IsValidNodeId(node.id)) {
      return Status::InvalidArgument("node id " + Quote(node.id) +
                                     " is not 40 lower case hexadecimal digits");
    }
    const std::string address = FormatAddress(node.address);
    KVS_RETURN_IF_ERROR(ParseAddress(address).status());
    if (!ids_.insert(node.id).second) {
      return Status::InvalidArgument("node " + node.id + " is named twice");
    }
    if (!addresses_.insert(address).second) {
      return Status::InvalidArgument("address " + address + " is named twice");
    }
    return Status::Ok();
  }

 private:
  std::unordered_set<std::string> ids_;
  std::unordered_set<std::string> addresses_;
};

// Sorts ranges and joins those that touch, so that equal maps have equal documents.
void Normalise(std::vector<SlotRange>* ranges) {
  std::sort(ranges->begin(), ranges->end(),
            [](const SlotRange& a, const SlotRange& b) { return a.first < b.first; });
  std::vector<SlotRange> joined;
  for (const SlotRange& range : *ranges) {
    if (!joined.empty() && joined.back().last + 1 == range.first) {
      joined.back().last = range.last;
    } else {
      joined.push_back(range);
    }
  }
  *ranges = std::move(joined);
}

Status CheckShard(const Shard& shard, Uniqueness* nodes) {
  if (!IsValidName(shard.id)) {
    return Status::InvalidArgument("shard id " + Quote(shard.id) + " is not a name");
  }
  if (shard.slaves.size() > kMaxSlavesPerShard) {
    return Status::InvalidArgument("shard " + shard.id + " has more than " +
                                   std::to_string(kMaxSlavesPerShard) + " slaves");
  }
  KVS_RETURN_IF_ERROR(nodes->Add(shard.master).WithContext("shard " + shard.id));
  for (const ShardNode& slave : shard.slaves) {
    KVS_RETURN_IF_ERROR(nodes->Add(slave).WithContext("shard " + shard.id));
  }
  return Status::Ok();
}

Status CheckParts(const SlotMapParts& parts) {
  if (!IsValidName(parts.name)) {
    return Status::InvalidArgument("namespace " + Quote(parts.name) + " is not a name");
  }
  if (parts.epoch == 0) {
    return Status::InvalidArgument("epochs start at 1");
  }
  if (parts.shards.size() > kMaxShards) {
    return Status::InvalidArgument("more than " + std::to_string(kMaxShards) + " shards");
  }
  Uniqueness nodes;
  std::unordered_set<std::string_view> shard_ids;
  for (const Shard& shard : parts.shards) {
    KVS_RETURN_IF_ERROR(CheckShard(shard, &nodes));
    if (!shard_ids.insert(shard.id).second) {
      return Status::InvalidArgument("shard " + shard.id + " is named twice");
    }
  }
  return Status::Ok();
}

Result<ShardNode> NodeFromJson(const Json& json) {
  KVS_RETURN_IF_ERROR(json.CheckFields({"id", "address"}));
  ShardNode node;
  KVS_ASSIGN_OR_RETURN(node.id, json.GetString("id"));
  KVS_ASSIGN_OR_RETURN(const std::string address, json.GetString("address"));
  KVS_ASSIGN_OR_RETURN(node.address, ParseAddress(address));
  return node;
}

Result<int> SlotFromJson(const Json& json) {
  KVS_ASSIGN_OR_RETURN(const int64_t slot, json.AsInt("a slot"));
  if (slot < 0 || slot >= kSlotCount) {
    return Status::InvalidArgument("slot " + std::to_string(slot) + " is not in [0, 16383]");
  }
  return static_cast<int>(slot);
}

Result<SlotRange> RangeFromJson(const Json& json) {
  KVS_ASSIGN_OR_RETURN(const Json::Array* ends, json.AsArray("an element of slots"));
  if (ends->size() != 2) {
    return Status::InvalidArgument("an element of slots is not [first, last]");
  }
  SlotRange range;
  KVS_ASSIGN_OR_RETURN(range.first, SlotFromJson((*ends)[0]));
  KVS_ASSIGN_OR_RETURN(range.last, SlotFromJson((*ends)[1]));
  return range;
}

Result<Shard> ShardFromJson(const Json& json) {
  KVS_RETURN_IF_ERROR(json.CheckFields({"id", "master", "slaves", "slots"}));
  Shard shard;
  KVS_ASSIGN_OR_RETURN(shard.id, json.GetString("id"));
  KVS_ASSIGN_OR_RETURN(const Json* master, json.GetObject("master"));
  KVS_ASSIGN_OR_RETURN(shard.master, NodeFromJson(*master));
  KVS_ASSIGN_OR_RETURN(const Json::Array* slaves, json.GetArray("slaves"));
  for (const Json& slave : *slaves) {
    KVS_ASSIGN_OR_RETURN(ShardNode node, NodeFromJson(slave));
    shard.slaves.push_back(std::move(node));
  }
  KVS_ASSIGN_OR_RETURN(const Json::Array* slots, json.GetArray("slots"));
  for (const Json& slot : *slots) {
    KVS_ASSIGN_OR_RETURN(const SlotRange range, RangeFromJson(slot));
    shard.slots.push_back(range);
  }
  return shard;
}

Json NodeToJson(const ShardNode& node) {
  Json json;
  json.Set("id", node.id);
  json.Set("address", FormatAddress(node.address));
  return json;
}

Json ShardToJson(const Shard& shard) {
  Json slaves = Json::MakeArray();
  for (const ShardNode& slave : shard.slaves) {
    slaves.Append(NodeToJson(slave));
  }
  Json slots = Json::MakeArray();
  for (const SlotRange& range : shard.slots) {
    slots.Append(Json::MakeArray({range.first, range.last}));
  }
  Json json;
  json.Set("id", shard.id);
  json.Set("master", NodeToJson(shard.master));
  json.Set("slaves", std::move(slaves));
  json.Set("slots", std::move(slots));
  return json;
}

bool IsNameByte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '.';
}

}  // namespace

std::string_view ClusterModeName(ClusterMode mode) {
  return mode == ClusterMode::kCache ? "cache" : "store";
}

Result<ClusterMode> ParseClusterMode(std::string_view text) {
  for (const ClusterMode mode : {ClusterMode::kStore, ClusterMode::kCache}) {
    if (text == ClusterModeName(mode)) {
      return mode;
    }
  }
  return Status::InvalidArgument("mode " + Quote(text) + " is neither store nor cache");
}

bool IsValidName(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNameSize &&
         std::all_of(name.begin(), name.end(), IsNameByte) && name[0] != '-' && name[0] != '_' &&
         name[0] != '.';
}

bool IsValidNodeId(std::string_view id) {
  return id.size() == kNodeIdSize &&
         id.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

Result<SlotMapPtr> SlotMap::Build(SlotMapParts parts) {
  KVS_RETURN_IF_ERROR(CheckParts(parts));
  std::shared_ptr<SlotMap> map(new SlotMap);
  map->parts_ = std::move(parts);
  KVS_RETURN_IF_ERROR(map->Assign());
  return SlotMapPtr(std::move(map));
}

// Fills owner_ from the ranges of the shards.
Status SlotMap::Assign() {
  owner_.fill(-1);
  for (size_t index = 0; index < parts_.shards.size(); ++index) {
    Shard& shard = parts_.shards[index];
    for (const SlotRange& range : shard.slots) {
      if (range.first < 0 || range.last >= kSlotCount || range.first > range.last) {
        return Status::InvalidArgument("shard " + shard.id + ": slots " +
                                       std::to_string(range.first) + " to " +
                                       std::to_string(range.last) + " are no range in [0, 16383]");
      }
      for (int slot = range.first; slot <= range.last; ++slot) {
        int16_t& owner = owner_[static_cast<size_t>(slot)];
        if (owner >= 0) {
          return Status::InvalidArgument("slot " + std::to_string(slot) + " is claimed by shard " +
                                         parts_.shards[static_cast<size_t>(owner)].id + " and by " +
                                         shard.id);
        }
        owner = static_cast<int16_t>(index);
        ++assigned_slot_count_;
      }
    }
    Normalise(&shard.slots);
  }
  return Status::Ok();
}

Result<SlotMapPtr> SlotMap::Parse(std::string_view text) {
  KVS_ASSIGN_OR_RETURN(const Json json, Json::Parse(text));
  return FromJson(json);
}

Result<SlotMapPtr> SlotMap::FromJson(const Json& json) {
  // The version comes first: a newer document may have fields that we would complain about.
  KVS_ASSIGN_OR_RETURN(const uint64_t version, json.GetUint("version"));
  if (version != kSlotMapVersion) {
    return Status::Unsupported("slot map of version " + std::to_string(version) +
                               "; this program reads version 1, use a newer one");
  }
  KVS_RETURN_IF_ERROR(json.CheckFields({"version", "namespace", "mode", "epoch", "shards"}));
  SlotMapParts parts;
  KVS_ASSIGN_OR_RETURN(parts.name, json.GetString("namespace"));
  KVS_ASSIGN_OR_RETURN(const std::string mode, json.GetString("mode"));
  KVS_ASSIGN_OR_RETURN(parts.mode, ParseClusterMode(mode));
  KVS_ASSIGN_OR_RETURN(parts.epoch, json.GetUint("epoch"));
  KVS_ASSIGN_OR_RETURN(const Json::Array* shards, json.GetArray("shards"));
  for (const Json& element : *shards) {
    KVS_ASSIGN_OR_RETURN(Shard shard, ShardFromJson(element));
    parts.shards.push_back(std::move(shard));
  }
  return Build(std::move(parts));
}

const Shard* FindShardByNode(std::span<const Shard> shards, std::string_view node_id) {
  for (const Shard& shard : shards) {
    if (shard.master.id == node_id) {
      return &shard;
    }
    for (const ShardNode& slave : shard.slaves) {
      if (slave.id == node_id) {
        return &shard;
      }
    }
  }
  return nullptr;
}

Json SlotMap::ToJson() const {
  Json shards = Json::MakeArray();
  for (const Shard& shard : parts_.shards) {
    shards.Append(ShardToJson(shard));
  }
  Json json;
  json.Set("version", kSlotMapVersion);
  json.Set("namespace", parts_.name);
  json.Set("mode", ClusterModeName(parts_.mode));
  json.Set("epoch", parts_.epoch);
  json.Set("shards", std::move(shards));
  return json;
}

std::vector<SlotRange> SpreadSlots(size_t shard_count) {
  KVS_CHECK(shard_count >= 1 && shard_count <= kMaxShards);
  std::vector<SlotRange> ranges;
  ranges.reserve(shard_count);
  size_t first = 0;
  for (size_t i = 0; i < shard_count; ++i) {
    const size_t end = kSlotCount * (i + 1) / shard_count;
    ranges.push_back({.first = static_cast<int>(first), .last = static_cast<int>(end) - 1});
    first = end;
  }
  return ranges;
}

}  // namespace kvs
