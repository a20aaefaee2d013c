#include "storage_node/keys/list_codec.h"

#include <algorithm>

#include "common/base/check.h"
#include "common/base/coding.h"
#include "common/base/strings.h"

namespace kvs {
namespace {

constexpr unsigned kDigits = 256;  // A fraction's digits are bytes.
// The digits that new orders are spread over: enough for any number of them, and 64 bits.
constexpr size_t kMaxSpreadDigits = 7;
// How far orders are spread at least, if there is room: so many halvings stay short.
constexpr uint64_t kSpread = 256;
constexpr uint8_t kDenseFlag = 1;

// The bytes of an integer in a listpack, but for what leads back to its beginning.
uint64_t ListpackIntegerSize(int64_t value) {
  const auto fits = [value](int bits) {
    return value >= -(int64_t{1} << (bits - 1)) && value < int64_t{1} << (bits - 1);
  };
  if (value >= 0 && value < 128) {
    return 1;
  }
  if (fits(13)) {
    return 2;
  }
  for (const int bytes : {2, 3, 4}) {
    if (fits(8 * bytes)) {
      return 1 + static_cast<uint64_t>(bytes);
    }
  }
  return 1 + sizeof(value);
}

uint64_t ListpackStringSize(uint64_t size) {
  if (size < 64) {
    return 1 + size;
  }
  return size + (size < 4096 ? 2 : 5);
}

}  // namespace

std::string ListOrder(uint64_t position) {
  std::string order;
  PutBig64(&order, position);
  return order;
}

uint64_t PositionOfOrder(std::string_view order) {
  KVS_CHECK(order.size() >= kListPositionSize);
  return DecodeBig64(order.data());
}

std::string ListOrderBetween(std::string_view before, std::string_view after) {
  KVS_CHECK(before < after);
  const uint64_t from = PositionOfOrder(before);
  const uint64_t to = PositionOfOrder(after);
  if (to - from >= 2) {
    return ListOrder(from + (to - from) / 2);
  }
  std::string between;
  bool is_bounded = true;  // What has been appended is the beginning of `after`, too.
  for (size_t i = 0;; ++i) {
    const unsigned low = i < before.size() ? static_cast<unsigned char>(before[i]) : 0;
    const unsigned high = is_bounded ? static_cast<unsigned char>(after[i]) : kDigits;
    if (high - low >= 2) {
      between.push_back(static_cast<char>((low + high) / 2));
      return between;
    }
    between.push_back(static_cast<char>(low));
    is_bounded = is_bounded && low == high;
  }
}

std::vector<std::string> SpreadListOrders(std::string_view prefix, size_t count, size_t digits) {
  size_t width = 1;
  const size_t most = std::min(digits, kMaxSpreadDigits);
  uint64_t room = kDigits;
  while (width < most && room / (count + 1) < kSpread) {
    ++width;
    room *= kDigits;
  }
  const uint64_t step = room / (count + 1);
  KVS_CHECK(step > 0);
  std::vector<std::string> orders;
  orders.reserve(count);
  for (uint64_t i = 1; i <= count; ++i) {
    const std::string number = ListOrder(i * step);
    std::string& order = orders.emplace_back(prefix);
    order += number.substr(kListPositionSize - width);
    order.erase(order.find_last_not_of('\0') + 1);
    KVS_CHECK(order.size() > prefix.size());
  }
  return orders;
}

uint64_t ListpackEntrySize(std::string_view element) {
  int64_t value = 0;
  const uint64_t size =
      ParseInt64(element, &value) ? ListpackIntegerSize(value) : ListpackStringSize(element.size());
  uint64_t back = 1;
  for (uint64_t left = size >> 7; left > 0; left >>= 7) {
    ++back;
  }
  return size + back;
}

std::string EncodeListHeader(const ListHeader& header) {
  std::string bytes = EncodeRankRoot(header.root);
  PutFixed(&bytes, header.is_dense ? kDenseFlag : uint8_t{0});
  PutFixed64(&bytes, header.first);
  PutFixed64(&bytes, header.last);
  PutFixed64(&bytes, header.listpack_bytes);
  return bytes;
}

ListHeader DecodeListHeader(std::string_view header) {
  KVS_CHECK(header.size() == kListHeaderSize);
  const char* bytes = header.data() + kZSetHeaderSize;
  return {.root = DecodeRankRoot(header.substr(0, kZSetHeaderSize)),
          .is_dense = (static_cast<uint8_t>(bytes[0]) & kDenseFlag) != 0,
          .first = DecodeFixed64(bytes + 1),
          .last = DecodeFixed64(bytes + 9),
          .listpack_bytes = DecodeFixed64(bytes + 17)};
}

}  // namespace kvs
