// Reply: a RESP2 or RESP3 reply as a tree, for control links, tools and tests.
//
// The data path never builds one: it forwards bytes (reply_scanner.h).
//
// Threads: a value.
// Owner:   the caller; a Reply owns its bytes.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/status.h"

namespace kvs {

struct Reply {
  enum class Type : uint8_t {
    kNull,
    kSimple,
    kError,  // '-' and '!'
    kInteger,
    kBulk,
    kDouble,
    kBoolean,    // `integer` is 1 or 0
    kBigNumber,  // `text` holds the digits
    kVerbatim,   // `text` without its format
    kArray,
    kMap,  // `elements` holds key, value, key, value
    kSet,
    kPush,
  };

  Type type = Type::kNull;
  int64_t integer = 0;
  double number = 0;
  std::string text;
  std::vector<Reply> elements;

  bool is_null() const { return type == Type::kNull; }
  bool is_error() const { return type == Type::kError; }
  bool is_ok() const { return type == Type::kSimple && text == "OK"; }
  // Simple, bulk or verbatim.
  bool is_string() const {
    return type == Type::kSimple || type == Type::kBulk || type == Type::kVerbatim;
  }

  // Returns the value of `key` in a map, or in an array of alternating keys and values, as RESP2
  // writes maps; nullptr if it is missing.  Lives as long as this reply.
  const Reply* Find(std::string_view key) const;

  // Returns the reply on one line, escaped, for logs and test failures: (array) ["a", 1, null].
  std::string ToString() const;

  bool operator==(const Reply&) const = default;
};

// Reads one complete reply; attributes are dropped.
//   kInvalidArgument: `frame` is not exactly one reply, or goes past the limits of a ReplyScanner
Result<Reply> ParseReply(std::string_view frame);

}  // namespace kvs
