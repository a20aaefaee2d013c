// Commands on strings.

#include <algorithm>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "common/base/strings.h"
#include "storage_node/command/command_handlers.h"
#include "storage_node/command/expire_options.h"
#include "storage_node/types/keyspace.h"
#include "storage_node/types/string_reader.h"
#include "storage_node/types/string_store.h"

namespace kvs {
namespace {

Status NotAnInteger() {
  return Status::InvalidArgument("value is not an integer or out of range");
}

// Replies with a part of the string, put together where it is sent from.
Status ReplyPart(CommandContext& ctx, const StringReader& string, const StringPart& part) {
  ctx.reply.BeginBulk(part.count);
  KVS_RETURN_IF_ERROR(string.Append(part.first, part.count, ctx.reply.out()));
  ctx.reply.EndBulk();
  return Status::Ok();
}

// Counts the look-up and replies with the string, or with nil.
Status ReplyString(CommandContext& ctx, const Keyspace& keyspace, const KeyEntry& entry) {
  ctx.CountLookup(entry.key, entry.exists());
  if (!entry.exists()) {
    ctx.reply.Null();
    return Status::Ok();
  }
  return ReplyPart(ctx, StringReader(&keyspace, &entry), {0, entry.string_size()});
}

// Sets a string that expires at a time that may have come already: then there is none to set.
void PutUnlessPast(Keyspace* keyspace, KeyEntry* entry, std::string_view value,
                   uint64_t expire_at_ms) {
  if (expire_at_ms != kNoExpiry && static_cast<int64_t>(expire_at_ms) <= keyspace->NowMillis()) {
    keyspace->Delete(entry);
  } else {
    keyspace->PutString(entry, value, expire_at_ms);
  }
}

// GETRANGE and SUBSTR.
Status ReplyRange(CommandContext& ctx) {
  int64_t start = 0;
  int64_t end = 0;
  if (!ParseInt64(ctx.arg(2), &start) || !ParseInt64(ctx.arg(3), &end)) {
    return NotAnInteger();
  }
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(const KeyEntry entry, keyspace.FindString(ctx.arg(1)));
  ctx.CountLookup(entry.key, entry.exists());
  const StringReader string(&keyspace, &entry);
  return ReplyPart(ctx, string, StringRange(string.size(), start, end));
}

Status IncrementBy(CommandContext& ctx, int64_t increment) {
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(const int64_t sum, StringStore(&keyspace).IncrBy(ctx.arg(1), increment));
  ctx.Notify(KeyEventKind::kString, "incrby", ctx.arg(1));
  ctx.reply.Integer(sum);
  return Status::Ok();
}

// SETEX and PSETEX.
Status SetWithExpiry(CommandContext& ctx, TimeUnit unit) {
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(const int64_t expire_at_ms,
                       ParseExpiry(ctx.spec.name, ctx.arg(2), unit, keyspace.NowMillis()));
  KVS_ASSIGN_OR_RETURN(KeyEntry entry, keyspace.FindForWrite(ctx.arg(1)));
  keyspace.PutString(&entry, ctx.arg(3), static_cast<uint64_t>(expire_at_ms));
  ctx.Notify(KeyEventKind::kString, "set", ctx.arg(1));
  ctx.Notify(KeyEventKind::kGeneric, "expire", ctx.arg(1));
  ctx.reply.Ok();
  return Status::Ok();
}

struct Assignment {
  KeyEntry entry;  // Without its record.
  std::string_view value;
};

// Looks up the keys of MSET and MSETNX before anything is written, so that an error leaves nothing
// half done.  A key that is named twice gets its last value.
Result<std::vector<Assignment>> FindAssignments(CommandContext& ctx, Keyspace* keyspace) {
  if (ctx.argc() % 2 == 0) {
    return Status::InvalidArgument("wrong number of arguments for '" + std::string(ctx.spec.name) +
                                   "' command");
  }
  std::vector<Assignment> assignments;
  std::unordered_set<std::string_view> seen;
  for (size_t end = ctx.argc(); end > 1; end -= 2) {
    const std::string_view key = ctx.arg(end - 2);
    if (!seen.insert(key).second) {
      continue;
    }
    KVS_ASSIGN_OR_RETURN(KeyEntry entry, keyspace->FindForWrite(key));
    std::string().swap(entry.record);  // Many old values at once could be large.
    assignments.push_back({std::move(entry), ctx.arg(end - 1)});
  }
  std::reverse(assignments.begin(), assignments.end());
  return assignments;
}

}  // namespace

// APPEND key value
Status CmdAppend(CommandContext& ctx) {
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(const size_t size,
                       StringStore(&keyspace, ctx.max_string_size).Append(ctx.arg(1), ctx.arg(2)));
  ctx.Notify(KeyEventKind::kString, "append", ctx.arg(1));
  ctx.reply.Integer(static_cast<int64_t>(size));
  return Status::Ok();
}

// DECR key
Status CmdDecr(CommandContext& ctx) {
  return IncrementBy(ctx, -1);
}

// DECRBY key decrement
Status CmdDecrBy(CommandContext& ctx) {
  int64_t decrement = 0;
  if (!ParseInt64(ctx.arg(2), &decrement)) {
    return NotAnInteger();
  }
  if (decrement == INT64_MIN) {
    return Status::InvalidArgument("decrement would overflow");  // It has no negative.
  }
  return IncrementBy(ctx, -decrement);
}

// GET key
Status CmdGet(CommandContext& ctx) {
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(const KeyEntry entry, keyspace.FindString(ctx.arg(1)));
  return ReplyString(ctx, keyspace, entry);
}

// GETDEL key
Status CmdGetDel(CommandContext& ctx) {
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(KeyEntry entry, keyspace.FindString(ctx.arg(1)));
  KVS_RETURN_IF_ERROR(ReplyString(ctx, keyspace, entry));
  keyspace.Delete(&entry);
  ctx.NotifyIfRemoved(ctx.arg(1));
  return Status::Ok();
}

// GETEX key [EX seconds | PX milliseconds | EXAT ... | PXAT ... | PERSIST]
Status CmdGetEx(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const StringOptions options, ParseGetExOptions(ctx.args.subspan(2)));
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(KeyEntry entry, keyspace.FindString(ctx.arg(1)));
  if (!entry.exists()) {
    return ReplyString(ctx, keyspace, entry);
  }
  int64_t expire_at_ms = 0;
  if (options.has_expiry) {
    KVS_ASSIGN_OR_RETURN(expire_at_ms, ParseExpiry(ctx.spec.name, options.expiry, options.unit,
                                                   keyspace.NowMillis()));
  }
  KVS_RETURN_IF_ERROR(ReplyString(ctx, keyspace, entry));
  if (options.has_expiry && expire_at_ms <= keyspace.NowMillis()) {
    keyspace.Delete(&entry);
    ctx.NotifyIfRemoved(ctx.arg(1));
  } else if (options.has_expiry) {
    keyspace.SetExpiry(&entry, static_cast<uint64_t>(expire_at_ms));
    ctx.Notify(KeyEventKind::kGeneric, "expire", ctx.arg(1));
  } else if (options.persist && entry.expire_at_ms != kNoExpiry) {
    keyspace.SetExpiry(&entry, kNoExpiry);
    ctx.Notify(KeyEventKind::kGeneric, "persist", ctx.arg(1));
  }
  return Status::Ok();
}

// GETRANGE key start end
Status CmdGetRange(CommandContext& ctx) {
  return ReplyRange(ctx);
}

// GETSET key value
Status CmdGetSet(CommandContext& ctx) {
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(KeyEntry entry, keyspace.FindForWrite(ctx.arg(1)));
  if (entry.exists() && entry.type != DataType::kString) {
    return Status::WrongType();
  }
  KVS_RETURN_IF_ERROR(ReplyString(ctx, keyspace, entry));
  keyspace.PutString(&entry, ctx.arg(2), kNoExpiry);
  ctx.Notify(KeyEventKind::kString, "set", ctx.arg(1));
  return Status::Ok();
}

// INCR key
Status CmdIncr(CommandContext& ctx) {
  return IncrementBy(ctx, 1);
}

// INCRBY key increment
Status CmdIncrBy(CommandContext& ctx) {
  int64_t increment = 0;
  if (!ParseInt64(ctx.arg(2), &increment)) {
    return NotAnInteger();
  }
  return IncrementBy(ctx, increment);
}

// INCRBYFLOAT key increment
Status CmdIncrByFloat(CommandContext& ctx) {
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(const std::string sum,
                       StringStore(&keyspace).IncrByFloat(ctx.arg(1), ctx.arg(2)));
  ctx.Notify(KeyEventKind::kString, "incrbyfloat", ctx.arg(1));
  ctx.reply.Bulk(sum);
  return Status::Ok();
}

// MGET key [key ...]
Status CmdMGet(CommandContext& ctx) {
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  for (size_t i = 1; i < ctx.argc(); ++i) {
    KVS_ASSIGN_OR_RETURN(const KeyEntry entry, keyspace.FindToRead(ctx.arg(i)));
    if (i == 1) {
      // Not before: a single key is locked by the look, which may end the turn.
      ctx.reply.Array(ctx.argc() - 1);
    }
    if (entry.type == DataType::kString) {
      KVS_RETURN_IF_ERROR(ReplyString(ctx, keyspace, entry));
    } else {
      ctx.CountLookup(entry.key, entry.exists());
      ctx.reply.Null();
    }
  }
  return Status::Ok();
}

// MSET key value [key value ...]
Status CmdMSet(CommandContext& ctx) {
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(std::vector<Assignment> assignments, FindAssignments(ctx, &keyspace));
  for (Assignment& assignment : assignments) {
    keyspace.PutString(&assignment.entry, assignment.value, kNoExpiry);
    ctx.Notify(KeyEventKind::kString, "set", assignment.entry.key);
  }
  ctx.reply.Ok();
  return Status::Ok();
}

// MSETNX key value [key value ...]
Status CmdMSetNx(CommandContext& ctx) {
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(std::vector<Assignment> assignments, FindAssignments(ctx, &keyspace));
  for (const Assignment& assignment : assignments) {
    if (assignment.entry.exists()) {
      ctx.reply.Integer(0);
      return Status::Ok();
    }
  }
  for (Assignment& assignment : assignments) {
    keyspace.PutString(&assignment.entry, assignment.value, kNoExpiry);
    ctx.Notify(KeyEventKind::kString, "set", assignment.entry.key);
  }
  ctx.reply.Integer(1);
  return Status::Ok();
}

// PSETEX key milliseconds value
Status CmdPSetEx(CommandContext& ctx) {
  return SetWithExpiry(ctx, TimeUnit::kMillis);
}

// SET key value [NX | XX] [GET] [EX seconds | PX milliseconds | EXAT ... | PXAT ... | KEEPTTL]
Status CmdSet(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const StringOptions options, ParseSetOptions(ctx.args.subspan(3)));
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  int64_t expire_at_ms = 0;
  if (options.has_expiry) {
    KVS_ASSIGN_OR_RETURN(expire_at_ms, ParseExpiry(ctx.spec.name, options.expiry, options.unit,
                                                   keyspace.NowMillis()));
  }
  KVS_ASSIGN_OR_RETURN(KeyEntry entry, keyspace.FindForWrite(ctx.arg(1)));
  const bool found = entry.exists();
  if (options.get) {
    if (found && entry.type != DataType::kString) {
      return Status::WrongType();
    }
    KVS_RETURN_IF_ERROR(ReplyString(ctx, keyspace, entry));
  }
  if ((options.only_if_missing && found) || (options.only_if_present && !found)) {
    if (!options.get) {
      ctx.reply.Null();
    }
    return Status::Ok();
  }
  if (options.keep_ttl && found) {
    expire_at_ms = static_cast<int64_t>(entry.expire_at_ms);
  }
  PutUnlessPast(&keyspace, &entry, ctx.arg(2), static_cast<uint64_t>(expire_at_ms));
  ctx.NotifyStored(KeyEventKind::kString, "set", ctx.arg(1), entry.exists());
  if (options.has_expiry && entry.exists()) {
    ctx.Notify(KeyEventKind::kGeneric, "expire", ctx.arg(1));
  }
  if (!options.get) {
    ctx.reply.Ok();
  }
  return Status::Ok();
}

// SETEX key seconds value
Status CmdSetEx(CommandContext& ctx) {
  return SetWithExpiry(ctx, TimeUnit::kSeconds);
}

// SETNX key value
Status CmdSetNx(CommandContext& ctx) {
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(KeyEntry entry, keyspace.FindForWrite(ctx.arg(1)));
  const bool found = entry.exists();
  if (!found) {
    keyspace.PutString(&entry, ctx.arg(2), kNoExpiry);
    ctx.Notify(KeyEventKind::kString, "set", ctx.arg(1));
  }
  ctx.reply.Integer(found ? 0 : 1);
  return Status::Ok();
}

// SETRANGE key offset value
Status CmdSetRange(CommandContext& ctx) {
  int64_t offset = 0;
  if (!ParseInt64(ctx.arg(2), &offset)) {
    return NotAnInteger();
  }
  if (offset < 0) {
    return Status::InvalidArgument("offset is out of range");
  }
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(
      const size_t size,
      StringStore(&keyspace, ctx.max_string_size).SetRange(ctx.arg(1), offset, ctx.arg(3)));
  if (!ctx.arg(3).empty()) {
    ctx.Notify(KeyEventKind::kString, "setrange", ctx.arg(1));
  }
  ctx.reply.Integer(static_cast<int64_t>(size));
  return Status::Ok();
}

// STRLEN key
Status CmdStrLen(CommandContext& ctx) {
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(const KeyEntry entry, keyspace.FindTyped(ctx.arg(1), DataType::kString));
  ctx.CountLookup(entry.key, entry.exists());
  ctx.reply.Integer(entry.exists() ? static_cast<int64_t>(entry.string_size()) : 0);
  return Status::Ok();
}

// SUBSTR key start end
Status CmdSubStr(CommandContext& ctx) {
  return ReplyRange(ctx);
}

}  // namespace kvs
