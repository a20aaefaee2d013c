// Commands on hashes.

#include <string>
#include <vector>

#include "common/base/strings.h"
#include "storage_node/command/command_handlers.h"
#include "storage_node/command/element_scan.h"
#include "storage_node/types/hash_store.h"
#include "storage_node/types/sampling.h"

namespace kvs {
namespace {

// A reply of elements that are repeated at will ends here.
constexpr size_t kMaxSampleBytes = size_t{512} << 20;

// Opens the hash and counts the look-up.
Result<Collection> OpenHash(CommandContext& ctx) {
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(Collection hash, Collection::OpenForRead(&keyspace, ctx.arg(1), kHashShape));
  ctx.CountLookup(ctx.arg(1), hash.exists());
  return hash;
}

Status CheckPairs(CommandContext& ctx) {
  return ctx.argc() % 2 == 0 ? Status::Ok()
                             : Status::InvalidArgument("wrong number of arguments for '" +
                                                       std::string(ctx.spec.name) + "' command");
}

// Replies with all that `reply_one(walk)` makes of each element.  The caller has announced as many.
template <typename ReplyOne>
Status ReplyAll(const Collection& hash, ReplyOne reply_one) {
  uint64_t count = 0;
  KVS_ASSIGN_OR_RETURN(ElementWalk walk, hash.Walk());
  for (; walk.Valid(); walk.Next(), ++count) {
    reply_one(walk);
  }
  KVS_RETURN_IF_ERROR(walk.status());
  return count == hash.count() ? Status::Ok()
                               : Status::Corruption("a hash has not the fields that it counts");
}

enum class Part : uint8_t { kFields, kValues };

// HKEYS and HVALS.
Status ReplyParts(CommandContext& ctx, Part part) {
  KVS_ASSIGN_OR_RETURN(const Collection hash, OpenHash(ctx));
  ctx.reply.Array(hash.count());
  return ReplyAll(hash, [&](const ElementWalk& walk) {
    ctx.reply.Bulk(part == Part::kFields ? walk.name() : walk.value());
  });
}

// Adds to the reply what HRANDFIELD with a count consists of.
void ReplySample(CommandContext& ctx, const std::vector<SampledElement>& sample, bool with_values) {
  for (const SampledElement& element : sample) {
    if (with_values && ctx.reply.protocol() >= 3) {
      ctx.reply.Array(2);
    }
    ctx.reply.Bulk(element.name);
    if (with_values) {
      ctx.reply.Bulk(element.value);
    }
  }
}

Status ReplyRepeatedSample(CommandContext& ctx, const Collection& hash, uint64_t count,
                           bool with_values) {
  Random random = Random::FromKernel();
  SampleRounds rounds;
  const size_t start = ctx.reply.out()->size();
  const bool flat = with_values && ctx.reply.protocol() == 2;
  ctx.reply.Array(hash.empty() ? 0 : count * (flat ? 2 : 1));
  while (count > 0 && !hash.empty()) {
    const uint64_t taken = rounds.Take(count);
    const size_t before = ctx.reply.out()->size();
    count -= taken;
    KVS_ASSIGN_OR_RETURN(const std::vector<SampledElement> sample,
                         SampleRepeated(hash, taken, &random));
    ReplySample(ctx, sample, with_values);
    rounds.Note(taken, ctx.reply.out()->size() - before);
    if (ctx.reply.out()->size() - start > kMaxSampleBytes) {
      return Status::TooLarge("the reply would be too large; ask for fewer fields");
    }
  }
  return Status::Ok();
}

}  // namespace

// HDEL key field [field ...]
Status CmdHDel(CommandContext& ctx) {
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(
      const int64_t deleted,
      HashStore(&keyspace, ctx.type_limits).Delete(ctx.arg(1), ctx.args.subspan(2)));
  if (deleted > 0) {
    ctx.NotifyTaken(KeyEventKind::kHash, "hdel", ctx.arg(1));
  }
  ctx.reply.Integer(deleted);
  return Status::Ok();
}

// HEXISTS key field
Status CmdHExists(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const Collection hash, OpenHash(ctx));
  KVS_ASSIGN_OR_RETURN(const bool found, hash.Contains(ctx.arg(2)));
  ctx.reply.Integer(found ? 1 : 0);
  return Status::Ok();
}

// HGET key field
Status CmdHGet(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const Collection hash, OpenHash(ctx));
  std::string value;
  KVS_ASSIGN_OR_RETURN(const bool found, hash.Get(ctx.arg(2), &value));
  if (found) {
    ctx.reply.Bulk(value);
  } else {
    ctx.reply.Null();
  }
  return Status::Ok();
}

// HGETALL key
Status CmdHGetAll(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const Collection hash, OpenHash(ctx));
  ctx.reply.Map(hash.count());
  return ReplyAll(hash, [&](const ElementWalk& walk) {
    ctx.reply.Bulk(walk.name());
    ctx.reply.Bulk(walk.value());
  });
}

// HINCRBY key field increment
Status CmdHIncrBy(CommandContext& ctx) {
  int64_t increment = 0;
  if (!ParseInt64(ctx.arg(3), &increment)) {
    return Status::InvalidArgument("value is not an integer or out of range");
  }
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(
      const int64_t sum,
      HashStore(&keyspace, ctx.type_limits).IncrBy(ctx.arg(1), ctx.arg(2), increment));
  ctx.Notify(KeyEventKind::kHash, "hincrby", ctx.arg(1));
  ctx.reply.Integer(sum);
  return Status::Ok();
}

// HINCRBYFLOAT key field increment
Status CmdHIncrByFloat(CommandContext& ctx) {
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(
      const std::string sum,
      HashStore(&keyspace, ctx.type_limits).IncrByFloat(ctx.arg(1), ctx.arg(2), ctx.arg(3)));
  ctx.Notify(KeyEventKind::kHash, "hincrbyfloat", ctx.arg(1));
  ctx.reply.Bulk(sum);
  return Status::Ok();
}

// HKEYS key
Status CmdHKeys(CommandContext& ctx) {
  return ReplyParts(ctx, Part::kFields);
}

// HLEN key
Status CmdHLen(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const Collection hash, OpenHash(ctx));
  ctx.reply.Integer(static_cast<int64_t>(hash.count()));
  return Status::Ok();
}

// HMGET key field [field ...]
Status CmdHMGet(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const Collection hash, OpenHash(ctx));
  ctx.reply.Array(ctx.argc() - 2);
  std::string value;
  for (const std::string_view field : ctx.args.subspan(2)) {
    KVS_ASSIGN_OR_RETURN(const bool found, hash.Get(field, &value));
    if (found) {
      ctx.reply.Bulk(value);
    } else {
      ctx.reply.Null();
    }
  }
  return Status::Ok();
}

// HMSET key field value [field value ...]
Status CmdHMSet(CommandContext& ctx) {
  KVS_RETURN_IF_ERROR(CheckPairs(ctx));
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_RETURN_IF_ERROR(
      HashStore(&keyspace, ctx.type_limits).Set(ctx.arg(1), ctx.args.subspan(2)).status());
  ctx.Notify(KeyEventKind::kHash, "hset", ctx.arg(1));
  ctx.reply.Ok();
  return Status::Ok();
}

// HRANDFIELD key [count [WITHVALUES]]
Status CmdHRandField(CommandContext& ctx) {
  int64_t count = 1;
  if (ctx.argc() > 2 && !ParseInt64(ctx.arg(2), &count)) {
    return Status::InvalidArgument("value is not an integer or out of range");
  }
  if (count == INT64_MIN) {
    return Status::InvalidArgument(
        "value is out of range, value must between -9223372036854775807 and 9223372036854775807");
  }
  const bool with_values = ctx.argc() > 3;
  if (ctx.argc() > 4 || (with_values && !EqualsIgnoreCase(ctx.arg(3), "WITHVALUES"))) {
    return Status::InvalidArgument("syntax error");
  }
  if (with_values && (count < -(INT64_MAX / 2) || count > INT64_MAX / 2)) {
    return Status::InvalidArgument("value is out of range");
  }
  KVS_ASSIGN_OR_RETURN(const Collection hash, OpenHash(ctx));
  if (count < 0) {
    return ReplyRepeatedSample(ctx, hash, static_cast<uint64_t>(-count), with_values);
  }
  Random random = Random::FromKernel();
  KVS_ASSIGN_OR_RETURN(const std::vector<SampledElement> sample,
                       SampleDistinct(hash, static_cast<uint64_t>(count), &random));
  if (ctx.argc() == 2) {
    if (sample.empty()) {
      ctx.reply.Null();
    } else {
      ctx.reply.Bulk(sample.front().name);
    }
    return Status::Ok();
  }
  ctx.reply.Array(sample.size() * (with_values && ctx.reply.protocol() == 2 ? 2 : 1));
  ReplySample(ctx, sample, with_values);
  return Status::Ok();
}

// HSCAN key cursor [MATCH pattern] [COUNT count]
Status CmdHScan(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const uint64_t cursor, ParseElementCursor(ctx.arg(2)));
  KVS_ASSIGN_OR_RETURN(const Collection hash, OpenHash(ctx));
  ElementScan scan;
  if (hash.exists()) {
    KVS_ASSIGN_OR_RETURN(scan, ParseElementScan(cursor, ctx.args.subspan(3)));
  }
  return ReplyElementScan(ctx, hash, scan, /*with_values=*/true);
}

// HSET key field value [field value ...]
Status CmdHSet(CommandContext& ctx) {
  KVS_RETURN_IF_ERROR(CheckPairs(ctx));
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(const int64_t added,
                       HashStore(&keyspace, ctx.type_limits).Set(ctx.arg(1), ctx.args.subspan(2)));
  ctx.Notify(KeyEventKind::kHash, "hset", ctx.arg(1));
  ctx.reply.Integer(added);
  return Status::Ok();
}

// HSETNX key field value
Status CmdHSetNx(CommandContext& ctx) {
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(
      const bool set,
      HashStore(&keyspace, ctx.type_limits).SetIfMissing(ctx.arg(1), ctx.arg(2), ctx.arg(3)));
  if (set) {
    ctx.Notify(KeyEventKind::kHash, "hset", ctx.arg(1));
  }
  ctx.reply.Integer(set ? 1 : 0);
  return Status::Ok();
}

// HSTRLEN key field
Status CmdHStrLen(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const Collection hash, OpenHash(ctx));
  std::string value;
  KVS_RETURN_IF_ERROR(hash.Get(ctx.arg(2), &value).status());
  ctx.reply.Integer(static_cast<int64_t>(value.size()));
  return Status::Ok();
}

// HVALS key
Status CmdHVals(CommandContext& ctx) {
  return ReplyParts(ctx, Part::kValues);
}

}  // namespace kvs
