// Thread: the only place that starts one.  Joined by Join() or the destructor, never detached.
//
// Threads: main-only, except the body.
// Owner:   the object whose work it does; that object must outlive Join().

#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <thread>

namespace kvs {

class Thread {
 public:
  Thread() = default;
  // Starts a thread that runs `body`.  `name` (at most 15 bytes are kept) shows in top and gdb.
  Thread(std::string name, std::function<void()> body);
  // A thread whose work may wait a moment when the processors are busy: it gets a third of the
  // share of one that serves clients, and all of it when nobody else wants it.
  static Thread Background(std::string name, std::function<void()> body);
  // A thread that finds more to do the later it gets its processor, such as one that forwards what
  // many clients sent: when the processors are busy it takes its turn instead of interrupting
  // (SCHED_BATCH).  On idle processors it is as any other.
  static Thread Batching(std::string name, std::function<void()> body);
  Thread(Thread&&) = default;
  Thread& operator=(Thread&&) = default;
  ~Thread();

  void Join();
  bool joinable() const { return thread_.joinable(); }

 private:
  std::thread thread_;
};

// Returns how many processors this process may use, at least 1.
int ProcessorCount();

// Returns `wanted`; 0 stands for half of the processors, at least 1: the other half is the kernel's
// and the neighbours'.
int64_t ThreadCount(int64_t wanted);

// Stops the calling thread for `microseconds`.  For background threads; on a loop DEBUG SLEEP
// alone.
void SleepMicros(int64_t microseconds);

}  // namespace kvs
