// Commands on one set, and SMOVE.

#include <algorithm>
#include <string>
#include <vector>

#include "common/base/strings.h"
#include "storage_node/command/command_handlers.h"
#include "storage_node/command/element_scan.h"
#include "storage_node/types/sampling.h"
#include "storage_node/types/set_store.h"

namespace kvs {
namespace {

// A reply of members that are repeated at will ends here.
constexpr size_t kMaxSampleBytes = size_t{512} << 20;

// Opens the set and counts the look-up.
Result<Collection> OpenSet(CommandContext& ctx) {
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(Collection set, Collection::OpenForRead(&keyspace, ctx.arg(1), kSetShape));
  ctx.CountLookup(ctx.arg(1), set.exists());
  return set;
}

Status ReplyRepeatedSample(CommandContext& ctx, const Collection& set, uint64_t count) {
  Random random = Random::FromKernel();
  SampleRounds rounds;
  const size_t start = ctx.reply.out()->size();
  ctx.reply.Array(set.empty() ? 0 : count);
  while (count > 0 && !set.empty()) {
    const uint64_t taken = rounds.Take(count);
    const size_t before = ctx.reply.out()->size();
    count -= taken;
    KVS_ASSIGN_OR_RETURN(const std::vector<SampledElement> sample,
                         SampleRepeated(set, taken, &random));
    for (const SampledElement& element : sample) {
      ctx.reply.Bulk(element.name);
    }
    rounds.Note(taken, ctx.reply.out()->size() - before);
    if (ctx.reply.out()->size() - start > kMaxSampleBytes) {
      return Status::TooLarge("the reply would be too large; ask for fewer members");
    }
  }
  return Status::Ok();
}

}  // namespace

// SADD key member [member ...]
Status CmdSAdd(CommandContext& ctx) {
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(const int64_t added,
                       SetStore(&keyspace, ctx.type_limits).Add(ctx.arg(1), ctx.args.subspan(2)));
  if (added > 0) {
    ctx.Notify(KeyEventKind::kSet, "sadd", ctx.arg(1));
  }
  ctx.reply.Integer(added);
  return Status::Ok();
}

// SCARD key
Status CmdSCard(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const Collection set, OpenSet(ctx));
  ctx.reply.Integer(static_cast<int64_t>(set.count()));
  return Status::Ok();
}

// SISMEMBER key member
Status CmdSIsMember(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const Collection set, OpenSet(ctx));
  KVS_ASSIGN_OR_RETURN(const bool found, set.Contains(ctx.arg(2)));
  ctx.reply.Integer(found ? 1 : 0);
  return Status::Ok();
}

// SMEMBERS key
Status CmdSMembers(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const Collection set, OpenSet(ctx));
  ctx.reply.Set(set.count());
  uint64_t count = 0;
  KVS_ASSIGN_OR_RETURN(ElementWalk walk, set.Walk());
  for (; walk.Valid(); walk.Next(), ++count) {
    ctx.reply.Bulk(walk.name());
  }
  KVS_RETURN_IF_ERROR(walk.status());
  return count == set.count() ? Status::Ok()
                              : Status::Corruption("a set has not the members that it counts");
}

// SMISMEMBER key member [member ...]
Status CmdSMIsMember(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const Collection set, OpenSet(ctx));
  ctx.reply.Array(ctx.argc() - 2);
  for (const std::string_view member : ctx.args.subspan(2)) {
    KVS_ASSIGN_OR_RETURN(const bool found, set.Contains(member));
    ctx.reply.Integer(found ? 1 : 0);
  }
  return Status::Ok();
}

// SMOVE source destination member
Status CmdSMove(CommandContext& ctx) {
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(
      const bool moved,
      SetStore(&keyspace, ctx.type_limits).Move(ctx.arg(1), ctx.arg(2), ctx.arg(3)));
  ctx.reply.Integer(moved ? 1 : 0);
  return Status::Ok();
}

// SPOP key [count]
Status CmdSPop(CommandContext& ctx) {
  int64_t count = 1;
  if (ctx.argc() > 3) {
    return Status::InvalidArgument("syntax error");
  }
  if (ctx.argc() == 3 && (!ParseInt64(ctx.arg(2), &count) || count < 0)) {
    return Status::InvalidArgument("value is out of range, must be positive");
  }
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  Random random = Random::FromKernel();
  KVS_ASSIGN_OR_RETURN(
      const std::vector<std::string> popped,
      SetStore(&keyspace, ctx.type_limits).Pop(ctx.arg(1), static_cast<uint64_t>(count), &random));
  if (!popped.empty()) {
    ctx.NotifyTaken(KeyEventKind::kSet, "spop", ctx.arg(1));
  }
  if (ctx.argc() == 2) {
    if (popped.empty()) {
      ctx.reply.Null();
    } else {
      ctx.reply.Bulk(popped.front());
    }
    return Status::Ok();
  }
  ctx.reply.Set(popped.size());
  for (const std::string& member : popped) {
    ctx.reply.Bulk(member);
  }
  return Status::Ok();
}

// SRANDMEMBER key [count]
Status CmdSRandMember(CommandContext& ctx) {
  int64_t count = 1;
  if (ctx.argc() > 3) {
    return Status::InvalidArgument("syntax error");
  }
  if (ctx.argc() == 3 && !ParseInt64(ctx.arg(2), &count)) {
    return Status::InvalidArgument("value is not an integer or out of range");
  }
  if (count == INT64_MIN) {
    return Status::InvalidArgument(
        "value is out of range, value must between -9223372036854775807 and 9223372036854775807");
  }
  KVS_ASSIGN_OR_RETURN(const Collection set, OpenSet(ctx));
  if (count < 0) {
    return ReplyRepeatedSample(ctx, set, static_cast<uint64_t>(-count));
  }
  Random random = Random::FromKernel();
  KVS_ASSIGN_OR_RETURN(const std::vector<SampledElement> sample,
                       SampleDistinct(set, static_cast<uint64_t>(count), &random));
  if (ctx.argc() == 2 && sample.empty()) {
    ctx.reply.Null();
    return Status::Ok();
  }
  if (ctx.argc() == 3) {
    ctx.reply.Array(sample.size());
  }
  for (const SampledElement& element : sample) {
    ctx.reply.Bulk(element.name);
  }
  return Status::Ok();
}

// SREM key member [member ...]
Status CmdSRem(CommandContext& ctx) {
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(
      const int64_t removed,
      SetStore(&keyspace, ctx.type_limits).Remove(ctx.arg(1), ctx.args.subspan(2)));
  if (removed > 0) {
    ctx.NotifyTaken(KeyEventKind::kSet, "srem", ctx.arg(1));
  }
  ctx.reply.Integer(removed);
  return Status::Ok();
}

// SSCAN key cursor [MATCH pattern] [COUNT count]
Status CmdSScan(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const uint64_t cursor, ParseElementCursor(ctx.arg(2)));
  KVS_ASSIGN_OR_RETURN(const Collection set, OpenSet(ctx));
  ElementScan scan;
  if (set.exists()) {
    KVS_ASSIGN_OR_RETURN(scan, ParseElementScan(cursor, ctx.args.subspan(3)));
  }
  return ReplyElementScan(ctx, set, scan, /*with_values=*/false);
}

}  // namespace kvs
