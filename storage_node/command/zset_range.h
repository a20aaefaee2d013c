// Ranges of sorted sets as commands write them: "(1.5", "-inf", "[abc", "+".
//
// A range of scores or of members becomes a part of the order (OrderRange), so what is asked of it
// (to be listed, counted, removed) need not know which it was.
//
// Threads: pure functions.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/status.h"
#include "storage_node/types/zset.h"

namespace kvs {

// Both ends of a range of scores.
//   kInvalidArgument: min or max is not a float
Result<OrderRange> ParseScoreRange(std::string_view min, std::string_view max);

// A range of members of one score: the bytes from `lower` on and, unless it has no end, before
// `upper`.
struct LexRange {
  std::string lower;
  std::string upper;
  bool has_end = true;
  bool empty() const { return has_end && lower >= upper; }
};
//   kInvalidArgument: min or max not valid string range item
Result<LexRange> ParseLexRange(std::string_view min, std::string_view max);
// Returns the range in a set whose members all have the score of the first one; of others, the
// members of that score.
Result<OrderRange> OrderOf(const LexRange& range, const ZSet& zset);

// Ranks as in ZRANGE, below 0 from the end.
struct RankRange {
  int64_t first = 0;
  int64_t last = 0;
};
//   kInvalidArgument: value is not an integer or out of range
Result<RankRange> ParseRankRange(std::string_view first, std::string_view last);
// Returns the members with these ranks in a set of `count`; `backward`: ranks count from the
// largest score.  The range is empty if there are none.
ZSelection SelectionOf(const RankRange& range, uint64_t count, bool backward);

}  // namespace kvs
