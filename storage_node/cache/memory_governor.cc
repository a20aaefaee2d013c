#include "storage_node/cache/memory_governor.h"

#include <algorithm>

namespace kvs {

uint64_t MemoryGovernor::Decide(const MemoryState& state) {
  exhausted_ = false;
  if (state.limit == 0) {
    budget_ = UINT64_MAX;
    wait_ = 0;
    return state.wanted_cache;
  }
  budget_ = std::min(budget_, state.wanted_cache);
  if (state.resident > state.limit) {
    exhausted_ = state.cache == 0 && budget_ == 0;
    if (wait_ > 0) {
      --wait_;
      return budget_;
    }
    const uint64_t excess = state.resident - state.limit;
    const uint64_t from = std::min(budget_, state.cache);
    budget_ = from > excess ? from - excess : 0;
    wait_ = kPatience;
    return budget_;
  }
  wait_ = 0;
  // The gap keeps it from swinging: what is given back is a part of what is free.
  const uint64_t target = state.limit - state.limit / 16;
  if (state.resident < target) {
    budget_ = std::min(state.wanted_cache, budget_ + (target - state.resident) / 4);
  }
  return budget_;
}

}  // namespace kvs
