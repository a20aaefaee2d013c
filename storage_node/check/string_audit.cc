#include "storage_node/check/string_audit.h"

#include <algorithm>

#include "storage_node/keys/string_codec.h"

namespace kvs {

void StringAudit::Add(std::string_view element, std::string_view value) {
  uint32_t index = 0;
  if (!ParseStringChunkName(element, &index) || value.empty()) {
    is_strange_ = true;
    return;
  }
  is_too_long_ |= value.size() > kStringChunkSize;
  end_ = std::max(end_, uint64_t{index} * kStringChunkSize + value.size());
}

std::string StringAudit::Verdict(uint64_t length) const {
  if (is_strange_) {
    return "has an element that is no chunk of a string";
  }
  if (is_too_long_) {
    return "has a chunk that is longer than chunks are";
  }
  if (end_ > length) {
    return "has " + std::to_string(length) + " bytes, and a chunk with byte " +
           std::to_string(end_ - 1);
  }
  return "";
}

}  // namespace kvs
