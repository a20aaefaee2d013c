// The options by which commands name a time of expiry and the conditions of a change.
//
// Threads: pure functions, no state.  Views point into the arguments.

#pragma once

#include <cstdint>
#include <string_view>

#include "common/base/status.h"
#include "common/command/command_table.h"

namespace kvs {

// How a time is given: from now or since 1970, in seconds or milliseconds.
enum class TimeUnit : uint8_t { kSeconds, kMillis, kUnixSeconds, kUnixMillis };

constexpr bool IsRelative(TimeUnit unit) {
  return unit == TimeUnit::kSeconds || unit == TimeUnit::kMillis;
}
constexpr bool IsInSeconds(TimeUnit unit) {
  return unit == TimeUnit::kSeconds || unit == TimeUnit::kUnixSeconds;
}

// The options of SET and GETEX.
struct StringOptions {
  bool only_if_missing = false;  // NX
  bool only_if_present = false;  // XX
  bool get = false;
  bool keep_ttl = false;
  bool persist = false;
  bool has_expiry = false;
  TimeUnit unit = TimeUnit::kSeconds;
  std::string_view expiry = {};  // As the client wrote it.
};

// kInvalidArgument: syntax error
Result<StringOptions> ParseSetOptions(CommandArgs options);
Result<StringOptions> ParseGetExOptions(CommandArgs options);

// Returns a positive time of expiry as a Unix time in milliseconds; it may lie in the past.
// `command` is the name for the error.
//   kInvalidArgument: not an integer, not positive, or out of range
Result<int64_t> ParseExpiry(std::string_view command, std::string_view text, TimeUnit unit,
                            int64_t now_ms);
// As ParseExpiry(), for EXPIRE and its kin: 0 and negative times are legal, and mean the past.
Result<int64_t> ParseDeadline(std::string_view command, std::string_view text, TimeUnit unit,
                              int64_t now_ms);

// The conditions of EXPIRE.
struct ExpireConditions {
  bool if_none = false;     // NX
  bool if_any = false;      // XX
  bool if_later = false;    // GT
  bool if_earlier = false;  // LT

  // Returns whether a key that expires at `current_ms` (0: never) may get `new_ms`.
  bool Allow(uint64_t current_ms, int64_t new_ms) const;
};

// kInvalidArgument: an unknown option, or options that exclude each other
Result<ExpireConditions> ParseExpireConditions(CommandArgs options);

}  // namespace kvs
