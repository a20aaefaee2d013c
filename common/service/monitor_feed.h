// MonitorFeed: what MONITOR shows, from the loops that execute commands to those that have
// monitors.
//
// While nobody monitors, a command costs one relaxed load.  Where there are too many commands to
// show, a sample of them is shown.  A loop with monitors has an outlet,
// where lines gather until the loop takes them; an outlet that is not emptied overflows, and its
// loop then closes its monitors, so that a slow reader costs no more than kMaxWaiting.
//
// Threads: thread-safe.
// Owner:   the server; outlives its loops.

#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/command/command_table.h"
#include "common/service/client_registry.h"

namespace kvs {

class MonitorOutlet {
 public:
  static constexpr size_t kMaxWaiting = size_t{16} << 20;

  // `wake` makes the loop call Take() soon; called by any thread.
  explicit MonitorOutlet(std::function<void()> wake) : wake_(std::move(wake)) {}

  // Returns the lines that came since the last call.  Sets `*overflown` if some were lost.
  std::string Take(bool* overflown) KVS_EXCLUDES(mu_);

 private:
  friend class MonitorFeed;
  void Push(std::string_view line) KVS_EXCLUDES(mu_);

  const std::function<void()> wake_;
  Mutex mu_;
  std::string lines_ KVS_GUARDED_BY(mu_);
  bool overflown_ KVS_GUARDED_BY(mu_) = false;
};

class MonitorFeed {
 public:
  bool active() const { return outlet_count_.load(std::memory_order_relaxed) > 0; }
  // REQUIRES: an outlet outlives its registration
  void Add(MonitorOutlet* outlet) KVS_EXCLUDES(mu_);
  void Remove(MonitorOutlet* outlet) KVS_EXCLUDES(mu_);

  // Shows one of so many commands from now on, at random distances; 1 all of them.
  // REQUIRES: every >= 1
  void set_sample(int64_t every) { sample_every_.store(every, std::memory_order_relaxed); }

  // Called by loops for each command that they execute.
  void OnCommand(const CommandSpec& spec, CommandArgs args, const ClientInfo& client,
                 Clock* clock) {
    if (active() && IsSampled()) [[unlikely]] {
      Publish(spec, args, client, clock->WallMicros());
    }
  }

 private:
  bool IsSampled() const;
  void Publish(const CommandSpec& spec, CommandArgs args, const ClientInfo& client,
               int64_t wall_micros) KVS_EXCLUDES(mu_);

  std::atomic<int64_t> sample_every_{1};
  std::atomic<size_t> outlet_count_{0};
  Mutex mu_;
  std::vector<MonitorOutlet*> outlets_ KVS_GUARDED_BY(mu_);
};

}  // namespace kvs
