#include "storage_node/types/rank_index.h"

#include <algorithm>
#include <memory>

#include "storage_node/keys/key_codec.h"
#include "storage_node/types/rank_level.h"

namespace kvs {
namespace {

// To read so many nodes in their order takes as long as to look one up.
constexpr uint64_t kNodesPerSeek = 16;

Status Damaged() {
  return Status::Corruption("a rank index does not fit its elements");
}

// Returns the shortest text that is behind `before` and not behind `order`.
// REQUIRES: before < order
std::string Separator(std::string_view before, std::string_view order) {
  const auto differ =
      std::mismatch(before.begin(), before.end(), order.begin(), order.end()).second;
  return std::string(order.substr(0, static_cast<size_t>(differ - order.begin()) + 1));
}

// Makes nodes of about `cut` children each; the first has `first_order`.
std::vector<RankItem> Cut(std::span<const RankItem> children, uint64_t cut,
                          const std::string& first_order) {
  const size_t pieces = std::max<size_t>(1, (children.size() + cut / 2) / cut);
  std::vector<RankItem> nodes;
  nodes.reserve(pieces);
  for (size_t piece = 0; piece < pieces; ++piece) {
    const size_t begin = children.size() * piece / pieces;
    const size_t end = children.size() * (piece + 1) / pieces;
    RankItem node = {
        piece == 0 ? first_order : Separator(children[begin - 1].order, children[begin].order),
        {.count = 0, .children = end - begin}};
    for (const RankItem& child : children.subspan(begin, end - begin)) {
      node.node.count += child.node.count;
    }
    nodes.push_back(std::move(node));
  }
  return nodes;
}

// Makes the plan, from the members upward.
class Planner {
 public:
  Planner(const Collection* zset, const RankRoot& root, const RankIndexShape& shape)
      : zset_(zset), root_(root), shape_(shape) {}

  Result<RankPlan> Update(std::span<const OrderChange> changes) {
    KVS_RETURN_IF_ERROR(UpdateLevels(changes));
    return Collect();
  }
  RankPlan Build(std::span<const std::string> orders) {
    std::vector<RankItem> items;
    items.reserve(orders.size());
    for (const std::string& order : orders) {
      items.push_back({order, {1, 1}});
    }
    levels_.push_back(std::make_unique<RankLevel>(zset_, 0));
    Raise(std::move(items));
    return Collect();
  }
  RankPlan BuildAbove(std::vector<RankItem> nodes) {
    levels_.push_back(std::make_unique<RankLevel>(zset_, 0));
    levels_.push_back(std::make_unique<RankLevel>(zset_, 1));
    for (const RankItem& node : nodes) {
      levels_.back()->Set(node.order, node.node);
    }
    root_ = {.levels = 1, .top_nodes = static_cast<uint32_t>(nodes.size())};
    Raise(std::move(nodes));
    return Collect();
  }

 private:
  struct Delta {
    std::string order;
    int64_t count = 0;
    int64_t children = 0;
  };

  bool IsNodeLevel(int level) const { return level > 1; }
  uint64_t MaxChildren(int level) const {
    return IsNodeLevel(level) ? shape_.max_fan : shape_.max_run;
  }
  uint64_t CutSize(int level) const { return IsNodeLevel(level) ? shape_.cut_fan : shape_.cut_run; }
  uint64_t MinChildren(int level) const {
    return IsNodeLevel(level) ? shape_.min_fan : shape_.min_run;
  }
  // What two nodes may have that become one.
  uint64_t MaxMerged(int level) const { return (CutSize(level) + MaxChildren(level)) / 2; }

  Status UpdateLevels(std::span<const OrderChange> changes) {
    levels_.push_back(std::make_unique<RankLevel>(zset_, 0));
    std::vector<Delta> deltas;
    uint64_t total = zset_->count();
    for (const OrderChange& change : changes) {
      if (change.is_added) {
        levels_[0]->Set(change.order, RankNode{1, 1});
      } else {
        levels_[0]->Replace(change.order, RankNode{1, 1}, std::nullopt);
      }
      const int64_t sign = change.is_added ? 1 : -1;
      deltas.push_back({change.order, sign, sign});
      total += static_cast<uint64_t>(sign);
    }
    if (root_.levels == 0 && total <= shape_.index_from) {
      return Status::Ok();
    }
    for (int level = 1; level <= root_.levels; ++level) {
      levels_.push_back(std::make_unique<RankLevel>(zset_, level));
      KVS_RETURN_IF_ERROR(Change(deltas));
      deltas = DeltasOf(*levels_.back());
    }
    if (root_.levels > 0) {
      int64_t top_nodes = root_.top_nodes;
      for (const Delta& delta : deltas) {
        top_nodes += delta.children;
      }
      if (top_nodes < 1) {
        return Damaged();
      }
      root_.top_nodes = static_cast<uint32_t>(top_nodes);
    }
    return SetHeight(total);
  }

  // Changes the nodes of the last level by what has changed below it.
  Status Change(const std::vector<Delta>& deltas) {
    RankLevel* level = levels_.back().get();
    if (deltas.size() > zset_->count() / shape_.cut_run / kNodesPerSeek) {
      KVS_RETURN_IF_ERROR(level->Load());
    }
    std::vector<std::string> touched;
    std::optional<std::string> next;  // Where the node that was touched last ends.
    for (const Delta& delta : deltas) {
      if (touched.empty() || (next.has_value() && delta.order >= *next)) {
        KVS_ASSIGN_OR_RETURN(const std::optional<RankItem> item, level->AtOrBefore(delta.order));
        if (!item.has_value()) {
          return Damaged();
        }
        touched.push_back(item->order);
        next.reset();
        if (deltas.size() > 1) {
          KVS_ASSIGN_OR_RETURN(const std::optional<RankItem> after, level->After(item->order));
          if (after.has_value()) {
            next = after->order;
          }
        }
      }
      RankNode node = *level->Now(touched.back());
      node.count += static_cast<uint64_t>(delta.count);
      node.children += static_cast<uint64_t>(delta.children);
      level->Set(touched.back(), node);
    }
    for (const std::string& order : touched) {
      KVS_RETURN_IF_ERROR(Balance(order));
    }
    return Status::Ok();
  }

  Status Balance(const std::string& order) {
    RankLevel* level = levels_.back().get();
    const std::optional<RankNode> node = level->Now(order);
    if (!node.has_value()) {
      return Status::Ok();  // Merged into the one before it.
    }
    if (static_cast<int64_t>(node->count) < 0 || static_cast<int64_t>(node->children) < 0) {
      return Damaged();
    }
    if (node->children > MaxChildren(level->level())) {
      return Split(order, *node);
    }
    return node->children < MinChildren(level->level()) ? Merge(order, *node) : Status::Ok();
  }

  Status Split(const std::string& order, const RankNode& node) {
    RankLevel* level = levels_.back().get();
    KVS_ASSIGN_OR_RETURN(const std::optional<RankItem> after, level->After(order));
    KVS_ASSIGN_OR_RETURN(
        const std::vector<RankItem> children,
        levels_[levels_.size() - 2]->List(
            order, after.has_value() ? std::optional(after->order) : std::nullopt));
    uint64_t count = 0;
    for (const RankItem& child : children) {
      count += child.node.count;
    }
    if (children.size() != node.children || count != node.count) {
      return Damaged();
    }
    for (const RankItem& piece : Cut(children, CutSize(level->level()), order)) {
      level->Set(piece.order, piece.node);
    }
    return Status::Ok();
  }

  Status Merge(const std::string& order, const RankNode& node) {
    RankLevel* level = levels_.back().get();
    const auto join = [&](const RankItem& first, const RankItem& second) {
      const RankNode both = {first.node.count + second.node.count,
                             first.node.children + second.node.children};
      const bool fits = both.children <= MaxMerged(level->level()) || second.node.children == 0;
      if (fits) {
        level->Set(first.order, both);
        level->Set(second.order, std::nullopt);
      }
      return fits;
    };
    if (!order.empty()) {
      KVS_ASSIGN_OR_RETURN(const std::optional<RankItem> before, level->Before(order));
      if (!before.has_value()) {
        return Damaged();
      }
      if (join(*before, {order, node})) {
        return Status::Ok();
      }
    }
    KVS_ASSIGN_OR_RETURN(const std::optional<RankItem> after, level->After(order));
    if (after.has_value()) {
      join({order, node}, *after);
    }
    return Status::Ok();
  }

  static std::vector<Delta> DeltasOf(const RankLevel& level) {
    std::vector<Delta> deltas;
    level.ForEachChange([&](const std::string& order, const RankLevel::Change& change) {
      const RankNode before = change.before.value_or(RankNode());
      const RankNode now = change.now.value_or(RankNode());
      deltas.push_back({order, static_cast<int64_t>(now.count - before.count),
                        int{change.now.has_value()} - int{change.before.has_value()}});
    });
    return deltas;
  }

  Status SetHeight(uint64_t total) {
    if (root_.levels == 0 || root_.top_nodes > shape_.max_fan) {
      KVS_ASSIGN_OR_RETURN(std::vector<RankItem> items, levels_.back()->List("", std::nullopt));
      Raise(std::move(items));
      return Status::Ok();
    }
    if (total < shape_.index_until) {
      return RemoveAll();
    }
    while (root_.levels > 1 && root_.top_nodes == 1) {
      RankLevel* top = levels_.back().get();
      KVS_ASSIGN_OR_RETURN(const std::optional<RankItem> only, top->AtOrBefore(""));
      if (!only.has_value()) {
        return Damaged();
      }
      top->Set(only->order, std::nullopt);
      root_.top_nodes = static_cast<uint32_t>(only->node.children);
      --root_.levels;
      dropped_.push_back(std::move(levels_.back()));
      levels_.pop_back();
    }
    return Status::Ok();
  }

  Status RemoveAll() {
    for (size_t i = 1; i < levels_.size(); ++i) {
      KVS_ASSIGN_OR_RETURN(const std::vector<RankItem> items, levels_[i]->List("", std::nullopt));
      for (const RankItem& item : items) {
        levels_[i]->Set(item.order, std::nullopt);
      }
    }
    root_ = {};
    return Status::Ok();
  }

  // Puts levels above `items`, all that the last one has, until there are few enough.
  void Raise(std::vector<RankItem> items) {
    while (items.size() > (root_.levels == 0 ? shape_.index_from : shape_.max_fan)) {
      const int level = ++root_.levels;
      levels_.push_back(std::make_unique<RankLevel>(zset_, level));
      items = Cut(items, CutSize(level), "");
      for (const RankItem& item : items) {
        levels_.back()->Set(item.order, item.node);
      }
      root_.top_nodes = static_cast<uint32_t>(items.size());
    }
  }

  RankPlan Collect() {
    RankPlan plan;
    plan.root = root_;
    const auto add = [&plan](const RankLevel& level) {
      level.ForEachChange([&](const std::string& order, const RankLevel::Change& change) {
        plan.writes.emplace_back(
            RankLevelPrefix(level.level()) + order,
            change.now.has_value() ? std::optional(EncodeRankNode(*change.now)) : std::nullopt);
      });
    };
    for (size_t i = 1; i < levels_.size(); ++i) {
      add(*levels_[i]);
    }
    for (const auto& level : dropped_) {
      add(*level);
    }
    return plan;
  }

  const Collection* const zset_;  // Not needed to build one.
  RankRoot root_;
  const RankIndexShape shape_;
  std::vector<std::unique_ptr<RankLevel>> levels_;   // The first are the members.
  std::vector<std::unique_ptr<RankLevel>> dropped_;  // Whose nodes go.
};

}  // namespace

Result<uint64_t> RankIndex::CountBefore(std::string_view order, std::string_view first) const {
  if (order <= first) {
    return uint64_t{0};
  }
  uint64_t count = 0;
  std::string from;  // The node of the level below, whose members before `order` are counted.
  std::optional<ElementWalk> below;
  for (int level = 1; level <= root_.levels; ++level) {
    const std::string prefix = RankLevelPrefix(level);
    const std::string upper =
        prefix + (level == 1 ? std::string(order) : from + '\0');  // No order lies between.
    KVS_ASSIGN_OR_RETURN(ElementWalk walk, elements_->WalkRangeBackward(prefix, upper));
    KVS_RETURN_IF_ERROR(walk.status());
    if (!walk.Valid()) {
      return Damaged();
    }
    from = walk.name().substr(prefix.size());
    walk.Next();
    if (level == 1) {
      const std::string begin = kZSetOrderTag + std::max(from, std::string(first));
      const std::string end = kZSetOrderTag + std::string(order);
      KVS_ASSIGN_OR_RETURN(ElementWalk members, elements_->WalkRange(begin, end));
      for (; members.Valid(); members.Next()) {
        ++count;
      }
      KVS_RETURN_IF_ERROR(members.status());
    } else {
      KVS_RETURN_IF_ERROR(SumBackTo(RankLevelPrefix(level - 1) + from, &*below, &count));
    }
    below.emplace(std::move(walk));
  }
  KVS_RETURN_IF_ERROR(SumBackTo("", &*below, &count));
  return count;
}

Status RankIndex::SumBackTo(std::string_view name, ElementWalk* walk, uint64_t* count) {
  for (; walk->Valid() && walk->name() >= name; walk->Next()) {
    KVS_ASSIGN_OR_RETURN(const RankNode node, DecodeRankNode(walk->value()));
    *count += node.count;
  }
  return walk->status();
}

Result<RankIndex::Place> RankIndex::Find(uint64_t rank) const {
  Place place = {.order = "", .skip = rank};
  for (int level = root_.levels; level >= 1; --level) {
    const std::string prefix = RankLevelPrefix(level);
    const std::string lower = prefix + place.order;
    const std::string upper = PrefixEnd(prefix);
    KVS_ASSIGN_OR_RETURN(ElementWalk walk, elements_->WalkRange(lower, upper));
    for (; walk.Valid(); walk.Next()) {
      KVS_ASSIGN_OR_RETURN(const RankNode node, DecodeRankNode(walk.value()));
      if (place.skip < node.count) {
        break;
      }
      place.skip -= node.count;
    }
    KVS_RETURN_IF_ERROR(walk.status());
    if (!walk.Valid()) {
      return Damaged();
    }
    place.order = walk.name().substr(prefix.size());
  }
  return place;
}

Result<RankPlan> RankIndex::Plan(std::span<const OrderChange> changes) const {
  return Planner(elements_, root_, shape_).Update(changes);
}

RankPlan RankIndex::BuildAbove(std::vector<RankItem> nodes, const RankIndexShape& shape) {
  return Planner(nullptr, {}, shape).BuildAbove(std::move(nodes));
}

RankPlan RankIndex::Build(std::span<const std::string> orders, const RankIndexShape& shape) {
  return Planner(nullptr, {}, shape).Build(orders);
}

}  // namespace kvs
