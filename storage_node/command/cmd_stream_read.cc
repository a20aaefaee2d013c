// XREAD and XREADGROUP: what several streams have behind given ids, or what a group has still to
// deliver, perhaps after waiting for it.

#include <algorithm>
#include <list>
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

struct ReadRequest {
  std::span<const std::string_view> keys;
  std::span<const std::string_view> ids;
  uint64_t limit = 0;  // Of entries of each stream; 0: none.
  std::optional<int64_t> block_ms;
  std::optional<std::string_view> group;  // This, and what follows, of XREADGROUP.
  std::string_view consumer;
  bool no_ack = false;
};

enum class ReadOf : uint8_t { kStream, kGroup };

Result<int64_t> ParseBlock(std::string_view text) {
  int64_t block_ms = 0;
  if (!ParseInt64(text, &block_ms)) {
    return Status::InvalidArgument("timeout is not an integer or out of range");
  }
  if (block_ms < 0) {
    return Status::InvalidArgument("timeout is negative");
  }
  return block_ms;
}

Result<uint64_t> ParseLimit(std::string_view text) {
  int64_t limit = 0;
  if (!ParseInt64(text, &limit)) {
    return Status::InvalidArgument("value is not an integer or out of range");
  }
  return static_cast<uint64_t>(std::max<int64_t>(limit, 0));
}

Status OnlyOfGroups(std::string_view option) {
  return Status::InvalidArgument("The " + std::string(option) +
                                 " option is only supported by XREADGROUP. You called XREAD "
                                 "instead.");
}

Result<ReadRequest> ParseRead(std::span<const std::string_view> args, ReadOf of) {
  ReadRequest request;
  for (size_t i = 1; i < args.size(); i += ReadOptionSize(args[i])) {
    const size_t more = args.size() - i - 1;
    if (EqualsIgnoreCase(args[i], "BLOCK") && more > 0) {
      KVS_ASSIGN_OR_RETURN(request.block_ms, ParseBlock(args[i + 1]));
    } else if (EqualsIgnoreCase(args[i], "COUNT") && more > 0) {
      KVS_ASSIGN_OR_RETURN(request.limit, ParseLimit(args[i + 1]));
    } else if (EqualsIgnoreCase(args[i], "STREAMS") && more > 0) {
      const std::span<const std::string_view> rest = args.subspan(i + 1);
      if (rest.size() % 2 != 0) {
        return Status::InvalidArgument(
            "Unbalanced XREAD list of streams: for each stream key an ID or '$' must be "
            "specified.");
      }
      if (of == ReadOf::kGroup && !request.group.has_value()) {
        return Status::InvalidArgument("Missing GROUP option for XREADGROUP");
      }
      request.keys = rest.first(rest.size() / 2);
      request.ids = rest.subspan(rest.size() / 2);
      return request;
    } else if (EqualsIgnoreCase(args[i], "GROUP") && more > 1) {
      if (of == ReadOf::kStream) {
        return OnlyOfGroups("GROUP");
      }
      request.group = args[i + 1];
      request.consumer = args[i + 2];
    } else if (EqualsIgnoreCase(args[i], "NOACK")) {
      if (of == ReadOf::kStream) {
        return OnlyOfGroups("NOACK");
      }
      request.no_ack = true;
    } else {
      break;
    }
  }
  return Status::InvalidArgument("syntax error");
}

// Returns the id behind which the stream is read.
Result<StreamId> ReadBehind(std::string_view text, const Stream& stream) {
  if (text == "$") {
    return stream.header().last_id;
  }
  if (text == ">") {
    return Status::InvalidArgument(
        "The > ID can be specified only when calling XREADGROUP using the GROUP <group> "
        "<consumer> option.");
  }
  return ParseStreamId(text, 0);
}

// The request again, with what $ has meant, as nobody else knows it later.
std::vector<std::string> Resolved(std::span<const std::string_view> args,
                                  const std::vector<StreamId>& ids) {
  std::vector<std::string> words(args.begin(), args.end());
  for (size_t i = 0; i < ids.size(); ++i) {
    words[words.size() - ids.size() + i] = ids[i].ToString();
  }
  return words;
}

// A stream that XREADGROUP reads, and its group.  A key may be named twice.
struct GroupSource {
  std::string_view key;
  Stream stream;
  std::optional<StreamGroup> group = {};
  uint64_t consumer = kNoConsumer;
};

// Opens the source of a key, or finds it among those that are open.
Result<GroupSource*> OpenSource(CommandContext& ctx, Keyspace* keyspace, std::string_view key,
                                std::string_view group, std::list<GroupSource>* sources) {
  for (GroupSource& source : *sources) {
    if (source.key == key) {
      return &source;
    }
  }
  KVS_ASSIGN_OR_RETURN(Stream stream, OpenStreamForWrite(ctx, keyspace, key));
  sources->push_back({.key = key, .stream = std::move(stream)});
  GroupSource* const source = &sources->back();
  KVS_ASSIGN_OR_RETURN(source->group, StreamGroup::Find(&source->stream, group));
  return source;
}

// Returns the id behind which the consumer's pending entries are read; the last one there is for
// those that the group has not delivered.
Result<StreamId> ParseGroupPlace(std::string_view text) {
  if (text == "$") {
    return Status::InvalidArgument(
        "The $ ID is meaningless in the context of XREADGROUP: you want to read the history of "
        "this consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID "
        "would just return an empty result set.");
  }
  return text == ">" ? Result<StreamId>(kMaxStreamId) : ParseStreamId(text, 0);
}

// Writes what the consumer has pending behind an id, which counts as delivered once more.
Status ReadPending(GroupSource* source, StreamId behind, uint64_t limit, int64_t now_ms,
                   RespWriter* reply) {
  std::string entries;
  RespWriter writer(reply->protocol(), &entries);
  uint64_t count = 0;
  const auto visit = [&](StreamId id, StreamPending pending) -> Result<bool> {
    std::string value;
    KVS_ASSIGN_OR_RETURN(const bool exists, source->stream.FindEntry(id, &value));
    if (exists) {
      KVS_RETURN_IF_ERROR(ReplyStreamEntry(id, value, &writer));
      pending.delivered_ms = now_ms;
      ++pending.deliveries;
      KVS_RETURN_IF_ERROR(source->group->SetPending(id, pending));
    } else {
      writer.Array(2);
      writer.Bulk(id.ToString());
      writer.NullArray();
    }
    return ++count != limit;
  };
  KVS_RETURN_IF_ERROR(
      source->group->ForEachPending({.first = NextStreamId(behind)}, source->consumer, visit));
  reply->Array(count);
  reply->Raw(entries);
  return Status::Ok();
}

// Writes what the group has not delivered yet, which the consumer has pending then.
Status ReadNew(GroupSource* source, const ReadRequest& request, int64_t now_ms, RespWriter* reply) {
  StreamGroup* const group = &*source->group;
  std::string entries;
  RespWriter writer(reply->protocol(), &entries);
  uint64_t count = 0;
  Status status;
  const StreamRange range = {.first = NextStreamId(group->last_id())};
  KVS_RETURN_IF_ERROR(
      source->stream.ForEach(range, /*backward=*/false, [&](StreamId id, std::string_view value) {
        status = ReplyStreamEntry(id, value, &writer);
        group->Advance(id);
        if (status.ok() && !request.no_ack) {
          status = group->SetPending(
              id, {.consumer = source->consumer, .delivered_ms = now_ms, .deliveries = 1});
        }
        return status.ok() && ++count != request.limit;
      }));
  KVS_RETURN_IF_ERROR(status);
  if (count > 0 && !request.no_ack) {
    KVS_RETURN_IF_ERROR(group->SetActive(source->consumer, now_ms));
  }
  reply->Array(count);
  reply->Raw(entries);
  return Status::Ok();
}

// Whether the group has something still to deliver.
Result<bool> HasNew(const GroupSource& source) {
  if (source.stream.count() == 0 || source.stream.header().last_id <= source.group->last_id()) {
    return false;
  }
  KVS_ASSIGN_OR_RETURN(const StreamId last, source.stream.LastEntry());
  return last > source.group->last_id();
}

}  // namespace

// XREAD [COUNT count] [BLOCK milliseconds] STREAMS key [key ...] id [id ...]
Status CmdXRead(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const ReadRequest request, ParseRead(ctx.args, ReadOf::kStream));
  std::vector<Stream> streams;
  std::vector<StreamId> ids;
  for (size_t i = 0; i < request.keys.size(); ++i) {
    KVS_ASSIGN_OR_RETURN(Stream stream, OpenStream(ctx, request.keys[i]));
    KVS_ASSIGN_OR_RETURN(const StreamId id, ReadBehind(request.ids[i], stream));
    streams.push_back(std::move(stream));
    ids.push_back(id);
  }
  std::string body;
  RespWriter writer(ctx.reply.protocol(), &body);
  size_t found = 0;
  for (size_t i = 0; i < streams.size(); ++i) {
    if (streams[i].count() == 0 || ids[i] >= streams[i].header().last_id) {
      continue;
    }
    std::string entries;
    RespWriter entry_writer(ctx.reply.protocol(), &entries);
    KVS_RETURN_IF_ERROR(ReplyStreamEntries(streams[i], {.first = NextStreamId(ids[i])},
                                           /*backward=*/false, request.limit, &entry_writer));
    if (entries.starts_with("*0\r\n")) {
      continue;  // What was behind the id has been deleted.
    }
    ++found;
    if (ctx.reply.protocol() == 2) {
      writer.Array(2);
    }
    writer.Bulk(request.keys[i]);
    writer.Raw(entries);
  }
  if (found == 0) {
    ctx.reply.NullArray();
    if (request.block_ms.has_value()) {
      ctx.wait = WaitWish{.timeout_ms = *request.block_ms,
                          .type = DataType::kStream,
                          .args = Resolved(ctx.args, ids)};
    }
    return Status::Ok();
  }
  ctx.reply.protocol() == 2 ? ctx.reply.Array(found) : ctx.reply.Map(found);
  ctx.reply.Raw(body);
  return Status::Ok();
}

// XREADGROUP GROUP group consumer [COUNT count] [BLOCK milliseconds] [NOACK]
// STREAMS key [key ...] id [id ...]
Status CmdXReadGroup(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const ReadRequest request, ParseRead(ctx.args, ReadOf::kGroup));
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  std::list<GroupSource> sources;  // Groups point to their streams.
  std::vector<std::pair<GroupSource*, StreamId>> reads;
  for (size_t i = 0; i < request.keys.size(); ++i) {
    KVS_ASSIGN_OR_RETURN(GroupSource* const source,
                         OpenSource(ctx, &keyspace, request.keys[i], *request.group, &sources));
    if (!source->group.has_value()) {
      ReplyNoGroup(ctx, request.keys[i], *request.group, " in XREADGROUP with GROUP option");
      return Status::Ok();
    }
    KVS_ASSIGN_OR_RETURN(const StreamId place, ParseGroupPlace(request.ids[i]));
    reads.emplace_back(source, place);
  }
  const int64_t now = ctx.txn->NowMillis();
  std::string body;
  RespWriter writer(ctx.reply.protocol(), &body);
  size_t found = 0;
  for (size_t i = 0; i < reads.size(); ++i) {
    const auto& [source, place] = reads[i];
    KVS_ASSIGN_OR_RETURN(source->consumer,
                         SeeConsumer(ctx, &*source->group, source->key, request.consumer));
    const bool is_new = place == kMaxStreamId;
    if (is_new) {
      KVS_ASSIGN_OR_RETURN(const bool has_new, HasNew(*source));
      if (!has_new) {
        continue;
      }
    }
    ++found;
    if (ctx.reply.protocol() == 2) {
      writer.Array(2);
    }
    writer.Bulk(request.keys[i]);
    KVS_RETURN_IF_ERROR(is_new ? ReadNew(source, request, now, &writer)
                               : ReadPending(source, place, request.limit, now, &writer));
  }
  // Who has waited and finds nothing has been seen already.
  for (auto source = sources.begin(); source != sources.end() && (found > 0 || !ctx.has_waited);
       ++source) {
    source->group->Save();
  }
  if (found == 0) {
    ctx.reply.NullArray();
    if (request.block_ms.has_value()) {
      ctx.wait = WaitWish{
          .timeout_ms = *request.block_ms, .type = DataType::kStream, .wants_the_end = true};
    }
    return Status::Ok();
  }
  ctx.reply.protocol() == 2 ? ctx.reply.Array(found) : ctx.reply.Map(found);
  ctx.reply.Raw(body);
  return Status::Ok();
}

}  // namespace kvs
