// Bits of strings: bit 0 is the highest of the first byte, and behind the end all bits are 0.
//
// Threads: pure functions, no state.
// Owner:   the caller.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace kvs {

// Bits from `first` to `last`, both included; none if last < first.
struct BitRange {
  uint64_t first = 0;
  uint64_t last = 0;
};

// REQUIRES, for these: first <= last, and last is within the string
uint64_t CountBits(std::string_view bytes, const BitRange& range);
// Returns the place of the first bit that is `bit`; nothing: there is none.
std::optional<uint64_t> FindBit(std::string_view bytes, const BitRange& range, bool bit);

bool BitAt(std::string_view bytes, uint64_t offset);
// REQUIRES: it is within the string
void SetBitAt(uint64_t offset, bool bit, std::string* bytes);

// An integer of some bits that stands anywhere in a string.
struct BitFieldType {
  bool is_signed = false;
  int bits = 8;  // 1 to 64, unsigned to 63.
};

// Returns the integer at `offset`.
int64_t ReadBitField(std::string_view bytes, uint64_t offset, const BitFieldType& type);
// REQUIRES: it is within the string
void WriteBitField(uint64_t offset, const BitFieldType& type, int64_t value, std::string* bytes);

enum class BitOverflow : uint8_t { kWrap, kSaturate, kFail };

// Returns value + increment as the type can hold it; nothing: it cannot, and that is a failure.  An
// unsigned `value` below 0 is one above all others.
std::optional<int64_t> AddToBitField(int64_t value, int64_t increment, const BitFieldType& type,
                                     BitOverflow overflow);

}  // namespace kvs
