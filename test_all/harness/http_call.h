// CallHttp: one request to a program's HTTP port, for tests that look at what it answers.
//
// Threads: thread-safe.

#pragma once

#include <cstdint>
#include <string>

#include "common/base/status.h"
#include "common/json/json.h"

namespace kvs {

struct HttpAnswer {
  int status = 0;
  std::string body;
  Json json;  // Null if the body is no JSON.
};

// Sends a request to 127.0.0.1:port, over a connection of its own, and returns the answer.
//   kUnavailable, kIoError: nobody listens; kTimeout: the server does not close;
//   kCorruption: not HTTP
Result<HttpAnswer> CallHttp(uint16_t port, const std::string& method, const std::string& path,
                            const std::string& body = "");

}  // namespace kvs
