// FakeServer: a RESP server that says whatever a test wants, for programs that dial it.
//
// It runs on a thread of its own.  Each request is handed to a function, which sends what it likes,
// now or later, or hangs up.
//
// Threads: the constructor and the destructor are main-only, Run() is thread-safe; handlers and
//          FakePeer belong to the server's thread.
// Owner:   the test.

#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/thread.h"
#include "common/net/buffer.h"
#include "common/net/event_loop.h"
#include "common/net/listener.h"
#include "common/resp/request_parser.h"

namespace kvs {

class FakeServer;

// One connection of a FakeServer.
class FakePeer : public IoHandler {
 public:
  FakePeer(FakeServer* server, uint64_t id, UniqueFd fd);
  ~FakePeer() override;

  void OnReady(bool readable, bool writable) override;
  void Send(std::string_view bytes);
  // Hangs up, after the turn.
  void Close();
  uint64_t id() const { return id_; }

 private:
  void ReadRequests();

  FakeServer* const server_;
  const uint64_t id_;
  UniqueFd fd_;
  IoWatch* watch_ = nullptr;
  ReadBuffer input_;
  RequestParser parser_;
  OutputQueue output_;
  bool closed_ = false;
};

class FakeServer {
 public:
  using Handler = std::function<void(FakePeer* peer, const std::vector<std::string>& request)>;

  // Listens on a port of 127.0.0.1.  A node's greeting is answered here, if `greets`.
  explicit FakeServer(Handler handler, bool greets = true);
  ~FakeServer();

  uint16_t port() const { return port_; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  // Connections accepted so far.
  int accepted() const { return accepted_; }
  // Runs `task` on the server's thread and returns when it is done.
  void Run(const std::function<void()>& task);

  // For the server's thread.
  EventLoop* loop() { return &loop_; }
  // Returns nullptr if the connection is gone.
  FakePeer* Find(uint64_t id);
  void ForEach(const std::function<void(FakePeer*)>& visit);

 private:
  friend class FakePeer;

  EventLoop loop_{"fake"};
  const Handler handler_;
  const bool greets_;
  uint16_t port_ = 0;
  std::atomic<int> accepted_{0};
  std::unique_ptr<Listener> listener_;
  std::map<uint64_t, std::unique_ptr<FakePeer>> peers_;
  Thread thread_;
};

}  // namespace kvs
