// SetAudit: whether the records of one set agree with each other.
//
// It is fed all elements of a version before anybody knows whose they are, and asked at the end if
// they turn out to be a set's.
//
// Threads: one owner.
// Owner:   DataChecker.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace kvs {

class SetAudit {
 public:
  // Takes an element's record: the hash of the member, the member, and nothing as its value.
  void Add(std::string_view element, std::string_view value);
  // Returns what is wrong with a set that counts so many members and has that encoding, or "".
  std::string Verdict(uint64_t count, uint8_t encoding) const;

  // The same for a packed one, whose members stand one behind the other.
  static std::string VerdictOfPacked(std::string_view packed, uint64_t count, uint8_t encoding);

 private:
  void AddMember(std::string_view member, std::string_view value);

  uint64_t members_ = 0;
  bool is_strange_ = false;      // There is an element that no set has.
  bool has_other_text_ = false;  // There is a member that is no integer.
};

}  // namespace kvs
