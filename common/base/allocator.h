// Allocator: what the process's memory allocator tells about itself, jemalloc or the C library's.
//
// Threads: thread-safe.

#pragma once

#include <cstdint>
#include <string>

namespace kvs {

// Returns "jemalloc 5.3.0" or "libc".
std::string AllocatorName();

struct AllocatorStats {
  uint64_t allocated = 0;  // What the program asked for.
  uint64_t active = 0;     // With what lies unused between it.
  uint64_t resident = 0;   // With pages that are kept for later.
};

AllocatorStats ReadAllocatorStats();
// Returns the allocator's report about itself, many lines of text.
std::string AllocatorReport();
// Gives unused pages back to the system.  Returns false if the allocator refuses.
bool PurgeAllocator();

}  // namespace kvs
