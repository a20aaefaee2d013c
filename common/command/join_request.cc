#include "common/command/join_request.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "common/base/strings.h"

namespace kvs {
namespace {

Status SyntaxError() {
  return Status::InvalidArgument("syntax error");
}

JoinOperation OperationOf(const CommandSpec& spec) {
  if (spec.group == Group::kHyperLogLog) {
    return JoinOperation::kDistinct;
  }
  const std::string_view name = spec.name.substr(1);
  return name.starts_with("union")   ? JoinOperation::kUnion
         : name.starts_with("inter") ? JoinOperation::kIntersection
                                     : JoinOperation::kDifference;
}

bool IsCounted(const CommandSpec& spec) {
  return spec.keys.kind != KeyPattern::Kind::kRange;
}

// Each command has words of its own for a number of keys that is wrong.
Status CheckKeyCount(const CommandSpec& spec, bool is_number, int64_t count, size_t words_left) {
  const bool fits = is_number && count >= 1;
  if (spec.group == Group::kSet) {
    if (!fits) {
      return Status::InvalidArgument("numkeys should be greater than 0");
    }
    return static_cast<uint64_t>(count) <= words_left
               ? Status::Ok()
               : Status::InvalidArgument("Number of keys can't be greater than number of args");
  }
  if (!is_number) {
    return Status::InvalidArgument("value is not an integer or out of range");
  }
  if (!fits) {
    return Status::InvalidArgument("at least 1 input key is needed for '" + std::string(spec.name) +
                                   "' command");
  }
  return static_cast<uint64_t>(count) <= words_left ? Status::Ok() : SyntaxError();
}

Status ParseWeights(CommandArgs words, JoinRequest* request) {
  request->weights.clear();
  for (const std::string_view word : words) {
    double weight = 0;
    if (!ParseDouble(word, &weight)) {
      return Status::InvalidArgument("weight value is not a float");
    }
    request->weights.push_back(weight);
  }
  return Status::Ok();
}

Status ParseAggregate(std::string_view word, JoinRequest* request) {
  if (EqualsIgnoreCase(word, "SUM")) {
    request->aggregate = Aggregate::kSum;
  } else if (EqualsIgnoreCase(word, "MIN")) {
    request->aggregate = Aggregate::kMin;
  } else if (EqualsIgnoreCase(word, "MAX")) {
    request->aggregate = Aggregate::kMax;
  } else {
    return SyntaxError();
  }
  return Status::Ok();
}

Status ParseLimit(std::string_view word, JoinRequest* request) {
  int64_t limit = 0;
  if (!ParseInt64(word, &limit) || limit < 0) {
    return Status::InvalidArgument("LIMIT can't be negative");
  }
  request->limit = limit == 0 ? UINT64_MAX : static_cast<uint64_t>(limit);
  return Status::Ok();
}

}  // namespace

double JoinScores(double a, double b, Aggregate aggregate) {
  switch (aggregate) {
    case Aggregate::kSum:
      return std::isnan(a + b) ? 0 : a + b;  // inf - inf is 0 to Redis.
    case Aggregate::kMin:
      return std::min(a, b);
    case Aggregate::kMax:
      return std::max(a, b);
  }
  return a;
}

double WeightedScore(double score, double weight) {
  const double weighted = weight * score;
  return std::isnan(weighted) ? 0 : weighted;
}

Result<JoinRequest> ParseJoinKeys(const CommandSpec& spec, CommandArgs args) {
  JoinRequest request;
  request.operation = OperationOf(spec);
  request.scored = spec.group == Group::kSortedSet;
  request.counts = spec.name.ends_with("card") || spec.name.ends_with("count");
  const size_t stored = spec.name.ends_with("store") ? 1 : 0;
  if (!IsCounted(spec)) {
    request.first_key = 1 + stored;
    request.key_count = args.size() - request.first_key;
    return request;
  }
  const size_t number = 1 + stored;
  int64_t count = 0;
  const bool is_number = ParseInt64(args[number], &count);
  KVS_RETURN_IF_ERROR(CheckKeyCount(spec, is_number, count, args.size() - number - 1));
  request.first_key = number + 1;
  request.key_count = static_cast<size_t>(count);
  return request;
}

Status ParseJoinOptions(const CommandSpec& spec, CommandArgs args, JoinRequest* request) {
  const CommandArgs words = args.subspan(request->first_key + request->key_count);
  const bool joins =
      request->scored && !request->counts && request->operation != JoinOperation::kDifference;
  const bool shows = request->scored && !request->counts && !spec.name.ends_with("store");
  for (size_t i = 0; i < words.size(); ++i) {
    const size_t behind = words.size() - i - 1;
    if (joins && behind >= request->key_count && EqualsIgnoreCase(words[i], "WEIGHTS")) {
      KVS_RETURN_IF_ERROR(ParseWeights(words.subspan(i + 1, request->key_count), request));
      i += request->key_count;
    } else if (joins && behind >= 1 && EqualsIgnoreCase(words[i], "AGGREGATE")) {
      KVS_RETURN_IF_ERROR(ParseAggregate(words[++i], request));
    } else if (shows && EqualsIgnoreCase(words[i], "WITHSCORES")) {
      request->with_scores = true;
    } else if (request->counts && behind >= 1 && EqualsIgnoreCase(words[i], "LIMIT")) {
      KVS_RETURN_IF_ERROR(ParseLimit(words[++i], request));
    } else {
      return SyntaxError();
    }
  }
  return Status::Ok();
}

}  // namespace kvs
