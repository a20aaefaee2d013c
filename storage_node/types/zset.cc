#include "storage_node/types/zset.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/base/coding.h"
#include "storage_node/keys/key_codec.h"
#include "storage_node/types/element_hash.h"

namespace kvs {
namespace {

enum Encoding : uint8_t { kListpack = 0, kSkiplist = 1 };

// A shorter way is walked.
constexpr uint64_t kSkipByRank = 512;
// One in so many removals looks where the set begins and ends now.
constexpr uint64_t kRemovalsPerLook = 16;

std::string OrderName(std::string_view order) {
  return kZSetOrderTag + std::string(order);
}

std::string MemberName(std::string_view member) {
  std::string name(1, kZSetMemberTag);
  PutBig64(&name, ElementHash(member));
  return name.append(member);
}

}  // namespace

std::string_view ZSetEncoding(uint8_t encoding) {
  return encoding == kListpack ? "listpack" : "skiplist";
}

OrderRange WholeOrder() {
  const std::string lower(1, kZSetOrderTag);
  return {lower, PrefixEnd(lower)};
}

Result<ZSet> ZSet::Make(Result<Collection> elements) {
  KVS_RETURN_IF_ERROR(elements.status());
  KVS_ASSIGN_OR_RETURN(ZSetHeader header, DecodeZSetHeader(elements->header()));
  return ZSet(*std::move(elements), std::move(header));
}

Result<ZSet> ZSet::OpenForRead(Keyspace* keyspace, std::string_view key) {
  return Make(Collection::OpenForRead(keyspace, key, kZSetShape));
}

Result<ZSet> ZSet::OpenForWrite(Keyspace* keyspace, std::string_view key,
                                const TypeLimits& limits) {
  return Make(Collection::OpenForWrite(keyspace, key, kZSetShape, limits.packed_size));
}

Result<ZSet> ZSet::OpenToReplace(Keyspace* keyspace, std::string_view key,
                                 const TypeLimits& limits) {
  return Make(Collection::OpenToReplace(keyspace, key, kZSetShape, limits.packed_size));
}

Status ZSet::CheckName(std::string_view name) {
  return name.size() >= kZSetNamePrefix
             ? Status::Ok()
             : Status::Corruption("an element of a sorted set has no score");
}

Result<std::optional<double>> ZSet::Score(std::string_view member) const {
  if (!elements_.is_packed()) {
    std::string value;
    KVS_ASSIGN_OR_RETURN(const bool found, elements_.Get(MemberName(member), &value));
    if (!found) {
      return std::optional<double>();
    }
    KVS_ASSIGN_OR_RETURN(const double score, DecodeScoreValue(value));
    return std::optional(score);
  }
  KVS_ASSIGN_OR_RETURN(ElementWalk walk, elements_.Walk());
  for (; walk.Valid(); walk.Next()) {
    KVS_RETURN_IF_ERROR(CheckName(walk.name()));
    if (MemberOfName(walk.name()) == member) {
      return std::optional(ScoreOfName(walk.name()));
    }
  }
  return std::optional<double>();
}

Result<uint64_t> ZSet::CountBefore(std::string_view name) const {
  const OrderRange whole = Within(WholeOrder());
  if (name >= whole.upper) {
    return count();
  }
  if (name <= whole.lower) {
    return uint64_t{0};
  }
  if (const RankIndex index = Index(); index.exists()) {
    return index.CountBefore(name.substr(1), header_.bounds.first);
  }
  return elements_.CountRange(whole.lower, name);
}

Result<uint64_t> ZSet::Count(const OrderRange& range) const {
  if (range.empty()) {
    return uint64_t{0};
  }
  const OrderRange whole = Within(WholeOrder());
  const bool is_whole = range.lower <= whole.lower && range.upper >= whole.upper;
  if (!is_whole && !Index().exists()) {
    const OrderRange members = Within(range);
    return elements_.CountRange(members.lower, members.upper);
  }
  KVS_ASSIGN_OR_RETURN(const uint64_t end, CountBefore(range.upper));
  KVS_ASSIGN_OR_RETURN(const uint64_t begin, CountBefore(range.lower));
  return end - begin;
}

Result<std::string> ZSet::NameAt(uint64_t rank) const {
  RankIndex::Place place = {.order = "", .skip = rank};
  if (const RankIndex index = Index(); index.exists()) {
    KVS_ASSIGN_OR_RETURN(place, index.Find(rank));
  }
  const OrderRange range = Within({OrderName(place.order), WholeOrder().upper});
  KVS_ASSIGN_OR_RETURN(const ElementWalk walk,
                       elements_.WalkRange(range.lower, range.upper, place.skip));
  KVS_RETURN_IF_ERROR(walk.status());
  if (!walk.Valid()) {
    return Status::Corruption("a sorted set has fewer members than it counts");
  }
  return std::string(walk.name());
}

Status ZSet::SkipByRank(ZSelection* selection) const {
  if (selection->skip < kSkipByRank || selection->range.empty()) {
    return Status::Ok();
  }
  OrderRange* range = &selection->range;
  if (selection->backward) {
    KVS_ASSIGN_OR_RETURN(const uint64_t end, CountBefore(range->upper));
    if (selection->skip >= end) {
      range->upper.clear();
      return Status::Ok();
    }
    KVS_ASSIGN_OR_RETURN(range->upper, NameAt(end - selection->skip));
  } else {
    KVS_ASSIGN_OR_RETURN(const uint64_t begin, CountBefore(range->lower));
    if (selection->skip >= count() - begin) {
      range->upper.clear();
      return Status::Ok();
    }
    KVS_ASSIGN_OR_RETURN(range->lower, NameAt(begin + selection->skip));
  }
  selection->skip = 0;
  return Status::Ok();
}

OrderRange ZSet::Within(const OrderRange& range) const {
  OrderRange within = range;
  if (const OrderBounds& bounds = header_.bounds; !bounds.first.empty()) {
    within.lower = std::max(within.lower, OrderName(bounds.first));
    within.upper = std::min(within.upper, PrefixEnd(OrderName(bounds.last)));
    within.upper = std::max(within.lower, within.upper);
  }
  return within;
}

Status ZSet::FindBounds() {
  const OrderRange whole = Within(WholeOrder());
  KVS_ASSIGN_OR_RETURN(const ElementWalk first, elements_.WalkRange(whole.lower, whole.upper));
  KVS_RETURN_IF_ERROR(first.status());
  KVS_ASSIGN_OR_RETURN(const ElementWalk last,
                       elements_.WalkRangeBackward(whole.lower, whole.upper));
  KVS_RETURN_IF_ERROR(last.status());
  if (first.Valid() && last.Valid()) {
    header_.bounds.SetFirst(first.name().substr(1));
    header_.bounds.SetLast(last.name().substr(1));
  }
  return Status::Ok();
}

void ZSet::NoteRemoved(const ZSelection& selection, const ScoredMember& last) {
  const OrderRange whole = Within(WholeOrder());
  OrderBounds* const bounds = &header_.bounds;
  if (elements_.is_packed() || selection.skip > 0 || bounds->first.empty()) {
    return;
  }
  const std::string order = ZSetOrder(last.score, last.member);
  if (!selection.backward && selection.range.lower <= whole.lower) {
    bounds->SetFirst(order);
  } else if (selection.backward && selection.range.upper >= whole.upper) {
    bounds->SetLast(order);
  }
}

Result<ElementWalk> ZSet::Walk(const ZSelection& selection) const {
  // A packed set has no bounds, and its walk keeps views of the range.
  const OrderRange bounded = elements_.is_packed() ? OrderRange() : Within(selection.range);
  const OrderRange& range = elements_.is_packed() ? selection.range : bounded;
  return selection.backward ? elements_.WalkRangeBackward(range.lower, range.upper)
                            : elements_.WalkRange(range.lower, range.upper);
}

Result<std::vector<ScoredMember>> ZSet::Collect(const ZSelection& selection) const {
  std::vector<ScoredMember> members;
  KVS_RETURN_IF_ERROR(ForEach(selection, [&members](std::string_view member, double score) {
    members.push_back({std::string(member), score});
  }));
  return members;
}

Status ZSet::Stage(std::vector<MemberChange> changes) {
  changes_ = std::move(changes);
  if (elements_.is_packed()) {
    KVS_ASSIGN_OR_RETURN(ElementWalk walk, elements_.Walk());
    for (; walk.Valid(); walk.Next()) {
      KVS_RETURN_IF_ERROR(CheckName(walk.name()));
      packed_orders_.emplace_back(walk.name().substr(1));
    }
    return Status::Ok();
  }
  std::vector<OrderChange> orders;
  uint64_t left = count();
  for (const MemberChange& change : changes_) {
    left += static_cast<uint64_t>(int{change.after.has_value()} - int{change.before.has_value()});
  }
  if (left == 0) {
    return Status::Ok();  // Then the elements are not looked at.
  }
  for (const MemberChange& change : changes_) {
    if (change.before.has_value()) {
      orders.push_back({ZSetOrder(*change.before, change.member), false});
    }
    if (change.after.has_value()) {
      orders.push_back({ZSetOrder(*change.after, change.member), true});
    }
  }
  std::sort(orders.begin(), orders.end(),
            [](const OrderChange& a, const OrderChange& b) { return a.order < b.order; });
  KVS_ASSIGN_OR_RETURN(plan_, Index().Plan(orders));
  const bool looks = std::any_of(changes_.begin(), changes_.end(), [](const MemberChange& change) {
    return change.before.has_value() &&
           ElementHash(ZSetOrder(*change.before, change.member)) % kRemovalsPerLook == 0;
  });
  return looks ? FindBounds() : Status::Ok();
}

void ZSet::WriteOrder() {
  for (const MemberChange& change : changes_) {
    if (change.before.has_value()) {
      elements_.Remove(OrderName(ZSetOrder(*change.before, change.member)));
    }
  }
  for (const MemberChange& change : changes_) {
    if (change.after.has_value()) {
      const std::string order = ZSetOrder(*change.after, change.member);
      elements_.Put(OrderName(order), {});
      if (!header_.bounds.first.empty()) {
        header_.bounds.Widen(order);
      }
    }
  }
}

void ZSet::WriteMembers() {
  for (const MemberChange& change : changes_) {
    if (change.after.has_value()) {
      elements_.Put(MemberName(change.member), EncodeScoreValue(*change.after));
    } else {
      elements_.Remove(MemberName(change.member));
    }
  }
}

void ZSet::WriteAllMembers() {
  std::vector<std::string> removed;
  std::vector<std::string> orders;
  for (const MemberChange& change : changes_) {
    if (change.before.has_value()) {
      removed.push_back(ZSetOrder(*change.before, change.member));
    }
    if (change.after.has_value()) {
      orders.push_back(ZSetOrder(*change.after, change.member));
    }
  }
  std::sort(removed.begin(), removed.end());
  std::sort(orders.begin(), orders.end());
  std::vector<std::string> kept;
  std::set_difference(packed_orders_.begin(), packed_orders_.end(), removed.begin(), removed.end(),
                      std::back_inserter(kept));
  std::vector<std::string> all;
  std::merge(kept.begin(), kept.end(), orders.begin(), orders.end(), std::back_inserter(all));
  for (const std::string& order : all) {
    elements_.Put(MemberName(std::string_view(order).substr(kScoreSize)),
                  EncodeScoreValue(DecodeScoreOrder(order)));
  }
  header_.bounds.SetFirst(all.front());
  header_.bounds.SetLast(all.back());
  WritePlan(RankIndex::Build(all));
}

void ZSet::WritePlan(const RankPlan& plan) {
  for (const auto& [name, value] : plan.writes) {
    if (value.has_value()) {
      elements_.Put(name, *value);
    } else {
      elements_.Remove(name);
    }
  }
  header_.root = plan.root;
  elements_.set_header(EncodeZSetHeader(header_));
}

void ZSet::Save(const TypeLimits& limits) {
  const bool was_packed = elements_.is_packed();
  bool is_large = false;
  for (const MemberChange& change : changes_) {
    elements_.AddToCount(int{change.after.has_value()} - int{change.before.has_value()});
    is_large |= change.after.has_value() && change.member.size() > limits.zset_max_listpack_value;
  }
  if (elements_.empty()) {
    elements_.Save();
    return;
  }
  if (is_large || elements_.count() > limits.zset_max_listpack_entries) {
    elements_.set_encoding(kSkiplist);
  }
  WriteOrder();
  if (!was_packed) {
    WriteMembers();
    WritePlan(plan_);
  } else if (!elements_.is_packed()) {
    WriteAllMembers();
  } else {
    elements_.set_header(EncodeRankRoot({}));
  }
  elements_.Save();
}

ElementSource SourceOf(const ZSet& zset) {
  const Collection* elements = &zset.elements();
  ElementSource source;
  source.count = elements->count();
  source.is_packed = elements->is_packed();
  if (source.is_packed) {
    source.walk_from = [elements](uint64_t) { return elements->Walk(); };
    source.walk_behind = [elements](uint64_t skip) { return elements->WalkBehind(skip); };
    source.element = [](const ElementWalk& walk) {
      return walk.name().size() < kZSetNamePrefix
                 ? SampledElement()
                 : SampledElement{std::string(MemberOfName(walk.name())),
                                  EncodeScoreValue(ScoreOfName(walk.name()))};
    };
    return source;
  }
  source.walk_from = [elements](uint64_t position) {
    return elements->WalkHashed(kZSetMemberTag, position);
  };
  source.walk_behind = [elements](uint64_t skip) {
    return elements->WalkHashed(kZSetMemberTag, 0, skip);
  };
  source.element = [](const ElementWalk& walk) {
    return SampledElement{std::string(walk.name()), std::string(walk.value())};
  };
  return source;
}

}  // namespace kvs
