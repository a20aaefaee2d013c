// Commands on the time at which a key expires.

#include "storage_node/command/command_handlers.h"
#include "storage_node/command/expire_options.h"
#include "storage_node/types/keyspace.h"

namespace kvs {
namespace {

constexpr int64_t kMissingKey = -2;
constexpr int64_t kNeverExpires = -1;

Status ExpireKey(CommandContext& ctx, TimeUnit unit) {
  KVS_ASSIGN_OR_RETURN(const ExpireConditions conditions,
                       ParseExpireConditions(ctx.args.subspan(3)));
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(const int64_t expire_at_ms,
                       ParseDeadline(ctx.spec.name, ctx.arg(2), unit, keyspace.NowMillis()));
  KVS_ASSIGN_OR_RETURN(KeyEntry entry, keyspace.Find(ctx.arg(1)));
  if (!entry.exists() || !conditions.Allow(entry.expire_at_ms, expire_at_ms)) {
    ctx.reply.Integer(0);
    return Status::Ok();
  }
  if (expire_at_ms <= keyspace.NowMillis()) {
    keyspace.Delete(&entry);
    ctx.NotifyIfRemoved(ctx.arg(1));
  } else {
    keyspace.SetExpiry(&entry, static_cast<uint64_t>(expire_at_ms));
    ctx.Notify(KeyEventKind::kGeneric, "expire", ctx.arg(1));
  }
  ctx.reply.Integer(1);
  return Status::Ok();
}

// Replies with the key's time of expiry, from now or since 1970.
Status ReplyExpiry(CommandContext& ctx, TimeUnit unit) {
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(const KeyEntry entry, keyspace.Find(ctx.arg(1)));
  ctx.CountLookup(entry.key, entry.exists());
  if (!entry.exists() || entry.expire_at_ms == kNoExpiry) {
    ctx.reply.Integer(entry.exists() ? kNeverExpires : kMissingKey);
    return Status::Ok();
  }
  int64_t time_ms = static_cast<int64_t>(entry.expire_at_ms);
  if (IsRelative(unit)) {
    time_ms -= keyspace.NowMillis();
  }
  // Rounded to the nearest second, without the overflow of adding half a second.
  ctx.reply.Integer(IsInSeconds(unit) ? time_ms / 1000 + (time_ms % 1000 >= 500 ? 1 : 0) : time_ms);
  return Status::Ok();
}

}  // namespace

// EXPIRE key seconds [NX | XX | GT | LT]
Status CmdExpire(CommandContext& ctx) {
  return ExpireKey(ctx, TimeUnit::kSeconds);
}

// EXPIREAT key unix-time-seconds [NX | XX | GT | LT]
Status CmdExpireAt(CommandContext& ctx) {
  return ExpireKey(ctx, TimeUnit::kUnixSeconds);
}

// EXPIRETIME key
Status CmdExpireTime(CommandContext& ctx) {
  return ReplyExpiry(ctx, TimeUnit::kUnixSeconds);
}

// PERSIST key
Status CmdPersist(CommandContext& ctx) {
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(KeyEntry entry, keyspace.Find(ctx.arg(1)));
  const bool expires = entry.exists() && entry.expire_at_ms != kNoExpiry;
  if (expires) {
    keyspace.SetExpiry(&entry, kNoExpiry);
    ctx.Notify(KeyEventKind::kGeneric, "persist", ctx.arg(1));
  }
  ctx.reply.Integer(expires ? 1 : 0);
  return Status::Ok();
}

// PEXPIRE key milliseconds [NX | XX | GT | LT]
Status CmdPExpire(CommandContext& ctx) {
  return ExpireKey(ctx, TimeUnit::kMillis);
}

// PEXPIREAT key unix-time-milliseconds [NX | XX | GT | LT]
Status CmdPExpireAt(CommandContext& ctx) {
  return ExpireKey(ctx, TimeUnit::kUnixMillis);
}

// PEXPIRETIME key
Status CmdPExpireTime(CommandContext& ctx) {
  return ReplyExpiry(ctx, TimeUnit::kUnixMillis);
}

// PTTL key
Status CmdPTtl(CommandContext& ctx) {
  return ReplyExpiry(ctx, TimeUnit::kMillis);
}

// TTL key
Status CmdTtl(CommandContext& ctx) {
  return ReplyExpiry(ctx, TimeUnit::kSeconds);
}

}  // namespace kvs
