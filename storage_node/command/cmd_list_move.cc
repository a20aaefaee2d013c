// Commands that take elements of lists from where they are found, or to another list, and those of
// them that wait until there is one.

#include <string>
#include <vector>

#include "common/base/strings.h"
#include "storage_node/command/command_handlers.h"
#include "storage_node/command/list_reply.h"
#include "storage_node/command/wait_timeout.h"

namespace kvs {
namespace {

Status SyntaxError() {
  return Status::InvalidArgument("syntax error");
}

Result<ListEnd> ParseEnd(std::string_view word) {
  if (EqualsIgnoreCase(word, "LEFT")) {
    return ListEnd::kHead;
  }
  return EqualsIgnoreCase(word, "RIGHT") ? Result<ListEnd>(ListEnd::kTail) : SyntaxError();
}

Status PushAndStage(List* list, std::string_view element, ListEnd end) {
  list->Push({&element, 1}, end);
  return list->Stage();
}

std::optional<WaitWish> WaitForList(int64_t timeout_ms) {
  return WaitWish{.timeout_ms = timeout_ms, .type = DataType::kList};
}

// LMOVE, RPOPLPUSH, and with `wait` BLMOVE and BRPOPLPUSH.
Status MoveAndReply(CommandContext& ctx, ListEnd from, ListEnd to,
                    const std::optional<WaitWish>& wait = {}) {
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(List source, List::OpenForWrite(&keyspace, ctx.arg(1), ctx.type_limits));
  if (!source.exists()) {
    ctx.reply.Null();
    ctx.wait = wait;
    return Status::Ok();
  }
  std::vector<std::string> popped;
  if (ctx.arg(1) == ctx.arg(2)) {
    KVS_ASSIGN_OR_RETURN(popped, source.Pop(1, from));
    KVS_RETURN_IF_ERROR(PushAndStage(&source, popped.front(), to));
    source.Save();
  } else {
    KVS_ASSIGN_OR_RETURN(List target, List::OpenForWrite(&keyspace, ctx.arg(2), ctx.type_limits));
    KVS_ASSIGN_OR_RETURN(popped, source.Pop(1, from));
    KVS_RETURN_IF_ERROR(source.Stage());
    KVS_RETURN_IF_ERROR(PushAndStage(&target, popped.front(), to));
    source.Save();
    target.Save();
  }
  ctx.Notify(KeyEventKind::kList, to == ListEnd::kHead ? "lpush" : "rpush", ctx.arg(2));
  ctx.NotifyTaken(KeyEventKind::kList, from == ListEnd::kHead ? "lpop" : "rpop", ctx.arg(1));
  ctx.reply.Bulk(popped.front());
  return Status::Ok();
}

struct MPopRequest {
  std::span<const std::string_view> keys;
  ListEnd end = ListEnd::kHead;
  uint64_t count = 1;
};

// Parses what follows the name: numkeys key [key ...] <LEFT | RIGHT> [COUNT count]
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
  KVS_ASSIGN_OR_RETURN(request.end, ParseEnd(rest[0]));
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

// LMPOP, and with `wait` BLMPOP.
Status MPopAndReply(CommandContext& ctx, std::span<const std::string_view> args,
                    const std::optional<WaitWish>& wait = {}) {
  KVS_ASSIGN_OR_RETURN(const MPopRequest request, ParseMPop(args));
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  for (const std::string_view key : request.keys) {
    KVS_ASSIGN_OR_RETURN(List list, List::OpenForWrite(&keyspace, key, ctx.type_limits));
    if (!list.exists()) {
      continue;
    }
    KVS_ASSIGN_OR_RETURN(const std::vector<std::string> popped,
                         PopAndSave(ctx, &list, key, request.count, request.end));
    ctx.reply.Array(2);
    ctx.reply.Bulk(key);
    ReplyElements(ctx, popped);
    return Status::Ok();
  }
  ctx.reply.NullArray();
  ctx.wait = wait;
  return Status::Ok();
}

// BLPOP and BRPOP.
Status PopOrWait(CommandContext& ctx, ListEnd end) {
  KVS_ASSIGN_OR_RETURN(const int64_t timeout_ms,
                       ParseWaitSeconds(ctx.args.back(), ctx.txn->NowMillis()));
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  for (const std::string_view key : ctx.args.subspan(1, ctx.argc() - 2)) {
    KVS_ASSIGN_OR_RETURN(List list, List::OpenForWrite(&keyspace, key, ctx.type_limits));
    if (!list.exists()) {
      continue;
    }
    KVS_ASSIGN_OR_RETURN(const std::vector<std::string> popped,
                         PopAndSave(ctx, &list, key, 1, end));
    ctx.reply.Array(2);
    ctx.reply.Bulk(key);
    ctx.reply.Bulk(popped.front());
    return Status::Ok();
  }
  ctx.reply.NullArray();
  ctx.wait = WaitForList(timeout_ms);
  return Status::Ok();
}

}  // namespace

// BLMOVE source destination <LEFT | RIGHT> <LEFT | RIGHT> timeout
Status CmdBLMove(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const ListEnd from, ParseEnd(ctx.arg(3)));
  KVS_ASSIGN_OR_RETURN(const ListEnd to, ParseEnd(ctx.arg(4)));
  KVS_ASSIGN_OR_RETURN(const int64_t timeout_ms,
                       ParseWaitSeconds(ctx.arg(5), ctx.txn->NowMillis()));
  return MoveAndReply(ctx, from, to, WaitForList(timeout_ms));
}

// BLMPOP timeout numkeys key [key ...] <LEFT | RIGHT> [COUNT count]
Status CmdBLMPop(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const int64_t timeout_ms,
                       ParseWaitSeconds(ctx.arg(1), ctx.txn->NowMillis()));
  return MPopAndReply(ctx, ctx.args.subspan(2), WaitForList(timeout_ms));
}

// BLPOP key [key ...] timeout
Status CmdBLPop(CommandContext& ctx) {
  return PopOrWait(ctx, ListEnd::kHead);
}

// BRPOP key [key ...] timeout
Status CmdBRPop(CommandContext& ctx) {
  return PopOrWait(ctx, ListEnd::kTail);
}

// BRPOPLPUSH source destination timeout
Status CmdBRPopLPush(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const int64_t timeout_ms,
                       ParseWaitSeconds(ctx.arg(3), ctx.txn->NowMillis()));
  return MoveAndReply(ctx, ListEnd::kTail, ListEnd::kHead, WaitForList(timeout_ms));
}

// LMOVE source destination <LEFT | RIGHT> <LEFT | RIGHT>
Status CmdLMove(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const ListEnd from, ParseEnd(ctx.arg(3)));
  KVS_ASSIGN_OR_RETURN(const ListEnd to, ParseEnd(ctx.arg(4)));
  return MoveAndReply(ctx, from, to);
}

// LMPOP numkeys key [key ...] <LEFT | RIGHT> [COUNT count]
Status CmdLMPop(CommandContext& ctx) {
  return MPopAndReply(ctx, ctx.args.subspan(1));
}

// RPOPLPUSH source destination
Status CmdRPopLPush(CommandContext& ctx) {
  return MoveAndReply(ctx, ListEnd::kTail, ListEnd::kHead);
}

}  // namespace kvs
