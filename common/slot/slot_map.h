// SlotMap: which shard serves each of the 16384 slots, at one epoch of one namespace.
//
// The config server publishes a new map for every change and nobody edits one in place, so whoever
// holds a map sees a single, consistent cluster for as long as he holds it.
//
// Threads: immutable.
// Owner:   shared.  Keep the SlotMapPtr for as long as you use what it returned.
// Format:  doc/formats/slot_map.md

#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/address.h"
#include "common/base/check.h"
#include "common/base/status.h"
#include "common/json/json.h"
#include "common/slot/slot.h"

namespace kvs {

enum class ClusterMode : uint8_t { kStore, kCache };
// Returns "store" or "cache".
std::string_view ClusterModeName(ClusterMode mode);
// Returns kInvalidArgument for any other text.
Result<ClusterMode> ParseClusterMode(std::string_view text);

// The slots from `first` to `last`, both included.
struct SlotRange {
  int first = 0;
  int last = 0;
  bool operator==(const SlotRange&) const = default;
};

struct ShardNode {
  std::string id;  // 40 lower case hexadecimal digits, chosen by the node when it first started.
  NodeAddress address;
  bool operator==(const ShardNode&) const = default;
};

// Nodes that hold the same slots: one master and the slaves that follow it.
struct Shard {
  std::string id;  // A name; never used again, not even after the shard is gone.
  ShardNode master;
  std::vector<ShardNode> slaves;
  std::vector<SlotRange> slots;  // Ascending, and neither overlapping nor touching.
  bool operator==(const Shard&) const = default;
};

// What a map is made from.
struct SlotMapParts {
  std::string name;  // Of the namespace.
  ClusterMode mode = ClusterMode::kStore;
  uint64_t epoch = 1;
  std::vector<Shard> shards;
};

class SlotMap;
using SlotMapPtr = std::shared_ptr<const SlotMap>;

inline constexpr uint64_t kSlotMapVersion = 1;
inline constexpr size_t kMaxShards = 4096;
inline constexpr size_t kMaxSlavesPerShard = 64;
inline constexpr size_t kMaxNameSize = 64;
inline constexpr size_t kNodeIdSize = 40;

// A name of a namespace or shard: 1 to kMaxNameSize of a-z A-Z 0-9 '-' '_' '.', starting with a
// letter or digit.
bool IsValidName(std::string_view name);
// 40 lower case hexadecimal digits.
bool IsValidNodeId(std::string_view id);

// Returns the shard that `node_id` is master or slave of, or nullptr.
const Shard* FindShardByNode(std::span<const Shard> shards, std::string_view node_id);

class SlotMap {
 public:
  // Makes a map of parts.  Ranges may come in any order and touch; they are sorted and joined.
  //   kInvalidArgument: names and what is wrong: a slot out of range or claimed twice, a bad or
  //   repeated id, a repeated or incomplete address, a bad name, epoch 0, too many shards or slaves
  // A slot that no shard claims is legal.
  static Result<SlotMapPtr> Build(SlotMapParts parts);
  // Reads the document of doc/formats/slot_map.md.
  //   kInvalidArgument: it is none, or as Build()
  //   kUnsupported: its format version is newer than ours
  static Result<SlotMapPtr> Parse(std::string_view text);
  static Result<SlotMapPtr> FromJson(const Json& json);

  SlotMap(const SlotMap&) = delete;
  SlotMap& operator=(const SlotMap&) = delete;

  const std::string& name() const { return parts_.name; }
  ClusterMode mode() const { return parts_.mode; }
  uint64_t epoch() const { return parts_.epoch; }
  std::span<const Shard> shards() const { return parts_.shards; }
  const SlotMapParts& parts() const { return parts_; }

  // Returns the shard that serves `slot`, or nullptr if none does.
  // REQUIRES: 0 <= slot && slot < kSlotCount
  const Shard* Find(int slot) const {
    const int16_t index = shard_index(slot);
    return index < 0 ? nullptr : &parts_.shards[static_cast<size_t>(index)];
  }
  // Returns its index in shards(), or -1.
  // REQUIRES: 0 <= slot && slot < kSlotCount
  int16_t shard_index(int slot) const {
    KVS_CHECK(slot >= 0 && slot < kSlotCount);
    return owner_[static_cast<size_t>(slot)];
  }
  // Returns the shard that `node_id` is master or slave of, or nullptr.
  const Shard* FindByNode(std::string_view node_id) const {
    return FindShardByNode(parts_.shards, node_id);
  }
  // Returns the number of slots that some shard serves.
  int assigned_slot_count() const { return assigned_slot_count_; }

  Json ToJson() const;

 private:
  SlotMap() = default;
  Status Assign();

  SlotMapParts parts_;
  std::array<int16_t, kSlotCount> owner_;
  int assigned_slot_count_ = 0;
};

// Returns the slots of `shard_count` shards of as equal a size as can be, in ascending order.
// REQUIRES: 1 <= shard_count && shard_count <= kMaxShards
std::vector<SlotRange> SpreadSlots(size_t shard_count);

}  // namespace kvs
