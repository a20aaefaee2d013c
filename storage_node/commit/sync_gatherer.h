// SyncGatherer: whether an fsync should begin now or wait for more company.
//
// With `always` every fsync costs system calls and wakes every loop, so the writes of clients that
// were together in one fsync should be together in the next.  Those clients have just heard the
// replies and their next writes are on their way: the gatherer waits for three quarters of what an
// fsync lately carried, and never longer than an fsync lately took.  A single client never waits.
//
// Threads: one owner at a time (CommitPipeline's lock).
// Owner:   CommitPipeline.

#pragma once

#include <algorithm>
#include <cstdint>

namespace kvs {

class SyncGatherer {
 public:
  // The most that a write may wait for others.
  static constexpr int64_t kMaxPatienceMicros = 1000;

  // An fsync that `ops` operations waited for took `micros`.
  void OnSynced(uint64_t ops, int64_t micros) {
    usual_ops_ = std::max(ops, usual_ops_ - usual_ops_ / 8);
    usual_micros_ += (micros - usual_micros_) / 4;
  }
  // With so many operations waiting the fsync should begin.
  uint64_t goal() const { return std::max<uint64_t>(1, usual_ops_ * 3 / 4); }
  // With fewer it should begin so long after the first.
  int64_t patience_micros() const {
    return goal() == 1 ? 0 : std::clamp<int64_t>(usual_micros_, 0, kMaxPatienceMicros);
  }

 private:
  uint64_t usual_ops_ = 0;
  int64_t usual_micros_ = 0;
};

}  // namespace kvs
