// KeyHash: the functions by which twemproxy hashes keys.
//
// They are kept to the bit, with what is odd about them: a byte above 127 counts as negative in
// most, the "64 bit" fnv1a has 32, crc32 keeps 15.  A pool whose keys were placed by twemproxy
// finds each where it is.
//
// Threads: pure functions, no state.

#pragma once

#include <cstdint>
#include <string_view>

#include "common/base/status.h"

namespace kvs {

enum class KeyHash : uint8_t {
  kOneAtATime,
  kMd5,
  kCrc16,
  kCrc32,
  kCrc32a,
  kFnv64,
  kFnv64a,
  kFnv32,
  kFnv32a,
  kHsieh,
  kMurmur,
  kJenkins,
};

// twemproxy's names, in the order of KeyHash.
inline constexpr const char* kKeyHashNames =
    "one_at_a_time|md5|crc16|crc32|crc32a|fnv1_64|fnv1a_64|fnv1_32|fnv1a_32|hsieh|murmur|jenkins";

// Returns kInvalidArgument for a name that is not among them.
Result<KeyHash> ParseKeyHash(std::string_view name);

uint32_t HashKey(KeyHash hash, std::string_view key);

}  // namespace kvs
