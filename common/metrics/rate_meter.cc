#include "common/metrics/rate_meter.h"

#include <algorithm>

namespace kvs {

void RateMeter::Sample(int64_t now_ms, uint64_t total) {
  const Point newest{now_ms, total};
  points_[count_ % points_.size()] = newest;
  ++count_;
  const size_t kept = std::min(count_, points_.size());
  const Point& oldest = points_[(count_ - kept) % points_.size()];
  const bool grew = newest.time_ms > oldest.time_ms && newest.total >= oldest.total;
  per_second_.store(grew ? static_cast<double>(newest.total - oldest.total) * 1000.0 /
                               static_cast<double>(newest.time_ms - oldest.time_ms)
                         : 0.0,
                    std::memory_order_relaxed);
}

}  // namespace kvs
