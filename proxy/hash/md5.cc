#include "proxy/hash/md5.h"

#include <bit>
#include <string>

namespace kvs {
namespace {

constexpr size_t kBlockSize = 64;

// floor(2^32 * |sin(i + 1)|)
constexpr uint32_t kSines[64] = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391};
// By round and step within four.
constexpr int kShifts[4][4] = {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};

struct Mixed {
  uint32_t bits;
  size_t word;
};

Mixed Mix(size_t step, uint32_t b, uint32_t c, uint32_t d) {
  switch (step / 16) {
    case 0:
      return {(b & c) | (~b & d), step};
    case 1:
      return {(d & b) | (~d & c), (5 * step + 1) % 16};
    case 2:
      return {b ^ c ^ d, (3 * step + 5) % 16};
    default:
      return {c ^ (b | ~d), (7 * step) % 16};
  }
}

uint32_t LoadLittleEndian(const char* bytes) {
  uint32_t word = 0;
  for (int i = 3; i >= 0; --i) {
    word = (word << 8) | static_cast<unsigned char>(bytes[i]);
  }
  return word;
}

void AddBlock(const char* block, uint32_t (&state)[4]) {
  uint32_t words[16];
  for (size_t i = 0; i < 16; ++i) {
    words[i] = LoadLittleEndian(block + 4 * i);
  }
  uint32_t a = state[0];
  uint32_t b = state[1];
  uint32_t c = state[2];
  uint32_t d = state[3];
  for (size_t step = 0; step < 64; ++step) {
    const Mixed mixed = Mix(step, b, c, d);
    const uint32_t sum = a + mixed.bits + kSines[step] + words[mixed.word];
    a = d;
    d = c;
    c = b;
    b += std::rotl(sum, kShifts[step / 16][step % 4]);
  }
  state[0] += a;
  state[1] += b;
  state[2] += c;
  state[3] += d;
}

}  // namespace

std::array<uint8_t, 16> Md5(std::string_view bytes) {
  uint32_t state[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
  size_t done = 0;
  for (; done + kBlockSize <= bytes.size(); done += kBlockSize) {
    AddBlock(bytes.data() + done, state);
  }
  std::string tail(bytes.substr(done));
  tail.push_back(static_cast<char>(0x80));
  while (tail.size() % kBlockSize != kBlockSize - 8) {
    tail.push_back(0);
  }
  for (int shift = 0; shift < 64; shift += 8) {
    tail.push_back(static_cast<char>((uint64_t{bytes.size()} * 8) >> shift));
  }
  for (size_t i = 0; i < tail.size(); i += kBlockSize) {
    AddBlock(tail.data() + i, state);
  }
  std::array<uint8_t, 16> digest;
  for (size_t i = 0; i < digest.size(); ++i) {
    digest[i] = static_cast<uint8_t>(state[i / 4] >> (8 * (i % 4)));
  }
  return digest;
}

}  // namespace kvs
