// HttpServer: HTTP/1.1 for operators: health, metrics, JSON.
//
// It is built for a handful of tools and scrapers, so every limit is tight: connections, pipelined
// requests, header and body sizes, and the time that a request may take to arrive.  Browsers on
// other sites are kept out: a request that changes something must not carry a foreign Origin.
//
// Threads: loop-owned.
// Owner:   the program's main loop; destroyed on the loop's thread.

#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <unordered_map>

#include "common/base/unique_fd.h"
#include "common/http/http_parser.h"
#include "common/http/http_router.h"
#include "common/net/event_loop.h"
#include "common/net/listener.h"

namespace kvs {

struct HttpServerOptions {
  HttpLimits limits = {};
  size_t max_connections = 256;  // A further one is told 503.
  size_t max_pipeline = 16;      // Requests of one connection whose answers are owed.
  // A connection is closed if for so long no request came in whole and no answer went out.
  int64_t idle_timeout_ms = 30'000;
};

class HttpSession;

class HttpServer {
 public:
  // Takes a listening socket (common/net/socket.h).
  HttpServer(EventLoop* loop, UniqueFd fd, const HttpServerOptions& options = {});
  ~HttpServer();

  // REQUIRES: before Start(); see HttpRouter
  void AddRoute(std::string_view method, std::string_view pattern, HttpHandler handler);
  Status Start();
  // Closes the listener and all connections.
  void Stop();

  size_t connection_count() const { return sessions_.size(); }
  uint16_t port() const { return port_; }

 private:
  friend class HttpSession;
  void OnAccept(UniqueFd fd);
  void OnSessionClosed(HttpSession* session);
  void CloseIdle();

  EventLoop* const loop_;
  const HttpServerOptions options_;
  const uint16_t port_;
  HttpRouter router_;
  Listener listener_;
  TimerId idle_timer_ = kNoTimer;
  std::unordered_map<HttpSession*, std::unique_ptr<HttpSession>> sessions_;
};

}  // namespace kvs
