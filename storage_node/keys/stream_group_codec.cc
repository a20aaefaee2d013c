#include "storage_node/keys/stream_group_codec.h"

#include "common/base/coding.h"

namespace kvs {
namespace {

constexpr size_t kNumberSize = 8;
constexpr size_t kIdSize = 16;

void PutBigId(std::string* out, StreamId id) {
  PutBig64(out, id.ms);
  PutBig64(out, id.seq);
}

uint64_t TakeBig64(std::string_view* bytes) {
  const uint64_t number = DecodeBig64(bytes->data());
  bytes->remove_prefix(sizeof(number));
  return number;
}

StreamId TakeBigId(std::string_view* bytes) {
  const uint64_t ms = TakeBig64(bytes);
  return {ms, TakeBig64(bytes)};
}

// Times are stored as they are, below 0 or not.
void PutTime(std::string* out, int64_t time_ms) {
  PutFixed64(out, static_cast<uint64_t>(time_ms));
}

bool GetTime(std::string_view* value, int64_t* time_ms) {
  return GetFixed(value, time_ms);
}

Status Damaged() {
  return Status::Corruption("a group of a stream has a damaged element");
}

}  // namespace

std::string StreamGroupCountName() {
  return std::string(1, kStreamGroupCountTag);
}

std::string StreamGroupName(std::string_view name) {
  return std::string(1, kStreamGroupTag).append(name);
}

std::string StreamGroupPrefix(char tag, uint64_t group) {
  std::string prefix(1, tag);
  PutBig64(&prefix, group);
  return prefix;
}

std::string StreamConsumerNameName(uint64_t group, std::string_view name) {
  return StreamGroupPrefix(kStreamConsumerNameTag, group).append(name);
}

std::string StreamConsumerName(uint64_t group, uint64_t consumer) {
  std::string name = StreamGroupPrefix(kStreamConsumerTag, group);
  PutBig64(&name, consumer);
  return name;
}

std::string StreamPendingName(uint64_t group, StreamId id) {
  std::string name = StreamGroupPrefix(kStreamPendingTag, group);
  PutBigId(&name, id);
  return name;
}

std::string StreamConsumerPendingName(uint64_t group, uint64_t consumer, StreamId id) {
  std::string name = StreamGroupPrefix(kStreamConsumerPendingTag, group);
  PutBig64(&name, consumer);
  PutBigId(&name, id);
  return name;
}

Result<StreamGroupElement> DecodeStreamGroupElement(std::string_view name) {
  if (name.empty()) {
    return Damaged();
  }
  StreamGroupElement element;
  element.tag = name[0];
  std::string_view rest = name.substr(1);
  const auto has = [&rest](size_t numbers, size_t ids) {
    return rest.size() == numbers * kNumberSize + ids * kIdSize;
  };
  switch (element.tag) {
    case kStreamGroupCountTag:
      return rest.empty() ? Result<StreamGroupElement>(element) : Damaged();
    case kStreamGroupTag:
      element.name = rest;
      return element;
    case kStreamConsumerNameTag:
      if (rest.size() < kNumberSize) {
        return Damaged();
      }
      element.group = TakeBig64(&rest);
      element.name = rest;
      return element;
    case kStreamConsumerTag:
      if (!has(2, 0)) {
        return Damaged();
      }
      element.group = TakeBig64(&rest);
      element.consumer = TakeBig64(&rest);
      return element;
    case kStreamPendingTag:
      if (!has(1, 1)) {
        return Damaged();
      }
      element.group = TakeBig64(&rest);
      element.id = TakeBigId(&rest);
      return element;
    case kStreamConsumerPendingTag:
      if (!has(2, 1)) {
        return Damaged();
      }
      element.group = TakeBig64(&rest);
      element.consumer = TakeBig64(&rest);
      element.id = TakeBigId(&rest);
      return element;
    default:
      return Damaged();
  }
}

std::string EncodeStreamGroupCount(const StreamGroupCount& count) {
  std::string value;
  PutFixed64(&value, count.count);
  PutFixed64(&value, count.next_number);
  return value;
}

Result<StreamGroupCount> DecodeStreamGroupCount(std::string_view value) {
  StreamGroupCount count;
  if (!GetFixed64(&value, &count.count) || !GetFixed64(&value, &count.next_number) ||
      !value.empty()) {
    return Damaged();
  }
  return count;
}

std::string EncodeStreamGroupState(const StreamGroupState& state) {
  std::string value;
  PutFixed64(&value, state.number);
  PutFixed64(&value, state.last_id.ms);
  PutFixed64(&value, state.last_id.seq);
  PutFixed64(&value, static_cast<uint64_t>(state.entries_read));
  PutFixed64(&value, state.pending_count);
  PutFixed64(&value, state.consumer_count);
  PutFixed64(&value, state.next_consumer);
  return value;
}

Result<StreamGroupState> DecodeStreamGroupState(std::string_view value) {
  StreamGroupState state;
  if (!GetFixed64(&value, &state.number) || !GetFixed64(&value, &state.last_id.ms) ||
      !GetFixed64(&value, &state.last_id.seq) || !GetFixed(&value, &state.entries_read) ||
      !GetFixed64(&value, &state.pending_count) || !GetFixed64(&value, &state.consumer_count) ||
      !GetFixed64(&value, &state.next_consumer) || !value.empty() || state.number == 0) {
    return Damaged();
  }
  return state;
}

std::string EncodeStreamConsumerNumber(uint64_t number) {
  std::string value;
  PutFixed64(&value, number);
  return value;
}

Result<uint64_t> DecodeStreamConsumerNumber(std::string_view value) {
  uint64_t number = 0;
  if (!GetFixed64(&value, &number) || !value.empty() || number == 0) {
    return Damaged();
  }
  return number;
}

std::string EncodeStreamConsumer(const StreamConsumer& consumer) {
  std::string value;
  PutTime(&value, consumer.seen_ms);
  PutTime(&value, consumer.active_ms);
  PutFixed64(&value, consumer.pending_count);
  return value.append(consumer.name);
}

Result<StreamConsumer> DecodeStreamConsumer(std::string_view value) {
  StreamConsumer consumer;
  if (!GetTime(&value, &consumer.seen_ms) || !GetTime(&value, &consumer.active_ms) ||
      !GetFixed64(&value, &consumer.pending_count)) {
    return Damaged();
  }
  consumer.name.assign(value);
  return consumer;
}

std::string EncodeStreamPending(const StreamPending& pending) {
  std::string value;
  PutVarint64(&value, pending.consumer);
  PutTime(&value, pending.delivered_ms);
  PutVarint64(&value, pending.deliveries);
  return value;
}

Result<StreamPending> DecodeStreamPending(std::string_view value) {
  StreamPending pending;
  if (!GetVarint64(&value, &pending.consumer) || !GetTime(&value, &pending.delivered_ms) ||
      !GetVarint64(&value, &pending.deliveries) || !value.empty() || pending.consumer == 0) {
    return Damaged();
  }
  return pending;
}

}  // namespace kvs
