#include "common/net/signals.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <utility>

namespace kvs {
namespace {

// Where the handler writes; -1 while there is no watcher.
std::atomic<int> signal_pipe{-1};
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler may touch nothing else");

extern "C" void OnSignalRaised(int signal) {
  const int saved_errno = errno;
  const auto byte = static_cast<char>(signal);
  // A full pipe holds signals enough.
  [[maybe_unused]] const ssize_t written =
      ::write(signal_pipe.load(std::memory_order_relaxed), &byte, 1);
  errno = saved_errno;
}

Status SetAction(int signal, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  return ::sigaction(signal, &action, nullptr) == 0 ? Status::Ok()
                                                    : Status::FromErrno("catch a signal", errno);
}

}  // namespace

SignalWatcher::SignalWatcher(EventLoop* loop, std::vector<int> signals, OnSignal on_signal)
    : loop_(loop), signals_(std::move(signals)), on_signal_(std::move(on_signal)) {
  int fds[2];
  KVS_CHECK(::pipe(fds) == 0);
  read_.reset(fds[0]);
  write_.reset(fds[1]);
  for (const int fd : fds) {
    KVS_CHECK(::fcntl(fd, F_SETFL, O_NONBLOCK) == 0 && ::fcntl(fd, F_SETFD, FD_CLOEXEC) == 0);
  }
  KVS_CHECK(signal_pipe.exchange(write_.get()) == -1);
}

SignalWatcher::~SignalWatcher() {
  for (const int signal : signals_) {
    // It could be caught, so it can be let go.
    KVS_CHECK(SetAction(signal, SIG_DFL).ok());
  }
  if (watch_ != nullptr) {
    loop_->Unwatch(watch_);
  }
  signal_pipe.store(-1);
}

Status SignalWatcher::Start() {
  KVS_ASSIGN_OR_RETURN(watch_, loop_->Watch(read_.get(), this, kReadable));
  KVS_RETURN_IF_ERROR(SetAction(SIGPIPE, SIG_IGN));
  for (const int signal : signals_) {
    KVS_RETURN_IF_ERROR(SetAction(signal, OnSignalRaised));
  }
  return Status::Ok();
}

void SignalWatcher::OnReady(bool /*readable*/, bool /*writable*/) {
  char bytes[64];
  const ssize_t count = ::read(read_.get(), bytes, sizeof(bytes));
  for (ssize_t i = 0; i < count; ++i) {
    on_signal_(bytes[i]);
  }
}

}  // namespace kvs
