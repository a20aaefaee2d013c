// ListAudit: whether the records of one list agree with each other and with its metadata.
//
// It is fed all elements of a version, in their order, before anybody knows whose they are, and
// asked at the end if they turn out to be a list's.
//
// Threads: one owner.
// Owner:   DataChecker.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "storage_node/check/rank_audit.h"
#include "storage_node/keys/list_codec.h"

namespace kvs {

class ListAudit {
 public:
  void Add(std::string_view name, std::string_view value);
  // Returns what is wrong with a list that counts so many elements and has that header, or "".
  std::string Verdict(uint64_t count, const ListHeader& header) const;

  // The same for the elements of a packed one.
  static std::string VerdictOfPacked(std::string_view packed, uint64_t count,
                                     const ListHeader& header);

 private:
  RankAudit ranks_;
  bool is_strange_ = false;  // There is an element that no list has.
  bool is_dense_ = true;     // So far each stands at the position behind that of the one before.
  uint64_t count_ = 0;
  uint64_t first_ = 0;
  uint64_t last_ = 0;
  std::string last_order_;
  uint64_t listpack_bytes_ = 0;
};

}  // namespace kvs
