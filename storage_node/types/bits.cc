#include "storage_node/types/bits.h"

#include <algorithm>
#include <bit>

#include "common/base/coding.h"

namespace kvs {
namespace {

constexpr uint64_t kByteBits = 8;
__extension__ using Wide = __int128;

uint8_t ByteAt(std::string_view bytes, uint64_t at) {
  return at < bytes.size() ? static_cast<uint8_t>(bytes[at]) : 0;
}

// The bits of the byte that lie in the range, the others 0.
uint8_t Masked(std::string_view bytes, uint64_t at, const BitRange& range) {
  unsigned byte = ByteAt(bytes, at);
  if (at == range.first / kByteBits) {
    byte &= 0xffu >> (range.first % kByteBits);
  }
  if (at == range.last / kByteBits) {
    byte &= 0xff00u >> (range.last % kByteBits + 1);
  }
  return static_cast<uint8_t>(byte);
}

}  // namespace

uint64_t CountBits(std::string_view bytes, const BitRange& range) {
  const uint64_t first = range.first / kByteBits;
  const uint64_t last = range.last / kByteBits;
  uint64_t count = static_cast<uint64_t>(std::popcount(Masked(bytes, first, range)));
  if (first == last) {
    return count;
  }
  uint64_t at = first + 1;
  for (; at + sizeof(uint64_t) <= last; at += sizeof(uint64_t)) {
    count += static_cast<uint64_t>(std::popcount(DecodeFixed64(bytes.data() + at)));
  }
  for (; at < last; ++at) {
    count += static_cast<uint64_t>(std::popcount(ByteAt(bytes, at)));
  }
  return count + static_cast<uint64_t>(std::popcount(Masked(bytes, last, range)));
}

std::optional<uint64_t> FindBit(std::string_view bytes, const BitRange& range, bool bit) {
  const uint8_t skipped = bit ? 0 : 0xff;  // A byte without such a bit.
  const uint64_t last = range.last / kByteBits;
  uint64_t at = range.first / kByteBits;
  while (at <= last) {
    const bool is_edge = at == range.first / kByteBits || at == last;
    if (!is_edge && ByteAt(bytes, at) == skipped) {
      ++at;
      continue;
    }
    for (uint64_t offset = std::max(at * kByteBits, range.first);
         offset <= std::min(at * kByteBits + kByteBits - 1, range.last); ++offset) {
      if (BitAt(bytes, offset) == bit) {
        return offset;
      }
    }
    ++at;
  }
  return std::nullopt;
}

bool BitAt(std::string_view bytes, uint64_t offset) {
  return (ByteAt(bytes, offset / kByteBits) >> (7 - offset % kByteBits) & 1) != 0;
}

void SetBitAt(uint64_t offset, bool bit, std::string* bytes) {
  const unsigned mask = 0x80u >> (offset % kByteBits);
  char& byte = (*bytes)[offset / kByteBits];
  const unsigned old = static_cast<uint8_t>(byte);
  byte = static_cast<char>(bit ? old | mask : old & ~mask);
}

int64_t ReadBitField(std::string_view bytes, uint64_t offset, const BitFieldType& type) {
  uint64_t value = 0;
  for (int i = 0; i < type.bits; ++i) {
    value = value << 1 | (BitAt(bytes, offset + static_cast<uint64_t>(i)) ? 1 : 0);
  }
  const bool is_negative = type.is_signed && (value >> (type.bits - 1) & 1) != 0;
  if (is_negative && type.bits < 64) {
    value |= ~uint64_t{0} << type.bits;
  }
  return static_cast<int64_t>(value);
}

void WriteBitField(uint64_t offset, const BitFieldType& type, int64_t value, std::string* bytes) {
  for (int i = 0; i < type.bits; ++i) {
    const bool bit = (static_cast<uint64_t>(value) >> (type.bits - 1 - i) & 1) != 0;
    SetBitAt(offset + static_cast<uint64_t>(i), bit, bytes);
  }
}

std::optional<int64_t> AddToBitField(int64_t value, int64_t increment, const BitFieldType& type,
                                     BitOverflow overflow) {
  const Wide one = 1;
  const Wide min = type.is_signed ? -(one << (type.bits - 1)) : 0;
  const Wide max = (one << (type.is_signed ? type.bits - 1 : type.bits)) - 1;
  const Wide start = type.is_signed ? Wide{value} : Wide{static_cast<uint64_t>(value)};
  const Wide sum = start + increment;
  if (sum >= min && sum <= max && start <= max) {
    return static_cast<int64_t>(sum);
  }
  switch (overflow) {
    case BitOverflow::kFail:
      return std::nullopt;
    case BitOverflow::kSaturate:
      return static_cast<int64_t>(sum < min ? min : max);
    case BitOverflow::kWrap:
      break;
  }
  // The lowest bits of the sum, as the type reads them.
  const Wide range = one << type.bits;
  Wide wrapped = sum % range;
  wrapped += wrapped < min ? range : 0;
  wrapped -= wrapped > max ? range : 0;
  return static_cast<int64_t>(wrapped);
}

}  // namespace kvs
