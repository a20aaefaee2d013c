// How a stream is kept in the elements of a collection, and in the header of its metadata.
//
//   'e' id                 an entry: its fields and values, in the order in which they came
//
// What its groups of consumers keep stands in stream_group_codec.h.
//
// Threads: pure functions.
// Format:  doc/formats/keys.md

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"

namespace kvs {

// The order of ids is that of entries.
struct StreamId {
  uint64_t ms = 0;
  uint64_t seq = 0;
  bool operator==(const StreamId& other) const { return ms == other.ms && seq == other.seq; }
  bool operator<(const StreamId& other) const {
    return ms != other.ms ? ms < other.ms : seq < other.seq;
  }
  bool operator>(const StreamId& other) const { return other < *this; }
  bool operator<=(const StreamId& other) const { return !(other < *this); }
  bool operator>=(const StreamId& other) const { return !(*this < other); }
  std::string ToString() const { return std::to_string(ms) + "-" + std::to_string(seq); }
};
inline constexpr StreamId kMaxStreamId = {UINT64_MAX, UINT64_MAX};

// The next one and the one before.  REQUIRES: not the last one; not the first one
StreamId NextStreamId(StreamId id);
StreamId PreviousStreamId(StreamId id);

inline constexpr char kStreamEntryTag = 'e';
inline constexpr size_t kStreamNameSize = 1 + 16;
std::string StreamEntryName(StreamId id);
// REQUIRES: kStreamNameSize bytes
StreamId StreamIdOfName(std::string_view name);

// Fields and values, one after the other.
std::string EncodeStreamEntry(const std::vector<std::string_view>& words);
//   kCorruption: not an entry; the words point into `value`
Result<std::vector<std::string_view>> DecodeStreamEntry(std::string_view value);

struct StreamHeader {
  StreamId last_id = {};         // The largest that an entry has had, or XSETID has set.
  StreamId max_deleted_id = {};  // Of what XDEL has removed.
  StreamId first_id = {};        // Of the first entry; 0-0 if there is none.
  uint64_t entries_added = 0;
  bool has_groups = false;  // Another format, which tells releases that know of no groups to stop.
  bool operator==(const StreamHeader&) const = default;
};
inline constexpr size_t kStreamHeaderSize = 1 + 7 * 8;
std::string EncodeStreamHeader(const StreamHeader& header);
//   kUnsupported: the header of a newer release
// REQUIRES: kStreamHeaderSize bytes
Result<StreamHeader> DecodeStreamHeader(std::string_view header);

}  // namespace kvs
