// RateMeter: how fast a counter has grown lately, for INFO's instantaneous_* fields.
//
//   RateMeter ops;
//   ops.Sample(now_ms, total);   // Every 100 ms or so.
//   ops.PerSecond();             // Over the last kSamples periods.
//
// Threads: Sample() from one thread; PerSecond() from any.
// Owner:   a server.

#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace kvs {

class RateMeter {
 public:
  static constexpr size_t kSamples = 16;

  // Notes the counter at a time in milliseconds.  A counter that has become smaller counts as
  // standing still.
  void Sample(int64_t now_ms, uint64_t total);
  // Returns units a second; 0 before the second sample.
  double PerSecond() const { return per_second_.load(std::memory_order_relaxed); }

 private:
  struct Point {
    int64_t time_ms = 0;
    uint64_t total = 0;
  };
  std::array<Point, kSamples + 1> points_;  // A ring.
  size_t count_ = 0;                        // Of all samples so far.
  std::atomic<double> per_second_{0};
};

}  // namespace kvs
