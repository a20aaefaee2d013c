// SweeperThread: runs a Sweeper in slices, so that expired keys go soon and clients do not notice.
//
// It looks ten times a second, and while there is work it works for half of the time at most.
//
// Threads: Start() and Stop() are main-only; the rest is thread-safe.
// Owner:   the node; the store must outlive it.

#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/thread.h"
#include "storage_node/commit/store.h"
#include "storage_node/types/sweeper.h"

namespace kvs {

class SweeperThread {
 public:
  SweeperThread(Store* store, Clock* clock) : store_(store), sweeper_(store, clock) {}
  ~SweeperThread() { Stop(); }

  // As Sweeper::set_on_expired(), in the sweeper's thread.  REQUIRES: not started
  void set_on_expired(Sweeper::OnExpired on_expired) {
    sweeper_.set_on_expired(std::move(on_expired));
  }

  // REQUIRES: before Start()
  void set_event_sink(Sweeper::EventSink sink) { sweeper_.set_event_sink(std::move(sink)); }
  void set_tracked_sink(const std::atomic<size_t>* tracking, Sweeper::TrackedSink sink) {
    sweeper_.set_tracked_sink(tracking, std::move(sink));
  }
  void Start();
  // Returns when the slice that runs has ended.  The thread may be started again.
  void Stop() KVS_EXCLUDES(mu_);

  // Whether expired keys are deleted before anybody asks for them; they are hidden in any case.
  // Thread-safe; takes effect with the next slice.
  void SetActiveExpire(bool active) { active_expire_.store(active, std::memory_order_relaxed); }
  bool active_expire() const { return active_expire_.load(std::memory_order_relaxed); }

  // As of the last slice.
  SweepStats stats() const;

 private:
  void Run() KVS_EXCLUDES(mu_);
  // Returns whether there is more to do at once.
  bool Slice();

  Store* const store_;
  Sweeper sweeper_;  // The thread's own.
  bool failing_ = false;
  std::atomic<bool> active_expire_{true};
  std::atomic<uint64_t> expired_keys_{0};
  std::atomic<uint64_t> dead_records_{0};

  Mutex mu_;
  CondVar wake_;
  bool stop_ KVS_GUARDED_BY(mu_) = false;
  Thread thread_;
};

}  // namespace kvs
