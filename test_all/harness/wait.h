// Waiting with a deadline, and free ports: what every test does before it can look at a process.
//
// A test never sleeps for a time that it hopes is long enough: it names what it waits for.
//
// Threads: thread-safe.

#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "common/base/slowness.h"

namespace kvs {

// Asks `done` every few milliseconds until it says yes.  Returns false if it did not within
// `timeout_ms`, which is multiplied by kSlownessFactor.
bool WaitUntil(int64_t timeout_ms, const std::function<bool()>& done);

// Milliseconds of a clock that never runs backwards.
int64_t NowMillis();

// Returns a TCP port of 127.0.0.1 that nobody listens on and that was not returned before.  It lies
// below the kernel's ephemeral ports, so no outgoing connection takes it meanwhile.
uint16_t FreePort();

// Returns the test programs' counterpart `name`: in $KVS_BIN_DIR, else beside this program.
std::string BinaryPath(const std::string& name);

}  // namespace kvs
