// EventLoop: one thread's readiness events, timers and posted tasks.
//
// A turn is: wait, run the handlers of ready descriptors, run posted tasks, run due timers, run the
// turn hooks, destroy what was handed to DeleteLater().  Turn hooks are what makes batching work:
// everything that the events of one turn produced leaves in one write.
//
// Threads: loop-owned, except Post(), Stop() and the constructor.
// Owner:   whoever runs the thread; it must outlive every handler registered with it.

#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <queue>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/base/unique_fd.h"
#include "common/net/poller.h"

namespace kvs {

// Gets the readiness events of one descriptor.
class IoHandler {
 public:
  virtual ~IoHandler() = default;
  virtual void OnReady(bool readable, bool writable) = 0;
};

// Runs at the end of each turn of a loop.
class TurnHook {
 public:
  virtual ~TurnHook() = default;
  virtual void OnTurnEnd() = 0;
};

// One registration of a descriptor.  Made by EventLoop::Watch(), ended by Unwatch().
class IoWatch {
 private:
  friend class EventLoop;
  int fd_ = -1;
  IoHandler* handler_ = nullptr;  // Null once unwatched.
  uint8_t interest_ = kNoInterest;
};

using TimerId = uint64_t;
inline constexpr TimerId kNoTimer = 0;

class EventLoop {
 public:
  using Task = std::function<void()>;

  explicit EventLoop(std::string name, Clock* clock = Clock::System());
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Runs turns in the calling thread until Stop().
  void Run();
  // Makes Run() return after the current turn.  Any thread.
  void Stop();
  // Runs one turn that waits for at most `timeout_ms`.  For tests and for draining.
  void RunOnce(int timeout_ms);

  // Queues `task` for this loop's thread.  Any thread.
  // Returns kBusy if kMaxPosted tasks wait already; the task is then dropped.
  Status Post(Task task) KVS_EXCLUDES(mu_);
  // As Post, for tasks that must not be lost (shutdown, state changes that happen rarely).
  void PostAlways(Task task) KVS_EXCLUDES(mu_);

  // Starts to report events of `fd` to `handler`.
  // Returns kIoError if the kernel refuses the descriptor.
  Result<IoWatch*> Watch(int fd, IoHandler* handler, uint8_t interest);
  void SetInterest(IoWatch* watch, uint8_t interest);
  // Ends the registration.  The handler is not called again, not even later in this turn.
  void Unwatch(IoWatch* watch);

  // Runs `task` once after `delay_ms` milliseconds.  Never fires early.
  TimerId After(int64_t delay_ms, Task task);
  // Runs `task` every `period_ms` until cancelled.
  TimerId Every(int64_t period_ms, Task task);
  // Cancels a timer; kNoTimer and timers that have fired are ignored.
  void Cancel(TimerId timer);

  // REQUIRES: the hook outlives its registration.
  void AddTurnHook(TurnHook* hook);
  void RemoveTurnHook(TurnHook* hook);

  // Destroys `object` at the end of this turn, so that no handler destroys itself.
  template <typename T>
  void DeleteLater(std::unique_ptr<T> object) {
    graveyard_.emplace_back(std::shared_ptr<void>(std::move(object)));
  }

  // Aborts unless called by the loop's thread (or before Run() has begun).
  void AssertInLoop() const;

  // The time at which this turn began: cheap, and equal for all that happens in the turn.
  int64_t now_micros() const { return now_micros_; }
  int64_t now_ms() const { return now_micros_ / 1000; }
  Clock* clock() const { return clock_; }
  const std::string& name() const { return name_; }
  uint64_t turns() const { return turns_; }

  static constexpr size_t kMaxPosted = 65536;

 private:
  struct Timer {
    int64_t due_micros;
    TimerId id;
    bool operator>(const Timer& other) const {
      return due_micros != other.due_micros ? due_micros > other.due_micros : id > other.id;
    }
  };
  struct TimerTask {
    Task task;
    int64_t period_ms;  // 0: once.
  };
  class Waker;

  TimerId AddTimer(int64_t delay_ms, int64_t period_ms, Task task);
  int WaitMillis(int limit_ms) const;
  void RunPosted() KVS_EXCLUDES(mu_);
  void RunTimers();
  void DropCancelledTimers();

  const std::string name_;
  Clock* const clock_;
  const std::unique_ptr<Poller> poller_;
  std::unique_ptr<Waker> waker_;
  IoWatch* waker_watch_ = nullptr;
  std::atomic<bool> stop_{false};
  std::atomic<std::thread::id> thread_{};
  int64_t now_micros_ = 0;
  uint64_t turns_ = 0;

  std::vector<PollEvent> events_;
  std::vector<std::unique_ptr<IoWatch>> unwatched_;  // Freed at the end of the turn.
  std::vector<std::shared_ptr<void>> graveyard_;
  std::vector<TurnHook*> hooks_;

  TimerId last_timer_ = kNoTimer;
  std::priority_queue<Timer, std::vector<Timer>, std::greater<>> timers_;
  std::unordered_map<TimerId, TimerTask> timer_tasks_;

  Mutex mu_;
  std::vector<Task> posted_ KVS_GUARDED_BY(mu_);
  bool woken_ KVS_GUARDED_BY(mu_) = false;
};

}  // namespace kvs
