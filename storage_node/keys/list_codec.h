// How a list is kept in the elements of a collection, and in the header of its metadata.
//
//   's' order              an element, in its place; its value is the element
//   'f' level order        a node of the rank index (storage_node/types/rank_index.h)
//
// An order is a position, and behind it, if the element was put between two whose positions are
// neighbours, a fraction.  Orders compare as bytes.  A list that has only been changed at its ends
// is "dense": its orders are the positions from the first to the last one, without a gap, so an
// index is a position, and no rank index is needed.
//
// Threads: pure functions.
// Format:  doc/formats/keys.md

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "storage_node/keys/zset_codec.h"

namespace kvs {

inline constexpr char kListElementTag = kZSetOrderTag;
inline constexpr size_t kListPositionSize = 8;
// Where the first element of a list is put, so that both ends are far.
inline constexpr uint64_t kListOrigin = uint64_t{1} << 63;
// A longer order is a reason to give its neighbours new ones.
inline constexpr size_t kMaxListOrder = kListPositionSize + 24;

// The order of a position without a fraction.
std::string ListOrder(uint64_t position);
// REQUIRES: kListPositionSize bytes or more
uint64_t PositionOfOrder(std::string_view order);

// Returns an order between two, which may be longer than kMaxListOrder.
// REQUIRES: before < after, and orders made by these functions
std::string ListOrderBetween(std::string_view before, std::string_view after);
// Returns `count` orders that begin with `prefix`, sorted, and as far from each other and from
// what does not begin with it as `digits` more bytes allow.
// REQUIRES: digits > 0; count is at most 2 to the power of digits
std::vector<std::string> SpreadListOrders(std::string_view prefix, size_t count, size_t digits);

// Returns the bytes that Redis's listpack would have for an element.
uint64_t ListpackEntrySize(std::string_view element);

struct ListHeader {
  RankRoot root = {};  // Nothing while the list is dense.
  bool is_dense = true;
  uint64_t first = 0;  // The positions of the first element and the last.
  uint64_t last = 0;
  uint64_t listpack_bytes = 0;  // Of all entries; see ListpackEntrySize().
  bool operator==(const ListHeader&) const = default;
};
inline constexpr size_t kListHeaderSize = kZSetHeaderSize + 1 + 3 * 8;
std::string EncodeListHeader(const ListHeader& header);
// REQUIRES: kListHeaderSize bytes
ListHeader DecodeListHeader(std::string_view header);

}  // namespace kvs
