// Commands that take members of sorted sets from an end, and those of them that wait until there is
// one.

#include <string>
#include <vector>

#include "common/base/strings.h"
#include "storage_node/command/command_handlers.h"
#include "storage_node/command/wait_timeout.h"
#include "storage_node/command/zset_reply.h"
#include "storage_node/types/zset_store.h"

namespace kvs {
namespace {

Status SyntaxError() {
  return Status::InvalidArgument("syntax error");
}

void NotifyPopped(CommandContext& ctx, std::string_view key,
                  const std::vector<ScoredMember>& popped, bool from_largest) {
  if (!popped.empty()) {
    ctx.NotifyTaken(KeyEventKind::kZSet, from_largest ? "zpopmax" : "zpopmin", key);
  }
}

std::optional<WaitWish> WaitForZSet(int64_t timeout_ms) {
  return WaitWish{.timeout_ms = timeout_ms, .type = DataType::kZSet};
}

// ZPOPMIN and ZPOPMAX.
Status PopAndReply(CommandContext& ctx, bool from_largest) {
  if (ctx.argc() > 3) {
    return SyntaxError();
  }
  const bool has_count = ctx.argc() == 3;
  int64_t count = 1;
  if (has_count && (!ParseInt64(ctx.arg(2), &count) || count < 0)) {
    return Status::InvalidArgument("value is out of range, must be positive");
  }
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(const std::vector<ScoredMember> popped,
                       ZSetStore(&keyspace, ctx.type_limits)
                           .Pop(ctx.arg(1), static_cast<uint64_t>(count), from_largest));
  NotifyPopped(ctx, ctx.arg(1), popped, from_largest);
  if (has_count || popped.empty()) {
    ReplyMembers(ctx, popped, /*with_scores=*/true);
    return Status::Ok();
  }
  ctx.reply.Array(2);
  ctx.reply.Bulk(popped.front().member);
  ctx.reply.Score(popped.front().score);
  return Status::Ok();
}

struct MPopRequest {
  std::span<const std::string_view> keys;
  bool from_largest = false;
  uint64_t count = 1;
};

// Parses what follows the name: numkeys key [key ...] <MIN | MAX> [COUNT count]
Result<MPopRequest> ParseMPop(std::span<const std::string_view> args) {
  int64_t key_count = 0;
  if (!ParseInt64(args[0], &key_count) || key_count < 1) {
    return Status::InvalidArgument("numkeys should be greater than 0");
  }
  if (static_cast<uint64_t>(key_count) >= args.size() - 1) {
    return SyntaxError();
  }
  MPopRequest request;
  request.keys = args.subspan(1, static_cast<size_t>(key_count));
  std::span<const std::string_view> rest = args.subspan(1 + request.keys.size());
  request.from_largest = EqualsIgnoreCase(rest[0], "MAX");
  if (!request.from_largest && !EqualsIgnoreCase(rest[0], "MIN")) {
    return SyntaxError();
  }
  rest = rest.subspan(1);
  if (rest.empty()) {
    return request;
  }
  if (rest.size() != 2 || !EqualsIgnoreCase(rest[0], "COUNT")) {
    return SyntaxError();
  }
  int64_t count = 0;
  if (!ParseInt64(rest[1], &count) || count < 1) {
    return Status::InvalidArgument("count should be greater than 0");
  }
  request.count = static_cast<uint64_t>(count);
  return request;
}

// ZMPOP, and with `wait` BZMPOP.
Status MPopAndReply(CommandContext& ctx, std::span<const std::string_view> args,
                    const std::optional<WaitWish>& wait = {}) {
  KVS_ASSIGN_OR_RETURN(const MPopRequest request, ParseMPop(args));
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  for (const std::string_view key : request.keys) {
    KVS_ASSIGN_OR_RETURN(
        const std::vector<ScoredMember> popped,
        ZSetStore(&keyspace, ctx.type_limits).Pop(key, request.count, request.from_largest));
    if (popped.empty()) {
      continue;
    }
    NotifyPopped(ctx, key, popped, request.from_largest);
    ctx.reply.Array(2);
    ctx.reply.Bulk(key);
    ctx.reply.Array(popped.size());
    for (const ScoredMember& member : popped) {
      ctx.reply.Array(2);
      ctx.reply.Bulk(member.member);
      ctx.reply.Score(member.score);
    }
    return Status::Ok();
  }
  ctx.reply.NullArray();
  ctx.wait = wait;
  return Status::Ok();
}

// BZPOPMIN and BZPOPMAX.
Status PopOrWait(CommandContext& ctx, bool from_largest) {
  KVS_ASSIGN_OR_RETURN(const int64_t timeout_ms,
                       ParseWaitSeconds(ctx.args.back(), ctx.txn->NowMillis()));
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  for (const std::string_view key : ctx.args.subspan(1, ctx.argc() - 2)) {
    KVS_ASSIGN_OR_RETURN(const std::vector<ScoredMember> popped,
                         ZSetStore(&keyspace, ctx.type_limits).Pop(key, 1, from_largest));
    if (popped.empty()) {
      continue;
    }
    NotifyPopped(ctx, key, popped, from_largest);
    ctx.reply.Array(3);
    ctx.reply.Bulk(key);
    ctx.reply.Bulk(popped.front().member);
    ctx.reply.Score(popped.front().score);
    return Status::Ok();
  }
  ctx.reply.NullArray();
  ctx.wait = WaitForZSet(timeout_ms);
  return Status::Ok();
}

}  // namespace

// BZMPOP timeout numkeys key [key ...] <MIN | MAX> [COUNT count]
Status CmdBZMPop(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const int64_t timeout_ms,
                       ParseWaitSeconds(ctx.arg(1), ctx.txn->NowMillis()));
  return MPopAndReply(ctx, ctx.args.subspan(2), WaitForZSet(timeout_ms));
}

// BZPOPMAX key [key ...] timeout
Status CmdBZPopMax(CommandContext& ctx) {
  return PopOrWait(ctx, /*from_largest=*/true);
}

// BZPOPMIN key [key ...] timeout
Status CmdBZPopMin(CommandContext& ctx) {
  return PopOrWait(ctx, /*from_largest=*/false);
}

// ZMPOP numkeys key [key ...] <MIN | MAX> [COUNT count]
Status CmdZMPop(CommandContext& ctx) {
  return MPopAndReply(ctx, ctx.args.subspan(1));
}

// ZPOPMAX key [count]
Status CmdZPopMax(CommandContext& ctx) {
  return PopAndReply(ctx, /*from_largest=*/true);
}

// ZPOPMIN key [count]
Status CmdZPopMin(CommandContext& ctx) {
  return PopAndReply(ctx, /*from_largest=*/false);
}

}  // namespace kvs
