#include "common/slot/slot.h"

#include <array>
#include <cstddef>
#include <cstring>

namespace kvs {
namespace {

// Slicing: table k gives the effect of a byte that k more bytes follow.  Four bytes then cost four
// independent look-ups instead of a chain of four.
constexpr int kSlices = 4;
using Table = std::array<uint16_t, 256>;

constexpr uint16_t ShiftByte(uint32_t crc) {
  for (int bit = 0; bit < 8; ++bit) {
    crc = (crc << 1) ^ ((crc & 0x8000) != 0 ? 0x1021u : 0u);
    crc &= 0xffff;
  }
  return static_cast<uint16_t>(crc);
}

constexpr std::array<Table, kSlices> MakeTables() {
  std::array<Table, kSlices> tables{};
  for (uint32_t i = 0; i < 256; ++i) {
    tables[0][i] = ShiftByte(i << 8);
    for (size_t k = 1; k < kSlices; ++k) {
      tables[k][i] = ShiftByte(tables[k - 1][i]);
    }
  }
  return tables;
}

constexpr std::array<Table, kSlices> kTables = MakeTables();

uint8_t Byte(char c) {
  return static_cast<uint8_t>(c);
}

}  // namespace

uint16_t Crc16(std::string_view bytes) {
  const char* p = bytes.data();
  size_t left = bytes.size();
  uint32_t crc = 0;
  for (; left >= 4; left -= 4, p += 4) {
    crc = uint32_t{kTables[3][(crc >> 8) ^ Byte(p[0])]} ^ kTables[2][(crc & 0xff) ^ Byte(p[1])] ^
          kTables[1][Byte(p[2])] ^ kTables[0][Byte(p[3])];
  }
  for (; left > 0; --left, ++p) {
    crc = ((crc << 8) & 0xffff) ^ kTables[0][(crc >> 8) ^ Byte(*p)];
  }
  return static_cast<uint16_t>(crc);
}

std::string_view HashTag(std::string_view key) {
  const size_t open = key.find('{');
  if (open == std::string_view::npos) {
    return key;
  }
  const size_t close = key.find('}', open + 1);
  if (close == std::string_view::npos || close == open + 1) {
    return key;
  }
  return key.substr(open + 1, close - open - 1);
}

}  // namespace kvs
