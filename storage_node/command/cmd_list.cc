// Commands on one list.

#include <algorithm>
#include <string>
#include <vector>

#include "common/base/strings.h"
#include "storage_node/command/command_handlers.h"
#include "storage_node/command/list_reply.h"
#include "storage_node/types/list.h"

namespace kvs {
namespace {

Result<int64_t> ParseIndex(std::string_view text) {
  int64_t index = 0;
  if (!ParseInt64(text, &index)) {
    return Status::InvalidArgument("value is not an integer or out of range");
  }
  return index;
}

// An integer that may be negated.
Result<int64_t> ParseSigned(std::string_view text) {
  KVS_ASSIGN_OR_RETURN(const int64_t value, ParseIndex(text));
  if (value == INT64_MIN) {
    return Status::InvalidArgument(
        "value is out of range, value must between -9223372036854775807 and 9223372036854775807");
  }
  return value;
}

// Elements by index, from `first` on.
struct Part {
  uint64_t first = 0;
  uint64_t count = 0;
};

// Indexes below 0 count from the end; what is beyond the ends does not matter.
Part PartOf(int64_t start, int64_t stop, uint64_t count) {
  const auto size = static_cast<int64_t>(count);
  start = start < 0 ? std::max<int64_t>(start + size, 0) : start;
  stop = stop < 0 ? stop + size : std::min(stop, size - 1);
  if (start > stop || start >= size) {
    return {};
  }
  return {static_cast<uint64_t>(start), static_cast<uint64_t>(stop - start + 1)};
}

// Returns nothing if there is no such element.
std::optional<uint64_t> Resolve(int64_t index, uint64_t count) {
  const auto size = static_cast<int64_t>(count);
  index = index < 0 ? index + size : index;
  return index >= 0 && index < size ? std::optional(static_cast<uint64_t>(index)) : std::nullopt;
}

enum class IfMissing : uint8_t { kCreate, kLeave };

// LPUSH, LPUSHX, RPUSH and RPUSHX.
Status PushAndReply(CommandContext& ctx, ListEnd end, IfMissing if_missing) {
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(List list, List::OpenForWrite(&keyspace, ctx.arg(1), ctx.type_limits));
  if (!list.exists() && if_missing == IfMissing::kLeave) {
    ctx.reply.Integer(0);
    return Status::Ok();
  }
  list.Push(ctx.args.subspan(2), end);
  KVS_RETURN_IF_ERROR(list.Stage());
  list.Save();
  ctx.Notify(KeyEventKind::kList, end == ListEnd::kHead ? "lpush" : "rpush", ctx.arg(1));
  ctx.reply.Integer(static_cast<int64_t>(list.count()));
  return Status::Ok();
}

// LPOP and RPOP.
Status PopAndReply(CommandContext& ctx, ListEnd end) {
  if (ctx.argc() > 3) {
    return Status::InvalidArgument("wrong number of arguments for '" + std::string(ctx.spec.name) +
                                   "' command");
  }
  const bool has_count = ctx.argc() == 3;
  int64_t count = 1;
  if (has_count && (!ParseInt64(ctx.arg(2), &count) || count < 0)) {
    return Status::InvalidArgument("value is out of range, must be positive");
  }
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(List list, List::OpenForWrite(&keyspace, ctx.arg(1), ctx.type_limits));
  if (!list.exists()) {
    has_count ? ctx.reply.NullArray() : ctx.reply.Null();
    return Status::Ok();
  }
  KVS_ASSIGN_OR_RETURN(const std::vector<std::string> popped,
                       PopAndSave(ctx, &list, ctx.arg(1), static_cast<uint64_t>(count), end));
  if (has_count) {
    ReplyElements(ctx, popped);
  } else {
    ctx.reply.Bulk(popped.front());
  }
  return Status::Ok();
}

struct PositionSearch {
  int64_t rank = 1;
  std::optional<uint64_t> count;
  uint64_t max_comparisons = 0;  // 0: any number.
};

Result<uint64_t> ParseNotNegative(std::string_view text, const char* message) {
  int64_t value = 0;
  if (!ParseInt64(text, &value) || value < 0) {
    return Status::InvalidArgument(message);
  }
  return static_cast<uint64_t>(value);
}

Result<PositionSearch> ParsePositionSearch(std::span<const std::string_view> words) {
  PositionSearch search;
  for (size_t i = 0; i < words.size(); i += 2) {
    if (i + 1 == words.size()) {
      return Status::InvalidArgument("syntax error");
    }
    const std::string_view value = words[i + 1];
    if (EqualsIgnoreCase(words[i], "RANK")) {
      KVS_ASSIGN_OR_RETURN(search.rank, ParseSigned(value));
      if (search.rank == 0) {
        return Status::InvalidArgument(
            "RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use "
            "negative to start from the end of the list");
      }
    } else if (EqualsIgnoreCase(words[i], "COUNT")) {
      KVS_ASSIGN_OR_RETURN(search.count, ParseNotNegative(value, "COUNT can't be negative"));
    } else if (EqualsIgnoreCase(words[i], "MAXLEN")) {
      KVS_ASSIGN_OR_RETURN(search.max_comparisons,
                           ParseNotNegative(value, "MAXLEN can't be negative"));
    } else {
      return Status::InvalidArgument("syntax error");
    }
  }
  return search;
}

Result<std::vector<uint64_t>> FindPositions(const List& list, std::string_view element,
                                            const PositionSearch& search) {
  std::vector<uint64_t> found;
  if (list.count() == 0) {
    return found;
  }
  const bool backward = search.rank < 0;
  const uint64_t wanted = search.count.value_or(1);
  uint64_t to_skip = static_cast<uint64_t>(backward ? -search.rank : search.rank) - 1;
  uint64_t index = backward ? list.count() - 1 : 0;
  uint64_t compared = 0;
  KVS_RETURN_IF_ERROR(list.ForEach(index, backward, [&](std::string_view, std::string_view value) {
    if (value == element && to_skip > 0) {
      --to_skip;
    } else if (value == element) {
      found.push_back(index);
      if (found.size() == wanted) {  // 0: all of them.
        return false;
      }
    }
    index += backward ? uint64_t{0} - 1 : 1;
    return ++compared != search.max_comparisons;
  }));
  return found;
}

}  // namespace

// LINDEX key index
Status CmdLIndex(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const List list, OpenList(ctx, ctx.arg(1)));
  if (!list.exists()) {
    ctx.reply.Null();
    return Status::Ok();
  }
  KVS_ASSIGN_OR_RETURN(const int64_t number, ParseIndex(ctx.arg(2)));
  const std::optional<uint64_t> index = Resolve(number, list.count());
  if (!index.has_value()) {
    ctx.reply.Null();
    return Status::Ok();
  }
  KVS_ASSIGN_OR_RETURN(const std::string element, list.At(*index));
  ctx.reply.Bulk(element);
  return Status::Ok();
}

// LINSERT key <BEFORE | AFTER> pivot element
Status CmdLInsert(CommandContext& ctx) {
  const bool before = EqualsIgnoreCase(ctx.arg(2), "BEFORE");
  if (!before && !EqualsIgnoreCase(ctx.arg(2), "AFTER")) {
    return Status::InvalidArgument("syntax error");
  }
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(List list, List::OpenForWrite(&keyspace, ctx.arg(1), ctx.type_limits));
  if (!list.exists()) {
    ctx.reply.Integer(0);
    return Status::Ok();
  }
  KVS_ASSIGN_OR_RETURN(const bool inserted, list.Insert(ctx.arg(3), before, ctx.arg(4)));
  if (!inserted) {
    ctx.reply.Integer(-1);
    return Status::Ok();
  }
  KVS_RETURN_IF_ERROR(list.Stage());
  list.Save();
  ctx.Notify(KeyEventKind::kList, "linsert", ctx.arg(1));
  ctx.reply.Integer(static_cast<int64_t>(list.count()));
  return Status::Ok();
}

// LLEN key
Status CmdLLen(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const List list, OpenList(ctx, ctx.arg(1)));
  ctx.reply.Integer(static_cast<int64_t>(list.count()));
  return Status::Ok();
}

// LPOP key [count]
Status CmdLPop(CommandContext& ctx) {
  return PopAndReply(ctx, ListEnd::kHead);
}

// LPOS key element [RANK rank] [COUNT num-matches] [MAXLEN len]
Status CmdLPos(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const PositionSearch search, ParsePositionSearch(ctx.args.subspan(3)));
  KVS_ASSIGN_OR_RETURN(const List list, OpenList(ctx, ctx.arg(1)));
  KVS_ASSIGN_OR_RETURN(const std::vector<uint64_t> found, FindPositions(list, ctx.arg(2), search));
  if (search.count.has_value()) {
    ctx.reply.Array(found.size());
    for (const uint64_t index : found) {
      ctx.reply.Integer(static_cast<int64_t>(index));
    }
  } else if (found.empty()) {
    ctx.reply.Null();
  } else {
    ctx.reply.Integer(static_cast<int64_t>(found.front()));
  }
  return Status::Ok();
}

// LPUSH key element [element ...]
Status CmdLPush(CommandContext& ctx) {
  return PushAndReply(ctx, ListEnd::kHead, IfMissing::kCreate);
}

// LPUSHX key element [element ...]
Status CmdLPushX(CommandContext& ctx) {
  return PushAndReply(ctx, ListEnd::kHead, IfMissing::kLeave);
}

// LRANGE key start stop
Status CmdLRange(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const int64_t start, ParseIndex(ctx.arg(2)));
  KVS_ASSIGN_OR_RETURN(const int64_t stop, ParseIndex(ctx.arg(3)));
  KVS_ASSIGN_OR_RETURN(const List list, OpenList(ctx, ctx.arg(1)));
  const Part part = PartOf(start, stop, list.count());
  ctx.reply.Array(part.count);
  uint64_t left = part.count;
  if (left == 0) {
    return Status::Ok();
  }
  return list.ForEach(part.first, /*backward=*/false,
                      [&](std::string_view, std::string_view element) {
                        ctx.reply.Bulk(element);
                        return --left > 0;
                      });
}

// LREM key count element
Status CmdLRem(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const int64_t count, ParseSigned(ctx.arg(2)));
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(List list, List::OpenForWrite(&keyspace, ctx.arg(1), ctx.type_limits));
  uint64_t removed = 0;
  if (list.exists()) {
    const uint64_t limit = count == 0 ? UINT64_MAX : static_cast<uint64_t>(std::abs(count));
    KVS_ASSIGN_OR_RETURN(removed, list.Remove(ctx.arg(3), limit, count < 0));
  }
  if (removed > 0) {
    KVS_RETURN_IF_ERROR(list.Stage());
    list.Save();
    ctx.NotifyTaken(KeyEventKind::kList, "lrem", ctx.arg(1));
  }
  ctx.reply.Integer(static_cast<int64_t>(removed));
  return Status::Ok();
}

// LSET key index element
Status CmdLSet(CommandContext& ctx) {
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(List list, List::OpenForWrite(&keyspace, ctx.arg(1), ctx.type_limits));
  if (!list.exists()) {
    return Status::NotFound("no such key");
  }
  KVS_ASSIGN_OR_RETURN(const int64_t number, ParseIndex(ctx.arg(2)));
  const std::optional<uint64_t> index = Resolve(number, list.count());
  if (!index.has_value()) {
    return Status::InvalidArgument("index out of range");
  }
  KVS_RETURN_IF_ERROR(list.Set(*index, ctx.arg(3)));
  KVS_RETURN_IF_ERROR(list.Stage());
  list.Save();
  ctx.Notify(KeyEventKind::kList, "lset", ctx.arg(1));
  ctx.reply.Ok();
  return Status::Ok();
}

// LTRIM key start stop
Status CmdLTrim(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const int64_t start, ParseIndex(ctx.arg(2)));
  KVS_ASSIGN_OR_RETURN(const int64_t stop, ParseIndex(ctx.arg(3)));
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(List list, List::OpenForWrite(&keyspace, ctx.arg(1), ctx.type_limits));
  const Part part = PartOf(start, stop, list.count());
  const bool existed = list.exists();
  if (existed && part.count < list.count()) {
    KVS_RETURN_IF_ERROR(list.Trim(part.first, part.count));
    KVS_RETURN_IF_ERROR(list.Stage());
    list.Save();
  }
  if (existed) {
    ctx.NotifyTaken(KeyEventKind::kList, "ltrim", ctx.arg(1));
  }
  ctx.reply.Ok();
  return Status::Ok();
}

// RPOP key [count]
Status CmdRPop(CommandContext& ctx) {
  return PopAndReply(ctx, ListEnd::kTail);
}

// RPUSH key element [element ...]
Status CmdRPush(CommandContext& ctx) {
  return PushAndReply(ctx, ListEnd::kTail, IfMissing::kCreate);
}

// RPUSHX key element [element ...]
Status CmdRPushX(CommandContext& ctx) {
  return PushAndReply(ctx, ListEnd::kTail, IfMissing::kLeave);
}

}  // namespace kvs
