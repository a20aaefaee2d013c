// kSlownessFactor: how many times slower than a release build this one runs, roughly.
//
// Tests stretch their deadlines by it and make fewer rounds: sanitizers look for races and bad
// memory accesses, and the release build for the rest.
//
// Threads: a constant.
// Owner:   nobody.

#pragma once

namespace kvs {

#if defined(__SANITIZE_THREAD__)
inline constexpr int kSlownessFactor = 8;
#elif defined(__SANITIZE_ADDRESS__)
inline constexpr int kSlownessFactor = 4;
#else
inline constexpr int kSlownessFactor = 1;
#endif

}  // namespace kvs
