#include "common/base/clock.h"

#include <time.h>

namespace kvs {
namespace {

int64_t Micros(clockid_t id) {
  timespec now{};
  clock_gettime(id, &now);
  return int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000;
}

class SystemClock : public Clock {
 public:
  int64_t WallMicros() const override { return Micros(CLOCK_REALTIME); }
  int64_t MonotonicMicros() const override { return Micros(CLOCK_MONOTONIC); }
};

}  // namespace

Clock* Clock::System() {
  static SystemClock clock;
  return &clock;
}

}  // namespace kvs
