// Commands on sorted sets, but for those that list ranges or combine sets.

#include <cmath>
#include <string>
#include <vector>

#include "common/base/strings.h"
#include "storage_node/command/command_handlers.h"
#include "storage_node/command/element_scan.h"
#include "storage_node/command/zset_range.h"
#include "storage_node/command/zset_reply.h"
#include "storage_node/types/sampling.h"
#include "storage_node/types/zset_store.h"

namespace kvs {
namespace {

// A reply of members that are repeated at will ends here.
constexpr size_t kMaxSampleBytes = size_t{512} << 20;
// Of integers, up to this size, Redis's small sets keep the digits.
constexpr double kMaxListpackInteger = 4.6e18;

Status SyntaxError() {
  return Status::InvalidArgument("syntax error");
}

// Parses the words between key and scores.  Returns where the scores begin.
Result<size_t> ParseZAddRules(CommandContext& ctx, ZAddRules* rules, bool* changed) {
  size_t next = 2;
  for (; next < ctx.argc(); ++next) {
    const std::string_view word = ctx.arg(next);
    if (EqualsIgnoreCase(word, "NX")) {
      rules->only_new = true;
    } else if (EqualsIgnoreCase(word, "XX")) {
      rules->only_existing = true;
    } else if (EqualsIgnoreCase(word, "CH")) {
      *changed = true;
    } else if (EqualsIgnoreCase(word, "INCR")) {
      rules->increment = true;
    } else if (EqualsIgnoreCase(word, "GT")) {
      rules->only_greater = true;
    } else if (EqualsIgnoreCase(word, "LT")) {
      rules->only_less = true;
    } else {
      break;
    }
  }
  return next;
}

Status CheckZAddRules(const ZAddRules& rules, size_t word_count) {
  if (word_count == 0 || word_count % 2 != 0) {
    return SyntaxError();
  }
  if (rules.only_new && rules.only_existing) {
    return Status::InvalidArgument("XX and NX options at the same time are not compatible");
  }
  if ((rules.only_greater && rules.only_new) || (rules.only_less && rules.only_new) ||
      (rules.only_greater && rules.only_less)) {
    return Status::InvalidArgument("GT, LT, and/or NX options at the same time are not compatible");
  }
  if (rules.increment && word_count > 2) {
    return Status::InvalidArgument("INCR option supports a single increment-element pair");
  }
  return Status::Ok();
}

Result<std::vector<ScoredName>> ParsePairs(std::span<const std::string_view> words) {
  std::vector<ScoredName> members(words.size() / 2);
  for (size_t i = 0; i < members.size(); ++i) {
    if (!ParseDouble(words[2 * i], &members[i].score)) {
      return Status::InvalidArgument("value is not a valid float");
    }
    members[i].member = words[2 * i + 1];
  }
  return members;
}

void ReplyScore(CommandContext& ctx, const std::optional<double>& score) {
  if (score.has_value()) {
    ctx.reply.Score(*score);
  } else {
    ctx.reply.Null();
  }
}

// ZADD and ZINCRBY.
Status AddAndReply(CommandContext& ctx, const ZAddRules& rules, bool changed,
                   std::span<const std::string_view> words) {
  KVS_ASSIGN_OR_RETURN(const std::vector<ScoredName> members, ParsePairs(words));
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(const ZAddCount count,
                       ZSetStore(&keyspace, ctx.type_limits).Add(ctx.arg(1), rules, members));
  if (count.added + count.updated > 0) {
    ctx.Notify(KeyEventKind::kZSet, rules.increment ? "zincr" : "zadd", ctx.arg(1));
  }
  if (rules.increment) {
    ReplyScore(ctx, count.score);
  } else {
    ctx.reply.Integer(count.added + (changed ? count.updated : 0));
  }
  return Status::Ok();
}

// ZRANK and ZREVRANK.
Status ReplyRank(CommandContext& ctx, bool backward) {
  const bool with_score = ctx.argc() > 3;
  if (ctx.argc() > 4 || (with_score && !EqualsIgnoreCase(ctx.arg(3), "WITHSCORE"))) {
    return SyntaxError();
  }
  KVS_ASSIGN_OR_RETURN(const ZSet zset, OpenZSet(ctx, ctx.arg(1)));
  KVS_ASSIGN_OR_RETURN(const std::optional<double> score, zset.Score(ctx.arg(2)));
  if (!score.has_value()) {
    with_score ? ctx.reply.NullArray() : ctx.reply.Null();
    return Status::Ok();
  }
  KVS_ASSIGN_OR_RETURN(const uint64_t before,
                       zset.CountBefore(kZSetOrderTag + ZSetOrder(*score, ctx.arg(2))));
  const uint64_t rank = backward ? zset.count() - 1 - before : before;
  if (with_score) {
    ctx.reply.Array(2);
  }
  ctx.reply.Integer(static_cast<int64_t>(rank));
  if (with_score) {
    ctx.reply.Score(*score);
  }
  return Status::Ok();
}

// Removes a range and replies with the number of its members.
template <typename Range>
Status RemoveAndReply(CommandContext& ctx, Range range) {
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(const int64_t removed,
                       ZSetStore(&keyspace, ctx.type_limits).RemoveRange(ctx.arg(1), range));
  if (removed > 0) {
    ctx.NotifyTaken(KeyEventKind::kZSet, ctx.spec.name, ctx.arg(1));
  }
  ctx.reply.Integer(removed);
  return Status::Ok();
}

double ScoreOf(const SampledElement& element) {
  const Result<double> score = DecodeScoreValue(element.value);
  return score.ok() ? *score : 0;
}

Status ReplyRepeatedSample(CommandContext& ctx, const ElementSource& source, uint64_t count,
                           bool with_scores) {
  Random random = Random::FromKernel();
  SampleRounds rounds;
  const size_t start = ctx.reply.out()->size();
  MemberReply reply(&ctx, with_scores);
  while (count > 0 && source.count > 0) {
    const uint64_t taken = rounds.Take(count);
    const size_t before = ctx.reply.out()->size();
    count -= taken;
    KVS_ASSIGN_OR_RETURN(const std::vector<SampledElement> sample,
                         SampleRepeated(source, taken, &random));
    for (const SampledElement& element : sample) {
      reply.Add(element.name, ScoreOf(element));
    }
    rounds.Note(taken, ctx.reply.out()->size() - before);
    if (ctx.reply.out()->size() - start > kMaxSampleBytes) {
      return Status::TooLarge("the reply would be too large; ask for fewer members");
    }
  }
  reply.Finish();
  return Status::Ok();
}

// A score in the words of ZSCAN, which prints what Redis's encoding holds.
std::string ScannedScore(double score, bool is_listpack) {
  const bool is_integer = score == std::trunc(score) && std::abs(score) < kMaxListpackInteger;
  return is_listpack && is_integer ? std::to_string(static_cast<int64_t>(score))
                                   : FormatScore(score);
}

}  // namespace

// ZADD key [NX | XX] [GT | LT] [CH] [INCR] score member [score member ...]
Status CmdZAdd(CommandContext& ctx) {
  ZAddRules rules;
  bool changed = false;
  KVS_ASSIGN_OR_RETURN(const size_t next, ParseZAddRules(ctx, &rules, &changed));
  KVS_RETURN_IF_ERROR(CheckZAddRules(rules, ctx.argc() - next));
  return AddAndReply(ctx, rules, changed, ctx.args.subspan(next));
}

// ZCARD key
Status CmdZCard(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const ZSet zset, OpenZSet(ctx, ctx.arg(1)));
  ctx.reply.Integer(static_cast<int64_t>(zset.count()));
  return Status::Ok();
}

// ZCOUNT key min max
Status CmdZCount(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const OrderRange range, ParseScoreRange(ctx.arg(2), ctx.arg(3)));
  KVS_ASSIGN_OR_RETURN(const ZSet zset, OpenZSet(ctx, ctx.arg(1)));
  KVS_ASSIGN_OR_RETURN(const uint64_t count, zset.Count(range));
  ctx.reply.Integer(static_cast<int64_t>(count));
  return Status::Ok();
}

// ZINCRBY key increment member
Status CmdZIncrBy(CommandContext& ctx) {
  return AddAndReply(ctx, {.increment = true}, false, ctx.args.subspan(2));
}

// ZLEXCOUNT key min max
Status CmdZLexCount(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const LexRange members, ParseLexRange(ctx.arg(2), ctx.arg(3)));
  KVS_ASSIGN_OR_RETURN(const ZSet zset, OpenZSet(ctx, ctx.arg(1)));
  KVS_ASSIGN_OR_RETURN(const OrderRange range, OrderOf(members, zset));
  KVS_ASSIGN_OR_RETURN(const uint64_t count, zset.Count(range));
  ctx.reply.Integer(static_cast<int64_t>(count));
  return Status::Ok();
}

// ZMSCORE key member [member ...]
Status CmdZMScore(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const ZSet zset, OpenZSet(ctx, ctx.arg(1)));
  ctx.reply.Array(ctx.argc() - 2);
  for (const std::string_view member : ctx.args.subspan(2)) {
    KVS_ASSIGN_OR_RETURN(const std::optional<double> score, zset.Score(member));
    ReplyScore(ctx, score);
  }
  return Status::Ok();
}

// ZRANDMEMBER key [count [WITHSCORES]]
Status CmdZRandMember(CommandContext& ctx) {
  int64_t count = 1;
  if (ctx.argc() > 2 && !ParseInt64(ctx.arg(2), &count)) {
    return Status::InvalidArgument("value is not an integer or out of range");
  }
  if (count == INT64_MIN) {
    return Status::InvalidArgument(
        "value is out of range, value must between -9223372036854775807 and 9223372036854775807");
  }
  const bool with_scores = ctx.argc() > 3;
  if (ctx.argc() > 4 || (with_scores && !EqualsIgnoreCase(ctx.arg(3), "WITHSCORES"))) {
    return SyntaxError();
  }
  if (with_scores && (count < -(INT64_MAX / 2) || count > INT64_MAX / 2)) {
    return Status::InvalidArgument("value is out of range");
  }
  KVS_ASSIGN_OR_RETURN(const ZSet zset, OpenZSet(ctx, ctx.arg(1)));
  const ElementSource source = SourceOf(zset);
  if (count < 0) {
    return ReplyRepeatedSample(ctx, source, static_cast<uint64_t>(-count), with_scores);
  }
  Random random = Random::FromKernel();
  KVS_ASSIGN_OR_RETURN(const std::vector<SampledElement> sample,
                       SampleDistinct(source, static_cast<uint64_t>(count), &random));
  if (ctx.argc() == 2) {
    if (sample.empty()) {
      ctx.reply.Null();
    } else {
      ctx.reply.Bulk(sample.front().name);
    }
    return Status::Ok();
  }
  MemberReply reply(&ctx, with_scores);
  for (const SampledElement& element : sample) {
    reply.Add(element.name, ScoreOf(element));
  }
  reply.Finish();
  return Status::Ok();
}

// ZRANK key member [WITHSCORE]
Status CmdZRank(CommandContext& ctx) {
  return ReplyRank(ctx, /*backward=*/false);
}

// ZREM key member [member ...]
Status CmdZRem(CommandContext& ctx) {
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(
      const int64_t removed,
      ZSetStore(&keyspace, ctx.type_limits).Remove(ctx.arg(1), ctx.args.subspan(2)));
  if (removed > 0) {
    ctx.NotifyTaken(KeyEventKind::kZSet, "zrem", ctx.arg(1));
  }
  ctx.reply.Integer(removed);
  return Status::Ok();
}

// ZREMRANGEBYLEX key min max
Status CmdZRemRangeByLex(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const LexRange members, ParseLexRange(ctx.arg(2), ctx.arg(3)));
  return RemoveAndReply(ctx, [&members](const ZSet& zset) -> Result<ZSelection> {
    KVS_ASSIGN_OR_RETURN(OrderRange range, OrderOf(members, zset));
    return ZSelection{.range = std::move(range)};
  });
}

// ZREMRANGEBYRANK key start stop
Status CmdZRemRangeByRank(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const RankRange ranks, ParseRankRange(ctx.arg(2), ctx.arg(3)));
  return RemoveAndReply(ctx, [&ranks](const ZSet& zset) -> Result<ZSelection> {
    return SelectionOf(ranks, zset.count(), /*backward=*/false);
  });
}

// ZREMRANGEBYSCORE key min max
Status CmdZRemRangeByScore(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const OrderRange range, ParseScoreRange(ctx.arg(2), ctx.arg(3)));
  return RemoveAndReply(
      ctx, [&range](const ZSet&) -> Result<ZSelection> { return ZSelection{.range = range}; });
}

// ZREVRANK key member [WITHSCORE]
Status CmdZRevRank(CommandContext& ctx) {
  return ReplyRank(ctx, /*backward=*/true);
}

// ZSCAN key cursor [MATCH pattern] [COUNT count]
Status CmdZScan(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const uint64_t cursor, ParseElementCursor(ctx.arg(2)));
  KVS_ASSIGN_OR_RETURN(const ZSet zset, OpenZSet(ctx, ctx.arg(1)));
  ElementScan scan;
  if (zset.exists()) {
    KVS_ASSIGN_OR_RETURN(scan, ParseElementScan(cursor, ctx.args.subspan(3)));
  }
  ElementSource source = SourceOf(zset);
  const bool is_listpack = ZSetEncoding(zset.elements().encoding()) == "listpack";
  source.element = [is_listpack, read = source.element](const ElementWalk& walk) {
    SampledElement element = read(walk);
    element.value = ScannedScore(ScoreOf(element), is_listpack);
    return element;
  };
  return ReplyElementScan(ctx, source, scan, /*with_values=*/true);
}

// ZSCORE key member
Status CmdZScore(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const ZSet zset, OpenZSet(ctx, ctx.arg(1)));
  KVS_ASSIGN_OR_RETURN(const std::optional<double> score, zset.Score(ctx.arg(2)));
  ReplyScore(ctx, score);
  return Status::Ok();
}

}  // namespace kvs
