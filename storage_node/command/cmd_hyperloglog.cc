// PFADD, PFCOUNT and PFMERGE: HyperLogLogs, which are strings.

#include <string>
#include <utility>

#include "common/hyperloglog/hyperloglog.h"
#include "storage_node/command/command_handlers.h"
#include "storage_node/types/keyspace.h"
#include "storage_node/types/string_reader.h"

namespace kvs {
namespace {

// No dense one is longer; a longer string can only be a sparse one, whose header says so.
constexpr size_t kLongestDense = size_t{16} << 10;

struct HyperLogLog {
  KeyEntry entry;
  std::string value;  // Empty if there is none.
};

// Finds a key that is a HyperLogLog, or nothing.
Result<HyperLogLog> FindHyperLogLog(CommandContext& ctx, Keyspace* keyspace, std::string_view key) {
  HyperLogLog found;
  KVS_ASSIGN_OR_RETURN(found.entry, keyspace->FindString(key));
  const KeyEntry& entry = found.entry;
  if (IdOf(ctx.spec) != CommandId::kPfAdd) {
    ctx.CountLookup(entry.key, entry.exists());
  }
  const StringReader string(keyspace, &entry);
  // The beginning tells, and most strings that are long are none.
  KVS_RETURN_IF_ERROR(string.Append(0, kLongestDense + 1, &found.value));
  const bool is_one = !entry.exists() || IsHyperLogLog(found.value);
  if (is_one && found.value.size() < string.size()) {
    KVS_RETURN_IF_ERROR(string.Append(found.value.size(), string.size(), &found.value));
  }
  if (!is_one) {
    return Status(Code::kWrongType, kNoHyperLogLog.substr(kNoHyperLogLog.find(' ') + 1));
  }
  return found;
}

// An error with a first word that no Code has.
Status ReplyDamaged(CommandContext& ctx) {
  ctx.reply.Error(kDamagedHyperLogLog);
  return Status::Ok();
}

// Takes what the key holds, or what a new one holds, to change it.
Result<std::string> ValueToChange(Keyspace* keyspace, HyperLogLog* found) {
  if (found->entry.exists()) {
    return std::move(found->value);
  }
  KVS_ASSIGN_OR_RETURN(found->entry, keyspace->FindForWrite(found->entry.key));
  return EmptyHyperLogLog();
}

}  // namespace

// PFADD key [element [element ...]]
Status CmdPfAdd(CommandContext& ctx) {
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(HyperLogLog found, FindHyperLogLog(ctx, &keyspace, ctx.arg(1)));
  KeyEntry& entry = found.entry;
  bool changed = !entry.exists();
  KVS_ASSIGN_OR_RETURN(std::string value, ValueToChange(&keyspace, &found));
  for (const std::string_view element : ctx.args.subspan(2)) {
    const HyperLogLogChange change =
        AddToHyperLogLog(element, ctx.type_limits.hll_sparse_max_bytes, &value);
    if (change == HyperLogLogChange::kDamaged) {
      return ReplyDamaged(ctx);
    }
    changed = changed || change == HyperLogLogChange::kChanged;
  }
  if (changed) {
    ForgetHyperLogLogCount(&value);
    keyspace.PutString(&entry, value, entry.exists() ? entry.expire_at_ms : kNoExpiry);
    ctx.Notify(KeyEventKind::kString, "pfadd", ctx.arg(1));
  }
  ctx.reply.Integer(changed ? 1 : 0);
  return Status::Ok();
}

// PFCOUNT key [key ...]
//
// What is counted is not written back, as Redis does: a read stays a read.
Status CmdPfCount(CommandContext& ctx) {
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  HyperLogLogRegisters registers;
  for (const std::string_view key : ctx.args.subspan(1)) {
    KVS_ASSIGN_OR_RETURN(const HyperLogLog found, FindHyperLogLog(ctx, &keyspace, key));
    if (!found.entry.exists()) {
      continue;
    }
    const std::optional<uint64_t> stored = StoredHyperLogLogCount(found.value);
    if (stored.has_value() && ctx.argc() == 2) {
      ctx.reply.Integer(static_cast<int64_t>(*stored));
      return Status::Ok();
    }
    if (ctx.argc() == 2) {
      const std::optional<uint64_t> count = CountHyperLogLog(found.value);
      if (!count.has_value()) {
        return ReplyDamaged(ctx);
      }
      ctx.reply.Integer(static_cast<int64_t>(*count));
      return Status::Ok();
    }
    if (!registers.Merge(found.value)) {
      return ReplyDamaged(ctx);
    }
  }
  ctx.reply.Integer(static_cast<int64_t>(registers.Count()));
  return Status::Ok();
}

// PFMERGE destkey [sourcekey [sourcekey ...]]
Status CmdPfMerge(CommandContext& ctx) {
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  HyperLogLogRegisters registers;
  bool dense = false;
  HyperLogLog target;
  for (size_t i = 1; i < ctx.argc(); ++i) {
    KVS_ASSIGN_OR_RETURN(HyperLogLog found, FindHyperLogLog(ctx, &keyspace, ctx.arg(i)));
    if (found.entry.exists()) {
      dense = dense || IsDenseHyperLogLog(found.value);
      if (!registers.Merge(found.value)) {
        return ReplyDamaged(ctx);
      }
    }
    if (i == 1) {
      target = std::move(found);
    }
  }
  KVS_ASSIGN_OR_RETURN(std::string value, ValueToChange(&keyspace, &target));
  if (!registers.StoreTo(dense, ctx.type_limits.hll_sparse_max_bytes, &value)) {
    return ReplyDamaged(ctx);
  }
  KeyEntry& entry = target.entry;
  keyspace.PutString(&entry, value, entry.exists() ? entry.expire_at_ms : kNoExpiry);
  ctx.Notify(KeyEventKind::kString, "pfadd", ctx.arg(1));
  ctx.reply.Ok();
  return Status::Ok();
}

}  // namespace kvs
