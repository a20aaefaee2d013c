#include "storage_node/command/list_reply.h"

namespace kvs {

Result<List> OpenList(CommandContext& ctx, std::string_view key) {
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(List list, List::OpenForRead(&keyspace, key));
  ctx.CountLookup(key, list.exists());
  return list;
}

Result<std::vector<std::string>> PopAndSave(CommandContext& ctx, List* list, std::string_view key,
                                            uint64_t count, ListEnd end) {
  std::vector<std::string> popped;
  if (count == 0) {
    return popped;
  }
  KVS_ASSIGN_OR_RETURN(popped, list->Pop(count, end));
  KVS_RETURN_IF_ERROR(list->Stage());
  list->Save();
  ctx.NotifyTaken(KeyEventKind::kList, end == ListEnd::kHead ? "lpop" : "rpop", key);
  return popped;
}

void ReplyElements(CommandContext& ctx, std::span<const std::string> elements) {
  ctx.reply.Array(elements.size());
  for (const std::string& element : elements) {
    ctx.reply.Bulk(element);
  }
}

}  // namespace kvs
