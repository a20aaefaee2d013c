// OBJECT and MEMORY USAGE: how a key is stored.
//
// Nothing is kept about the use of single keys: it would make every read a write.  So the idle time
// is the one lower bound that is always true, and a frequency does not exist.

#include "common/base/strings.h"
#include "storage_node/command/command_handlers.h"
#include "storage_node/types/hash_store.h"
#include "storage_node/types/keyspace.h"
#include "storage_node/types/list.h"
#include "storage_node/types/set_store.h"
#include "storage_node/types/string_reader.h"
#include "storage_node/types/zset.h"

namespace kvs {
namespace {

// Calls `reply_for(entry)` if the key exists, else replies with nil.
template <typename ReplyFor>
Status Inspect(CommandContext& ctx, ReplyFor reply_for) {
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(const KeyEntry entry, keyspace.Find(ctx.arg(2)));
  // Counted as one that reads, but not told of.
  ++(entry.exists() ? ctx.keyspace_hits : ctx.keyspace_misses);
  if (!entry.exists()) {
    ctx.reply.Null();
    return Status::Ok();
  }
  return reply_for(entry);
}

Status ReplyInteger(CommandContext& ctx, int64_t value) {
  return Inspect(ctx, [&](const KeyEntry&) {
    ctx.reply.Integer(value);
    return Status::Ok();
  });
}

std::string_view EncodingOf(const KeyEntry& entry) {
  switch (entry.type) {
    case DataType::kString:
      return StringEncoding(entry);
    case DataType::kHash:
      return HashEncoding(entry.encoding);
    case DataType::kList:
      return ListEncoding(entry.encoding);
    case DataType::kSet:
      return SetEncodingName(entry.encoding);
    case DataType::kZSet:
      return ZSetEncoding(entry.encoding);
    case DataType::kStream:
      return "stream";
  }
  return "unknown";
}

// There are no nested values to sample, so the number does not matter.
Status CheckUsageOptions(std::span<const std::string_view> args) {
  for (size_t i = 0; i < args.size(); i += 2) {
    int64_t samples = 0;
    if (!EqualsIgnoreCase(args[i], "SAMPLES") || i + 1 == args.size()) {
      return Status::InvalidArgument("syntax error");
    }
    if (!ParseInt64(args[i + 1], &samples)) {
      return Status::InvalidArgument("value is not an integer or out of range");
    }
    if (samples < 0) {
      return Status::InvalidArgument("syntax error");
    }
  }
  return Status::Ok();
}

}  // namespace

// MEMORY USAGE key [SAMPLES count]
Status CmdMemoryUsage(CommandContext& ctx) {
  KVS_RETURN_IF_ERROR(CheckUsageOptions(ctx.args.subspan(3)));
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(const KeyEntry entry, keyspace.Find(ctx.arg(2)));
  if (entry.exists()) {
    ctx.reply.Integer(static_cast<int64_t>(keyspace.StoredBytes(entry)));
  } else {
    ctx.reply.Null();
  }
  return Status::Ok();
}

// OBJECT ENCODING key
Status CmdObjectEncoding(CommandContext& ctx) {
  return Inspect(ctx, [&](const KeyEntry& entry) {
    ctx.reply.Bulk(EncodingOf(entry));
    return Status::Ok();
  });
}

// OBJECT FREQ key
Status CmdObjectFreq(CommandContext& ctx) {
  return Inspect(ctx, [](const KeyEntry&) {
    return Status::InvalidArgument(
        "An LFU maxmemory policy is not selected, access frequency not tracked. Please note that "
        "when switching between policies at runtime LRU and LFU data will take some time to "
        "adjust.");
  });
}

// OBJECT IDLETIME key
Status CmdObjectIdleTime(CommandContext& ctx) {
  return ReplyInteger(ctx, 0);
}

// OBJECT REFCOUNT key
Status CmdObjectRefCount(CommandContext& ctx) {
  return ReplyInteger(ctx, 1);
}

}  // namespace kvs
