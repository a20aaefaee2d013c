// Named places where a test can stop, fail or delay the product on purpose.
//
//   KVS_FAULT_POINT("binlog.after_append");
//
// The environment variable KVS_FAULT says what happens: a comma separated list of
// NAME=ACTION[@N], where ACTION is `exit` (as kill -9 would), `error` or `pause:MS`, from the N-th
// pass on (first by default).  Without KVS_FAULT_POINTS in the build the macro is nothing.
//
// Threads: thread-safe.

#pragma once

#include <string_view>

namespace kvs {

// Returns true if the caller should fail as if the operation at `name` had failed.
bool HitFaultPoint(std::string_view name);

}  // namespace kvs

#if defined(KVS_FAULT_POINTS)
#define KVS_FAULT_POINT(name) ::kvs::HitFaultPoint(name)
#else
#define KVS_FAULT_POINT(name) false
#endif
