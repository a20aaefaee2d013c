// How a sorted set is kept in the elements of a collection, and in the header of its metadata.
//
//   's' order              the members in their order; packed sets have only these
//   'm' hash member        what a member's score is; the hash is ElementHash's
//   'f' level order        a node of the rank index (storage_node/types/rank_index.h)
//
// An order is the score, as eight bytes that sort as scores do, and behind it the member: so it is
// that of Redis, by score and for equal scores by the members' bytes.
//
// Threads: pure functions.
// Format:  doc/formats/keys.md

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/status.h"

namespace kvs {

inline constexpr char kZSetOrderTag = 's';
inline constexpr char kZSetMemberTag = 'm';
inline constexpr char kZSetNodeTag = 'f';
inline constexpr size_t kScoreSize = 8;
inline constexpr size_t kZSetHashSize = 8;
// Before the member in an element's name: 's' score, or 'm' hash.
inline constexpr size_t kZSetNamePrefix = 1 + kScoreSize;

// Eight bytes that compare as the scores do.  -0 is 0.  REQUIRES: not NaN
std::string EncodeScoreOrder(double score);
// REQUIRES: at least kScoreSize bytes
double DecodeScoreOrder(std::string_view bytes);

// The order of a member.
std::string ZSetOrder(double score, std::string_view member);
// What an element 's' tells.  REQUIRES: a name of kZSetNamePrefix bytes or more
inline double ScoreOfName(std::string_view name) {
  return DecodeScoreOrder(name.substr(1));
}
inline std::string_view MemberOfName(std::string_view name) {
  return name.substr(kZSetNamePrefix);
}

// The value of an element 'm'.
std::string EncodeScoreValue(double score);
//   kCorruption: not eight bytes
Result<double> DecodeScoreValue(std::string_view value);

// A node of the rank index: how many members lie from its order up to that of the next node of its
// level, and how many of them (level 1) or of nodes of the level below are its own.
struct RankNode {
  uint64_t count = 0;
  uint64_t children = 0;
  bool operator==(const RankNode&) const = default;
};
std::string EncodeRankNode(const RankNode& node);
//   kCorruption: not a node
Result<RankNode> DecodeRankNode(std::string_view value);

// What the metadata says of the index; zeros: there is none.
struct RankRoot {
  uint8_t levels = 0;
  uint32_t top_nodes = 0;
  bool operator==(const RankRoot&) const = default;
};
inline constexpr size_t kZSetHeaderSize = 5;
std::string EncodeRankRoot(const RankRoot& root);
// REQUIRES: at least kZSetHeaderSize bytes
RankRoot DecodeRankRoot(std::string_view header);

// Between which orders all members stand, as far as it is known, so that no walk goes over what has
// been removed at the ends.  Each is the beginning of an order, or empty.
struct OrderBounds {
  static constexpr size_t kMaxSize = 40;

  std::string first;  // No order is below it,
  std::string last;   // ...and none behind all that begin with this.

  // Takes the order in.
  void Widen(std::string_view order);
  // Say that the order is the first or the last one, or was.
  void SetFirst(std::string_view order) { first = order.substr(0, kMaxSize); }
  void SetLast(std::string_view order) { last = order.substr(0, kMaxSize); }
  bool Has(std::string_view order) const {
    return order >= first && (last.empty() || order.substr(0, last.size()) <= last);
  }
  bool operator==(const OrderBounds&) const = default;
};

// The header of a sorted set that has records: that of others is the root alone.
struct ZSetHeader {
  RankRoot root;
  OrderBounds bounds;
  bool operator==(const ZSetHeader&) const = default;
};

inline constexpr size_t kZSetTailSize = 2 * (1 + OrderBounds::kMaxSize);
std::string EncodeZSetHeader(const ZSetHeader& header);
// Nothing behind the root: nothing is known.
//   kCorruption: not a header
Result<ZSetHeader> DecodeZSetHeader(std::string_view header);

}  // namespace kvs
