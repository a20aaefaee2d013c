// JoinRequest: what a union, intersection or difference of several keys asks for, read from its
// words, and how the scores of a member that several sorted sets have become one.
//
// A node that has all of the keys and a proxy that gathers them from several nodes read the words
// and join the scores by the same code, so nobody can tell which of them has answered.
//
// Threads: pure functions; JoinRequest is a value.
// Owner:   the caller.

#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/base/status.h"
#include "common/command/command_table.h"

namespace kvs {

enum class JoinOperation : uint8_t {
  kUnion,
  kIntersection,
  kDifference,
  kDistinct,  // How many elements HyperLogLogs have seen.
};

// How scores are joined.
enum class Aggregate : uint8_t { kSum, kMin, kMax };

// Returns the score of a member that has had `a` so far and has `b` in the next input.
double JoinScores(double a, double b, Aggregate aggregate);
double WeightedScore(double score, double weight);

struct JoinRequest {
  JoinOperation operation = JoinOperation::kUnion;
  bool scored = false;  // Of sorted sets, and sets whose members have the score 1.
  bool counts = false;  // Only the number of members is wanted.
  size_t first_key = 0;
  size_t key_count = 0;
  std::vector<double> weights = {};  // Of the keys; empty: 1 each.
  Aggregate aggregate = Aggregate::kSum;
  bool with_scores = false;
  uint64_t limit = UINT64_MAX;  // Of what is counted.

  double weight(size_t key_index) const { return weights.empty() ? 1 : weights[key_index]; }
};

// Reads which words are the keys.
//   kInvalidArgument: in Redis's words
// REQUIRES: the row is one of SINTER, SUNION, SDIFF, SINTERCARD, their sorted counterparts, those
//           that store, and PFCOUNT
Result<JoinRequest> ParseJoinKeys(const CommandSpec& spec, CommandArgs args);
// Reads what follows the keys.
//   kInvalidArgument: in Redis's words
Status ParseJoinOptions(const CommandSpec& spec, CommandArgs args, JoinRequest* request);

}  // namespace kvs
