// The time-out of commands that wait for their keys.
//
// Threads: pure functions.

#pragma once

#include <cstdint>
#include <string_view>

#include "common/base/status.h"

namespace kvs {

// Parses seconds, with a fraction perhaps; 0 is none.  Returns milliseconds.
//   kInvalidArgument: not a number, below 0, or the time would be beyond that of a clock
Result<int64_t> ParseWaitSeconds(std::string_view text, int64_t now_ms);

}  // namespace kvs
