#include "storage_node/script/running_scripts.h"

#include <utility>

namespace kvs {

void RunningScripts::Begin(One one) {
  const MutexLock lock(&mu_);
  one_ = std::move(one);
  committed_ = false;
  kind_.store(one_.kind, std::memory_order_relaxed);
  stop_.store(closed_, std::memory_order_relaxed);
  since_ms_.store(one_.since_ms, std::memory_order_relaxed);
}

std::optional<RunningScripts::One> RunningScripts::Now() const {
  const MutexLock lock(&mu_);
  return since_ms_.load(std::memory_order_relaxed) == 0 ? std::nullopt : std::optional(one_);
}

bool RunningScripts::End() {
  const MutexLock lock(&mu_);
  since_ms_.store(0, std::memory_order_relaxed);
  return !stop_.load(std::memory_order_relaxed);
}

void RunningScripts::NoteCommitted() {
  const MutexLock lock(&mu_);
  committed_ = true;
  stop_.store(closed_, std::memory_order_relaxed);
}

RunningScripts::Killed RunningScripts::Kill(ScriptKind kind) {
  const MutexLock lock(&mu_);
  if (since_ms_.load(std::memory_order_relaxed) == 0) {
    return Killed::kNoneRuns;
  }
  if (committed_) {
    return Killed::kHasCommitted;
  }
  if (one_.kind != kind) {
    return Killed::kIsOfOtherKind;
  }
  stop_.store(true, std::memory_order_relaxed);
  return Killed::kOk;
}

void RunningScripts::Close() {
  const MutexLock lock(&mu_);
  closed_ = true;
  stop_.store(true, std::memory_order_relaxed);
}

}  // namespace kvs
