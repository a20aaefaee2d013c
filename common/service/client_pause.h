// ClientPause: until when the commands of clients have to wait, for CLIENT PAUSE.
//
// A pause ends by itself.  Loops ask before each command, which is one relaxed load while there is
// no pause, and ask again every kRetryMs for the sessions that they hold back.
//
// Threads: thread-safe.
// Owner:   the server.

#pragma once

#include <atomic>
#include <cstdint>

#include "common/base/mutex.h"
#include "common/command/command_spec.h"

namespace kvs {

class ClientPause {
 public:
  static constexpr int64_t kRetryMs = 10;

  // Holds all commands or only writes until `until_ms` of the monotonic clock.  A pause in force is
  // never made shorter or weaker.
  void Pause(bool all, int64_t until_ms, int64_t now_ms) KVS_EXCLUDES(mu_);
  void Unpause() KVS_EXCLUDES(mu_);

  // `clock` returns the time; it is asked only while there is or was a pause.
  template <typename Clock>
  bool Holds(const CommandSpec& spec, Clock clock) const {
    const int64_t until = until_ms_.load(std::memory_order_relaxed);
    if (until == 0) [[likely]] {
      return false;
    }
    const bool meant =
        all_.load(std::memory_order_relaxed) || spec.may_write() || spec.Has(Cmd::kMayReplicate);
    return meant && clock() < until;
  }
  bool InForce(int64_t now_ms) const { return now_ms < until_ms_.load(std::memory_order_relaxed); }

 private:
  Mutex mu_;
  std::atomic<int64_t> until_ms_{0};
  std::atomic<bool> all_{false};
};

}  // namespace kvs
