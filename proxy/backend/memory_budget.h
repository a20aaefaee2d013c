// MemoryBudget: what the buffers of all loops hold together, and how near that is to the limit.
//
// Under pressure sessions with something under way are not read; at the limit replies that are not
// small are refused.  Pressure begins at three quarters of the limit and ends at five eighths, so
// that it does not flicker.
//
// Threads: thread-safe.
// Owner:   ProxyServer; outlives the loops.

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace kvs {

class MemoryBudget {
 public:
  // Takes effect at the next Add().
  void set_limit(size_t bytes) { limit_.store(bytes, std::memory_order_relaxed); }
  // A loop's buffers have grown by `bytes`, or shrunk.
  void Add(int64_t bytes);

  size_t used() const;
  bool pressed() const { return pressed_.load(std::memory_order_relaxed); }
  bool exhausted() const { return exhausted_.load(std::memory_order_relaxed); }

 private:
  std::atomic<size_t> limit_{SIZE_MAX};
  std::atomic<int64_t> used_{0};
  std::atomic<bool> pressed_{false};
  std::atomic<bool> exhausted_{false};
};

// One loop's part of a budget.
//
// Threads: loop-owned.
// Owner:   ProxyWorker.
class BudgetShare {
 public:
  explicit BudgetShare(MemoryBudget* budget) : budget_(budget) {}
  ~BudgetShare() { Update(0); }
  BudgetShare(const BudgetShare&) = delete;
  BudgetShare& operator=(const BudgetShare&) = delete;

  // Whether what was told last differs from `bytes` by `step` or more.
  bool IsOff(size_t bytes, size_t step) const {
    return bytes > bytes_ ? bytes - bytes_ >= step : bytes_ - bytes >= step;
  }
  // The loop's buffers hold `bytes` now.
  void Update(size_t bytes) {
    // Also if nothing has changed: the limit may have, or another loop's news been overtaken.
    budget_->Add(static_cast<int64_t>(bytes) - static_cast<int64_t>(bytes_));
    bytes_ = bytes;
  }

 private:
  MemoryBudget* const budget_;
  size_t bytes_ = 0;
};

}  // namespace kvs
