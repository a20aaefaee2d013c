#include "storage_node/types/rank_level.h"

#include <iterator>
#include <utility>

#include "storage_node/keys/key_codec.h"

namespace kvs {

std::string RankLevelPrefix(int level) {
  if (level == 0) {
    return {kZSetOrderTag};
  }
  return {kZSetNodeTag, static_cast<char>(level)};
}

Status RankLevel::Open(std::optional<ElementWalk>* walk, bool backward) {
  if (walk->has_value()) {
    return Status::Ok();
  }
  const std::string upper = PrefixEnd(prefix_);
  Result<ElementWalk> opened =
      backward ? zset_->WalkRangeBackward(prefix_, upper) : zset_->WalkRange(prefix_, upper);
  KVS_RETURN_IF_ERROR(opened.status());
  walk->emplace(*std::move(opened));
  return Status::Ok();
}

bool RankLevel::IsPlannedToGo(std::string_view order) const {
  const auto found = nodes_.find(order);
  return found != nodes_.end() && !found->second.now.has_value();
}

std::optional<RankNode> RankLevel::Now(std::string_view order) const {
  const auto found = nodes_.find(order);
  return found != nodes_.end() ? found->second.now : std::nullopt;
}

void RankLevel::Set(const std::string& order, std::optional<RankNode> node) {
  nodes_[order].now = node;  // One that was not seen is new: it was nothing before.
}

Result<RankItem> RankLevel::Take(const ElementWalk& walk) {
  std::string order(walk.name().substr(prefix_.size()));
  const auto seen = nodes_.find(order);
  if (seen != nodes_.end()) {
    return RankItem{std::move(order), *seen->second.now};
  }
  RankNode node = {1, 1};
  if (level_ > 0) {
    KVS_ASSIGN_OR_RETURN(node, DecodeRankNode(walk.value()));
  }
  nodes_[order] = {node, node};
  return RankItem{std::move(order), node};
}

Status RankLevel::Load() {
  KVS_RETURN_IF_ERROR(List("", std::nullopt).status());
  all_loaded_ = true;
  return Status::Ok();
}

Result<std::optional<RankItem>> RankLevel::StoredBefore(std::string_view order) {
  if (all_loaded_) {
    return std::optional<RankItem>();
  }
  KVS_RETURN_IF_ERROR(Open(&backward_, /*backward=*/true));
  backward_->SeekBefore(prefix_ + std::string(order));
  while (backward_->Valid() && IsPlannedToGo(backward_->name().substr(prefix_.size()))) {
    backward_->Next();
  }
  KVS_RETURN_IF_ERROR(backward_->status());
  if (!backward_->Valid()) {
    return std::optional<RankItem>();
  }
  KVS_ASSIGN_OR_RETURN(RankItem item, Take(*backward_));
  return std::optional(std::move(item));
}

Result<std::optional<RankItem>> RankLevel::StoredAtOrAfter(std::string_view order) {
  if (all_loaded_) {
    return std::optional<RankItem>();
  }
  KVS_RETURN_IF_ERROR(Open(&forward_, /*backward=*/false));
  forward_->Seek(prefix_ + std::string(order));
  while (forward_->Valid() && IsPlannedToGo(forward_->name().substr(prefix_.size()))) {
    forward_->Next();
  }
  KVS_RETURN_IF_ERROR(forward_->status());
  if (!forward_->Valid()) {
    return std::optional<RankItem>();
  }
  KVS_ASSIGN_OR_RETURN(RankItem item, Take(*forward_));
  return std::optional(std::move(item));
}

Result<std::optional<RankItem>> RankLevel::Before(std::string_view order) {
  KVS_ASSIGN_OR_RETURN(std::optional<RankItem> item, StoredBefore(order));
  for (auto it = nodes_.lower_bound(order); it != nodes_.begin();) {
    --it;
    if (item.has_value() && it->first <= item->order) {
      break;
    }
    if (it->second.now.has_value()) {
      return std::optional(RankItem{it->first, *it->second.now});
    }
  }
  return item;
}

Result<std::optional<RankItem>> RankLevel::AtOrAfter(std::string_view order) {
  KVS_ASSIGN_OR_RETURN(std::optional<RankItem> item, StoredAtOrAfter(order));
  for (auto it = nodes_.lower_bound(order); it != nodes_.end(); ++it) {
    if (item.has_value() && it->first >= item->order) {
      break;
    }
    if (it->second.now.has_value()) {
      return std::optional(RankItem{it->first, *it->second.now});
    }
  }
  return item;
}

Result<std::vector<RankItem>> RankLevel::List(std::string_view lower,
                                              const std::optional<std::string>& upper) {
  const auto is_within = [&](std::string_view order) {
    return !upper.has_value() || order < *upper;
  };
  if (!all_loaded_) {
    KVS_RETURN_IF_ERROR(Open(&forward_, /*backward=*/false));
    forward_->Seek(prefix_ + std::string(lower));
    for (; forward_->Valid() && is_within(forward_->name().substr(prefix_.size()));
         forward_->Next()) {
      if (!IsPlannedToGo(forward_->name().substr(prefix_.size()))) {
        KVS_RETURN_IF_ERROR(Take(*forward_).status());
      }
    }
    KVS_RETURN_IF_ERROR(forward_->status());
  }
  std::vector<RankItem> items;
  for (auto it = nodes_.lower_bound(lower); it != nodes_.end() && is_within(it->first); ++it) {
    if (it->second.now.has_value()) {
      items.push_back({it->first, *it->second.now});
    }
  }
  return items;
}

}  // namespace kvs
