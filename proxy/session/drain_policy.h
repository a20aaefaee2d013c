// DrainPolicy: when a proxy that is to end may close a connection.
//
// Only at a command boundary, as long as there is time: nothing in flight, no part of a request
// read or waiting in the socket.  A client that sends one command after the other could send the
// next one at any such moment, and would lose it: its connection ends together with a reply, so
// that the end is there before the client looks at the connection again.  Where clients have a
// place to go to, because another process took the listening sockets or because they were told
// where, connections in use are left to them: they end when their clients close them or fall
// silent.  At the end of the time those that are still in use are closed at their next boundary,
// and what is left then is cut.
//
// Threads: immutable; no clock of its own.
// Owner:   ProxyWorker.

#pragma once

#include <algorithm>
#include <cstdint>

namespace kvs {

class DrainPolicy {
 public:
  // Whoever has sent nothing for so long is not in the middle of something.
  static constexpr int64_t kQuietMs = 1000;
  // Whoever has sent nothing for so long is hardly about to send something just now.
  static constexpr int64_t kPauseMs = 400;
  // The last part of the grace time, in which every boundary will do.
  static constexpr int64_t kLastMs = 1000;

  // What is to be known of a connection.
  struct View {
    bool at_boundary = false;
    bool told = false;  // The client has been asked to move.
    int64_t quiet_ms = 0;
  };

  DrainPolicy(int64_t start_ms, int64_t grace_ms, bool has_successor)
      : end_ms_(start_ms + grace_ms),
        last_ms_(end_ms_ - std::min(kLastMs, grace_ms / 2)),
        has_successor_(has_successor) {}

  bool MayClose(const View& view, int64_t now_ms) const {
    if (now_ms >= end_ms_) {
      return true;
    }
    const int64_t enough_ms = EndsWithReply(view, now_ms) ? kPauseMs : kQuietMs;
    return view.at_boundary && view.quiet_ms >= enough_ms;
  }
  // Whether the connection is to end with the next reply that leaves it at a boundary.
  bool EndsWithReply(const View& view, int64_t now_ms) const {
    const bool can_go_on = has_successor_ || view.told;
    return !can_go_on || now_ms >= last_ms_;
  }
  // How long a client has to move.
  int64_t seconds_left(int64_t now_ms) const {
    return std::max<int64_t>(0, last_ms_ - now_ms) / 1000;
  }

 private:
  const int64_t end_ms_;
  const int64_t last_ms_;
  const bool has_successor_;
};

}  // namespace kvs
