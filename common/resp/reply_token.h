// The grammar of RESP2 and RESP3 replies, one token at a time: a scalar, or the header of an
// aggregate.  Scanner, tree reader and converter are built on it, so they accept the same bytes.
//
// Strict where a request parser is lenient: replies come from servers, and a byte out of place
// means that framing is lost.  Streamed strings and aggregates ("$?", "*?") are refused: no server
// that we talk to sends them.
//
// Threads: pure functions, no state.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace kvs {

struct ReplyToken {
  char type = 0;          // The first byte.
  bool null = false;      // "_", "$-1" or "*-1".
  std::string_view text;  // A scalar's content, of '=' with "txt:"; points into the input.
  int64_t integer = 0;    // Of ':', and 1 or 0 of '#'.
  uint64_t children = 0;  // Elements that follow: 2 a pair of '%' and '|'.
  size_t size = 0;        // Bytes of the token itself.
};

enum class TokenOutcome : uint8_t { kToken, kNeedMore, kError };

// Where ReadReplyToken() says what it missed.
struct TokenProgress {
  size_t scanned = 0;           // kNeedMore: no line ends before this; give it back next time.
  size_t needed = 0;            // kNeedMore: the token has at least this many bytes.
  const char* error = nullptr;  // kError: what is wrong, a constant.
};

// Reads the token that starts at input[0].
TokenOutcome ReadReplyToken(std::string_view input, ReplyToken* token, TokenProgress* progress);

inline bool IsAggregate(char type) {
  return type == '*' || type == '%' || type == '~' || type == '>' || type == '|';
}

}  // namespace kvs
