// Clock: where time comes from.  Everything that decides by time is given one, so tests own time.
//
// Threads: thread-safe.
// Owner:   main for SystemClock (a process-wide constant); the test for ManualClock.

#pragma once

#include <atomic>
#include <cstdint>

namespace kvs {

class Clock {
 public:
  virtual ~Clock() = default;
  // Unix time in milliseconds or microseconds.  May jump when an administrator sets the clock.
  virtual int64_t WallMicros() const = 0;
  int64_t WallMillis() const { return WallMicros() / 1000; }
  // Time since an arbitrary start; never runs backwards.
  virtual int64_t MonotonicMicros() const = 0;
  int64_t MonotonicMillis() const { return MonotonicMicros() / 1000; }

  // Returns the real clock; lives for ever.
  static Clock* System();
};

class ManualClock : public Clock {
 public:
  explicit ManualClock(int64_t wall_micros = 1'700'000'000'000'000) : wall_(wall_micros) {}
  int64_t WallMicros() const override { return wall_.load(std::memory_order_relaxed); }
  int64_t MonotonicMicros() const override { return monotonic_.load(std::memory_order_relaxed); }
  void AdvanceMicros(int64_t micros) {
    wall_.fetch_add(micros, std::memory_order_relaxed);
    monotonic_.fetch_add(micros, std::memory_order_relaxed);
  }
  void SetWallMicros(int64_t micros) { wall_.store(micros, std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> wall_;
  std::atomic<int64_t> monotonic_{1'000'000};
};

}  // namespace kvs
