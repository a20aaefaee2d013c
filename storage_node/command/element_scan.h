// HSCAN, SSCAN and ZSCAN: a collection in pieces.
//
// The cursor is a place in the order of the elements' hashes, so it needs no memory on the server
// and outlives every change: what is there from the first call to the last is returned.  A packed
// collection comes at once.
//
// Threads: pure functions of their context.

#pragma once

#include <cstdint>
#include <string_view>

#include "storage_node/command/command_context.h"
#include "storage_node/types/collection.h"
#include "storage_node/types/sampling.h"

namespace kvs {

struct ElementScan {
  uint64_t cursor = 0;
  std::string_view pattern = "*";
  size_t count = 10;
};

// Parses what follows the key; without the options if `with_options` is false.
//   kInvalidArgument: in Redis's words
Result<uint64_t> ParseElementCursor(std::string_view text);
Result<ElementScan> ParseElementScan(uint64_t cursor, std::span<const std::string_view> options);

// Replies with a cursor and the elements whose names match; `with_values` adds what they hold.
Status ReplyElementScan(CommandContext& ctx, const ElementSource& source, const ElementScan& scan,
                        bool with_values);
// REQUIRES: the order kNone
inline Status ReplyElementScan(CommandContext& ctx, const Collection& collection,
                               const ElementScan& scan, bool with_values) {
  return ReplyElementScan(ctx, SourceOf(collection), scan, with_values);
}

}  // namespace kvs
