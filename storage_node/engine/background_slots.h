// BackgroundSlots: how many engine instances may flush and compact at the same moment.
//
// Each instance has a background thread.  With all of them running at once the threads that serve
// clients wait for a processor many times over; with few, each job is done sooner and the work is
// the same.  Flushes go first: hand-overs wait for them.
//
// Threads: thread-safe.
// Owner:   EngineCluster's options, shared by the instances.

#pragma once

#include "common/base/mutex.h"

namespace kvs {

class BackgroundSlots {
 public:
  // REQUIRES: count >= 1
  explicit BackgroundSlots(int count) : free_(count) {}

  // Waits for a slot; whoever is urgent gets the next one.
  void Acquire(bool urgent) KVS_EXCLUDES(mu_) {
    const MutexLock lock(&mu_);
    if (urgent) {
      ++urgent_waiting_;
      while (free_ == 0) {
        urgent_.Wait(&mu_);
      }
      --urgent_waiting_;
    } else {
      ++others_waiting_;
      while (free_ == 0 || urgent_waiting_ > 0) {
        others_.Wait(&mu_);
      }
      --others_waiting_;
    }
    --free_;
    if (free_ > 0) {
      Wake();
    }
  }
  void Release() KVS_EXCLUDES(mu_) {
    const MutexLock lock(&mu_);
    ++free_;
    Wake();
  }
  // How many wait, for tests and metrics.
  int waiting() const KVS_EXCLUDES(mu_) {
    const MutexLock lock(&mu_);
    return urgent_waiting_ + others_waiting_;
  }

 private:
  void Wake() KVS_REQUIRES(mu_) { (urgent_waiting_ > 0 ? urgent_ : others_).NotifyOne(); }

  mutable Mutex mu_;
  CondVar urgent_;
  CondVar others_;
  int free_ KVS_GUARDED_BY(mu_);
  int urgent_waiting_ KVS_GUARDED_BY(mu_) = 0;
  int others_waiting_ KVS_GUARDED_BY(mu_) = 0;
};

}  // namespace kvs
