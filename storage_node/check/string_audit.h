// StringAudit: whether the chunks of one string agree with each other.
//
// It is fed all elements of a version before anybody knows whose they are, and asked at the end if
// they turn out to be a string's.
//
// Threads: one owner.
// Owner:   DataChecker.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace kvs {

class StringAudit {
 public:
  // Takes an element's record: the name of a chunk, and its bytes.
  void Add(std::string_view element, std::string_view value);
  // Returns what is wrong with a string of so many bytes, or "".
  std::string Verdict(uint64_t length) const;

 private:
  bool is_strange_ = false;   // There is an element that no string has.
  bool is_too_long_ = false;  // There is a chunk that is longer than chunks are.
  uint64_t end_ = 0;          // Behind the last byte that a chunk has.
};

}  // namespace kvs
