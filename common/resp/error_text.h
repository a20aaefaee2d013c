// How a Status reads as a RESP error: the one table from codes to Redis's error prefixes.
//
// Threads: pure functions, no state.

#pragma once

#include <string>
#include <string_view>

#include "common/base/status.h"

namespace kvs {

// Returns the first word of the error reply, such as "WRONGTYPE", without '-' and space.
// REQUIRES: `code` is neither kOk nor kIncomplete, which never become a reply.
std::string_view ErrorPrefix(Code code);

// Returns "PREFIX message" as it stands between '-' and the line's end: a code without a message
// gets Redis's usual one, and line breaks, which would end the reply, become spaces.
// REQUIRES: !status.ok()
std::string ErrorText(const Status& status);

// Appends `text` to `*out` with '\r' and '\n' turned into spaces.
void AppendErrorLine(std::string_view text, std::string* out);

}  // namespace kvs
