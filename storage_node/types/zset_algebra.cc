#include "storage_node/types/zset_algebra.h"

#include <algorithm>
#include <string>
#include <unordered_map>
#include <utility>

#include "storage_node/types/set_store.h"

namespace kvs {
namespace {

void Sort(std::vector<ScoredMember>* members) {
  std::sort(members->begin(), members->end(), [](const ScoredMember& a, const ScoredMember& b) {
    return a.score != b.score ? a.score < b.score : a.member < b.member;
  });
}

// The inputs from the smallest to the largest, as Redis joins them: sums of doubles depend on it.
std::vector<const ScoredInput*> BySize(std::span<const ScoredInput> inputs) {
  std::vector<const ScoredInput*> sorted;
  for (const ScoredInput& input : inputs) {
    sorted.push_back(&input);
  }
  std::stable_sort(sorted.begin(), sorted.end(), [](const ScoredInput* a, const ScoredInput* b) {
    return a->count() < b->count();
  });
  return sorted;
}

// Calls `visit(member, score)` for what all inputs have until it returns false.
Status VisitIntersection(std::span<const ScoredInput> inputs, Aggregate aggregate,
                         const ScoredInput::Visit& visit) {
  const std::vector<const ScoredInput*> sorted = BySize(inputs);
  return sorted.front()->ForEach([&](std::string_view member, double score) -> Result<bool> {
    for (size_t i = 1; i < sorted.size(); ++i) {
      KVS_ASSIGN_OR_RETURN(const std::optional<double> other, sorted[i]->Score(member));
      if (!other.has_value()) {
        return true;
      }
      score = JoinScores(score, *other, aggregate);
    }
    return visit(member, score);
  });
}

}  // namespace

Result<ScoredInput> ScoredInput::Open(Keyspace* keyspace, std::string_view key) {
  ScoredInput input;
  KVS_ASSIGN_OR_RETURN(const KeyEntry entry, keyspace->Find(key));
  input.exists_ = entry.exists();
  if (entry.exists() && entry.type == DataType::kSet) {
    KVS_ASSIGN_OR_RETURN(input.set_, Collection::OpenForRead(keyspace, key, kSetShape));
    input.count_ = input.set_->count();
  } else {
    KVS_ASSIGN_OR_RETURN(input.zset_, ZSet::OpenForRead(keyspace, key));
    input.count_ = input.zset_->count();
  }
  return input;
}

Result<std::optional<double>> ScoredInput::Score(std::string_view member) const {
  std::optional<double> score;
  if (zset_.has_value()) {
    KVS_ASSIGN_OR_RETURN(score, zset_->Score(member));
  } else {
    KVS_ASSIGN_OR_RETURN(const bool found, set_->Contains(member));
    score = found ? std::optional(1.0) : std::nullopt;
  }
  return score.has_value() ? std::optional(Weighted(*score)) : std::nullopt;
}

Status ScoredInput::ForEach(const Visit& visit) const {
  const OrderRange whole = WholeOrder();
  KVS_ASSIGN_OR_RETURN(ElementWalk walk, zset_.has_value()
                                             ? zset_->elements().WalkRange(whole.lower, whole.upper)
                                             : set_->Walk());
  for (; walk.Valid(); walk.Next()) {
    std::string_view member = walk.name();
    double score = 1;
    if (zset_.has_value()) {
      if (member.size() < kZSetNamePrefix) {
        return Status::Corruption("an element of a sorted set has no score");
      }
      score = ScoreOfName(member);
      member = MemberOfName(member);
    }
    KVS_ASSIGN_OR_RETURN(const bool goes_on, visit(member, Weighted(score)));
    if (!goes_on) {
      break;
    }
  }
  return walk.status();
}

Result<std::vector<ScoredMember>> Union(std::span<const ScoredInput> inputs, Aggregate aggregate) {
  std::unordered_map<std::string, double> scores;
  for (const ScoredInput* input : BySize(inputs)) {
    KVS_RETURN_IF_ERROR(input->ForEach([&](std::string_view member, double score) -> Result<bool> {
      const auto [found, is_new] = scores.try_emplace(std::string(member), score);
      if (!is_new) {
        found->second = JoinScores(found->second, score, aggregate);
      }
      return true;
    }));
  }
  std::vector<ScoredMember> members;
  members.reserve(scores.size());
  while (!scores.empty()) {
    auto node = scores.extract(scores.begin());
    members.push_back({std::move(node.key()), node.mapped()});
  }
  Sort(&members);
  return members;
}

Result<std::vector<ScoredMember>> Intersection(std::span<const ScoredInput> inputs,
                                               Aggregate aggregate) {
  std::vector<ScoredMember> members;
  KVS_RETURN_IF_ERROR(VisitIntersection(inputs, aggregate,
                                        [&](std::string_view member, double score) -> Result<bool> {
                                          members.push_back({std::string(member), score});
                                          return true;
                                        }));
  Sort(&members);
  return members;
}

Result<uint64_t> CountIntersection(std::span<const ScoredInput> inputs, uint64_t limit) {
  uint64_t count = 0;
  KVS_RETURN_IF_ERROR(
      VisitIntersection(inputs, Aggregate::kSum,
                        [&](std::string_view, double) -> Result<bool> { return ++count < limit; }));
  return count;
}

Result<std::vector<ScoredMember>> Difference(std::span<const ScoredInput> inputs) {
  std::vector<ScoredMember> members;
  KVS_RETURN_IF_ERROR(
      inputs.front().ForEach([&](std::string_view member, double score) -> Result<bool> {
        for (const ScoredInput& other : inputs.subspan(1)) {
          KVS_ASSIGN_OR_RETURN(const std::optional<double> found, other.Score(member));
          if (found.has_value()) {
            return true;
          }
        }
        members.push_back({std::string(member), score});
        return true;
      }));
  Sort(&members);
  return members;
}

}  // namespace kvs
