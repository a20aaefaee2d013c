// ZSetAlgebra: unions, intersections and differences of sorted sets, and of sets, whose members
// count as having the score 1.
//
// An intersection walks the smallest input and looks its members up in the others; a difference
// walks the first one; a union holds all members in memory.  What comes out has the order of a
// sorted set.
//
// Threads: one thread, for the duration of one command.
// Owner:   the command's handler; the Keyspace must outlive it.

#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "common/command/join_request.h"
#include "storage_node/types/zset.h"

namespace kvs {

// A sorted set or a set, with a weight for its scores.
class ScoredInput {
 public:
  //   kWrongType: neither a sorted set nor a set
  static Result<ScoredInput> Open(Keyspace* keyspace, std::string_view key);

  bool exists() const { return exists_; }
  uint64_t count() const { return count_; }
  void set_weight(double weight) { weight_ = weight; }

  // The score with its weight; nothing: no such member.
  Result<std::optional<double>> Score(std::string_view member) const;
  // Calls `visit(member, score)` for all members until it returns false.
  using Visit = std::function<Result<bool>(std::string_view member, double score)>;
  Status ForEach(const Visit& visit) const;

 private:
  double Weighted(double score) const { return WeightedScore(score, weight_); }

  std::optional<ZSet> zset_;
  std::optional<Collection> set_;
  bool exists_ = false;
  uint64_t count_ = 0;
  double weight_ = 1;
};

Result<std::vector<ScoredMember>> Union(std::span<const ScoredInput> inputs, Aggregate aggregate);
Result<std::vector<ScoredMember>> Intersection(std::span<const ScoredInput> inputs,
                                               Aggregate aggregate);
// Returns how many members the intersection has, and no more than `limit`.
Result<uint64_t> CountIntersection(std::span<const ScoredInput> inputs, uint64_t limit);
// REQUIRES: at least one input
Result<std::vector<ScoredMember>> Difference(std::span<const ScoredInput> inputs);

}  // namespace kvs
