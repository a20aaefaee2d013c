// Commands about slaves, of which there are none, and about what is on the disk.

#include <string>

#include "common/base/strings.h"
#include "storage_node/command/command_handlers.h"

namespace kvs {
namespace {

Result<int64_t> ParseTimeout(std::string_view text, int64_t now_ms) {
  int64_t timeout_ms = 0;
  if (!ParseInt64(text, &timeout_ms)) {
    return Status::InvalidArgument("timeout is not an integer or out of range");
  }
  if (timeout_ms < 0) {
    return Status::InvalidArgument("timeout is negative");
  }
  if (timeout_ms > INT64_MAX - now_ms) {
    return Status::InvalidArgument("timeout is out of range");
  }
  return timeout_ms;
}

// Brings the turn so far, and what others have written before, to the disk.  The loop waits for the
// disk here, as for an engine: these commands are rare, and whoever sends them waits for just that.
Status SyncLog(CommandContext& ctx) {
  KVS_RETURN_IF_ERROR(ctx.txn->Commit());
  Store* const store = ctx.txn->store();
  KVS_RETURN_IF_ERROR(store->WriteHealth());
  return store->binlog().EnsureSynced(store->pipeline().appended_lsn());
}

}  // namespace

// SAVE
Status CmdSave(CommandContext& ctx) {
  KVS_RETURN_IF_ERROR(SyncLog(ctx));
  ctx.reply.Ok();
  return Status::Ok();
}

// WAIT numreplicas timeout
Status CmdWait(CommandContext& ctx) {
  int64_t wanted = 0;
  if (!ParseInt64(ctx.arg(1), &wanted)) {
    return Status::InvalidArgument("value is not an integer or out of range");
  }
  KVS_ASSIGN_OR_RETURN(const int64_t timeout_ms, ParseTimeout(ctx.arg(2), ctx.txn->NowMillis()));
  ctx.reply.Integer(0);
  if (wanted > 0) {
    ctx.wait = WaitWish{.timeout_ms = timeout_ms};
  }
  return Status::Ok();
}

// WAITAOF numlocal numreplicas timeout
Status CmdWaitAof(CommandContext& ctx) {
  int64_t local = 0;
  int64_t wanted = 0;
  if (!ParseInt64(ctx.arg(1), &local)) {
    return Status::InvalidArgument("value is not an integer or out of range");
  }
  if (local < 0 || local > 1) {
    return Status::InvalidArgument("value is out of range, value must between 0 and 1");
  }
  if (!ParseInt64(ctx.arg(2), &wanted) || wanted < 0) {
    return Status::InvalidArgument("value is out of range, must be positive");
  }
  KVS_ASSIGN_OR_RETURN(const int64_t timeout_ms, ParseTimeout(ctx.arg(3), ctx.txn->NowMillis()));
  // Whether or not the client asks for it: the answer says that it is so.
  KVS_RETURN_IF_ERROR(SyncLog(ctx));
  ctx.reply.Array(2);
  ctx.reply.Integer(1);
  ctx.reply.Integer(0);
  if (wanted > 0) {
    ctx.wait = WaitWish{.timeout_ms = timeout_ms};
  }
  return Status::Ok();
}

}  // namespace kvs
