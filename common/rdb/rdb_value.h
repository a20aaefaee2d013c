// RdbValue: what one key holds, in no server's own representation.
//
// Threads: a value.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace kvs {

struct RdbStreamId {
  uint64_t ms = 0;
  uint64_t seq = 0;
  bool operator==(const RdbStreamId&) const = default;
  bool operator<(const RdbStreamId& other) const {
    return ms != other.ms ? ms < other.ms : seq < other.seq;
  }
  bool operator>(const RdbStreamId& other) const { return other < *this; }
  bool operator<=(const RdbStreamId& other) const { return !(other < *this); }
  bool operator>=(const RdbStreamId& other) const { return !(*this < other); }
};

struct RdbStreamEntry {
  RdbStreamId id = {};
  std::vector<std::string> words = {};  // Field, value, field...
  bool operator==(const RdbStreamEntry&) const = default;
};

// Times are Unix times.
struct RdbStreamConsumer {
  std::string name = {};
  int64_t seen_ms = 0;
  int64_t active_ms = 0;  // -1: never.
  bool operator==(const RdbStreamConsumer&) const = default;
};

struct RdbStreamPending {
  RdbStreamId id = {};
  int64_t delivered_ms = 0;
  uint64_t deliveries = 0;
  size_t consumer = 0;  // Its index in the group.
  bool operator==(const RdbStreamPending&) const = default;
};

struct RdbStreamGroup {
  std::string name = {};
  RdbStreamId last_id = {};
  int64_t entries_read = 0;  // -1: not known.
  std::vector<RdbStreamConsumer> consumers = {};
  std::vector<RdbStreamPending> pending = {};  // By id.
  bool operator==(const RdbStreamGroup&) const = default;
};

struct RdbStream {
  std::vector<RdbStreamEntry> entries = {};  // By id.
  RdbStreamId last_id = {};
  RdbStreamId max_deleted_id = {};
  uint64_t entries_added = 0;
  std::vector<RdbStreamGroup> groups = {};
  bool operator==(const RdbStream&) const = default;
};

struct RdbValue {
  enum class Type : uint8_t { kString, kList, kSet, kHash, kZSet, kStream };

  Type type = Type::kString;
  std::string text;                                    // kString
  std::vector<std::string> elements;                   // kList, kSet; kHash: field, value, field...
  std::vector<std::pair<std::string, double>> scored;  // kZSet
  RdbStream stream;                                    // kStream

  bool operator==(const RdbValue&) const = default;
};

}  // namespace kvs
