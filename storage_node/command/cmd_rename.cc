// RENAME, RENAMENX and COPY: what a key holds, under another name.
//
// The stripes of both keys are locked and all changes are in one batch, so nobody ever sees the
// value under both names of a rename, or under none.

#include "common/base/strings.h"
#include "storage_node/command/command_handlers.h"
#include "storage_node/types/keyspace.h"

namespace kvs {
namespace {

enum class IfTaken : uint8_t { kReplace, kRefuse };

// Returns false if the new name is taken and that is to be refused.
Result<bool> Rename(CommandContext& ctx, IfTaken if_taken) {
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(KeyEntry source, keyspace.Find(ctx.arg(1)));
  if (!source.exists()) {
    return Status::NotFound("no such key");
  }
  if (ctx.arg(1) == ctx.arg(2)) {
    return if_taken == IfTaken::kReplace;
  }
  KVS_ASSIGN_OR_RETURN(KeyEntry target, keyspace.FindForWrite(ctx.arg(2)));
  if (target.exists() && if_taken == IfTaken::kRefuse) {
    return false;
  }
  const bool replaced = target.exists();
  KVS_RETURN_IF_ERROR(keyspace.Rename(&source, &target));
  if (replaced) {
    ctx.Notify(KeyEventKind::kNew, "new", ctx.arg(2));
  }
  ctx.Notify(KeyEventKind::kGeneric, "rename_from", ctx.arg(1));
  ctx.Notify(KeyEventKind::kGeneric, "rename_to", ctx.arg(2));
  return true;
}

Status CheckDatabase(std::string_view text) {
  int64_t index = 0;
  if (!ParseInt64(text, &index)) {
    return Status::InvalidArgument("value is not an integer or out of range");
  }
  if (index < INT32_MIN || index > INT32_MAX) {
    return Status::InvalidArgument(
        "value is out of range, value must between -2147483648 and 2147483647");
  }
  return index == 0 ? Status::Ok() : Status::InvalidArgument("DB index is out of range");
}

Result<IfTaken> ParseCopyOptions(std::span<const std::string_view> args) {
  IfTaken if_taken = IfTaken::kRefuse;
  for (size_t i = 0; i < args.size(); ++i) {
    if (EqualsIgnoreCase(args[i], "REPLACE")) {
      if_taken = IfTaken::kReplace;
    } else if (EqualsIgnoreCase(args[i], "DB") && i + 1 < args.size()) {
      KVS_RETURN_IF_ERROR(CheckDatabase(args[++i]));
    } else {
      return Status::InvalidArgument("syntax error");
    }
  }
  return if_taken;
}

}  // namespace

// COPY source destination [DB destination-db] [REPLACE]
Status CmdCopy(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const IfTaken if_taken, ParseCopyOptions(ctx.args.subspan(3)));
  if (ctx.arg(1) == ctx.arg(2)) {
    return Status::InvalidArgument("source and destination objects are the same");
  }
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(const KeyEntry source, keyspace.Find(ctx.arg(1)));
  KVS_ASSIGN_OR_RETURN(KeyEntry target, keyspace.FindForWrite(ctx.arg(2)));
  ctx.CountLookup(source.key, source.exists());
  const bool copies = source.exists() && (!target.exists() || if_taken == IfTaken::kReplace);
  if (copies) {
    const bool replaced = target.exists();
    KVS_RETURN_IF_ERROR(keyspace.Copy(source, &target));
    if (replaced) {
      ctx.Notify(KeyEventKind::kNew, "new", ctx.arg(2));
    }
    ctx.Notify(KeyEventKind::kGeneric, "copy_to", ctx.arg(2));
  }
  ctx.reply.Integer(copies ? 1 : 0);
  return Status::Ok();
}

// RENAME key newkey
Status CmdRename(CommandContext& ctx) {
  KVS_RETURN_IF_ERROR(Rename(ctx, IfTaken::kReplace).status());
  ctx.reply.Ok();
  return Status::Ok();
}

// RENAMENX key newkey
Status CmdRenameNx(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const bool renamed, Rename(ctx, IfTaken::kRefuse));
  ctx.reply.Integer(renamed ? 1 : 0);
  return Status::Ok();
}

}  // namespace kvs
