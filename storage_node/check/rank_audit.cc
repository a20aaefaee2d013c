#include "storage_node/check/rank_audit.h"

#include <algorithm>

namespace kvs {

RankAudit::Node* RankAudit::Owner(size_t level, std::string_view order) {
  if (level >= levels_.size()) {
    return nullptr;
  }
  std::vector<Node>& nodes = levels_[level];
  const auto behind =
      std::upper_bound(nodes.begin(), nodes.end(), order,
                       [](std::string_view o, const Node& node) { return o < node.order; });
  return behind == nodes.begin() ? nullptr : &*std::prev(behind);
}

// The nodes of a level come before those of the next.
bool RankAudit::AddNode(std::string_view name, std::string_view value) {
  if (name.size() < 2 || name[0] != kZSetNodeTag) {
    return false;
  }
  const Result<RankNode> node = DecodeRankNode(value);
  const auto level = static_cast<size_t>(static_cast<unsigned char>(name[1]));
  if (!node.ok() || level < std::max<size_t>(levels_.size(), 1) || level > levels_.size() + 1) {
    return false;
  }
  levels_.resize(level);
  levels_[level - 1].push_back({std::string(name.substr(2)), *node, {}});
  return true;
}

void RankAudit::AddOrder(std::string_view order) {
  if (Node* owner = Owner(0, order)) {
    ++owner->has.count;
    ++owner->has.children;
  }
}

std::string RankAudit::Verdict(const RankRoot& root) const {
  const size_t top_nodes = levels_.empty() ? 0 : levels_.back().size();
  if (root.levels != levels_.size() || root.top_nodes != top_nodes) {
    return "has not the levels of the rank index that its metadata tells";
  }
  RankAudit summed = *this;
  for (size_t level = 0; level < summed.levels_.size(); ++level) {
    for (const Node& node : summed.levels_[level]) {
      if (!(node.says == node.has)) {
        return "has a node of the rank index that counts wrong";
      }
      if (Node* owner = summed.Owner(level + 1, node.order)) {
        owner->has.count += node.has.count;
        ++owner->has.children;
      }
    }
    if (!summed.levels_[level].front().order.empty()) {
      return "has a level of the rank index without a first node";
    }
  }
  return "";
}

}  // namespace kvs
