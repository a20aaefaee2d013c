#include "proxy/hash/pool_health.h"

#include "common/base/check.h"

namespace kvs {

bool PoolHealth::OnFailure(size_t server, int64_t now_ms) {
  KVS_CHECK(server < live_.size());
  retry_at_ms_[server] = now_ms + retry_ms_;
  const bool was_live = live_[server];
  live_[server] = false;
  return was_live;
}

bool PoolHealth::OnTime(int64_t now_ms) {
  bool changed = false;
  for (size_t i = 0; i < live_.size(); ++i) {
    if (!live_[i] && now_ms >= retry_at_ms_[i]) {
      live_[i] = true;
      changed = true;
    }
  }
  return changed;
}

}  // namespace kvs
