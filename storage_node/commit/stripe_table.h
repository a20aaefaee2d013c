// StripeTable: the locks that order commands on the same key, and how far the log is for each.
//
// A key belongs to one of kStripeCount stripes by a hash.  Whoever changes a key holds its stripe
// from before it reads until its turn is in the log.  Readers of single keys take no lock: they
// read and then ask for the stripe's last LSN, which says what their answer may depend on.
//
// Threads: thread-safe.  Locks are taken in ascending order only; see doc/threads.md.
// Owner:   Store.

#pragma once

#include <array>
#include <atomic>
#include <bitset>
#include <chrono>
#include <cstdint>
#include <string_view>

#include "common/base/mutex.h"

namespace kvs {

// Enough that a few threads rarely meet; few enough to lock all of them for FLUSHALL.
inline constexpr int kStripeCount = 1024;

using StripeSet = std::bitset<kStripeCount>;

class StripeTable {
 public:
  static int IndexOf(std::string_view key) {
    // FNV-1a: the keys of one slot must spread, so the slot's CRC will not do.
    uint64_t hash = 0xcbf29ce484222325ULL;
    for (const char c : key) {
      hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
    }
    return static_cast<int>((hash ^ (hash >> 32)) % kStripeCount);
  }

  void Lock(int stripe) KVS_NO_THREAD_SAFETY_ANALYSIS { At(stripe).mu.Lock(); }
  bool TryLock(int stripe) KVS_NO_THREAD_SAFETY_ANALYSIS { return At(stripe).mu.TryLock(); }
  bool TryLockFor(int stripe, std::chrono::nanoseconds timeout) KVS_NO_THREAD_SAFETY_ANALYSIS {
    return At(stripe).mu.TryLockFor(timeout);
  }
  void Unlock(int stripe) KVS_NO_THREAD_SAFETY_ANALYSIS { At(stripe).mu.Unlock(); }

  // Whether the one who holds the stripe may keep it for long: a script, or a MIGRATE.
  bool IsHeldLong(int stripe) const {
    return stripes_[static_cast<size_t>(stripe)].held_long.load(std::memory_order_acquire);
  }
  // REQUIRES: the caller holds the stripe
  void SetHeldLong(int stripe, bool held_long) {
    At(stripe).held_long.store(held_long, std::memory_order_release);
  }

  // The last record that changed a key of the stripe.  Published before the stripe is released.
  uint64_t last_lsn(int stripe) const {
    return stripes_[static_cast<size_t>(stripe)].last_lsn.load(std::memory_order_acquire);
  }
  void Publish(int stripe, uint64_t lsn) {
    At(stripe).last_lsn.store(lsn, std::memory_order_release);
  }

 private:
  struct alignas(64) Stripe {
    Mutex mu;
    std::atomic<uint64_t> last_lsn{0};
    std::atomic<bool> held_long{false};
  };
  Stripe& At(int stripe) { return stripes_[static_cast<size_t>(stripe)]; }

  std::array<Stripe, kStripeCount> stripes_;
};

}  // namespace kvs
