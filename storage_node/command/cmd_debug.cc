// DEBUG: what tests need and nobody else.  Off unless the option enable-debug-command says
// otherwise.

#include <fmt/format.h>

#include "common/base/strings.h"
#include "common/base/thread.h"
#include "storage_node/command/command_handlers.h"
#include "storage_node/types/keyspace.h"
#include "storage_node/types/string_reader.h"
#include "storage_node/types/sweeper_thread.h"

namespace kvs {
namespace {

// A node that sleeps does not stop either, so an end must be in sight.
constexpr double kMaxSleepSeconds = 3600;

// DEBUG OBJECT key.  The words are Redis's, because tests pick them apart; what has no meaning here
// is zero.
Status DebugObject(CommandContext& ctx) {
  const std::string_view key = ctx.arg(2);
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(const KeyEntry entry, keyspace.FindTyped(key, DataType::kString));
  ctx.txn->Observe(key);
  if (!entry.exists() || !ctx.owned_slots->test(entry.slot)) {
    return Status::NotFound("no such key");
  }
  ctx.reply.Simple(fmt::format(
      "Value at:0x0 refcount:1 encoding:{} serializedlength:{} lru:0 "
      "lru_seconds_idle:0",
      StringEncoding(entry), entry.record.size() + (entry.is_chunked() ? entry.count : 0)));
  return Status::Ok();
}

// DEBUG SLEEP seconds.  The loop of this connection sleeps, the others go on.
Status DebugSleep(CommandContext& ctx) {
  double seconds = 0;
  if (!ParseDouble(ctx.arg(2), &seconds)) {
    return Status::InvalidArgument("value is not a valid float");
  }
  if (seconds < 0 || seconds > kMaxSleepSeconds) {
    return Status::InvalidArgument("value is out of range, must be between 0 and 3600");
  }
  KVS_RETURN_IF_ERROR(ctx.txn->Commit());  // Nobody else is to wait for the turn's locks.
  SleepMicros(static_cast<int64_t>(seconds * 1e6));
  ctx.reply.Ok();
  return Status::Ok();
}

// DEBUG SET-ACTIVE-EXPIRE 0|1
Status DebugSetActiveExpire(CommandContext& ctx) {
  int64_t active = 0;
  if (!ParseInt64(ctx.arg(2), &active)) {
    return Status::InvalidArgument("value is not an integer or out of range");
  }
  ctx.sweeper->SetActiveExpire(active != 0);
  ctx.reply.Ok();
  return Status::Ok();
}

void ReplyHelp(CommandContext& ctx) {
  static constexpr std::string_view kLines[] = {
      "DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
      "HELP",
      "    Prints this help.",
      "OBJECT <key>",
      "    Returns how a key is stored.",
      "SET-ACTIVE-EXPIRE <0|1>",
      "    Stops or starts the deletion of expired keys that nobody asks for.",
      "SLEEP <seconds>",
      "    Stops the loop that serves this connection for a time.",
  };
  ctx.reply.Array(std::size(kLines));
  for (const std::string_view line : kLines) {
    ctx.reply.Simple(line);
  }
}

}  // namespace

// DEBUG subcommand [arg [arg ...]]
Status CmdDebug(CommandContext& ctx) {
  if (!ctx.debug_allowed) {
    return Status::InvalidArgument(std::string(kDebugRefusal));
  }
  const std::string_view subcommand = ctx.arg(1);
  if (EqualsIgnoreCase(subcommand, "HELP") && ctx.argc() == 2) {
    ReplyHelp(ctx);
    return Status::Ok();
  }
  if (EqualsIgnoreCase(subcommand, "OBJECT") && ctx.argc() == 3) {
    return DebugObject(ctx);
  }
  if (EqualsIgnoreCase(subcommand, "SET-ACTIVE-EXPIRE") && ctx.argc() == 3) {
    return DebugSetActiveExpire(ctx);
  }
  if (EqualsIgnoreCase(subcommand, "SLEEP") && ctx.argc() == 3) {
    return DebugSleep(ctx);
  }
  return Status::InvalidArgument(
      fmt::format("unknown subcommand or wrong number of arguments for '{}'. Try DEBUG HELP.",
                  subcommand.substr(0, 128)));
}

}  // namespace kvs
