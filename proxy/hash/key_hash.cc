#include "proxy/hash/key_hash.h"

#include <fmt/format.h>

#include <array>
#include <bit>

#include "common/base/strings.h"
#include "proxy/hash/md5.h"

namespace kvs {
namespace {

constexpr uint64_t kFnv64Start = 0xcbf29ce484222325;
constexpr uint64_t kFnv64Prime = 0x100000001b3;
constexpr uint32_t kFnv32Start = 0x811c9dc5;
constexpr uint32_t kFnv32Prime = 0x01000193;

uint32_t Byte(char c) {
  return static_cast<unsigned char>(c);
}

// A byte as a signed char becomes when it is widened.
template <typename Wide>
Wide Signed(char c) {
  return static_cast<Wide>(static_cast<signed char>(c));
}

uint32_t LittleEndian(std::string_view bytes) {
  uint32_t word = 0;
  for (size_t i = bytes.size(); i > 0; --i) {
    word = (word << 8) | Byte(bytes[i - 1]);
  }
  return word;
}

constexpr std::array<uint32_t, 256> MakeCrc32Table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t word = i;
    for (int bit = 0; bit < 8; ++bit) {
      word = (word & 1) != 0 ? (word >> 1) ^ 0xedb88320 : word >> 1;
    }
    table[i] = word;
  }
  return table;
}
constexpr auto kCrc32Table = MakeCrc32Table();

constexpr std::array<uint16_t, 256> MakeCrc16Table() {
  std::array<uint16_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t word = i << 8;
    for (int bit = 0; bit < 8; ++bit) {
      word = (word & 0x8000) != 0 ? (word << 1) ^ 0x1021 : word << 1;
    }
    table[i] = static_cast<uint16_t>(word);
  }
  return table;
}
constexpr auto kCrc16Table = MakeCrc16Table();

uint32_t OneAtATime(std::string_view key) {
  uint32_t value = 0;
  for (const char c : key) {
    value += Signed<uint32_t>(c);
    value += value << 10;
    value ^= value >> 6;
  }
  value += value << 3;
  value ^= value >> 11;
  value += value << 15;
  return value;
}

uint32_t Md5Word(std::string_view key) {
  const std::array<uint8_t, 16> digest = Md5(key);
  return static_cast<uint32_t>(digest[0]) | static_cast<uint32_t>(digest[1]) << 8 |
         static_cast<uint32_t>(digest[2]) << 16 | static_cast<uint32_t>(digest[3]) << 24;
}

// The CRC that Redis Cluster uses for its slots, but never cut to 16 bits: what is shifted out
// stays.
uint32_t WideCrc16(std::string_view key) {
  uint32_t crc = 0;
  for (const char c : key) {
    crc = (crc << 8) ^ kCrc16Table[((crc >> 8) ^ Byte(c)) & 0xff];
  }
  return crc;
}

uint32_t Crc32(std::string_view key) {
  uint32_t crc = 0xffffffff;
  for (const char c : key) {
    crc = (crc >> 8) ^ kCrc32Table[(crc ^ Byte(c)) & 0xff];
  }
  return ~crc;
}

uint32_t Fnv1_64(std::string_view key) {
  uint64_t hash = kFnv64Start;
  for (const char c : key) {
    hash = (hash * kFnv64Prime) ^ Signed<uint64_t>(c);
  }
  return static_cast<uint32_t>(hash);
}

uint32_t Fnv1a(std::string_view key, uint32_t start, uint32_t prime) {
  uint32_t hash = start;
  for (const char c : key) {
    hash = (hash ^ Signed<uint32_t>(c)) * prime;
  }
  return hash;
}

uint32_t Fnv1_32(std::string_view key) {
  uint32_t hash = kFnv32Start;
  for (const char c : key) {
    hash = (hash * kFnv32Prime) ^ Signed<uint32_t>(c);
  }
  return hash;
}

uint32_t HsiehTail(uint32_t hash, std::string_view rest) {
  switch (rest.size()) {
    case 3:
      hash += LittleEndian(rest.substr(0, 2));
      hash ^= hash << 16;
      hash ^= Signed<uint32_t>(rest[2]) << 18;
      return hash + (hash >> 11);
    case 2:
      hash += LittleEndian(rest);
      hash ^= hash << 11;
      return hash + (hash >> 17);
    case 1:
      hash += Byte(rest[0]);
      hash ^= hash << 10;
      return hash + (hash >> 1);
    default:
      return hash;
  }
}

uint32_t Hsieh(std::string_view key) {
  if (key.empty()) {
    return 0;
  }
  uint32_t hash = 0;
  for (; key.size() >= 4; key.remove_prefix(4)) {
    hash += LittleEndian(key.substr(0, 2));
    const uint32_t mixed = (LittleEndian(key.substr(2, 2)) << 11) ^ hash;
    hash = (hash << 16) ^ mixed;
    hash += hash >> 11;
  }
  hash = HsiehTail(hash, key);
  hash ^= hash << 3;
  hash += hash >> 5;
  hash ^= hash << 4;
  hash += hash >> 17;
  hash ^= hash << 25;
  hash += hash >> 6;
  return hash;
}

uint32_t Murmur2(std::string_view key) {
  constexpr uint32_t kMultiplier = 0x5bd1e995;
  const auto size = static_cast<uint32_t>(key.size());
  uint32_t hash = (0xdeadbeef * size) ^ size;
  for (; key.size() >= 4; key.remove_prefix(4)) {
    uint32_t word = LittleEndian(key.substr(0, 4)) * kMultiplier;
    word ^= word >> 24;
    hash = (hash * kMultiplier) ^ (word * kMultiplier);
  }
  if (!key.empty()) {
    hash = (hash ^ LittleEndian(key)) * kMultiplier;
  }
  hash ^= hash >> 13;
  hash *= kMultiplier;
  return hash ^ (hash >> 15);
}

// The mixing steps of Bob Jenkins's lookup3.
void JenkinsMix(uint32_t* a, uint32_t* b, uint32_t* c) {
  constexpr int kTurns[] = {4, 6, 8, 16, 19, 4};
  uint32_t* words[] = {a, b, c};
  for (size_t i = 0; i < 6; ++i) {
    uint32_t* x = words[i % 3];
    uint32_t* y = words[(i + 1) % 3];
    uint32_t* z = words[(i + 2) % 3];
    *x -= *z;
    *x ^= std::rotl(*z, kTurns[i]);
    *z += *y;
  }
}

void JenkinsFinal(uint32_t* a, uint32_t* b, uint32_t* c) {
  constexpr int kTurns[] = {14, 11, 25, 16, 4, 14, 24};
  uint32_t* words[] = {c, a, b};
  for (size_t i = 0; i < 7; ++i) {
    uint32_t* x = words[i % 3];
    const uint32_t* y = words[(i + 2) % 3];
    *x ^= *y;
    *x -= std::rotl(*y, kTurns[i]);
  }
}

uint32_t Jenkins(std::string_view key) {
  constexpr uint32_t kSeed = 13;
  uint32_t a = 0xdeadbeef + static_cast<uint32_t>(key.size()) + kSeed;
  uint32_t b = a;
  uint32_t c = a;
  if (key.empty()) {
    return c;
  }
  const auto add = [&](std::string_view block) {
    a += LittleEndian(block.substr(0, 4));
    b += block.size() > 4 ? LittleEndian(block.substr(4, 4)) : 0;
    c += block.size() > 8 ? LittleEndian(block.substr(8, 4)) : 0;
  };
  for (; key.size() > 12; key.remove_prefix(12)) {
    add(key.substr(0, 12));
    JenkinsMix(&a, &b, &c);
  }
  add(key);
  JenkinsFinal(&a, &b, &c);
  return c;
}

}  // namespace

Result<KeyHash> ParseKeyHash(std::string_view name) {
  uint8_t index = 0;
  for (const std::string_view known : Split(kKeyHashNames, '|')) {
    if (known == name) {
      return static_cast<KeyHash>(index);
    }
    ++index;
  }
  return Status::InvalidArgument(
      fmt::format("'{}' is no hash function; known are {}", name, kKeyHashNames));
}

uint32_t HashKey(KeyHash hash, std::string_view key) {
  switch (hash) {
    case KeyHash::kOneAtATime:
      return OneAtATime(key);
    case KeyHash::kMd5:
      return Md5Word(key);
    case KeyHash::kCrc16:
      return WideCrc16(key);
    case KeyHash::kCrc32:
      return (Crc32(key) >> 16) & 0x7fff;
    case KeyHash::kCrc32a:
      return Crc32(key);
    case KeyHash::kFnv64:
      return Fnv1_64(key);
    case KeyHash::kFnv64a:
      return Fnv1a(key, static_cast<uint32_t>(kFnv64Start), static_cast<uint32_t>(kFnv64Prime));
    case KeyHash::kFnv32:
      return Fnv1_32(key);
    case KeyHash::kFnv32a:
      return Fnv1a(key, kFnv32Start, kFnv32Prime);
    case KeyHash::kHsieh:
      return Hsieh(key);
    case KeyHash::kMurmur:
      return Murmur2(key);
    case KeyHash::kJenkins:
      return Jenkins(key);
  }
  return 0;
}

}  // namespace kvs
