// The tickets of commands that wait for a thread of the node's to run them.
//
// Threads: thread-safe.

#pragma once

#include <atomic>

#include "storage_node/server/wait_queues.h"

namespace kvs {

// Beside those of BlockedClients, which are counted from 1.
inline constexpr WaitTicket kFirstJobTicket = WaitTicket{1} << 62;

inline WaitTicket NewJobTicket() {
  static std::atomic<WaitTicket> next{kFirstJobTicket};
  return next.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace kvs
