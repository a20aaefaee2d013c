// XINFO: what is known of a stream, of its groups and of their consumers.

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

constexpr uint64_t kDefaultFullCount = 10;
// Entries of one of Redis's nodes, by which XINFO tells how large its structures are.
constexpr uint64_t kNodeEntries = 100;

// Returns a group that the stream has named.
Result<StreamGroup> FindNamed(Stream* stream, std::string_view name) {
  KVS_ASSIGN_OR_RETURN(std::optional<StreamGroup> group, StreamGroup::Find(stream, name));
  return group.has_value() ? Result<StreamGroup>(*std::move(group))
                           : Status::Corruption("a group of a stream has no record");
}

// One field of a map.
void Field(CommandContext& ctx, std::string_view name, int64_t value) {
  ctx.reply.Bulk(name);
  ctx.reply.Integer(value);
}

void Field(CommandContext& ctx, std::string_view name, std::string_view value) {
  ctx.reply.Bulk(name);
  ctx.reply.Bulk(value);
}

void Field(CommandContext& ctx, std::string_view name, std::optional<int64_t> value) {
  ctx.reply.Bulk(name);
  value.has_value() ? ctx.reply.Integer(*value) : ctx.reply.Null();
}

std::optional<int64_t> EntriesRead(const StreamGroup& group) {
  return group.entries_read() == kUnknownEntriesRead ? std::nullopt
                                                     : std::optional(group.entries_read());
}

// The pending entries of a group, or of one of its consumers, `limit` of them unless that is 0.
Status ReplyFullPending(CommandContext& ctx, const StreamGroup& group, uint64_t consumer,
                        uint64_t limit) {
  std::string entries;
  RespWriter writer(ctx.reply.protocol(), &entries);
  std::map<uint64_t, std::string> names;
  uint64_t count = 0;
  const auto visit = [&](StreamId id, const StreamPending& pending) -> Result<bool> {
    writer.Array(consumer == kNoConsumer ? 4 : 3);
    writer.Bulk(id.ToString());
    if (consumer == kNoConsumer) {
      KVS_ASSIGN_OR_RETURN(const std::string_view name,
                           NameOfConsumer(group, pending.consumer, &names));
      writer.Bulk(name);
    }
    writer.Integer(pending.delivered_ms);
    writer.Integer(static_cast<int64_t>(pending.deliveries));
    return ++count != limit;
  };
  KVS_RETURN_IF_ERROR(group.ForEachPending({}, consumer, visit));
  ctx.reply.Bulk("pending");
  ctx.reply.Array(count);
  ctx.reply.Raw(entries);
  return Status::Ok();
}

Status ReplyFullGroup(CommandContext& ctx, const StreamGroup& group, uint64_t limit) {
  ctx.reply.Map(7);
  Field(ctx, "name", group.name());
  Field(ctx, "last-delivered-id", group.last_id().ToString());
  Field(ctx, "entries-read", EntriesRead(group));
  Field(ctx, "lag", group.Lag());
  Field(ctx, "pel-count", static_cast<int64_t>(group.pending_count()));
  KVS_RETURN_IF_ERROR(ReplyFullPending(ctx, group, kNoConsumer, limit));
  KVS_ASSIGN_OR_RETURN(const std::vector<uint64_t> consumers, group.Consumers());
  ctx.reply.Bulk("consumers");
  ctx.reply.Array(consumers.size());
  for (const uint64_t number : consumers) {
    KVS_ASSIGN_OR_RETURN(const StreamConsumer consumer, group.GetConsumer(number));
    ctx.reply.Map(5);
    Field(ctx, "name", consumer.name);
    Field(ctx, "seen-time", consumer.seen_ms);
    Field(ctx, "active-time", consumer.active_ms);
    Field(ctx, "pel-count", static_cast<int64_t>(consumer.pending_count));
    KVS_RETURN_IF_ERROR(ReplyFullPending(ctx, group, number, limit));
  }
  return Status::Ok();
}

// The fields that XINFO STREAM has with FULL and without.
void ReplyInfoHead(CommandContext& ctx, const Stream& stream) {
  const auto number = [&ctx](std::string_view name, uint64_t value) {
    Field(ctx, name, static_cast<int64_t>(value));
  };
  const auto id = [&ctx](std::string_view name, StreamId value) {
    Field(ctx, name, value.ToString());
  };
  const StreamHeader& header = stream.header();
  const uint64_t nodes = (stream.count() + kNodeEntries - 1) / kNodeEntries;
  number("length", stream.count());
  number("radix-tree-keys", nodes);
  number("radix-tree-nodes", nodes + 1);
  id("last-generated-id", header.last_id);
  id("max-deleted-entry-id", header.max_deleted_id);
  number("entries-added", header.entries_added);
  id("recorded-first-entry-id", header.first_id);
}

Status ReplyInfoFull(CommandContext& ctx, Stream stream, uint64_t count) {
  ctx.reply.Map(9);
  ReplyInfoHead(ctx, stream);
  ctx.reply.Bulk("entries");
  KVS_RETURN_IF_ERROR(ReplyStreamEntries(stream, {}, /*backward=*/false, count, &ctx.reply));
  ctx.reply.Bulk("groups");
  KVS_ASSIGN_OR_RETURN(const std::vector<std::string> names, StreamGroups(&stream).Names());
  ctx.reply.Array(names.size());
  for (const std::string& name : names) {
    KVS_ASSIGN_OR_RETURN(const StreamGroup group, FindNamed(&stream, name));
    KVS_RETURN_IF_ERROR(ReplyFullGroup(ctx, group, count));
  }
  return Status::Ok();
}

Status ReplyInfoEntry(CommandContext& ctx, std::string_view name, const Stream& stream,
                      bool backward) {
  ctx.reply.Bulk(name);
  if (stream.count() == 0) {
    ctx.reply.Null();
    return Status::Ok();
  }
  Status status;
  KVS_RETURN_IF_ERROR(stream.ForEach({}, backward, [&](StreamId id, std::string_view value) {
    status = ReplyStreamEntry(id, value, &ctx.reply);
    return false;
  }));
  return status;
}

Status ReplyInfo(CommandContext& ctx, Stream stream) {
  ctx.reply.Map(10);
  ReplyInfoHead(ctx, stream);
  ctx.reply.Bulk("groups");
  KVS_ASSIGN_OR_RETURN(const uint64_t groups, StreamGroups(&stream).Count());
  ctx.reply.Integer(static_cast<int64_t>(groups));
  KVS_RETURN_IF_ERROR(ReplyInfoEntry(ctx, "first-entry", stream, /*backward=*/false));
  return ReplyInfoEntry(ctx, "last-entry", stream, /*backward=*/true);
}

}  // namespace

// XINFO CONSUMERS key group
Status CmdXInfoConsumers(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(Stream stream, OpenStream(ctx, ctx.arg(2)));
  if (!stream.exists()) {
    return Status::NotFound("no such key");
  }
  KVS_ASSIGN_OR_RETURN(const std::optional<StreamGroup> group,
                       StreamGroup::Find(&stream, ctx.arg(3)));
  if (!group.has_value()) {
    ReplyNoSuchGroup(ctx, ctx.arg(2), ctx.arg(3));
    return Status::Ok();
  }
  KVS_ASSIGN_OR_RETURN(const std::vector<uint64_t> consumers, group->Consumers());
  const int64_t now = ctx.txn->NowMillis();
  ctx.reply.Array(consumers.size());
  for (const uint64_t number : consumers) {
    KVS_ASSIGN_OR_RETURN(const StreamConsumer consumer, group->GetConsumer(number));
    ctx.reply.Map(4);
    Field(ctx, "name", consumer.name);
    Field(ctx, "pending", static_cast<int64_t>(consumer.pending_count));
    Field(ctx, "idle", MillisSince(consumer.seen_ms, now));
    Field(ctx, "inactive",
          consumer.active_ms == kNeverActive ? kNeverActive : MillisSince(consumer.active_ms, now));
  }
  return Status::Ok();
}

// XINFO GROUPS key
Status CmdXInfoGroups(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(Stream stream, OpenStream(ctx, ctx.arg(2)));
  if (!stream.exists()) {
    return Status::NotFound("no such key");
  }
  KVS_ASSIGN_OR_RETURN(const std::vector<std::string> names, StreamGroups(&stream).Names());
  ctx.reply.Array(names.size());
  for (const std::string& name : names) {
    KVS_ASSIGN_OR_RETURN(const StreamGroup group, FindNamed(&stream, name));
    ctx.reply.Map(6);
    Field(ctx, "name", name);
    Field(ctx, "consumers", static_cast<int64_t>(group.consumer_count()));
    Field(ctx, "pending", static_cast<int64_t>(group.pending_count()));
    Field(ctx, "last-delivered-id", group.last_id().ToString());
    Field(ctx, "entries-read", EntriesRead(group));
    Field(ctx, "lag", group.Lag());
  }
  return Status::Ok();
}

// XINFO STREAM key [FULL [COUNT count]]
Status CmdXInfoStream(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(Stream stream, OpenStream(ctx, ctx.arg(2)));
  if (!stream.exists()) {
    return Status::NotFound("no such key");
  }
  const std::span<const std::string_view> words = ctx.args.subspan(3);
  if (words.empty()) {
    return ReplyInfo(ctx, std::move(stream));
  }
  if ((words.size() != 1 && words.size() != 3) || !EqualsIgnoreCase(words[0], "FULL") ||
      (words.size() == 3 && !EqualsIgnoreCase(words[1], "COUNT"))) {
    return SubcommandSyntaxError(ctx, "XINFO");
  }
  int64_t count = kDefaultFullCount;
  if (words.size() == 3) {
    KVS_ASSIGN_OR_RETURN(count, ParseInteger(words[2]));
  }
  return ReplyInfoFull(ctx, std::move(stream),
                       count < 0 ? kDefaultFullCount : static_cast<uint64_t>(count));
}

}  // namespace kvs
