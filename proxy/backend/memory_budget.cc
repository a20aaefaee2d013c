#include "proxy/backend/memory_budget.h"

namespace kvs {

void MemoryBudget::Add(int64_t bytes) {
  const int64_t sum = used_.fetch_add(bytes, std::memory_order_relaxed) + bytes;
  const size_t used = sum > 0 ? static_cast<size_t>(sum) : 0;
  const size_t limit = limit_.load(std::memory_order_relaxed);
  exhausted_.store(used >= limit, std::memory_order_relaxed);
  if (used >= limit / 4 * 3) {
    pressed_.store(true, std::memory_order_relaxed);
  } else if (used < limit / 8 * 5) {
    pressed_.store(false, std::memory_order_relaxed);
  }
}

size_t MemoryBudget::used() const {
  const int64_t used = used_.load(std::memory_order_relaxed);
  return used > 0 ? static_cast<size_t>(used) : 0;
}

}  // namespace kvs
