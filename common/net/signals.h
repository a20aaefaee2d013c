// SignalWatcher: signals of the process as events of a loop.
//
// A signal handler may do next to nothing, so ours writes the number into a pipe and the loop calls
// back as for any other readiness.  SIGPIPE is ignored: a broken connection is an error of write().
//
// Threads: loop-owned; the signal itself may hit any thread.
// Owner:   main; one for the whole process at a time.

#pragma once

#include <functional>
#include <vector>

#include "common/base/unique_fd.h"
#include "common/net/event_loop.h"

namespace kvs {

class SignalWatcher : public IoHandler {
 public:
  using OnSignal = std::function<void(int signal)>;

  // REQUIRES: no other SignalWatcher exists
  SignalWatcher(EventLoop* loop, std::vector<int> signals, OnSignal on_signal);
  // Gives the signals their default actions back.
  ~SignalWatcher() override;

  // Starts to catch.  A signal that comes twice before the loop turns is reported once or twice.
  Status Start();
  void OnReady(bool readable, bool writable) override;

 private:
  EventLoop* const loop_;
  const std::vector<int> signals_;
  const OnSignal on_signal_;
  UniqueFd read_;
  UniqueFd write_;
  IoWatch* watch_ = nullptr;
};

}  // namespace kvs
