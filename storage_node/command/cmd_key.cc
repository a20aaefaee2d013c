// Commands on keys of any type.

#include <algorithm>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "storage_node/command/command_handlers.h"
#include "storage_node/types/keyspace.h"

namespace kvs {
namespace {

// EXISTS and TOUCH: a key that is named twice counts twice.
Status CountExisting(CommandContext& ctx) {
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  int64_t count = 0;
  for (const std::string_view key : ctx.args.subspan(1)) {
    KVS_ASSIGN_OR_RETURN(const KeyEntry entry, keyspace.Find(key));
    ctx.CountLookup(entry.key, entry.exists());
    count += entry.exists() ? 1 : 0;
  }
  ctx.reply.Integer(count);
  return Status::Ok();
}

// DEL and UNLINK.  All keys are looked up before the first is deleted, so an error leaves nothing
// half done.
Status DeleteKeys(CommandContext& ctx) {
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  std::vector<KeyEntry> found;
  std::unordered_set<std::string_view> seen;
  for (const std::string_view key : ctx.args.subspan(1)) {
    if (!seen.insert(key).second) {
      continue;
    }
    KVS_ASSIGN_OR_RETURN(KeyEntry entry, keyspace.Find(key));
    std::string().swap(entry.record);
    if (entry.stored) {
      found.push_back(std::move(entry));
    }
  }
  const auto count = std::count_if(found.begin(), found.end(),
                                   [](const KeyEntry& entry) { return entry.exists(); });
  for (KeyEntry& entry : found) {
    const bool existed = entry.exists();
    keyspace.Delete(&entry);
    if (existed) {
      ctx.Notify(KeyEventKind::kGeneric, "del", entry.key);
    }
  }
  ctx.reply.Integer(count);
  return Status::Ok();
}

}  // namespace

// DEL key [key ...]
Status CmdDel(CommandContext& ctx) {
  return DeleteKeys(ctx);
}

// EXISTS key [key ...]
Status CmdExists(CommandContext& ctx) {
  return CountExisting(ctx);
}

// TOUCH key [key ...]
Status CmdTouch(CommandContext& ctx) {
  return CountExisting(ctx);
}

// TYPE key
Status CmdType(CommandContext& ctx) {
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(const KeyEntry entry, keyspace.Find(ctx.arg(1)));
  ctx.CountLookup(entry.key, entry.exists());
  ctx.reply.Simple(entry.exists() ? TypeName(entry.type) : "none");
  return Status::Ok();
}

// UNLINK key [key ...]
Status CmdUnlink(CommandContext& ctx) {
  return DeleteKeys(ctx);  // A deletion is always short: what it leaves is swept later.
}

}  // namespace kvs
