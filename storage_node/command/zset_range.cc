#include "storage_node/command/zset_range.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "common/base/strings.h"
#include "storage_node/keys/key_codec.h"

namespace kvs {
namespace {

struct ScoreBound {
  double score = 0;
  bool exclusive = false;
};

// As Redis, by strtod(): "" is 0, and what is behind a zero byte is not seen.
bool ParseScoreBound(std::string_view text, ScoreBound* bound) {
  bound->exclusive = text.starts_with('(');
  const std::string number(text.substr(bound->exclusive ? 1 : 0));
  char* end = nullptr;
  bound->score = std::strtod(number.c_str(), &end);
  return *end == '\0' && !std::isnan(bound->score);
}

// The order's name from which on members are behind the score, or have it.
std::string NameOfScore(double score, bool behind) {
  const std::string name = kZSetOrderTag + EncodeScoreOrder(score);
  return behind ? PrefixEnd(name) : name;
}

enum class Bound : uint8_t { kLowest, kHighest, kInclusive, kExclusive };

bool ParseLexBound(std::string_view text, Bound* bound, std::string_view* member) {
  if (text == "-" || text == "+") {
    *bound = text == "-" ? Bound::kLowest : Bound::kHighest;
    return true;
  }
  if (!text.starts_with('[') && !text.starts_with('(')) {
    return false;
  }
  *bound = text[0] == '[' ? Bound::kInclusive : Bound::kExclusive;
  *member = text.substr(1);
  return true;
}

}  // namespace

Result<OrderRange> ParseScoreRange(std::string_view min, std::string_view max) {
  ScoreBound lower;
  ScoreBound upper;
  if (!ParseScoreBound(min, &lower) || !ParseScoreBound(max, &upper)) {
    return Status::InvalidArgument("min or max is not a float");
  }
  return OrderRange{NameOfScore(lower.score, lower.exclusive),
                    NameOfScore(upper.score, !upper.exclusive)};
}

Result<LexRange> ParseLexRange(std::string_view min, std::string_view max) {
  Bound lower = Bound::kLowest;
  Bound upper = Bound::kHighest;
  std::string_view lowest;
  std::string_view highest;
  if (!ParseLexBound(min, &lower, &lowest) || !ParseLexBound(max, &upper, &highest)) {
    return Status::InvalidArgument("min or max not valid string range item");
  }
  if (lower == Bound::kHighest || upper == Bound::kLowest) {
    return LexRange();
  }
  LexRange range = {std::string(lowest), std::string(highest), upper != Bound::kHighest};
  if (lower == Bound::kExclusive) {
    range.lower.push_back('\0');  // No member lies between.
  }
  if (upper == Bound::kInclusive) {
    range.upper.push_back('\0');
  }
  return range;
}

Result<OrderRange> OrderOf(const LexRange& range, const ZSet& zset) {
  if (range.empty()) {
    return OrderRange();
  }
  KVS_ASSIGN_OR_RETURN(const std::vector<ScoredMember> first,
                       zset.Collect({.range = WholeOrder(), .limit = 1}));
  if (first.empty()) {
    return OrderRange();
  }
  const std::string score = NameOfScore(first.front().score, false);
  return OrderRange{score + range.lower, range.has_end ? score + range.upper : PrefixEnd(score)};
}

Result<RankRange> ParseRankRange(std::string_view first, std::string_view last) {
  RankRange range;
  if (!ParseInt64(first, &range.first) || !ParseInt64(last, &range.last)) {
    return Status::InvalidArgument("value is not an integer or out of range");
  }
  return range;
}

ZSelection SelectionOf(const RankRange& range, uint64_t count, bool backward) {
  const auto size = static_cast<int64_t>(count);
  const auto from_front = [size](int64_t rank) { return rank < 0 ? rank + size : rank; };
  const int64_t first = std::max(from_front(range.first), int64_t{0});
  const int64_t last = std::min(from_front(range.last), size - 1);
  if (first > last) {
    return {};
  }
  return {.range = WholeOrder(),
          .backward = backward,
          .skip = static_cast<uint64_t>(first),
          .limit = static_cast<uint64_t>(last - first + 1)};
}

}  // namespace kvs
