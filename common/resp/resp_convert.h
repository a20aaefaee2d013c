// Renders RESP3 replies for RESP2 clients: the proxy asks nodes in RESP3 whatever its client
// speaks.
//
// Threads: pure functions, no state.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace kvs {

// What a command's RESP2 reply has beyond the rules that hold for all.
enum class Resp2Form : uint8_t {
  kPlain,
  kNullArray,  // Its null is "*-1": the missing value would be an array (BLPOP, GEOPOS, EXEC).
  kNullArrayWithOption,  // The same if the request has more words than it needs (ZRANK WITHSCORE).
  kNullArrayOutside,     // The same but in a transaction, where it has not waited (BLMOVE).
  kMapAsPairs,           // A map is an array of pairs (XREAD); its nulls are "*-1".
  kLastNullArray,        // A null that ends it is "*-1", others are not (XPENDING).
  kFlatPairs,  // An array of pairs is an array of twice as many elements (ZRANGE WITHSCORES).
};

// Returns the form of one request's reply, which is none that depends on the request.
inline Resp2Form FormFor(Resp2Form form, bool has_option, bool in_transaction = false) {
  if (form == Resp2Form::kNullArrayOutside) {
    return in_transaction ? Resp2Form::kPlain : Resp2Form::kNullArray;
  }
  if (form != Resp2Form::kNullArrayWithOption) {
    return form;
  }
  return has_option ? Resp2Form::kNullArray : Resp2Form::kPlain;
}

// Returns whether `frame`, a complete reply, has anything in it that RESP2 lacks.  One look at the
// first byte for strings, integers and errors; an array is walked.
bool NeedsConversion(std::string_view frame);

// Appends `frame` as Redis writes the same data to a RESP2 client: maps, sets and pushes as arrays;
// doubles, big and verbatim as bulk strings; booleans as 1 and 0; long errors as lines; attributes
// not at all.
// REQUIRES: `frame` is one complete reply that a ReplyScanner accepted
void ConvertReply3To2(std::string_view frame, Resp2Form form, std::string* out);

}  // namespace kvs
