// Watermark: the highest LSN whose effects may be shown and acknowledged.
//
// The pure core of the pipeline's promise.  A record is acknowledged when it is in the log file,
// when it is fsynced if the policy is `always`, and when `required_acks` slaves have it.  The
// watermark never runs backwards, whatever changes.
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
  explicit Watermark(uint64_t start_lsn)
      : appended_(start_lsn), synced_(start_lsn), value_(start_lsn) {}

  void SetPolicy(SyncPolicy policy, int required_acks) {
    policy_ = policy;
    required_acks_ = required_acks;
    Advance();
  }
  void OnAppended(uint64_t lsn) {
    appended_ = std::max(appended_, lsn);
    Advance();
  }
  void OnSynced(uint64_t lsn) {
    synced_ = std::max(synced_, lsn);
    Advance();
  }
  // A slave of the in-sync set holds everything up to `lsn`.
  void OnAcked(const std::string& slave, uint64_t lsn) {
    uint64_t& acked = acked_[slave];
    acked = std::max(acked, lsn);
    Advance();
  }
  void RemoveSlave(const std::string& slave) { acked_.erase(slave); }
  // Nothing is acknowledged any more: an fsync has failed.
  void Freeze() { frozen_ = true; }

  uint64_t value() const { return value_; }
  uint64_t appended() const { return appended_; }
  bool frozen() const { return frozen_; }

 private:
  void Advance() {
    if (frozen_) {
      return;
    }
    uint64_t reached = appended_;
    if (policy_ == SyncPolicy::kAlways) {
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
  uint64_t value_;
  bool frozen_ = false;
  std::map<std::string, uint64_t> acked_;
};

}  // namespace kvs
