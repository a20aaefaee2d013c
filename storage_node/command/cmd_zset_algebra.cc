// ZUNION, ZINTER, ZDIFF, the forms that store, and ZINTERCARD.

#include <string>
#include <vector>

#include "common/command/join_request.h"
#include "storage_node/command/command_handlers.h"
#include "storage_node/command/zset_reply.h"
#include "storage_node/types/zset_algebra.h"
#include "storage_node/types/zset_store.h"

namespace kvs {
namespace {

struct OpenedRequest {
  JoinRequest request;
  std::vector<ScoredInput> inputs;
};

// Opens the inputs and reads the options behind them.
Result<OpenedRequest> OpenRequest(CommandContext& ctx) {
  OpenedRequest opened;
  KVS_ASSIGN_OR_RETURN(opened.request, ParseJoinKeys(ctx.spec, ctx.args));
  JoinRequest& request = opened.request;
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  for (const std::string_view key : ctx.args.subspan(request.first_key, request.key_count)) {
    KVS_ASSIGN_OR_RETURN(ScoredInput input, ScoredInput::Open(&keyspace, key));
    ctx.CountLookup(key, input.exists());
    opened.inputs.push_back(std::move(input));
  }
  KVS_RETURN_IF_ERROR(ParseJoinOptions(ctx.spec, ctx.args, &request));
  for (size_t i = 0; i < opened.inputs.size(); ++i) {
    opened.inputs[i].set_weight(request.weight(i));
  }
  return opened;
}

Result<std::vector<ScoredMember>> Run(const OpenedRequest& opened) {
  const JoinRequest& request = opened.request;
  switch (request.operation) {
    case JoinOperation::kUnion:
      return Union(opened.inputs, request.aggregate);
    case JoinOperation::kIntersection:
      return Intersection(opened.inputs, request.aggregate);
    case JoinOperation::kDifference:
    case JoinOperation::kDistinct:
      break;
  }
  return Difference(opened.inputs);
}

Status RunAndReply(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const OpenedRequest opened, OpenRequest(ctx));
  KVS_ASSIGN_OR_RETURN(const std::vector<ScoredMember> members, Run(opened));
  ReplyMembers(ctx, members, opened.request.with_scores);
  return Status::Ok();
}

Status RunAndStore(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const OpenedRequest opened, OpenRequest(ctx));
  KVS_ASSIGN_OR_RETURN(std::vector<ScoredMember> members, Run(opened));
  const size_t count = members.size();
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_RETURN_IF_ERROR(
      ZSetStore(&keyspace, ctx.type_limits).Replace(ctx.arg(1), std::move(members)));
  ctx.NotifyStored(KeyEventKind::kZSet, ctx.spec.name, ctx.arg(1), count > 0);
  ctx.reply.Integer(static_cast<int64_t>(count));
  return Status::Ok();
}

}  // namespace

// ZDIFF numkeys key [key ...] [WITHSCORES]
Status CmdZDiff(CommandContext& ctx) {
  return RunAndReply(ctx);
}

// ZDIFFSTORE destination numkeys key [key ...]
Status CmdZDiffStore(CommandContext& ctx) {
  return RunAndStore(ctx);
}

// ZINTER numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>]
// [WITHSCORES]
Status CmdZInter(CommandContext& ctx) {
  return RunAndReply(ctx);
}

// ZINTERCARD numkeys key [key ...] [LIMIT limit]
Status CmdZInterCard(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const OpenedRequest opened, OpenRequest(ctx));
  KVS_ASSIGN_OR_RETURN(const uint64_t count,
                       CountIntersection(opened.inputs, opened.request.limit));
  ctx.reply.Integer(static_cast<int64_t>(count));
  return Status::Ok();
}

// ZINTERSTORE destination numkeys key [key ...] [WEIGHTS weight [weight ...]]
// [AGGREGATE <SUM | MIN | MAX>]
Status CmdZInterStore(CommandContext& ctx) {
  return RunAndStore(ctx);
}

// ZUNION numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>]
// [WITHSCORES]
Status CmdZUnion(CommandContext& ctx) {
  return RunAndReply(ctx);
}

// ZUNIONSTORE destination numkeys key [key ...] [WEIGHTS weight [weight ...]]
// [AGGREGATE <SUM | MIN | MAX>]
Status CmdZUnionStore(CommandContext& ctx) {
  return RunAndStore(ctx);
}

}  // namespace kvs
