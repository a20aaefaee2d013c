// PoolHealth: which servers of a static pool take part now, if those that fail are removed.
//
// A server that fails is left out until nothing has been heard of failures of it for the retry
// time; then it takes part again, and the next failures show whether it is well.
//
// Threads: loop-owned; no clock of its own.
// Owner:   ProxyServer.

#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace kvs {

class PoolHealth {
 public:
  PoolHealth(size_t server_count, int64_t retry_ms)
      : retry_ms_(retry_ms), live_(server_count, true), retry_at_ms_(server_count, 0) {}

  // A server has failed as often in a row as is allowed, or again.  Returns whether live() has
  // changed.  REQUIRES: server < live().size()
  bool OnFailure(size_t server, int64_t now_ms);
  // Lets those in again whose time has come.  Returns whether live() has changed.
  bool OnTime(int64_t now_ms);
  const std::vector<bool>& live() const { return live_; }

 private:
  const int64_t retry_ms_;
  std::vector<bool> live_;
  std::vector<int64_t> retry_at_ms_;
};

}  // namespace kvs
