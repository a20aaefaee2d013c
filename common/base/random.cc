#include "common/base/random.h"

#include <sys/random.h>

#include <algorithm>
#include <bit>
#include <cerrno>

#include "common/base/check.h"

namespace kvs {
namespace {

uint64_t SplitMix(uint64_t* state) {
  uint64_t z = (*state += 0x9e3779b97f4a7c15ULL);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

}  // namespace

Random::Random(uint64_t seed) {
  for (uint64_t& word : state_) {
    word = SplitMix(&seed);
  }
}

Random Random::FromKernel() {
  uint64_t seed = 0;
  KVS_CHECK(getrandom(&seed, sizeof(seed), 0) == static_cast<ssize_t>(sizeof(seed)));
  return Random(seed);
}

uint64_t Random::Next() {
  const uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  const uint64_t t = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= t;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

std::string RandomHex(int byte_count) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string bytes(static_cast<size_t>(byte_count), '\0');
  for (size_t done = 0; done < bytes.size();) {  // A signal may cut a long one short.
    const ssize_t n = getrandom(bytes.data() + done, bytes.size() - done, 0);
    KVS_CHECK(n > 0 || (n < 0 && errno == EINTR));
    done += static_cast<size_t>(std::max<ssize_t>(n, 0));
  }
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    text.push_back(kDigits[byte >> 4]);
    text.push_back(kDigits[byte & 15]);
  }
  return text;
}

}  // namespace kvs
