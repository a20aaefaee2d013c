// Random numbers: a fast seeded generator for decisions, and bytes from the kernel for identities.
//
// Threads: Random has one owner; RandomHexId() is thread-safe.

#pragma once

#include <cstdint>
#include <string>

namespace kvs {

// xoshiro256**: the same seed gives the same numbers everywhere, which simulations rely on.
class Random {
 public:
  explicit Random(uint64_t seed);
  // Returns a generator seeded by the kernel.
  static Random FromKernel();

  uint64_t Next();
  // Returns a number in [0, bound).  REQUIRES: bound > 0
  uint64_t Uniform(uint64_t bound) { return Next() % bound; }
  bool OneIn(uint64_t n) { return Uniform(n) == 0; }
  // Returns a number in [0, 1).
  double NextDouble() { return static_cast<double>(Next() >> 11) * 0x1.0p-53; }

 private:
  uint64_t state_[4];
};

// Returns `byte_count` bytes from the kernel's generator as lower case hexadecimal.
std::string RandomHex(int byte_count);
// Returns a fresh 40-digit identity, the form of Redis's run ids.
inline std::string RandomHexId() {
  return RandomHex(20);
}

}  // namespace kvs
