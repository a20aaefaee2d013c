// Diagnostics: what a process keeps about commands that took long and keys that are asked for most.
//
// Threads: thread-safe.
// Owner:   the server; outlives its loops.

#pragma once

#include "common/base/clock.h"
#include "common/command/command_sample.h"
#include "common/service/client_registry.h"
#include "common/service/hot_keys.h"
#include "common/service/latency_monitor.h"
#include "common/service/slow_log.h"

namespace kvs {

class Diagnostics {
 public:
  static constexpr int64_t kNoEntry = -1;

  // Options is a program's options struct; takes effect when it returns.
  template <typename Options>
  void Configure(const Options& options) {
    slow_log.Configure(options.slowlog_log_slower_than, options.slowlog_max_len);
    latency.Configure(options.latency_monitor_threshold);
  }

  // Called by loops after each command: two relaxed loads unless it was slow.  Returns the id of
  // its entry in the slow log.
  int64_t OnCommand(const CommandSpec& spec, CommandArgs args, const StageTimes& times,
                    const ClientInfo& client, Clock* clock) {
    if (IsSlow(times.total())) [[unlikely]] {
      return KeepSlow(spec, SlowLogArguments(spec, args), times, client, clock);
    }
    return kNoEntry;
  }
  // As above for a command of which only a sample is left.
  void OnCommand(const CommandSample& sample, const StageTimes& times, const ClientInfo& client,
                 Clock* clock) {
    if (IsSlow(times.total()) && sample.spec() != nullptr) [[unlikely]] {
      KeepSlow(*sample.spec(), sample.Arguments(), times, client, clock);
    }
  }
  // Whether a command that took so long in all may be kept, so that its stages are wanted.
  bool IsSlow(int64_t micros) const { return slow_log.IsSlow(micros) || latency.IsSpike(micros); }
  // Something other than a command took so long.
  void OnEvent(std::string_view event, int64_t micros, Clock* clock) {
    if (latency.IsSpike(micros)) [[unlikely]] {
      latency.Add(event, micros / 1000, clock->WallMillis() / 1000);
    }
  }

  SlowLog slow_log;
  LatencyMonitor latency;
  HotKeys hot_keys;

 private:
  int64_t KeepSlow(const CommandSpec& spec, std::vector<std::string> args, const StageTimes& times,
                   const ClientInfo& client, Clock* clock);
};

}  // namespace kvs
