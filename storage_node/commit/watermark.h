// Watermark: the highest LSN whose effects may be shown and acknowledged.
//
// The pure core of the pipeline's promise.  A record is acknowledged when it is in the log file,
// when it is fsynced if the policy is `always`, and when `required_acks` slaves have it.  With
// `everysec` what is acknowledged and not fsynced never spans more than kMaxUnsynced of time: on a
// disk that is too slow for that, writes wait for their fsync.  The watermark never runs backwards,
// whatever changes.
//
// Threads: one owner at a time (CommitPipeline's lock).
// Owner:   CommitPipeline.

#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"

namespace kvs {

enum class SyncPolicy : uint8_t { kNo, kEverySecond, kAlways };

inline SyncPolicy ParseSyncPolicy(std::string_view name) {
  return name == "always" ? SyncPolicy::kAlways
                          : (name == "no" ? SyncPolicy::kNo : SyncPolicy::kEverySecond);
}

class Watermark {
 public:
  // What a power cut may take from `everysec`, in milliseconds of acknowledged writes.
  static constexpr int64_t kMaxUnsyncedMs = 1500;

  explicit Watermark(uint64_t start_lsn)
      : appended_(start_lsn), synced_(start_lsn), value_(start_lsn) {}

  // All times are of one monotonic clock, in milliseconds.
  void SetPolicy(SyncPolicy policy, int required_acks, int64_t now_ms) {
    policy_ = policy;
    required_acks_ = required_acks;
    Advance(now_ms);
  }
  void OnAppended(uint64_t lsn, int64_t now_ms) {
    if (appended_ <= synced_) {
      unsynced_since_ms_ = now_ms;
    }
    appended_ = std::max(appended_, lsn);
    Advance(now_ms);
  }
  // Everything up to `lsn` is on the disk; the fsync that brought it there began at `began_ms`, so
  // that whatever it does not cover was appended later.
  void OnSynced(uint64_t lsn, int64_t began_ms, int64_t now_ms) {
    synced_ = std::max(synced_, lsn);
    unsynced_since_ms_ = std::max(unsynced_since_ms_, began_ms);
    Advance(now_ms);
  }
  // A slave of the in-sync set holds everything up to `lsn`.
  void OnAcked(const std::string& slave, uint64_t lsn, int64_t now_ms) {
    uint64_t& acked = acked_[slave];
    acked = std::max(acked, lsn);
    Advance(now_ms);
  }
  void RemoveSlave(const std::string& slave) { acked_.erase(slave); }
  // Nothing is acknowledged any more: an fsync has failed.
  void Freeze() { frozen_ = true; }

  uint64_t value() const { return value_; }
  uint64_t appended() const { return appended_; }
  uint64_t synced() const { return synced_; }
  bool frozen() const { return frozen_; }

 private:
  void Advance(int64_t now_ms) {
    if (frozen_) {
      return;
    }
    uint64_t reached = appended_;
    const bool overdue = appended_ > synced_ && now_ms - unsynced_since_ms_ > kMaxUnsyncedMs;
    if (policy_ == SyncPolicy::kAlways || (policy_ == SyncPolicy::kEverySecond && overdue)) {
      reached = std::min(reached, synced_);
    }
    if (required_acks_ > 0) {
      reached = std::min(reached, AckedBy(required_acks_));
    }
    value_ = std::max(value_, reached);
  }

  // Returns the highest LSN that at least `count` slaves hold, or 0.
  uint64_t AckedBy(int count) const {
    std::vector<uint64_t> positions;
    for (const auto& [slave, lsn] : acked_) {
      positions.push_back(lsn);
    }
    if (static_cast<int>(positions.size()) < count) {
      return 0;
    }
    std::sort(positions.begin(), positions.end(), std::greater<>());
    return positions[static_cast<size_t>(count - 1)];
  }

  SyncPolicy policy_ = SyncPolicy::kEverySecond;
  int required_acks_ = 0;
  uint64_t appended_;
  uint64_t synced_;
  int64_t unsynced_since_ms_ = 0;  // Not later than the append of what is not synced.
  uint64_t value_;
  bool frozen_ = false;
  std::map<std::string, uint64_t> acked_;
};

}  // namespace kvs
