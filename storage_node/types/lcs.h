// Longest common subsequences of two strings.
//
// The usual table of lengths is computed one row at a time, along the shorter string.  Where the
// text or its places are wanted, one bit a cell remembers which way the table goes on, a
// thirty-second of what the lengths would take.  Among several longest ones the way chosen is that
// of Redis, so the answers are the same.
//
// Threads: pure functions.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"

namespace kvs {

// Redis's limit on its table of 4-byte lengths, with proto-max-bulk-len at its default.  It is what
// bounds the time: a table of this size takes some tenths of a second.
inline constexpr uint64_t kMaxLcsTableBytes = uint64_t{512} << 20;

// A stretch that is the same in both strings; the places of its ends are included.
struct LcsMatch {
  uint64_t a_first = 0;
  uint64_t a_last = 0;
  uint64_t b_first = 0;
  uint64_t b_last = 0;

  uint64_t length() const { return a_last - a_first + 1; }
};

struct Lcs {
  std::string text;
  std::vector<LcsMatch> matches;  // The last one first.
};

// Both functions below:
//   kTooLarge: the table would be larger than `max_table_bytes`

// Returns the length of the longest common subsequence alone.
Result<uint64_t> LcsLength(std::string_view a, std::string_view b,
                           uint64_t max_table_bytes = kMaxLcsTableBytes);
// Returns the subsequence and where it is.
Result<Lcs> FindLcs(std::string_view a, std::string_view b,
                    uint64_t max_table_bytes = kMaxLcsTableBytes);

}  // namespace kvs
