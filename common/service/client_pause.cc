#include "common/service/client_pause.h"

#include <algorithm>

namespace kvs {

void ClientPause::Pause(bool all, int64_t until_ms, int64_t now_ms) {
  const MutexLock lock(&mu_);
  const bool in_force = InForce(now_ms);
  all_.store(all || (in_force && all_.load(std::memory_order_relaxed)), std::memory_order_relaxed);
  until_ms_.store(
      in_force ? std::max(until_ms, until_ms_.load(std::memory_order_relaxed)) : until_ms,
      std::memory_order_relaxed);
}

void ClientPause::Unpause() {
  const MutexLock lock(&mu_);
  until_ms_.store(0, std::memory_order_relaxed);
  all_.store(false, std::memory_order_relaxed);
}

}  // namespace kvs
