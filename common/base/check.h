// Assertions that stay on in release builds.
//
// KVS_CHECK is for our own bugs: arguments, invariants, states that cannot be.  It prints the place
// and aborts.  Never use it on input, configuration or bytes read from a disk: those are Status.
//
// Threads: thread-safe.
// Owner:   nobody; macros.

#pragma once

namespace kvs {

// Prints "file:line: check failed: expression" to stderr and aborts.
[[noreturn]] void CheckFailed(const char* file, int line, const char* expression);

}  // namespace kvs

#define KVS_CHECK(condition)                              \
  do {                                                    \
    if (!(condition)) [[unlikely]] {                      \
      ::kvs::CheckFailed(__FILE__, __LINE__, #condition); \
    }                                                     \
  } while (false)
