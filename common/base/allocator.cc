#include "common/base/allocator.h"

#include <fmt/format.h>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include <string_view>

// Null unless the program is linked with jemalloc.
extern "C" __attribute__((weak)) int mallctl(const char*, void*, size_t*, void*, size_t);
extern "C" __attribute__((weak)) void malloc_stats_print(void (*)(void*, const char*), void*,
                                                         const char*);

// jemalloc reads it before main().  A thread of its own returns unused pages after two
// seconds even when the process is idle, and no request pays for it.
extern "C" {
extern const char* malloc_conf;
const char* malloc_conf = "background_thread:true,dirty_decay_ms:2000";
}

namespace kvs {
namespace {

// The figures are of the last moment at which somebody wrote to "epoch".
void RefreshJemallocStats() {
  uint64_t epoch = 1;
  size_t size = sizeof(epoch);
  (void)mallctl("epoch", &epoch, &size, &epoch, size);
}

uint64_t ReadJemallocStat(const char* name) {
  size_t value = 0;
  size_t size = sizeof(value);
  return mallctl(name, &value, &size, nullptr, 0) == 0 ? value : 0;
}

AllocatorStats ReadLibcStats() {
#if defined(__GLIBC__)
  const struct mallinfo2 info = ::mallinfo2();
  const uint64_t mapped = info.hblkhd;
  return {.allocated = info.uordblks + mapped,
          .active = info.arena - info.keepcost + mapped,
          .resident = info.arena + mapped};
#else
  return {};
#endif
}

}  // namespace

std::string AllocatorName() {
  const char* version = nullptr;
  size_t size = sizeof(version);
  if (mallctl != nullptr && mallctl("version", &version, &size, nullptr, 0) == 0) {
    const std::string_view text(version);
    return fmt::format("jemalloc {}", text.substr(0, text.find('-')));
  }
  return "libc";
}

AllocatorStats ReadAllocatorStats() {
  if (mallctl == nullptr) {
    return ReadLibcStats();
  }
  RefreshJemallocStats();
  return {.allocated = ReadJemallocStat("stats.allocated"),
          .active = ReadJemallocStat("stats.active"),
          .resident = ReadJemallocStat("stats.resident")};
}

std::string AllocatorReport() {
  if (malloc_stats_print == nullptr) {
    const AllocatorStats stats = ReadAllocatorStats();
    return fmt::format("allocator {}\nallocated {}\nactive {}\nresident {}\n", AllocatorName(),
                       stats.allocated, stats.active, stats.resident);
  }
  std::string report;
  const auto append = [](void* out, const char* text) {
    static_cast<std::string*>(out)->append(text);
  };
  malloc_stats_print(append, &report, "a");  // Without a page for each arena.
  return report;
}

bool PurgeAllocator() {
  if (mallctl != nullptr) {
    return mallctl("arena.4096.purge", nullptr, nullptr, nullptr, 0) == 0;  // 4096: all arenas.
  }
#if defined(__GLIBC__)
  (void)::malloc_trim(0);
#endif
  return true;
}

}  // namespace kvs
