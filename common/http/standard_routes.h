// The routes that every server has: /healthz, /readyz, /metrics.
//
// Threads: loop-owned; the callbacks run on the server's loop.
// Owner:   the program; what the callbacks use outlives the server.

#pragma once

#include <functional>
#include <string>

#include "common/base/status.h"
#include "common/http/http_server.h"

namespace kvs {

struct StandardRoutes {
  // Whether the process works at all: not OK means that it should be restarted.
  std::function<Status()> health;
  // Whether it can serve now: not OK means that others should be asked.
  std::function<Status()> ready;
  // Returns Prometheus's text format.
  std::function<std::string()> metrics;
};

// GET /healthz and /readyz answer 200 "ok" or 503 with the error; GET /metrics the text.
// REQUIRES: before server->Start()
void AddStandardRoutes(HttpServer* server, StandardRoutes routes);

}  // namespace kvs
