#include "common/base/check.h"

#include <cstdio>
#include <cstdlib>

namespace kvs {

void CheckFailed(const char* file, int line, const char* expression) {
  std::fprintf(stderr, "%s:%d: check failed: %s\n", file, line, expression);
  std::fflush(stderr);
  std::abort();
}

}  // namespace kvs

#if defined(__SANITIZE_THREAD__)
// ThreadSanitizer asks for these.  They stand here because this file is a part of every program.
extern "C" const char* __tsan_default_options();
extern "C" const char* __tsan_default_suppressions();

// Its deadlock detector ends a process in which a thread holds 64 mutexes, and a node that flushes
// holds the lock of every stripe.  Races are found all the same.
extern "C" const char* __tsan_default_options() {
  return "detect_deadlocks=0";
}

// The system's LevelDB is not instrumented: what it orders by atomics looks like races between the
// memcpy() of a write and the memcmp() of a read.
extern "C" const char* __tsan_default_suppressions() {
  return "race:libleveldb.so\n";
}
#endif
