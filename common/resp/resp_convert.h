// Renders RESP3 replies for RESP2 clients: the proxy asks nodes in RESP3 whatever its client
// speaks.
//
// Threads: pure functions, no state.

#pragma once

#include <string>
#include <string_view>

namespace kvs {

// Returns whether `frame`, a complete reply, has anything in it that RESP2 lacks.  One look at the
// first byte for strings, integers and errors; an array is walked.
bool NeedsConversion(std::string_view frame);

// Appends `frame` as Redis writes the same data to a RESP2 client: maps, sets and pushes as arrays;
// doubles, big and verbatim as bulk strings; booleans as 1 and 0; long errors as lines; attributes
// not at all.
// `null_is_array` says which of its two nulls RESP2 has for this command: "*-1" for those whose
// missing value would be an array (BLPOP, GEOPOS, EXEC), "$-1" for all others.
// REQUIRES: `frame` is one complete reply that a ReplyScanner accepted
void ConvertReply3To2(std::string_view frame, bool null_is_array, std::string* out);

}  // namespace kvs
