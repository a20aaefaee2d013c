#include "storage_node/check/set_audit.h"

#include <set>

#include "common/base/coding.h"
#include "common/base/strings.h"

namespace kvs {
namespace {

constexpr size_t kHashSize = 8;
constexpr uint8_t kIntset = 0;
constexpr uint8_t kLastEncoding = 2;

}  // namespace

void SetAudit::AddMember(std::string_view member, std::string_view value) {
  ++members_;
  int64_t integer = 0;
  is_strange_ |= !value.empty();
  has_other_text_ |= !ParseInt64(member, &integer);
}

void SetAudit::Add(std::string_view element, std::string_view value) {
  if (element.size() < kHashSize) {
    is_strange_ = true;
    return;
  }
  AddMember(element.substr(kHashSize), value);
}

std::string SetAudit::Verdict(uint64_t count, uint8_t encoding) const {
  if (is_strange_) {
    return "has an element that is none of a set";
  }
  if (members_ != count) {
    return "counts " + std::to_string(count) + " members, and has " + std::to_string(members_);
  }
  if (encoding > kLastEncoding) {
    return "has an encoding that sets do not have";
  }
  if (encoding == kIntset && has_other_text_) {
    return "is an intset, and has a member that is no integer";
  }
  return "";
}

std::string SetAudit::VerdictOfPacked(std::string_view packed, uint64_t count, uint8_t encoding) {
  SetAudit audit;
  std::set<std::string_view> seen;
  while (!packed.empty()) {
    std::string_view member;
    std::string_view value;
    if (!GetLengthPrefixed(&packed, &member) || !GetLengthPrefixed(&packed, &value)) {
      return "cannot be unpacked";
    }
    if (!seen.insert(member).second) {
      return "has a member twice";
    }
    audit.AddMember(member, value);
  }
  return audit.Verdict(count, encoding);
}

}  // namespace kvs
