// How the groups of consumers of a stream are kept, among the elements of the stream's collection.
//
//   'n'                          how many groups there are, and the number that the next one gets
//   'g' name                     a group: its number, how far it has read, and its counts
//   'm' group name               a consumer of a group by its name: its number
//   'c' group consumer           a consumer: its times, how many entries it has pending, its name
//   'p' group id                 a pending entry: who has it, since when, and how often delivered
//   'q' group consumer id        the same by consumer, without a value
//
// Groups and consumers stand in the keys of others by their numbers, which begin with 1, so that
// the keys are short and no name is the beginning of another.
//
// Threads: pure functions.
// Format:  doc/formats/keys.md

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/status.h"
#include "storage_node/keys/stream_codec.h"

namespace kvs {

// Group::entries_read, if it is not known.
inline constexpr int64_t kUnknownEntriesRead = -1;
// Consumer::active_ms of one that has never got anything.
inline constexpr int64_t kNeverActive = -1;

struct StreamGroupCount {
  uint64_t count = 0;
  uint64_t next_number = 1;
  bool operator==(const StreamGroupCount&) const = default;
};

struct StreamGroupState {
  uint64_t number = 0;
  StreamId last_id = {};  // Of the last entry that it has delivered.
  int64_t entries_read = kUnknownEntriesRead;
  uint64_t pending_count = 0;
  uint64_t consumer_count = 0;
  uint64_t next_consumer = 1;
  bool operator==(const StreamGroupState&) const = default;
};

struct StreamConsumer {
  int64_t seen_ms = 0;  // Unix time, as the next one.
  int64_t active_ms = kNeverActive;
  uint64_t pending_count = 0;
  std::string name = {};
  bool operator==(const StreamConsumer&) const = default;
};

struct StreamPending {
  uint64_t consumer = 0;
  int64_t delivered_ms = 0;  // Unix time.
  uint64_t deliveries = 0;
  bool operator==(const StreamPending&) const = default;
};

inline constexpr char kStreamGroupCountTag = 'n';
inline constexpr char kStreamGroupTag = 'g';
inline constexpr char kStreamConsumerNameTag = 'm';
inline constexpr char kStreamConsumerTag = 'c';
inline constexpr char kStreamPendingTag = 'p';
inline constexpr char kStreamConsumerPendingTag = 'q';

// The names of the elements.
std::string StreamGroupCountName();
std::string StreamGroupName(std::string_view name);
std::string StreamConsumerNameName(uint64_t group, std::string_view name);
std::string StreamConsumerName(uint64_t group, uint64_t consumer);
std::string StreamPendingName(uint64_t group, StreamId id);
std::string StreamConsumerPendingName(uint64_t group, uint64_t consumer, StreamId id);
// What all elements of a group with one of the tags behind 'g' begin with.
std::string StreamGroupPrefix(char tag, uint64_t group);

// What a name tells.
struct StreamGroupElement {
  char tag = 0;
  uint64_t group = 0;          // Of 'm', 'c', 'p' and 'q'.
  uint64_t consumer = 0;       // Of 'c' and 'q'.
  StreamId id = {};            // Of 'p' and 'q'.
  std::string_view name = {};  // Of 'g' and 'm'; points into what was decoded.
};
//   kCorruption: not the name of such an element
Result<StreamGroupElement> DecodeStreamGroupElement(std::string_view name);

// The values.  Each Decode: kCorruption: not such a value
std::string EncodeStreamGroupCount(const StreamGroupCount& count);
Result<StreamGroupCount> DecodeStreamGroupCount(std::string_view value);
std::string EncodeStreamGroupState(const StreamGroupState& state);
Result<StreamGroupState> DecodeStreamGroupState(std::string_view value);
std::string EncodeStreamConsumerNumber(uint64_t number);
Result<uint64_t> DecodeStreamConsumerNumber(std::string_view value);
std::string EncodeStreamConsumer(const StreamConsumer& consumer);
Result<StreamConsumer> DecodeStreamConsumer(std::string_view value);
std::string EncodeStreamPending(const StreamPending& pending);
Result<StreamPending> DecodeStreamPending(std::string_view value);

}  // namespace kvs
