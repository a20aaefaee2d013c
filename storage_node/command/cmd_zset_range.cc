// ZRANGE and all that came before it and of it: one command with many names.

#include <optional>

#include "common/base/strings.h"
#include "storage_node/command/command_handlers.h"
#include "storage_node/command/zset_range.h"
#include "storage_node/command/zset_reply.h"
#include "storage_node/types/zset_store.h"

namespace kvs {
namespace {

enum class By : uint8_t { kUnknown, kRank, kScore, kLex };
enum class Direction : uint8_t { kUnknown, kForward, kBackward };

struct RangeRequest {
  By by = By::kUnknown;
  Direction direction = Direction::kUnknown;
  bool with_scores = false;
  int64_t offset = 0;
  int64_t limit = -1;

  bool backward() const { return direction == Direction::kBackward; }
};

Status SyntaxError(std::string_view more = "") {
  return Status::InvalidArgument("syntax error" + std::string(more));
}

// Parses what stands behind the range; `request` says what the command's name has decided.
Status ParseOptions(std::span<const std::string_view> args, bool stores, RangeRequest* request) {
  for (size_t i = 0; i < args.size(); ++i) {
    if (!stores && EqualsIgnoreCase(args[i], "WITHSCORES")) {
      request->with_scores = true;
    } else if (EqualsIgnoreCase(args[i], "LIMIT") && args.size() - i > 2) {
      if (!ParseInt64(args[i + 1], &request->offset) || !ParseInt64(args[i + 2], &request->limit)) {
        return Status::InvalidArgument("value is not an integer or out of range");
      }
      i += 2;
    } else if (request->direction == Direction::kUnknown && EqualsIgnoreCase(args[i], "REV")) {
      request->direction = Direction::kBackward;
    } else if (request->by == By::kUnknown && EqualsIgnoreCase(args[i], "BYLEX")) {
      request->by = By::kLex;
    } else if (request->by == By::kUnknown && EqualsIgnoreCase(args[i], "BYSCORE")) {
      request->by = By::kScore;
    } else {
      return SyntaxError();
    }
  }
  if (request->by == By::kUnknown) {
    request->by = By::kRank;
  }
  if (request->limit != -1 && request->by == By::kRank) {
    return SyntaxError(", LIMIT is only supported in combination with either BYSCORE or BYLEX");
  }
  if (request->with_scores && request->by == By::kLex) {
    return SyntaxError(", WITHSCORES not supported in combination with BYLEX");
  }
  return Status::Ok();
}

// The range as it is written, whatever it is of.
struct ParsedRange {
  RankRange ranks;
  OrderRange scores;
  LexRange members;
};

Result<ParsedRange> ParseRange(const RangeRequest& request, std::string_view first,
                               std::string_view last) {
  ParsedRange range;
  if (request.by == By::kRank) {
    KVS_ASSIGN_OR_RETURN(range.ranks, ParseRankRange(first, last));
    return range;
  }
  const std::string_view min = request.backward() ? last : first;
  const std::string_view max = request.backward() ? first : last;
  if (request.by == By::kScore) {
    KVS_ASSIGN_OR_RETURN(range.scores, ParseScoreRange(min, max));
  } else {
    KVS_ASSIGN_OR_RETURN(range.members, ParseLexRange(min, max));
  }
  return range;
}

Result<ZSelection> Select(const RangeRequest& request, const ParsedRange& range, const ZSet& zset) {
  if (request.by == By::kRank) {
    return SelectionOf(range.ranks, zset.count(), request.backward());
  }
  ZSelection selection;
  selection.backward = request.backward();
  if (request.offset < 0) {
    return selection;  // As in Redis: nothing.
  }
  selection.skip = static_cast<uint64_t>(request.offset);
  if (request.limit >= 0) {
    selection.limit = static_cast<uint64_t>(request.limit);
  }
  if (request.by == By::kScore) {
    selection.range = range.scores;
  } else {
    KVS_ASSIGN_OR_RETURN(selection.range, OrderOf(range.members, zset));
  }
  return selection;
}

// Runs a command whose name has decided `request`; the key is args[1], the range behind it.
Status ReplyRange(CommandContext& ctx, RangeRequest request) {
  KVS_RETURN_IF_ERROR(ParseOptions(ctx.args.subspan(4), /*stores=*/false, &request));
  KVS_ASSIGN_OR_RETURN(const ParsedRange range, ParseRange(request, ctx.arg(2), ctx.arg(3)));
  KVS_ASSIGN_OR_RETURN(const ZSet zset, OpenZSet(ctx, ctx.arg(1)));
  KVS_ASSIGN_OR_RETURN(const ZSelection selection, Select(request, range, zset));
  MemberReply reply(&ctx, request.with_scores);
  KVS_RETURN_IF_ERROR(zset.ForEach(
      selection, [&reply](std::string_view member, double score) { reply.Add(member, score); }));
  reply.Finish();
  return Status::Ok();
}

}  // namespace

// ZRANGE key start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]
Status CmdZRange(CommandContext& ctx) {
  return ReplyRange(ctx, {});
}

// ZREVRANGE key start stop [WITHSCORES]
Status CmdZRevRange(CommandContext& ctx) {
  return ReplyRange(ctx, {.by = By::kRank, .direction = Direction::kBackward});
}

// ZRANGEBYSCORE key min max [WITHSCORES] [LIMIT offset count]
Status CmdZRangeByScore(CommandContext& ctx) {
  return ReplyRange(ctx, {.by = By::kScore, .direction = Direction::kForward});
}

// ZREVRANGEBYSCORE key max min [WITHSCORES] [LIMIT offset count]
Status CmdZRevRangeByScore(CommandContext& ctx) {
  return ReplyRange(ctx, {.by = By::kScore, .direction = Direction::kBackward});
}

// ZRANGEBYLEX key min max [LIMIT offset count]
Status CmdZRangeByLex(CommandContext& ctx) {
  return ReplyRange(ctx, {.by = By::kLex, .direction = Direction::kForward});
}

// ZREVRANGEBYLEX key max min [LIMIT offset count]
Status CmdZRevRangeByLex(CommandContext& ctx) {
  return ReplyRange(ctx, {.by = By::kLex, .direction = Direction::kBackward});
}

// ZRANGESTORE dst src min max [BYSCORE | BYLEX] [REV] [LIMIT offset count]
Status CmdZRangeStore(CommandContext& ctx) {
  RangeRequest request;
  KVS_RETURN_IF_ERROR(ParseOptions(ctx.args.subspan(5), /*stores=*/true, &request));
  KVS_ASSIGN_OR_RETURN(const ParsedRange range, ParseRange(request, ctx.arg(3), ctx.arg(4)));
  std::vector<ScoredMember> members;
  {
    KVS_ASSIGN_OR_RETURN(const ZSet source, OpenZSet(ctx, ctx.arg(2)));
    KVS_ASSIGN_OR_RETURN(const ZSelection selection, Select(request, range, source));
    KVS_ASSIGN_OR_RETURN(members, source.Collect(selection));
  }
  const size_t count = members.size();
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_RETURN_IF_ERROR(
      ZSetStore(&keyspace, ctx.type_limits).Replace(ctx.arg(1), std::move(members)));
  ctx.NotifyStored(KeyEventKind::kZSet, "zrangestore", ctx.arg(1), count > 0);
  ctx.reply.Integer(static_cast<int64_t>(count));
  return Status::Ok();
}

}  // namespace kvs
