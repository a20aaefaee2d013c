// Poller: which descriptors are ready.  epoll on Linux, kqueue on BSD and macOS.
//
// Level triggered: what a handler leaves unread is reported again at the next Wait(), so a handler
// may stop at its budget.
//
// Threads: loop-owned.
// Owner:   EventLoop.

#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "common/base/status.h"

namespace kvs {

enum Interest : uint8_t { kNoInterest = 0, kReadable = 1, kWritable = 2 };

struct PollEvent {
  void* data;     // As given to Add().
  bool readable;  // Also for a hang-up or an error: the read tells which.
  bool writable;
};

class Poller {
 public:
  virtual ~Poller() = default;

  // REQUIRES: Add: `fd` is not in the poller; Modify and Remove: it is.
  virtual Status Add(int fd, void* data, uint8_t interest) = 0;
  virtual void Modify(int fd, void* data, uint8_t before, uint8_t interest) = 0;
  virtual void Remove(int fd, uint8_t interest) = 0;

  // Waits for at most `timeout_ms` (-1: for ever) and replaces `*events` by what is ready.
  virtual void Wait(int timeout_ms, std::vector<PollEvent>* events) = 0;

  static std::unique_ptr<Poller> Create();
};

}  // namespace kvs
