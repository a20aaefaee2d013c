#include "storage_node/check/list_audit.h"

#include "common/base/coding.h"

namespace kvs {

// The nodes of the index come before the elements.
void ListAudit::Add(std::string_view name, std::string_view value) {
  if (is_strange_) {
    return;
  }
  const char tag = name.empty() ? '\0' : name[0];
  const std::string_view order = name.empty() ? name : name.substr(1);
  if (tag == kZSetNodeTag) {
    is_strange_ = !ranks_.AddNode(name, value);
  } else if (tag == kListElementTag && order.size() >= kListPositionSize &&
             (count_ == 0 || order > last_order_)) {
    const uint64_t position = PositionOfOrder(order);
    is_dense_ &= order.size() == kListPositionSize && (count_ == 0 || position == last_ + 1);
    first_ = count_ == 0 ? position : first_;
    last_ = position;
    last_order_ = order;
    ++count_;
    listpack_bytes_ += ListpackEntrySize(value);
    ranks_.AddOrder(order);
  } else {
    is_strange_ = true;
  }
}

std::string ListAudit::Verdict(uint64_t count, const ListHeader& header) const {
  if (is_strange_) {
    return "has an element that is none of a list, or is out of order";
  }
  if (count_ != count || count == 0) {
    return "counts " + std::to_string(count) + " elements, and has " + std::to_string(count_);
  }
  if (header.first != first_ || header.last != last_) {
    return "begins or ends elsewhere than its metadata tells";
  }
  if (header.is_dense && !is_dense_) {
    return "has gaps that its metadata does not tell of";
  }
  if (header.listpack_bytes != listpack_bytes_) {
    return "has another size than its metadata tells";
  }
  return ranks_.Verdict(header.root);
}

std::string ListAudit::VerdictOfPacked(std::string_view packed, uint64_t count,
                                       const ListHeader& header) {
  ListAudit audit;
  while (!packed.empty()) {
    std::string_view name;
    std::string_view value;
    if (!GetLengthPrefixed(&packed, &name) || !GetLengthPrefixed(&packed, &value)) {
      return "cannot be unpacked";
    }
    audit.Add(name, value);
  }
  return audit.Verdict(count, header);
}

}  // namespace kvs
