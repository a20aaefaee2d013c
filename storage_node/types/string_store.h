// StringStore: what strings can do beyond being replaced, with Redis's limits and words.
//
// Every change keeps the key's time of expiry.  A missing key counts as the empty string, or as 0.
//
// Threads: one thread, for the duration of one command.
// Owner:   the command's handler; the Keyspace must outlive it.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/status.h"
#include "storage_node/types/keyspace.h"

namespace kvs {

// No command makes a string longer than this, the largest argument that a client can send.
inline constexpr size_t kMaxStringSize = size_t{512} << 20;

struct StringPart {
  uint64_t first = 0;
  uint64_t count = 0;
};

// Returns the part of a string of that size from `start` to `end`, both included and from the end
// if negative.  What lies outside the string is left out.
StringPart StringRange(size_t size, int64_t start, int64_t end);

class StringStore {
 public:
  explicit StringStore(Keyspace* keyspace, size_t max_size = kMaxStringSize)
      : keyspace_(keyspace), max_size_(max_size) {}

  // All of these:
  //   kWrongType: the key holds something else
  //   kTooLarge: the key is too long, or the string would be
  // REQUIRES: the key's stripe is locked

  // Returns the new length.
  Result<size_t> Append(std::string_view key, std::string_view suffix);
  // Overwrites what is at `offset`, after zero bytes if the string is shorter, and returns the new
  // length.  Nothing happens if `part` is empty.  REQUIRES: offset >= 0
  Result<size_t> SetRange(std::string_view key, int64_t offset, std::string_view part);
  // Returns the sum.
  //   kInvalidArgument: the string is no integer, or the sum does not fit
  Result<int64_t> IncrBy(std::string_view key, int64_t increment);
  // Returns the sum as it is stored.
  //   kInvalidArgument: string or increment is no number, or the sum is none
  Result<std::string> IncrByFloat(std::string_view key, std::string_view increment);

 private:
  Result<KeyEntry> FindToChange(std::string_view key);
  Status CheckSize(uint64_t size) const;

  Keyspace* const keyspace_;
  const size_t max_size_;
};

}  // namespace kvs
