// RankIndex: how many elements of a sorted set or a list stand before a place, without counting.
//
// A node stands for a run of neighbours and says how many they are; the nodes have nodes above
// them, until a level is short enough to be read whole.  So a rank costs a look at some hundred
// records at most, whatever the size of the set, and a change writes one node on each level.
//
// Which node a member belongs to is a matter of order alone: the last one of its level that is not
// behind it.  The first node of each level has the empty order, so there always is one.  A run that
// gets long is split, one that gets short is merged with a neighbour; a small set has no index.
//
// Threads: one thread, for the duration of one command.
// Owner:   the ZSet or List; the Collection must outlive it.
// Format:  storage_node/keys/zset_codec.h, doc/formats/keys.md

#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "storage_node/keys/zset_codec.h"
#include "storage_node/types/collection.h"

namespace kvs {

// How long runs are.  Tests take less.
struct RankIndexShape {
  uint64_t index_from = 400;   // A set with more members gets an index,
  uint64_t index_until = 128;  // ...and loses it with fewer.
  uint64_t max_run = 192;      // Members of a node of level 1,
  uint64_t cut_run = 128;      // ...and what longer runs are cut into,
  uint64_t min_run = 32;       // ...and those that look for a neighbour to merge with.
  uint64_t max_fan = 128;      // The same for nodes of the other levels.
  uint64_t cut_fan = 64;
  uint64_t min_fan = 16;
};

struct RankItem {
  std::string order;
  RankNode node;
};

struct OrderChange {
  std::string order;
  bool is_added = false;  // Else removed.
};

// What a change of members does to the index: read before anything is written.
struct RankPlan {
  std::vector<std::pair<std::string, std::optional<std::string>>> writes;  // Nothing: remove.
  RankRoot root;
};

class RankIndex {
 public:
  RankIndex(const Collection* elements, const RankRoot& root, const RankIndexShape& shape = {})
      : elements_(elements), root_(root), shape_(shape) {}

  bool exists() const { return root_.levels > 0; }

  // REQUIRES, for these: exists()
  //   kCorruption: the index does not fit the members
  // Returns how many members stand before `order`; none does before `first`.
  Result<uint64_t> CountBefore(std::string_view order, std::string_view first = {}) const;
  struct Place {
    std::string order;  // From here on,
    uint64_t skip = 0;  // ...behind so many members.
  };
  // Returns where the member with that rank, from 0, is found.
  Result<Place> Find(uint64_t rank) const;

  // Returns what is to be written when the members change, which may create or remove the index.
  // REQUIRES: the collection has records and counts what is there before; the changes are real,
  // sorted, and none twice
  Result<RankPlan> Plan(std::span<const OrderChange> changes) const;
  // Returns the index of a set that has none, and has just these members, in their order.
  static RankPlan Build(std::span<const std::string> orders, const RankIndexShape& shape = {});
  // As Build(), where the caller has made the nodes of level 1; the first has the empty order.
  // REQUIRES: there is one
  static RankPlan BuildAbove(std::vector<RankItem> nodes, const RankIndexShape& shape = {});

 private:
  // Adds up the nodes from the walk's, backward, to that with `name`.
  static Status SumBackTo(std::string_view name, ElementWalk* walk, uint64_t* count);

  const Collection* elements_;
  RankRoot root_;
  RankIndexShape shape_;
};

}  // namespace kvs
