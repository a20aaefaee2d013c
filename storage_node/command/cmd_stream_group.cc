// Commands on the groups of consumers of a stream, but for those that read or claim entries.

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/strings.h"
#include "storage_node/command/command_handlers.h"
#include "storage_node/command/stream_args.h"
#include "storage_node/types/stream_group.h"

namespace kvs {
namespace {

Status SyntaxError() {
  return Status::InvalidArgument("syntax error");
}

struct GroupOptions {
  bool make_stream = false;
  int64_t entries_read = kUnknownEntriesRead;
};

// The words of CREATE and SETID behind the id.
Result<GroupOptions> ParseGroupOptions(const CommandContext& ctx, bool creates) {
  GroupOptions options;
  for (size_t i = 5; i < ctx.argc(); ++i) {
    if (creates && EqualsIgnoreCase(ctx.arg(i), "MKSTREAM")) {
      options.make_stream = true;
    } else if (EqualsIgnoreCase(ctx.arg(i), "ENTRIESREAD") && i + 1 < ctx.argc()) {
      KVS_ASSIGN_OR_RETURN(options.entries_read, ParseInteger(ctx.arg(++i)));
      if (options.entries_read < 0 && options.entries_read != kUnknownEntriesRead) {
        return Status::InvalidArgument("value for ENTRIESREAD must be positive or -1");
      }
    } else {
      return SubcommandSyntaxError(ctx, "XGROUP");
    }
  }
  return options;
}

// A stream that has to be there.
Result<Stream> OpenForGroup(CommandContext& ctx, Keyspace* keyspace, bool make_stream = false) {
  KVS_ASSIGN_OR_RETURN(Stream stream, Stream::OpenForWrite(keyspace, ctx.arg(2), ctx.type_limits));
  if (!stream.exists() && !make_stream) {
    return Status::InvalidArgument(
        "The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use "
        "the MKSTREAM option to create an empty stream automatically.");
  }
  return stream;
}

// Returns where a group begins that is told `text`.
Result<StreamId> ParsePlace(std::string_view text, const Stream& stream) {
  return text == "$" ? Result<StreamId>(stream.header().last_id) : ParseStreamId(text, 0);
}

struct PendingRequest {
  int64_t min_idle_ms = 0;
  StreamRange range;
  uint64_t limit = 0;
  std::optional<std::string_view> consumer;
};

// The words of XPENDING behind the group.  Redis passes over those behind the consumer.
Result<PendingRequest> ParsePending(const CommandContext& ctx) {
  PendingRequest request;
  size_t start = 3;
  if (EqualsIgnoreCase(ctx.arg(3), "IDLE")) {
    KVS_ASSIGN_OR_RETURN(request.min_idle_ms, ParseInteger(ctx.arg(4)));
    if (ctx.argc() < 8) {
      return SyntaxError();
    }
    start += 2;
  }
  KVS_ASSIGN_OR_RETURN(const int64_t limit, ParseInteger(ctx.arg(start + 2)));
  request.limit = static_cast<uint64_t>(std::max<int64_t>(limit, 0));
  KVS_ASSIGN_OR_RETURN(request.range, ParseStreamRange(ctx.arg(start), ctx.arg(start + 1)));
  if (start + 3 < ctx.argc()) {
    request.consumer = ctx.arg(start + 3);
  }
  return request;
}

Status ReplyPendingSummary(CommandContext& ctx, const StreamGroup& group) {
  StreamId first;
  KVS_RETURN_IF_ERROR(group.ForEachPending(
      {}, kNoConsumer, [&first](StreamId id, const StreamPending&) -> Result<bool> {
        first = id;
        return false;
      }));
  KVS_ASSIGN_OR_RETURN(const StreamId last, group.LastPending());
  std::vector<StreamConsumer> busy;
  KVS_ASSIGN_OR_RETURN(const std::vector<uint64_t> consumers, group.Consumers());
  for (const uint64_t number : consumers) {
    KVS_ASSIGN_OR_RETURN(StreamConsumer consumer, group.GetConsumer(number));
    if (consumer.pending_count > 0) {
      busy.push_back(std::move(consumer));
    }
  }
  ctx.reply.Bulk(first.ToString());
  ctx.reply.Bulk(last.ToString());
  ctx.reply.Array(busy.size());
  for (const StreamConsumer& consumer : busy) {
    ctx.reply.Array(2);
    ctx.reply.Bulk(consumer.name);
    ctx.reply.Bulk(std::to_string(consumer.pending_count));
  }
  return Status::Ok();
}

Status ReplyPending(CommandContext& ctx, const StreamGroup& group, const PendingRequest& request) {
  uint64_t consumer = kNoConsumer;
  if (request.consumer.has_value()) {
    KVS_ASSIGN_OR_RETURN(consumer, group.FindConsumer(*request.consumer));
  }
  if (request.limit == 0 || (request.consumer.has_value() && consumer == kNoConsumer)) {
    ctx.reply.Array(0);
    return Status::Ok();
  }
  const int64_t now = ctx.txn->NowMillis();
  std::map<uint64_t, std::string> names;
  std::string entries;
  RespWriter writer(ctx.reply.protocol(), &entries);
  uint64_t count = 0;
  const auto visit = [&](StreamId id, const StreamPending& pending) -> Result<bool> {
    const int64_t idle = MillisSince(pending.delivered_ms, now);
    if (request.min_idle_ms != 0 && idle < request.min_idle_ms) {
      return true;
    }
    KVS_ASSIGN_OR_RETURN(const std::string_view name,
                         NameOfConsumer(group, pending.consumer, &names));
    writer.Array(4);
    writer.Bulk(id.ToString());
    writer.Bulk(name);
    writer.Integer(idle);
    writer.Integer(static_cast<int64_t>(pending.deliveries));
    return ++count != request.limit;
  };
  KVS_RETURN_IF_ERROR(group.ForEachPending(request.range, consumer, visit));
  ctx.reply.Array(count);
  ctx.reply.Raw(entries);
  return Status::Ok();
}

}  // namespace

// XACK key group id [id ...]
Status CmdXAck(CommandContext& ctx) {
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(Stream stream, OpenStreamForWrite(ctx, &keyspace, ctx.arg(1)));
  KVS_ASSIGN_OR_RETURN(std::optional<StreamGroup> group, StreamGroup::Find(&stream, ctx.arg(2)));
  if (!group.has_value()) {
    ctx.reply.Integer(0);
    return Status::Ok();
  }
  std::vector<StreamId> ids;
  for (const std::string_view text : ctx.args.subspan(3)) {
    KVS_ASSIGN_OR_RETURN(const StreamId id, ParseStreamId(text, 0));
    ids.push_back(id);
  }
  int64_t acknowledged = 0;
  for (const StreamId id : ids) {
    KVS_ASSIGN_OR_RETURN(const bool found, group->RemovePending(id));
    acknowledged += found ? 1 : 0;
  }
  if (acknowledged > 0) {
    group->Save();
  }
  ctx.reply.Integer(acknowledged);
  return Status::Ok();
}

// XGROUP CREATE key group <id | $> [MKSTREAM] [ENTRIESREAD entries-read]
Status CmdXGroupCreate(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const GroupOptions options, ParseGroupOptions(ctx, /*creates=*/true));
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(Stream stream, OpenForGroup(ctx, &keyspace, options.make_stream));
  if (ctx.argc() > 8) {
    return SubcommandSyntaxError(ctx, "XGROUP");
  }
  KVS_ASSIGN_OR_RETURN(const StreamId id, ParsePlace(ctx.arg(4), stream));
  KVS_ASSIGN_OR_RETURN(const std::optional<StreamGroup> other,
                       StreamGroup::Find(&stream, ctx.arg(3)));
  if (other.has_value()) {
    ctx.reply.Error("BUSYGROUP Consumer Group name already exists");
    return Status::Ok();
  }
  KVS_ASSIGN_OR_RETURN(StreamGroup group,
                       StreamGroup::Create(&stream, ctx.arg(3), id, options.entries_read));
  group.Save(stream.exists() ? Notice::kNone : Notice::kAll);
  ctx.Notify(KeyEventKind::kStream, "xgroup-create", ctx.arg(2));
  ctx.reply.Ok();
  return Status::Ok();
}

// XGROUP CREATECONSUMER key group consumer
Status CmdXGroupCreateConsumer(CommandContext& ctx) {
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(Stream stream, OpenForGroup(ctx, &keyspace));
  KVS_ASSIGN_OR_RETURN(std::optional<StreamGroup> group, StreamGroup::Find(&stream, ctx.arg(3)));
  if (!group.has_value()) {
    ReplyNoSuchGroup(ctx, ctx.arg(2), ctx.arg(3));
    return Status::Ok();
  }
  KVS_ASSIGN_OR_RETURN(const uint64_t consumer, group->FindConsumer(ctx.arg(4)));
  if (consumer == kNoConsumer) {
    group->AddConsumer(ctx.arg(4), ctx.txn->NowMillis());
    group->Save();
    ctx.Notify(KeyEventKind::kStream, "xgroup-createconsumer", ctx.arg(2));
  }
  ctx.reply.Integer(consumer == kNoConsumer ? 1 : 0);
  return Status::Ok();
}

// XGROUP DELCONSUMER key group consumer
Status CmdXGroupDelConsumer(CommandContext& ctx) {
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(Stream stream, OpenForGroup(ctx, &keyspace));
  KVS_ASSIGN_OR_RETURN(std::optional<StreamGroup> group, StreamGroup::Find(&stream, ctx.arg(3)));
  if (!group.has_value()) {
    ReplyNoSuchGroup(ctx, ctx.arg(2), ctx.arg(3));
    return Status::Ok();
  }
  KVS_ASSIGN_OR_RETURN(const uint64_t consumer, group->FindConsumer(ctx.arg(4)));
  uint64_t pending = 0;
  if (consumer != kNoConsumer) {
    KVS_ASSIGN_OR_RETURN(pending, group->RemoveConsumer(consumer));
    group->Save();
    ctx.Notify(KeyEventKind::kStream, "xgroup-delconsumer", ctx.arg(2));
  }
  ctx.reply.Integer(static_cast<int64_t>(pending));
  return Status::Ok();
}

// XGROUP DESTROY key group
Status CmdXGroupDestroy(CommandContext& ctx) {
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(Stream stream, OpenForGroup(ctx, &keyspace));
  KVS_ASSIGN_OR_RETURN(const bool found, StreamGroups(&stream).Destroy(ctx.arg(3)));
  if (found) {
    ctx.Notify(KeyEventKind::kStream, "xgroup-destroy", ctx.arg(2));
  }
  ctx.reply.Integer(found ? 1 : 0);
  return Status::Ok();
}

// XGROUP SETID key group <id | $> [ENTRIESREAD entries-read]
Status CmdXGroupSetId(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const GroupOptions options, ParseGroupOptions(ctx, /*creates=*/false));
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(Stream stream, OpenForGroup(ctx, &keyspace));
  KVS_ASSIGN_OR_RETURN(std::optional<StreamGroup> group, StreamGroup::Find(&stream, ctx.arg(3)));
  if (!group.has_value()) {
    ReplyNoSuchGroup(ctx, ctx.arg(2), ctx.arg(3));
    return Status::Ok();
  }
  if (ctx.argc() != 5 && ctx.argc() != 7) {
    return SubcommandSyntaxError(ctx, "XGROUP");
  }
  StreamId id;
  if (ctx.arg(4) == "+") {  // Here alone the ends of a range are ids as well.
    id = kMaxStreamId;
  } else if (ctx.arg(4) != "-") {
    KVS_ASSIGN_OR_RETURN(id, ParsePlace(ctx.arg(4), stream));
  }
  group->SetPlace(id, options.entries_read);
  group->Save();
  ctx.Notify(KeyEventKind::kStream, "xgroup-setid", ctx.arg(2));
  ctx.reply.Ok();
  return Status::Ok();
}

// XPENDING key group [[IDLE min-idle-time] start end count [consumer]]
Status CmdXPending(CommandContext& ctx) {
  if (ctx.argc() != 3 && (ctx.argc() < 6 || ctx.argc() > 9)) {
    return SyntaxError();
  }
  PendingRequest request;
  if (ctx.argc() > 3) {
    KVS_ASSIGN_OR_RETURN(request, ParsePending(ctx));
  }
  KVS_ASSIGN_OR_RETURN(Stream stream, OpenStream(ctx, ctx.arg(1)));
  KVS_ASSIGN_OR_RETURN(const std::optional<StreamGroup> group,
                       StreamGroup::Find(&stream, ctx.arg(2)));
  if (!group.has_value()) {
    ReplyNoGroup(ctx, ctx.arg(1), ctx.arg(2));
    return Status::Ok();
  }
  if (ctx.argc() > 3) {
    return ReplyPending(ctx, *group, request);
  }
  ctx.reply.Array(4);
  ctx.reply.Integer(static_cast<int64_t>(group->pending_count()));
  if (group->pending_count() > 0) {
    return ReplyPendingSummary(ctx, *group);
  }
  ctx.reply.Null();
  ctx.reply.Null();
  ctx.reply.NullArray();
  return Status::Ok();
}

}  // namespace kvs
