// LatencyMonitor: what took long lately, by kind of event, for LATENCY.
//
// An event keeps the worst time of each of the last 160 seconds in which something was slow.
//
// Threads: thread-safe; IsSpike() is one relaxed load.
// Owner:   Diagnostics.

#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/mutex.h"

namespace kvs {

struct LatencySample {
  int64_t unix_seconds = 0;
  int64_t ms = 0;
};

struct LatencyEvent {
  std::string name;
  std::deque<LatencySample> samples;  // The oldest first; never empty.
  int64_t worst_ms = 0;               // Since the last reset.
};

class LatencyMonitor {
 public:
  // 0 keeps nothing.
  void Configure(int64_t threshold_ms) {
    threshold_ms_.store(threshold_ms, std::memory_order_relaxed);
  }
  int64_t threshold_ms() const { return threshold_ms_.load(std::memory_order_relaxed); }
  bool IsSpike(int64_t micros) const {
    const int64_t limit = threshold_ms();
    return limit > 0 && micros / 1000 >= limit;
  }
  // `event` is one of a few names that the program knows.
  void Add(std::string_view event, int64_t ms, int64_t unix_seconds) KVS_EXCLUDES(mu_);

  // Returns all events by name.
  std::vector<LatencyEvent> Events() const KVS_EXCLUDES(mu_);
  // Returns the event; without samples if there is none.
  LatencyEvent Find(std::string_view event) const KVS_EXCLUDES(mu_);
  // Forgets the events, all if none is named.  Returns how many there were of them.
  int64_t Reset(const std::vector<std::string_view>& events) KVS_EXCLUDES(mu_);

 private:
  std::atomic<int64_t> threshold_ms_{0};
  mutable Mutex mu_;
  std::map<std::string, LatencyEvent, std::less<>> events_ KVS_GUARDED_BY(mu_);
};

// Returns the picture of LATENCY GRAPH.  REQUIRES: the event has samples
std::string DrawLatency(const LatencyEvent& event, int64_t now_seconds);
// Returns the report of LATENCY DOCTOR. `slower_than` is that of the slow log.
std::string LatencyReport(const LatencyMonitor& monitor, int64_t slower_than, int64_t now_seconds);

}  // namespace kvs
