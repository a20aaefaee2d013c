// DUMP and RESTORE: what a key holds as bytes that every Redis reads, and back.

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/strings.h"
#include "common/rdb/dump_payload.h"
#include "storage_node/command/command_handlers.h"
#include "storage_node/command/dump_value.h"
#include "storage_node/types/hash_store.h"
#include "storage_node/types/list.h"
#include "storage_node/types/set_store.h"
#include "storage_node/types/stream_group.h"
#include "storage_node/types/string_reader.h"
#include "storage_node/types/zset_store.h"

namespace kvs {
namespace {

// A payload beyond the limit could not be sent to another server.
class PayloadLimit {
 public:
  PayloadLimit(const std::string* payload, size_t limit) : payload_(payload), limit_(limit) {}
  Status Check() const {
    return payload_->size() <= limit_
               ? Status::Ok()
               : Status::TooLarge("the payload would be larger than proto-max-bulk-len");
  }

 private:
  const std::string* const payload_;
  const size_t limit_;
};

Status DumpElements(Keyspace* keyspace, std::string_view key, const CollectionShape& shape,
                    bool with_values, const PayloadLimit& limit, DumpWriter* writer) {
  KVS_ASSIGN_OR_RETURN(const Collection collection, Collection::OpenForRead(keyspace, key, shape));
  writer->Collection(with_values ? RdbValue::Type::kHash : RdbValue::Type::kSet,
                     collection.count());
  uint64_t count = 0;
  KVS_ASSIGN_OR_RETURN(ElementWalk walk, collection.Walk());
  for (; walk.Valid(); walk.Next(), ++count) {
    writer->Element(walk.name());
    if (with_values) {
      writer->Element(walk.value());
    }
    KVS_RETURN_IF_ERROR(limit.Check());
  }
  KVS_RETURN_IF_ERROR(walk.status());
  return count == collection.count()
             ? Status::Ok()
             : Status::Corruption("a collection has not the elements that it counts");
}

Status DumpList(Keyspace* keyspace, std::string_view key, const PayloadLimit& limit,
                DumpWriter* writer) {
  KVS_ASSIGN_OR_RETURN(const List list, List::OpenForRead(keyspace, key));
  writer->Collection(RdbValue::Type::kList, list.count());
  Status status;
  KVS_RETURN_IF_ERROR(list.ForEach(0, /*backward=*/false,
                                   [&](std::string_view /*order*/, std::string_view element) {
                                     writer->Element(element);
                                     status = limit.Check();
                                     return status.ok();
                                   }));
  return status;
}

Status DumpSortedSet(Keyspace* keyspace, std::string_view key, const PayloadLimit& limit,
                     DumpWriter* writer) {
  KVS_ASSIGN_OR_RETURN(const ZSet zset, ZSet::OpenForRead(keyspace, key));
  writer->Collection(RdbValue::Type::kZSet, zset.count());
  Status status;
  uint64_t count = 0;
  KVS_RETURN_IF_ERROR(
      zset.ForEach({.range = WholeOrder()}, [&](std::string_view member, double score) {
        if (status.ok()) {
          writer->Scored(member, score);
          status = limit.Check();
        }
        ++count;
      }));
  KVS_RETURN_IF_ERROR(status);
  return count == zset.count()
             ? Status::Ok()
             : Status::Corruption("a sorted set has not the members that it counts");
}

RdbStreamId ToRdb(StreamId id) {
  return {id.ms, id.seq};
}

StreamId FromRdb(RdbStreamId id) {
  return {id.ms, id.seq};
}

Status TooLargeToDump() {
  return Status::TooLarge("the payload would be larger than proto-max-bulk-len");
}

// Takes what a stream holds off a limit, as it is read before it is written.
class ReadLimit {
 public:
  explicit ReadLimit(size_t limit) : left_(limit) {}
  bool Take(size_t size) {
    const bool fits = size <= left_;
    left_ -= fits ? size : 0;
    return fits;
  }

 private:
  size_t left_;
};

Status ReadGroup(const StreamGroup& group, ReadLimit* limit, RdbStreamGroup* read) {
  read->name = group.name();
  read->last_id = ToRdb(group.last_id());
  read->entries_read = group.entries_read();
  std::map<uint64_t, size_t> indexes;
  KVS_ASSIGN_OR_RETURN(const std::vector<uint64_t> numbers, group.Consumers());
  for (const uint64_t number : numbers) {
    KVS_ASSIGN_OR_RETURN(StreamConsumer consumer, group.GetConsumer(number));
    if (!limit->Take(consumer.name.size())) {
      return TooLargeToDump();
    }
    indexes[number] = read->consumers.size();
    read->consumers.push_back({.name = std::move(consumer.name),
                               .seen_ms = consumer.seen_ms,
                               .active_ms = consumer.active_ms});
  }
  const auto visit = [&](StreamId id, const StreamPending& pending) -> Result<bool> {
    const auto index = indexes.find(pending.consumer);
    if (index == indexes.end()) {
      return Status::Corruption("an entry is pending for a consumer that is not there");
    }
    if (!limit->Take(sizeof(RdbStreamPending))) {
      return TooLargeToDump();
    }
    read->pending.push_back({.id = ToRdb(id),
                             .delivered_ms = pending.delivered_ms,
                             .deliveries = pending.deliveries,
                             .consumer = index->second});
    return true;
  };
  return group.ForEachPending({}, kNoConsumer, visit);
}

Status DumpStream(Keyspace* keyspace, std::string_view key, size_t max_size, DumpWriter* writer) {
  KVS_ASSIGN_OR_RETURN(Stream stream, Stream::OpenForRead(keyspace, key));
  ReadLimit limit(max_size);
  RdbStream read = {.last_id = ToRdb(stream.header().last_id),
                    .max_deleted_id = ToRdb(stream.header().max_deleted_id),
                    .entries_added = stream.header().entries_added};
  Status status;
  KVS_RETURN_IF_ERROR(
      stream.ForEach({}, /*backward=*/false, [&](StreamId id, std::string_view value) {
        const Result<std::vector<std::string_view>> words = DecodeStreamEntry(value);
        if (!words.ok() || !limit.Take(value.size())) {
          status = words.ok() ? TooLargeToDump() : words.status();
          return false;
        }
        read.entries.push_back({.id = ToRdb(id), .words = {words->begin(), words->end()}});
        return true;
      }));
  KVS_RETURN_IF_ERROR(status);
  if (read.entries.size() != stream.count()) {
    return Status::Corruption("a stream has not the entries that it counts");
  }
  KVS_ASSIGN_OR_RETURN(const std::vector<std::string> names, StreamGroups(&stream).Names());
  for (const std::string& name : names) {
    KVS_ASSIGN_OR_RETURN(const std::optional<StreamGroup> group, StreamGroup::Find(&stream, name));
    if (!group.has_value()) {
      return Status::Corruption("a group of a stream has no record");
    }
    read.groups.emplace_back();
    KVS_RETURN_IF_ERROR(ReadGroup(*group, &limit, &read.groups.back()));
  }
  writer->Stream(read);
  return Status::Ok();
}

// Redis looks at the options first, then at the key, then at the rest.
Status ParseRestoreOptions(CommandContext& ctx, bool* absolute, bool* replace) {
  bool has_idle_time = false;
  bool has_frequency = false;
  for (size_t i = 4; i < ctx.argc(); ++i) {
    const bool has_more = i + 1 < ctx.argc();
    int64_t number = 0;
    if (EqualsIgnoreCase(ctx.arg(i), "REPLACE")) {
      *replace = true;
    } else if (EqualsIgnoreCase(ctx.arg(i), "ABSTTL")) {
      *absolute = true;
    } else if (EqualsIgnoreCase(ctx.arg(i), "IDLETIME") && has_more && !has_frequency) {
      if (!ParseInt64(ctx.arg(++i), &number)) {
        return Status::InvalidArgument("value is not an integer or out of range");
      }
      if (number < 0) {
        return Status::InvalidArgument("Invalid IDLETIME value, must be >= 0");
      }
      has_idle_time = true;  // Not tracked.
    } else if (EqualsIgnoreCase(ctx.arg(i), "FREQ") && has_more && !has_idle_time) {
      if (!ParseInt64(ctx.arg(++i), &number)) {
        return Status::InvalidArgument("value is not an integer or out of range");
      }
      if (number < 0 || number > 255) {
        return Status::InvalidArgument("Invalid FREQ value, must be >= 0 and <= 255");
      }
      has_frequency = true;  // Not tracked.
    } else {
      return Status::InvalidArgument("syntax error");
    }
  }
  return Status::Ok();
}

Result<uint64_t> ParseExpiry(std::string_view text, bool absolute, int64_t now_ms) {
  int64_t ttl = 0;
  if (!ParseInt64(text, &ttl)) {
    return Status::InvalidArgument("value is not an integer or out of range");
  }
  if (ttl < 0) {
    return Status::InvalidArgument("Invalid TTL value, must be >= 0");
  }
  if (ttl == 0) {
    return kNoExpiry;
  }
  int64_t at_ms = ttl;
  if (!absolute && __builtin_add_overflow(now_ms, ttl, &at_ms)) {
    return Status::InvalidArgument("Invalid TTL value, it is too large");
  }
  return static_cast<uint64_t>(at_ms);
}

// Whether each of its strings is one that a command could have set.
bool FitsIn(const RdbValue& value, size_t max_size) {
  return value.text.size() <= max_size &&
         std::all_of(value.elements.begin(), value.elements.end(),
                     [max_size](const std::string& one) { return one.size() <= max_size; }) &&
         std::all_of(value.scored.begin(), value.scored.end(),
                     [max_size](const auto& one) { return one.first.size() <= max_size; }) &&
         std::all_of(value.stream.entries.begin(), value.stream.entries.end(),
                     [max_size](const RdbStreamEntry& entry) {
                       return std::all_of(
                           entry.words.begin(), entry.words.end(),
                           [max_size](const std::string& word) { return word.size() <= max_size; });
                     });
}

// No other request makes so many elements at once, and others wait meanwhile.
constexpr size_t kMaxRestored = size_t{1} << 20;

size_t CountOf(const RdbValue& value) {
  size_t count = value.elements.size() + value.scored.size() + value.stream.entries.size();
  for (const RdbStreamGroup& group : value.stream.groups) {
    count += 1 + group.consumers.size() + group.pending.size();
  }
  return count;
}

std::vector<std::string_view> Views(const std::vector<std::string>& texts) {
  return {texts.begin(), texts.end()};
}

Status PutGroup(Stream* stream, const RdbStreamGroup& read) {
  KVS_ASSIGN_OR_RETURN(
      StreamGroup group,
      StreamGroup::Create(stream, read.name, FromRdb(read.last_id), read.entries_read));
  std::vector<uint64_t> numbers;
  for (const RdbStreamConsumer& consumer : read.consumers) {
    numbers.push_back(group.AddConsumer(consumer.name, consumer.seen_ms));
    KVS_RETURN_IF_ERROR(group.SetTimes(numbers.back(), consumer.seen_ms, consumer.active_ms));
  }
  for (const RdbStreamPending& pending : read.pending) {
    KVS_RETURN_IF_ERROR(
        group.SetPending(FromRdb(pending.id), {.consumer = numbers[pending.consumer],
                                               .delivered_ms = pending.delivered_ms,
                                               .deliveries = pending.deliveries}));
  }
  group.Save();
  return Status::Ok();
}

Status PutStream(Keyspace* keyspace, const CommandContext& ctx, const RdbStream& read) {
  KVS_ASSIGN_OR_RETURN(Stream stream, Stream::OpenForWrite(keyspace, ctx.arg(1), ctx.type_limits));
  std::vector<std::pair<StreamId, std::string>> entries;
  for (const RdbStreamEntry& entry : read.entries) {
    entries.emplace_back(FromRdb(entry.id), EncodeStreamEntry(Views(entry.words)));
  }
  stream.Fill({.last_id = FromRdb(read.last_id),
               .max_deleted_id = FromRdb(read.max_deleted_id),
               .entries_added = read.entries_added},
              entries);
  stream.Save();
  for (const RdbStreamGroup& group : read.groups) {
    KVS_RETURN_IF_ERROR(PutGroup(&stream, group));
  }
  return Status::Ok();
}

// Gives the value to a key that holds nothing.
Status PutValue(Keyspace* keyspace, const CommandContext& ctx, RdbValue&& value) {
  const std::string_view key = ctx.arg(1);
  switch (value.type) {
    case RdbValue::Type::kString: {
      KVS_ASSIGN_OR_RETURN(KeyEntry entry, keyspace->FindForWrite(key));
      keyspace->PutString(&entry, value.text, kNoExpiry);
      return Status::Ok();
    }
    case RdbValue::Type::kHash:
      return HashStore(keyspace, ctx.type_limits).Set(key, Views(value.elements)).status();
    case RdbValue::Type::kSet:
      return SetStore(keyspace, ctx.type_limits).Add(key, Views(value.elements)).status();
    case RdbValue::Type::kList: {
      KVS_ASSIGN_OR_RETURN(List list, List::OpenForWrite(keyspace, key, ctx.type_limits));
      list.Push(Views(value.elements), ListEnd::kTail);
      KVS_RETURN_IF_ERROR(list.Stage());
      list.Save();
      return Status::Ok();
    }
    case RdbValue::Type::kZSet: {
      std::vector<ScoredMember> members;
      for (auto& [member, score] : value.scored) {
        members.push_back({.member = std::move(member), .score = score});
      }
      return ZSetStore(keyspace, ctx.type_limits).Replace(key, std::move(members));
    }
    case RdbValue::Type::kStream:
      return PutStream(keyspace, ctx, value.stream);
  }
  return Status::Ok();
}

}  // namespace

Result<std::string> DumpValue(Keyspace* keyspace, const KeyEntry& entry, size_t max_size) {
  std::string payload;
  DumpWriter writer(&payload);
  const PayloadLimit limit(&payload, max_size);
  const std::string_view key = entry.key;
  switch (entry.type) {
    case DataType::kString: {
      std::string scratch;
      KVS_ASSIGN_OR_RETURN(const std::string_view value,
                           StringReader(keyspace, &entry).Whole(&scratch));
      writer.String(value);
      break;
    }
    case DataType::kHash:
      KVS_RETURN_IF_ERROR(DumpElements(keyspace, key, kHashShape, true, limit, &writer));
      break;
    case DataType::kSet:
      KVS_RETURN_IF_ERROR(DumpElements(keyspace, key, kSetShape, false, limit, &writer));
      break;
    case DataType::kList:
      KVS_RETURN_IF_ERROR(DumpList(keyspace, key, limit, &writer));
      break;
    case DataType::kZSet:
      KVS_RETURN_IF_ERROR(DumpSortedSet(keyspace, key, limit, &writer));
      break;
    case DataType::kStream:
      KVS_RETURN_IF_ERROR(DumpStream(keyspace, key, max_size, &writer));
      break;
  }
  writer.Finish();
  KVS_RETURN_IF_ERROR(limit.Check());
  return payload;
}

// DUMP key
Status CmdDump(CommandContext& ctx) {
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(const KeyEntry entry, keyspace.FindToRead(ctx.arg(1)));
  ctx.CountLookup(ctx.arg(1), entry.exists());
  if (!entry.exists()) {
    ctx.reply.Null();
    return Status::Ok();
  }
  KVS_ASSIGN_OR_RETURN(const std::string payload, DumpValue(&keyspace, entry, ctx.max_string_size));
  ctx.reply.Bulk(payload);
  return Status::Ok();
}

// RESTORE key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]
Status CmdRestore(CommandContext& ctx) {
  bool absolute = false;
  bool replace = false;
  KVS_RETURN_IF_ERROR(ParseRestoreOptions(ctx, &absolute, &replace));
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(KeyEntry entry, keyspace.FindForWrite(ctx.arg(1)));
  if (entry.exists() && !replace) {
    ctx.reply.Error("BUSYKEY Target key name already exists.");
    return Status::Ok();
  }
  KVS_ASSIGN_OR_RETURN(const uint64_t expire_at_ms,
                       ParseExpiry(ctx.arg(2), absolute, keyspace.NowMillis()));
  if (!CheckDumpFooter(ctx.arg(3))) {
    return Status::InvalidArgument("DUMP payload version or checksum are wrong");
  }
  // Twice the payload: what is compressed or packed takes more as it is.
  Result<RdbValue> value = ReadDump(ctx.arg(3), 2 * ctx.max_string_size);
  if (value.ok() && !FitsIn(*value, ctx.max_string_size)) {
    return Status::InvalidArgument("Bad data format");
  }
  if (!value.ok()) {
    return value.status().code() == Code::kUnsupported ? value.status()
                                                       : Status::InvalidArgument("Bad data format");
  }
  if (CountOf(*value) > kMaxRestored) {
    return Status::TooLarge("the value has more than 1048576 elements");
  }
  const bool replaced = entry.exists();
  if (entry.stored) {
    keyspace.Delete(&entry);
  }
  const bool is_past =
      expire_at_ms != kNoExpiry && expire_at_ms <= static_cast<uint64_t>(keyspace.NowMillis());
  if (!is_past) {
    KVS_RETURN_IF_ERROR(PutValue(&keyspace, ctx, *std::move(value)));
    if (expire_at_ms != kNoExpiry) {
      KVS_ASSIGN_OR_RETURN(KeyEntry restored, keyspace.Find(ctx.arg(1)));
      keyspace.SetExpiry(&restored, expire_at_ms);
    }
  }
  if (is_past) {
    ctx.NotifyIfRemoved(ctx.arg(1));
  } else {
    if (replaced) {
      ctx.Notify(KeyEventKind::kNew, "new", ctx.arg(1));
    }
    ctx.Notify(KeyEventKind::kGeneric, "restore", ctx.arg(1));
  }
  ctx.reply.Ok();
  return Status::Ok();
}

Status CmdRestoreAsking(CommandContext& ctx) {
  return CmdRestore(ctx);
}

}  // namespace kvs
