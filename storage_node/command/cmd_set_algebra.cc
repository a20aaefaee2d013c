// SINTER, SUNION, SDIFF, the forms that store, and SINTERCARD.

#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/command/join_request.h"
#include "storage_node/command/command_handlers.h"
#include "storage_node/types/set_algebra.h"

namespace kvs {
namespace {

using Operation = Status (*)(std::span<const Collection> sets, const MemberVisit& visit);

// Opens the inputs, each once: to name one again changes no outcome.  Only the first may stand
// among the others as well, since a difference takes these away from it.
Result<std::vector<Collection>> OpenSets(CommandContext& ctx,
                                         std::span<const std::string_view> keys) {
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  std::vector<Collection> sets;
  std::unordered_map<std::string_view, bool> others;  // And whether they exist.
  for (const std::string_view key : keys) {
    if (const auto other = others.find(key); other != others.end()) {
      ctx.CountLookup(key, other->second);
      continue;
    }
    KVS_ASSIGN_OR_RETURN(Collection set, Collection::OpenForRead(&keyspace, key, kSetShape));
    ctx.CountLookup(key, set.exists());
    if (!sets.empty()) {
      others.emplace(key, set.exists());
    }
    sets.push_back(std::move(set));
  }
  return sets;
}

Status RunAndReply(CommandContext& ctx, Operation operation) {
  KVS_ASSIGN_OR_RETURN(const std::vector<Collection> sets, OpenSets(ctx, ctx.args.subspan(1)));
  // The members are written as they come, and how many they are is written before them at the end.
  const size_t start = ctx.reply.out()->size();
  size_t count = 0;
  KVS_RETURN_IF_ERROR(operation(sets, [&](std::string_view member) {
    ctx.reply.Bulk(member);
    ++count;
    return true;
  }));
  std::string header;
  RespWriter(ctx.reply.protocol(), &header).Set(count);
  ctx.reply.out()->insert(start, header);
  return Status::Ok();
}

Status RunAndStore(CommandContext& ctx, Operation operation) {
  KVS_ASSIGN_OR_RETURN(const std::vector<Collection> sets, OpenSets(ctx, ctx.args.subspan(2)));
  std::vector<std::string> members;
  KVS_RETURN_IF_ERROR(operation(sets, [&](std::string_view member) {
    members.emplace_back(member);
    return true;
  }));
  // Redis makes an intersection in the likeness of the set that it goes through.
  const bool intersects = operation == &VisitIntersection;
  const bool from_intset =
      SmallestOf(sets).encoding() == static_cast<uint8_t>(SetEncoding::kIntset);
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_RETURN_IF_ERROR(
      SetStore(&keyspace, ctx.type_limits)
          .Replace(ctx.arg(1), members,
                   intersects && !from_intset ? SetOrigin::kListpack : SetOrigin::kIntset));
  ctx.NotifyStored(KeyEventKind::kSet, ctx.spec.name, ctx.arg(1), !members.empty());
  ctx.reply.Integer(static_cast<int64_t>(members.size()));
  return Status::Ok();
}

}  // namespace

// SDIFF key [key ...]
Status CmdSDiff(CommandContext& ctx) {
  return RunAndReply(ctx, &VisitDifference);
}

// SDIFFSTORE destination key [key ...]
Status CmdSDiffStore(CommandContext& ctx) {
  return RunAndStore(ctx, &VisitDifference);
}

// SINTER key [key ...]
Status CmdSInter(CommandContext& ctx) {
  return RunAndReply(ctx, &VisitIntersection);
}

// SINTERCARD numkeys key [key ...] [LIMIT limit]
Status CmdSInterCard(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(JoinRequest request, ParseJoinKeys(ctx.spec, ctx.args));
  KVS_RETURN_IF_ERROR(ParseJoinOptions(ctx.spec, ctx.args, &request));
  KVS_ASSIGN_OR_RETURN(const std::vector<Collection> sets,
                       OpenSets(ctx, ctx.args.subspan(request.first_key, request.key_count)));
  uint64_t count = 0;
  KVS_RETURN_IF_ERROR(
      VisitIntersection(sets, [&](std::string_view) { return ++count < request.limit; }));
  ctx.reply.Integer(static_cast<int64_t>(count));
  return Status::Ok();
}

// SINTERSTORE destination key [key ...]
Status CmdSInterStore(CommandContext& ctx) {
  return RunAndStore(ctx, &VisitIntersection);
}

// SUNION key [key ...]
Status CmdSUnion(CommandContext& ctx) {
  return RunAndReply(ctx, &VisitUnion);
}

// SUNIONSTORE destination key [key ...]
Status CmdSUnionStore(CommandContext& ctx) {
  return RunAndStore(ctx, &VisitUnion);
}

}  // namespace kvs
