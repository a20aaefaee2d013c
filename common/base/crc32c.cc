#include "common/base/crc32c.h"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace kvs {
namespace {

constexpr uint32_t kPolynomial = 0x82f63b78;  // Reflected Castagnoli.

constexpr std::array<uint32_t, 256> MakeTable() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) {
      value = (value >> 1) ^ ((value & 1) != 0 ? kPolynomial : 0);
    }
    table[i] = value;
  }
  return table;
}

constexpr std::array<uint32_t, 256> kTable = MakeTable();

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) uint32_t ExtendHardware(uint32_t crc, std::string_view bytes) {
  uint64_t state = ~crc;
  const char* p = bytes.data();
  size_t size = bytes.size();
  for (; size >= 8; p += 8, size -= 8) {
    uint64_t word;
    std::memcpy(&word, p, 8);
    state = _mm_crc32_u64(state, word);
  }
  auto narrow = static_cast<uint32_t>(state);
  for (; size > 0; ++p, --size) {
    narrow = _mm_crc32_u8(narrow, static_cast<unsigned char>(*p));
  }
  return ~narrow;
}

const bool kHasHardware = __builtin_cpu_supports("sse4.2") != 0;
#endif

}  // namespace

namespace internal {

uint32_t ExtendCrc32cTable(uint32_t crc, std::string_view bytes) {
  crc = ~crc;
  for (const char c : bytes) {
    crc = kTable[(crc ^ static_cast<unsigned char>(c)) & 0xff] ^ (crc >> 8);
  }
  return ~crc;
}

}  // namespace internal

uint32_t ExtendCrc32c(uint32_t crc, std::string_view bytes) {
#if defined(__x86_64__)
  if (kHasHardware) {
    return ExtendHardware(crc, bytes);
  }
#endif
  return internal::ExtendCrc32cTable(crc, bytes);
}

uint32_t Crc32c(std::string_view bytes) {
  return ExtendCrc32c(0, bytes);
}

}  // namespace kvs
