// ZSetAudit: whether the records of one sorted set agree with each other.
//
// It is fed all elements of a version, in their order, before anybody knows whose they are, and
// asked at the end if they turn out to be a sorted set's.  Members and order are compared by sums
// of hashes, so memory is needed for the nodes of the rank index alone.
//
// Threads: one owner.
// Owner:   DataChecker.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "storage_node/check/rank_audit.h"
#include "storage_node/keys/zset_codec.h"

namespace kvs {

class ZSetAudit {
 public:
  void Add(std::string_view name, std::string_view value);
  // Returns what is wrong with a sorted set that counts so many members and has that header, or "".
  std::string Verdict(uint64_t count, const ZSetHeader& header) const;

  // The same for the names of a packed one, one after the other, which has no other elements.
  static std::string VerdictOfPacked(std::string_view packed, uint64_t count);

 private:
  RankAudit ranks_;
  bool is_strange_ = false;  // There is an element that no sorted set has.
  uint64_t ordered_ = 0;
  uint64_t members_ = 0;
  // Sums over the pairs of member and score.
  uint64_t ordered_digest_ = 0;
  uint64_t members_digest_ = 0;
  std::string first_order_;
  std::string last_order_;
};

}  // namespace kvs
