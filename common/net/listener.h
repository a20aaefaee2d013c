// Listener: accepts connections on one loop and hands them to a callback.
//
// When the process is out of descriptors the listener rests for 100 ms instead of spinning, and the
// kernel's backlog holds the callers.
//
// Threads: loop-owned.
// Owner:   the server object of the loop; destroyed on the loop's thread.

#pragma once

#include <functional>

#include "common/base/unique_fd.h"
#include "common/net/event_loop.h"

namespace kvs {

class Listener : public IoHandler {
 public:
  using OnAccept = std::function<void(UniqueFd fd)>;

  // Takes a listening socket (socket.h).
  Listener(EventLoop* loop, UniqueFd fd, OnAccept on_accept);
  ~Listener() override;

  Status Start();
  // Accepts whoever waits in the backlog: they would be reset if the socket were closed under them.
  void AcceptBacklog();
  // Stops accepting and closes the socket.
  void Stop();
  void OnReady(bool readable, bool writable) override;

 private:
  // Says once in a while that there are no descriptors.
  void Warn(int error);
  // Returns false if nobody waits any more, or nobody can be taken now.
  bool AcceptOne();
  void Rest();

  EventLoop* const loop_;
  UniqueFd fd_;
  OnAccept on_accept_;
  IoWatch* watch_ = nullptr;
  TimerId resting_ = kNoTimer;
  int64_t warned_ms_ = INT64_MIN / 2;
};

}  // namespace kvs
