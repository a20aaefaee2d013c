#include "common/rdb/crc64.h"

#include <array>

namespace kvs {
namespace {

constexpr uint64_t kPolynomial = 0x95ac9329ac4bc9b5;  // 0xad93d23594c935a9 with its bits reversed.

// Table t has what a byte does to the checksum of the t bytes behind it: eight at a time.
constexpr std::array<std::array<uint64_t, 256>, 8> MakeTables() {
  std::array<std::array<uint64_t, 256>, 8> tables{};
  for (uint64_t i = 0; i < 256; ++i) {
    uint64_t crc = i;
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc & 1) != 0 ? (crc >> 1) ^ kPolynomial : crc >> 1;
    }
    tables[0][i] = crc;
  }
  for (size_t t = 1; t < 8; ++t) {
    for (size_t i = 0; i < 256; ++i) {
      const uint64_t before = tables[t - 1][i];
      tables[t][i] = tables[0][before & 0xff] ^ (before >> 8);
    }
  }
  return tables;
}

constexpr auto kTables = MakeTables();

}  // namespace

uint64_t Crc64(std::string_view bytes, uint64_t crc) {
  while (bytes.size() >= 8) {
    uint64_t mixed = crc;
    for (size_t i = 0; i < 8; ++i) {
      mixed ^= uint64_t{static_cast<uint8_t>(bytes[i])} << (8 * i);
    }
    crc = 0;
    for (size_t i = 0; i < 8; ++i) {
      crc ^= kTables[7 - i][(mixed >> (8 * i)) & 0xff];
    }
    bytes.remove_prefix(8);
  }
  for (const char c : bytes) {
    crc = kTables[0][(crc ^ static_cast<uint8_t>(c)) & 0xff] ^ (crc >> 8);
  }
  return crc;
}

}  // namespace kvs
