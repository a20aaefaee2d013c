// RankLevel: the nodes of one level of a sorted set's rank index, with planned changes over them.
//
// Level 0 are the members themselves, each a node of one.  Nothing is written: what is planned is
// kept beside what was read, and told by ForEachChange().
//
// Threads: one thread, for the duration of one command.
// Owner:   RankIndex::Plan(); the Collection must outlive it and is not changed meanwhile.

#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "storage_node/keys/zset_codec.h"
#include "storage_node/types/collection.h"
#include "storage_node/types/rank_index.h"

namespace kvs {

// Returns what the names of a level's elements begin with.
std::string RankLevelPrefix(int level);

class RankLevel {
 public:
  RankLevel(const Collection* zset, int level)
      : zset_(zset), level_(level), prefix_(RankLevelPrefix(level)) {}

  int level() const { return level_; }
  // Reads all nodes, so that the look-ups that follow read nothing.
  Status Load();

  // Return the last node before `order`, the last at or before it, and the first behind it.
  Result<std::optional<RankItem>> Before(std::string_view order);
  Result<std::optional<RankItem>> AtOrBefore(std::string_view order) {
    return Before(std::string(order) + '\0');  // No order lies between.
  }
  Result<std::optional<RankItem>> After(std::string_view order) {
    return AtOrAfter(std::string(order) + '\0');
  }
  // Returns all from `lower` on and, if there is an `upper`, before it.
  Result<std::vector<RankItem>> List(std::string_view lower,
                                     const std::optional<std::string>& upper);
  // Returns the node as planned; nothing if it is planned to go, or was never seen.
  std::optional<RankNode> Now(std::string_view order) const;

  // Plans a change of a node that was seen, or a node that is not stored.
  void Set(const std::string& order, std::optional<RankNode> node);
  // The same for a node that is known to be stored as `before`.
  void Replace(const std::string& order, const RankNode& before, std::optional<RankNode> node) {
    nodes_[order] = {before, node};
  }

  struct Change {
    std::optional<RankNode> before;
    std::optional<RankNode> now;
  };
  // Calls `visit(order, change)` for what is planned, in order.
  template <typename Visit>
  void ForEachChange(Visit visit) const {
    for (const auto& [order, change] : nodes_) {
      if (change.before != change.now) {
        visit(order, change);
      }
    }
  }

 private:
  Result<std::optional<RankItem>> AtOrAfter(std::string_view order);
  Status Open(std::optional<ElementWalk>* walk, bool backward);
  // Return the nearest node that is stored, and is not planned to go; nothing if all are loaded.
  Result<std::optional<RankItem>> StoredBefore(std::string_view order);
  Result<std::optional<RankItem>> StoredAtOrAfter(std::string_view order);
  // Takes the node that the walk stands on into nodes_.
  Result<RankItem> Take(const ElementWalk& walk);
  bool IsPlannedToGo(std::string_view order) const;

  const Collection* const zset_;
  const int level_;
  const std::string prefix_;
  std::optional<ElementWalk> forward_;
  std::optional<ElementWalk> backward_;
  bool all_loaded_ = false;
  // Those that were seen or set.
  std::map<std::string, Change, std::less<>> nodes_;
};

}  // namespace kvs
