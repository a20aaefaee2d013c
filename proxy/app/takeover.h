// Takeover: a new proxy process gets the listening sockets of the one that runs.
//
// Both sides speak over a unix socket that the running process listens on.  The successor connects
// and gets each socket with a line that says what it is for, then "end".  When it serves, it says
// "ready"; only then, and if it still lives, does the predecessor close its own copies, so
// connections that wait in a backlog are never reset, and a successor that fails changes nothing.
// The successor listens on the path before, so there is always a process that can be asked.
//
// Threads: main-only.
// Owner:   ProxyServer.

#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "common/base/unique_fd.h"
#include "common/net/event_loop.h"
#include "common/net/listener.h"

namespace kvs {

struct ListeningSocket {
  std::string purpose;  // One word.
  UniqueFd fd;
};

// The new process's side.
class Successor {
 public:
  // Asks the process that listens on `path` for its sockets.  Blocks for seconds at most.
  //   kNotFound: no process listens there
  //   kUnavailable: there is one, and it gives nothing: another successor is being served
  static Result<std::unique_ptr<Successor>> Ask(const std::string& path);

  // Those that nobody has taken yet.
  std::vector<ListeningSocket>* sockets() { return &sockets_; }
  // Tells the predecessor that this process serves now, and waits until it has stopped to.  After
  // an error it may have; it has ended, or hangs, and if it hangs it stops later only if this
  // object still lives then.
  Status Confirm();

 private:
  explicit Successor(UniqueFd fd) : fd_(std::move(fd)) {}
  Status Receive();

  UniqueFd fd_;
  std::vector<ListeningSocket> sockets_;
};

// The running process's side.
class Predecessor {
 public:
  struct Hooks {
    std::function<void()> on_taken;     // Called once, when a successor serves.
    std::function<void()> on_replaced;  // A successor that stood in our place already is gone.
  };

  Predecessor(EventLoop* loop, std::vector<ListeningSocket> sockets, Hooks hooks);
  ~Predecessor();
  // Listens on `path`, for the own user alone and in the place of whoever listened there.
  Status Start(const std::string& path);

 private:
  class Peer;
  void OnAccept(UniqueFd fd);
  // The peer has said that it serves, or it is gone.
  void OnPeerDone(bool serves);

  EventLoop* const loop_;
  std::vector<ListeningSocket> sockets_;  // Copies; none once another process serves.
  const Hooks hooks_;
  std::string path_;
  uint64_t file_number_ = 0;  // Of our socket there.
  std::unique_ptr<Listener> listener_;
  std::unique_ptr<Peer> peer_;
};

}  // namespace kvs
