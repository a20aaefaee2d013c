// Mutex, MutexLock, CondVar: std's, with clang's thread-safety annotations.
//
// Say KVS_GUARDED_BY(mu_) on each field that a mutex protects and KVS_REQUIRES(mu_) on helpers that
// want it held; clang then refuses code that forgets to lock.
//
// Threads: thread-safe.
// Owner:   the object whose fields they guard.

#pragma once

#include <pthread.h>

#include <chrono>
#include <condition_variable>
#include <ctime>
#include <mutex>

#if defined(__clang__)
#define KVS_THREAD_ANNOTATION(x) __attribute__((x))
#else
#define KVS_THREAD_ANNOTATION(x)
#endif

#define KVS_CAPABILITY(x) KVS_THREAD_ANNOTATION(capability(x))
#define KVS_SCOPED_CAPABILITY KVS_THREAD_ANNOTATION(scoped_lockable)
#define KVS_GUARDED_BY(x) KVS_THREAD_ANNOTATION(guarded_by(x))
#define KVS_REQUIRES(...) KVS_THREAD_ANNOTATION(requires_capability(__VA_ARGS__))
#define KVS_EXCLUDES(...) KVS_THREAD_ANNOTATION(locks_excluded(__VA_ARGS__))
#define KVS_ACQUIRE(...) KVS_THREAD_ANNOTATION(acquire_capability(__VA_ARGS__))
#define KVS_RELEASE(...) KVS_THREAD_ANNOTATION(release_capability(__VA_ARGS__))
#define KVS_TRY_ACQUIRE(...) KVS_THREAD_ANNOTATION(try_acquire_capability(__VA_ARGS__))
#define KVS_ACQUIRED_BEFORE(...) KVS_THREAD_ANNOTATION(acquired_before(__VA_ARGS__))
#define KVS_NO_THREAD_SAFETY_ANALYSIS KVS_THREAD_ANNOTATION(no_thread_safety_analysis)

namespace kvs {

class KVS_CAPABILITY("mutex") Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void Lock() KVS_ACQUIRE() { mu_.lock(); }
  void Unlock() KVS_RELEASE() { mu_.unlock(); }
  bool TryLock() KVS_TRY_ACQUIRE(true) { return mu_.try_lock(); }
  // Waits for `timeout` at most.
  bool TryLockFor(std::chrono::nanoseconds timeout) KVS_TRY_ACQUIRE(true) {
    const auto until = std::chrono::system_clock::now() + timeout;
    const auto since =
        std::chrono::duration_cast<std::chrono::nanoseconds>(until.time_since_epoch());
    const timespec at = {.tv_sec = static_cast<time_t>(since.count() / 1'000'000'000),
                         .tv_nsec = static_cast<long>(since.count() % 1'000'000'000)};
    return ::pthread_mutex_timedlock(mu_.native_handle(), &at) == 0;
  }

 private:
  friend class CondVar;
  std::mutex mu_;
};

class KVS_SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex* mu) KVS_ACQUIRE(mu) : mu_(mu) { mu_->Lock(); }
  ~MutexLock() KVS_RELEASE() { mu_->Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex* const mu_;
};

class CondVar {
 public:
  // Waits for a Notify; may wake for nothing, so wait in a loop.  REQUIRES: `*mu` is held.
  void Wait(Mutex* mu) KVS_REQUIRES(mu) {
    std::unique_lock<std::mutex> lock(mu->mu_, std::adopt_lock);
    cv_.wait(lock);
    lock.release();
  }
  // As Wait, but for at most `timeout`.  Returns false if the time ran out.
  bool WaitFor(Mutex* mu, std::chrono::nanoseconds timeout) KVS_REQUIRES(mu) {
    std::unique_lock<std::mutex> lock(mu->mu_, std::adopt_lock);
    const bool notified = cv_.wait_for(lock, timeout) == std::cv_status::no_timeout;
    lock.release();
    return notified;
  }
  void NotifyOne() { cv_.notify_one(); }
  void NotifyAll() { cv_.notify_all(); }

 private:
  std::condition_variable cv_;
};

}  // namespace kvs
