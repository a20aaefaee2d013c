// MemoryGovernor: how large the record cache may be so that the process stays within its memory.
//
// What a node needs besides its caches (buffers of clients, memtables, the allocator's gaps) comes
// and goes; the record cache is what can give way.  The governor looks at the resident size once a
// second: above the limit it takes the excess from the cache at once, well below it gives back
// slowly.  It lets a step show its effect before it takes the next one, since the allocator returns
// pages late.
//
// Threads: one owner; no clock and no I/O of its own.
// Owner:   NodeServer.

#pragma once

#include <cstdint>

namespace kvs {

struct MemoryState {
  uint64_t resident = 0;      // Bytes of the process.
  uint64_t limit = 0;         // maxmemory-soft; 0: none.
  uint64_t wanted_cache = 0;  // record-cache-size.
  uint64_t cache = 0;         // What clean records take now.
};

class MemoryGovernor {
 public:
  // Returns the budget for clean records, at most `state.wanted_cache`.
  uint64_t Decide(const MemoryState& state);
  // Whether the limit is exceeded and the cache has nothing left to give.
  bool exhausted() const { return exhausted_; }

 private:
  // Calls for which a cut is left to show its effect.
  static constexpr int kPatience = 2;

  uint64_t budget_ = UINT64_MAX;
  int wait_ = 0;
  bool exhausted_ = false;
};

}  // namespace kvs
