#include "storage_node/types/sweeper_thread.h"

#include <chrono>

#include "common/base/logging.h"

namespace kvs {
namespace {

constexpr auto kIdlePause = std::chrono::milliseconds(100);
constexpr auto kBusyPause = std::chrono::milliseconds(10);
constexpr int64_t kSliceMicros = 10'000;

}  // namespace

void SweeperThread::Start() {
  {
    const MutexLock lock(&mu_);
    stop_ = false;
  }
  thread_ = Thread::Background("sweeper", [this] { Run(); });
}

void SweeperThread::Stop() {
  if (!thread_.joinable()) {
    return;
  }
  {
    const MutexLock lock(&mu_);
    stop_ = true;
    wake_.NotifyAll();
  }
  thread_.Join();
}

SweepStats SweeperThread::stats() const {
  return {.expired_keys = expired_keys_.load(std::memory_order_relaxed),
          .dead_records = dead_records_.load(std::memory_order_relaxed)};
}

void SweeperThread::Run() {
  while (true) {
    const bool busy = Slice();
    const MutexLock lock(&mu_);
    if (!stop_) {
      wake_.WaitFor(&mu_, busy ? kBusyPause : kIdlePause);
    }
    if (stop_) {
      return;
    }
  }
}

bool SweeperThread::Slice() {
  if (!store_->WriteHealth().ok()) {
    return false;  // Nothing can be deleted; expired keys are hidden all the same.
  }
  sweeper_.set_active_expire(active_expire());
  const Result<bool> more = sweeper_.RunSlice(kSliceMicros);
  const bool failed = !more.ok() && more.status().code() != Code::kBusy;
  if (failed && !failing_) {
    KVS_LOG(kWarning, "cannot sweep, will go on trying: {}", more.status().message());
  }
  failing_ = failed;
  expired_keys_.store(sweeper_.stats().expired_keys, std::memory_order_relaxed);
  dead_records_.store(sweeper_.stats().dead_records, std::memory_order_relaxed);
  return more.ok() && *more;
}

}  // namespace kvs
