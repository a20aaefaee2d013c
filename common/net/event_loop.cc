#include "common/net/event_loop.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <utility>

namespace kvs {

// The read end of a pipe that Post() and Stop() write to.
class EventLoop::Waker : public IoHandler {
 public:
  Waker() {
    int fds[2];
    KVS_CHECK(::pipe(fds) == 0);
    read_.reset(fds[0]);
    write_.reset(fds[1]);
    for (const int fd : fds) {
      KVS_CHECK(::fcntl(fd, F_SETFL, O_NONBLOCK) == 0 && ::fcntl(fd, F_SETFD, FD_CLOEXEC) == 0);
    }
  }
  void OnReady(bool /*readable*/, bool /*writable*/) override {
    char bytes[256];
    while (::read(read_.get(), bytes, sizeof(bytes)) == sizeof(bytes)) {
    }
  }
  void Wake() {
    // A full pipe is as good as a written byte: the loop will wake.
    [[maybe_unused]] const ssize_t written = ::write(write_.get(), "w", 1);
  }
  int fd() const { return read_.get(); }

 private:
  UniqueFd read_;
  UniqueFd write_;
};

EventLoop::EventLoop(std::string name, Clock* clock)
    : name_(std::move(name)),
      clock_(clock),
      poller_(Poller::Create()),
      waker_(std::make_unique<Waker>()),
      now_micros_(clock->MonotonicMicros()) {
  Result<IoWatch*> watch = Watch(waker_->fd(), waker_.get(), kReadable);
  KVS_CHECK(watch.ok());
  waker_watch_ = *watch;
}

EventLoop::~EventLoop() {
  // Tasks are dropped and not run: what they speak of may be gone.  They and the buried objects may
  // own sessions that unwatch themselves, so they die while the loop still works.
  thread_.store(std::thread::id());
  {
    std::vector<Task> tasks;
    const MutexLock lock(&mu_);
    tasks.swap(posted_);
  }
  graveyard_.clear();
  timer_tasks_.clear();
  Unwatch(waker_watch_);
}

void EventLoop::Run() {
  thread_.store(std::this_thread::get_id());
  while (!stop_.load(std::memory_order_acquire)) {
    RunOnce(-1);
  }
  thread_.store(std::thread::id());  // Whoever joined the thread may take the loop's objects apart.
}

void EventLoop::Stop() {
  stop_.store(true, std::memory_order_release);
  waker_->Wake();
}

void EventLoop::RunOnce(int timeout_ms) {
  if (thread_.load() == std::thread::id()) {
    thread_.store(std::this_thread::get_id());
  }
  poller_->Wait(WaitMillis(timeout_ms), &events_);
  now_micros_ = clock_->MonotonicMicros();
  ++turns_;
  for (const PollEvent& event : events_) {
    auto* watch = static_cast<IoWatch*>(event.data);
    if (watch->handler_ != nullptr) {
      watch->handler_->OnReady(event.readable, event.writable);
    }
  }
  RunPosted();
  RunTimers();
  for (size_t i = 0; i < hooks_.size(); ++i) {
    hooks_[i]->OnTurnEnd();
  }
  unwatched_.clear();
  // Destructors may bury more.
  while (!graveyard_.empty()) {
    std::vector<std::shared_ptr<void>> dead = std::move(graveyard_);
    graveyard_.clear();
    dead.clear();
  }
}

int EventLoop::WaitMillis(int limit_ms) const {
  if (timers_.empty()) {
    return limit_ms;
  }
  // Rounded up, so that a timer is due when the wait ends and the loop does not spin.
  const int64_t left_micros = timers_.top().due_micros - clock_->MonotonicMicros();
  const int64_t left_ms = std::clamp<int64_t>((left_micros + 999) / 1000, 0, 60'000);
  return limit_ms < 0 ? static_cast<int>(left_ms)
                      : static_cast<int>(std::min<int64_t>(limit_ms, left_ms));
}

Status EventLoop::Post(Task task) {
  bool wake = false;
  {
    const MutexLock lock(&mu_);
    if (posted_.size() >= kMaxPosted) {
      return Status::Busy("event loop " + name_ + " has too many tasks waiting");
    }
    posted_.push_back(std::move(task));
    wake = !std::exchange(woken_, true);
  }
  if (wake) {
    waker_->Wake();
  }
  return Status::Ok();
}

void EventLoop::PostAlways(Task task) {
  bool wake = false;
  {
    const MutexLock lock(&mu_);
    posted_.push_back(std::move(task));
    wake = !std::exchange(woken_, true);
  }
  if (wake) {
    waker_->Wake();
  }
}

void EventLoop::RunPosted() {
  std::vector<Task> tasks;
  {
    const MutexLock lock(&mu_);
    woken_ = false;
    tasks.swap(posted_);
  }
  for (Task& task : tasks) {
    task();
  }
}

Result<IoWatch*> EventLoop::Watch(int fd, IoHandler* handler, uint8_t interest) {
  AssertInLoop();
  auto watch = std::make_unique<IoWatch>();
  watch->fd_ = fd;
  watch->handler_ = handler;
  watch->interest_ = interest;
  KVS_RETURN_IF_ERROR(poller_->Add(fd, watch.get(), interest));
  return watch.release();  // Owned by the poller's entry until Unwatch().
}

void EventLoop::SetInterest(IoWatch* watch, uint8_t interest) {
  AssertInLoop();
  if (watch->interest_ != interest) {
    poller_->Modify(watch->fd_, watch, watch->interest_, interest);
    watch->interest_ = interest;
  }
}

void EventLoop::Unwatch(IoWatch* watch) {
  AssertInLoop();
  poller_->Remove(watch->fd_, watch->interest_);
  watch->handler_ = nullptr;
  unwatched_.emplace_back(watch);
}

TimerId EventLoop::AddTimer(int64_t delay_ms, int64_t period_ms, Task task) {
  AssertInLoop();
  const TimerId id = ++last_timer_;
  timers_.push({clock_->MonotonicMicros() + delay_ms * 1000, id});
  timer_tasks_.emplace(id, TimerTask{std::move(task), period_ms});
  return id;
}

TimerId EventLoop::After(int64_t delay_ms, Task task) {
  return AddTimer(delay_ms, 0, std::move(task));
}

TimerId EventLoop::Every(int64_t period_ms, Task task) {
  KVS_CHECK(period_ms > 0);
  return AddTimer(period_ms, period_ms, std::move(task));
}

// So many may lie about.
constexpr size_t kMaxCancelledTimers = 1024;

void EventLoop::Cancel(TimerId timer) {
  AssertInLoop();
  timer_tasks_.erase(timer);
  if (timers_.size() > 2 * timer_tasks_.size() + kMaxCancelledTimers) {
    DropCancelledTimers();
  }
}

// Far ones would stay for days, a few bytes each.
void EventLoop::DropCancelledTimers() {
  std::vector<Timer> left;
  left.reserve(timer_tasks_.size());
  for (; !timers_.empty(); timers_.pop()) {
    if (timer_tasks_.contains(timers_.top().id)) {
      left.push_back(timers_.top());
    }
  }
  timers_ = decltype(timers_)(std::greater<>(), std::move(left));
}

void EventLoop::RunTimers() {
  while (!timers_.empty()) {
    const Timer next = timers_.top();
    const auto found = timer_tasks_.find(next.id);
    if (found == timer_tasks_.end()) {
      timers_.pop();  // Cancelled.
      continue;
    }
    if (next.due_micros > now_micros_) {
      return;
    }
    timers_.pop();
    if (found->second.period_ms == 0) {
      const Task task = std::move(found->second.task);
      timer_tasks_.erase(found);
      task();
    } else {
      timers_.push({now_micros_ + found->second.period_ms * 1000, next.id});
      const Task task = found->second.task;  // A copy: the task may cancel itself.
      task();
    }
  }
}

void EventLoop::AddTurnHook(TurnHook* hook) {
  AssertInLoop();
  hooks_.push_back(hook);
}

void EventLoop::RemoveTurnHook(TurnHook* hook) {
  AssertInLoop();
  std::erase(hooks_, hook);
}

void EventLoop::AssertInLoop() const {
  const std::thread::id owner = thread_.load(std::memory_order_relaxed);
  KVS_CHECK(owner == std::thread::id() || owner == std::this_thread::get_id());
}

}  // namespace kvs
