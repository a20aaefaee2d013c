#include "storage_node/check/zset_audit.h"

#include <functional>

#include "common/base/coding.h"

namespace kvs {
namespace {

uint64_t DigestOf(double score, std::string_view member) {
  return std::hash<std::string>()(ZSetOrder(score, member));
}

}  // namespace

// The nodes come before the members, and those of a level before those of the next.
void ZSetAudit::Add(std::string_view name, std::string_view value) {
  if (is_strange_) {
    return;
  }
  const char tag = name.empty() ? '\0' : name[0];
  if (tag == kZSetNodeTag) {
    is_strange_ = !ranks_.AddNode(name, value);
  } else if (tag == kZSetMemberTag && name.size() >= kZSetNamePrefix) {
    const Result<double> score = DecodeScoreValue(value);
    is_strange_ |= !score.ok();
    ++members_;
    members_digest_ += score.ok() ? DigestOf(*score, MemberOfName(name)) : 0;
  } else if (tag == kZSetOrderTag && name.size() >= kZSetNamePrefix && value.empty()) {
    ++ordered_;
    ordered_digest_ += DigestOf(ScoreOfName(name), MemberOfName(name));
    ranks_.AddOrder(name.substr(1));
    last_order_ = name.substr(1);
    first_order_ = ordered_ == 1 ? last_order_ : first_order_;
  } else {
    is_strange_ = true;
  }
}

std::string ZSetAudit::Verdict(uint64_t count, const ZSetHeader& header) const {
  if (is_strange_) {
    return "has an element that is none of a sorted set";
  }
  if (ordered_ != count || members_ != count) {
    return "counts " + std::to_string(count) + " members, and has " + std::to_string(members_) +
           ", " + std::to_string(ordered_) + " of them in order";
  }
  if (ordered_digest_ != members_digest_) {
    return "has other members than stand in order";
  }
  if (ordered_ > 0 && !(header.bounds.Has(first_order_) && header.bounds.Has(last_order_))) {
    return "has members outside its bounds";
  }
  return ranks_.Verdict(header.root);
}

std::string ZSetAudit::VerdictOfPacked(std::string_view packed, uint64_t count) {
  uint64_t found = 0;
  std::string_view last;
  while (!packed.empty()) {
    std::string_view name;
    std::string_view value;
    if (!GetLengthPrefixed(&packed, &name) || !GetLengthPrefixed(&packed, &value)) {
      return "cannot be unpacked";
    }
    if (name.size() < kZSetNamePrefix || name[0] != kZSetOrderTag || !value.empty()) {
      return "has an element that is none of a sorted set";
    }
    if (found > 0 && name <= last) {
      return "is out of order";
    }
    last = name;
    ++found;
  }
  return found == count
             ? ""
             : "counts " + std::to_string(count) + " members, and has " + std::to_string(found);
}

}  // namespace kvs
