// Commands on one stream.

#include <algorithm>
#include <string>
#include <vector>

#include "common/base/strings.h"
#include "storage_node/command/command_handlers.h"
#include "storage_node/command/stream_args.h"
#include "storage_node/types/stream.h"

namespace kvs {
namespace {

// As in Redis.
constexpr size_t kMaxEntrySize = size_t{1} << 30;

Status SyntaxError() {
  return Status::InvalidArgument("syntax error");
}

// Returns the id that the stream's next entry gets.
Result<StreamId> MakeId(const NewStreamId& wanted, StreamId last, int64_t now_ms) {
  const auto too_small = [] {
    return Status::InvalidArgument(
        "The ID specified in XADD is equal or smaller than the target stream top item");
  };
  if (!wanted.ms.has_value()) {
    const auto now = static_cast<uint64_t>(now_ms);
    return now > last.ms ? StreamId{now, 0} : NextStreamId(last);
  }
  if (wanted.seq.has_value()) {
    const StreamId id = {*wanted.ms, *wanted.seq};
    return id > last ? Result<StreamId>(id) : too_small();
  }
  if (*wanted.ms != last.ms) {
    return *wanted.ms > last.ms ? Result<StreamId>(StreamId{*wanted.ms, 0}) : too_small();
  }
  return last.seq == UINT64_MAX ? Result<StreamId>(too_small())
                                : Result<StreamId>(StreamId{last.ms, last.seq + 1});
}

// XRANGE and XREVRANGE.
Status ReplyRange(CommandContext& ctx, const Result<StreamRange>& range, bool backward) {
  KVS_RETURN_IF_ERROR(range.status());
  std::optional<int64_t> count;
  for (size_t i = 4; i < ctx.argc(); i += 2) {
    if (!EqualsIgnoreCase(ctx.arg(i), "COUNT") || i + 1 == ctx.argc()) {
      return SyntaxError();
    }
    int64_t value = 0;
    if (!ParseInt64(ctx.arg(i + 1), &value)) {
      return Status::InvalidArgument("value is not an integer or out of range");
    }
    count = std::max<int64_t>(value, 0);
  }
  KVS_ASSIGN_OR_RETURN(const Stream stream, OpenStream(ctx, ctx.arg(1)));
  if (!stream.exists()) {
    ctx.reply.Array(0);
  } else if (count == 0) {
    ctx.reply.NullArray();
  } else {
    return ReplyStreamEntries(stream, *range, backward, static_cast<uint64_t>(count.value_or(0)),
                              &ctx.reply);
  }
  return Status::Ok();
}

struct SetIdRequest {
  StreamId id;
  std::optional<uint64_t> entries_added;
  std::optional<StreamId> max_deleted_id;
};

Result<SetIdRequest> ParseSetId(std::span<const std::string_view> args) {
  SetIdRequest request;
  KVS_ASSIGN_OR_RETURN(request.id, ParseStreamId(args[2], 0));
  for (size_t i = 3; i < args.size(); i += 2) {
    if (i + 1 == args.size()) {
      return SyntaxError();
    }
    if (EqualsIgnoreCase(args[i], "ENTRIESADDED")) {
      int64_t added = 0;
      if (!ParseInt64(args[i + 1], &added)) {
        return Status::InvalidArgument("value is not an integer or out of range");
      }
      if (added < 0) {
        return Status::InvalidArgument("entries_added must be positive");
      }
      request.entries_added = static_cast<uint64_t>(added);
    } else if (EqualsIgnoreCase(args[i], "MAXDELETEDID")) {
      KVS_ASSIGN_OR_RETURN(request.max_deleted_id, ParseStreamId(args[i + 1], 0));
      if (request.id < *request.max_deleted_id) {
        return Status::InvalidArgument(
            "The ID specified in XSETID is smaller than the provided max_deleted_entry_id");
      }
    } else {
      return SyntaxError();
    }
  }
  return request;
}

Status CheckSetId(const SetIdRequest& request, const Stream& stream) {
  if (request.id < stream.header().max_deleted_id) {
    return Status::InvalidArgument(
        "The ID specified in XSETID is smaller than current max_deleted_entry_id");
  }
  if (stream.count() == 0) {
    return Status::Ok();
  }
  KVS_ASSIGN_OR_RETURN(const StreamId last, stream.LastEntry());
  if (request.id < last) {
    return Status::InvalidArgument(
        "The ID specified in XSETID is smaller than the target stream top item");
  }
  if (request.entries_added.has_value() && *request.entries_added < stream.count()) {
    return Status::InvalidArgument(
        "The entries_added specified in XSETID is smaller than the target stream length");
  }
  return Status::Ok();
}

}  // namespace

// XADD key [NOMKSTREAM] [<MAXLEN | MINID> [= | ~] threshold [LIMIT count]] <* | id> field value ...
Status CmdXAdd(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const StreamAddArgs parsed,
                       ParseStreamAddArgs(ctx.args, StreamArgsOf::kAdd));
  if (ctx.argc() < parsed.first_field + 2 || (ctx.argc() - parsed.first_field) % 2 != 0) {
    return Status::InvalidArgument("wrong number of arguments for 'xadd' command");
  }
  if (parsed.id.ms == uint64_t{0} && parsed.id.seq == uint64_t{0}) {
    return Status::InvalidArgument("The ID specified in XADD must be greater than 0-0");
  }
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(Stream stream, Stream::OpenForWrite(&keyspace, ctx.arg(1), ctx.type_limits));
  if (!stream.exists() && parsed.no_make) {
    ctx.reply.Null();
    return Status::Ok();
  }
  if (stream.header().last_id == kMaxStreamId) {
    return Status::InvalidArgument(
        "The stream has exhausted the last possible ID, unable to add more items");
  }
  KVS_ASSIGN_OR_RETURN(const StreamId id,
                       MakeId(parsed.id, stream.header().last_id, ctx.txn->NowMillis()));
  const std::span<const std::string_view> words = ctx.args.subspan(parsed.first_field);
  std::string value = EncodeStreamEntry({words.begin(), words.end()});
  if (value.size() > kMaxEntrySize) {
    return Status::TooLarge("Elements are too large to be stored");
  }
  stream.Append(id, std::move(value));
  uint64_t trimmed = 0;
  if (parsed.trim.has_value()) {
    KVS_ASSIGN_OR_RETURN(trimmed, stream.Trim(*parsed.trim));
  }
  stream.Save();
  ctx.Notify(KeyEventKind::kStream, "xadd", ctx.arg(1));
  if (trimmed > 0) {
    ctx.Notify(KeyEventKind::kStream, "xtrim", ctx.arg(1));
  }
  ctx.reply.Bulk(id.ToString());
  return Status::Ok();
}

// XDEL key id [id ...]
Status CmdXDel(CommandContext& ctx) {
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(Stream stream, Stream::OpenForWrite(&keyspace, ctx.arg(1), ctx.type_limits));
  if (!stream.exists()) {
    ctx.reply.Integer(0);
    return Status::Ok();
  }
  std::vector<StreamId> ids;
  for (const std::string_view text : ctx.args.subspan(2)) {
    KVS_ASSIGN_OR_RETURN(const StreamId id, ParseStreamId(text, 0));
    ids.push_back(id);
  }
  KVS_ASSIGN_OR_RETURN(const uint64_t deleted, stream.Delete(ids));
  if (deleted > 0) {
    stream.Save();
    ctx.Notify(KeyEventKind::kStream, "xdel", ctx.arg(1));
  }
  ctx.reply.Integer(static_cast<int64_t>(deleted));
  return Status::Ok();
}

// XLEN key
Status CmdXLen(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const Stream stream, OpenStream(ctx, ctx.arg(1)));
  ctx.reply.Integer(static_cast<int64_t>(stream.count()));
  return Status::Ok();
}

// XRANGE key start end [COUNT count]
Status CmdXRange(CommandContext& ctx) {
  return ReplyRange(ctx, ParseStreamRange(ctx.arg(2), ctx.arg(3)), /*backward=*/false);
}

// XREVRANGE key end start [COUNT count]
Status CmdXRevRange(CommandContext& ctx) {
  return ReplyRange(ctx, ParseStreamRange(ctx.arg(3), ctx.arg(2)), /*backward=*/true);
}

// XSETID key last-id [ENTRIESADDED entries-added] [MAXDELETEDID max-deleted-id]
Status CmdXSetId(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const SetIdRequest request, ParseSetId(ctx.args));
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(Stream stream, Stream::OpenForWrite(&keyspace, ctx.arg(1), ctx.type_limits));
  if (!stream.exists()) {
    return Status::NotFound("no such key");
  }
  KVS_RETURN_IF_ERROR(CheckSetId(request, stream));
  stream.SetLastId(request.id);
  if (request.entries_added.has_value()) {
    stream.SetEntriesAdded(*request.entries_added);
  }
  if (request.max_deleted_id.has_value() && *request.max_deleted_id != StreamId()) {
    stream.SetMaxDeletedId(*request.max_deleted_id);
  }
  stream.Save();
  ctx.Notify(KeyEventKind::kStream, "xsetid", ctx.arg(1));
  ctx.reply.Ok();
  return Status::Ok();
}

// XTRIM key <MAXLEN | MINID> [= | ~] threshold [LIMIT count]
Status CmdXTrim(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const StreamAddArgs parsed,
                       ParseStreamAddArgs(ctx.args, StreamArgsOf::kTrim));
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(Stream stream, Stream::OpenForWrite(&keyspace, ctx.arg(1), ctx.type_limits));
  uint64_t removed = 0;
  if (stream.exists()) {
    KVS_ASSIGN_OR_RETURN(removed, stream.Trim(*parsed.trim));
  }
  if (removed > 0) {
    stream.Save();
    ctx.Notify(KeyEventKind::kStream, "xtrim", ctx.arg(1));
  }
  ctx.reply.Integer(static_cast<int64_t>(removed));
  return Status::Ok();
}

}  // namespace kvs
