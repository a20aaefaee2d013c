// HttpRouter: which handler answers which method and path.
//
// A pattern is a path whose segments are literal or {name}; {name} matches one segment that is not
// empty.  Literals are compared after percent-decoding.  HEAD is served by the handler of GET.
//
// Threads: main-only while routes are added, then loop-owned.
// Owner:   HttpServer.

#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/http/http_message.h"

namespace kvs {

class HttpSession;

// One answer that is owed; shared by the session and the responder.
struct HttpExchange {
  HttpSession* session = nullptr;  // Null once the connection is gone.
  bool keep_alive = true;
  bool head_only = false;
  bool done = false;
  HttpResponse response;
};

// The right to answer one request, now or later.  Copies answer the same request.  If the last copy
// goes away without an answer, the client gets 500: a request is never left hanging.
//
// Threads: loop-owned.  Work on other threads comes back by Post() before it answers.
// Owner:   the handler, by value; it may outlive connection and server.
class HttpResponder {
 public:
  explicit HttpResponder(std::shared_ptr<HttpExchange> exchange);
  // Answers; nothing happens if the connection is gone.
  // REQUIRES: no copy has answered before
  void Send(HttpResponse response) const;

 private:
  struct Promise;
  std::shared_ptr<Promise> promise_;
};

using HttpHandler = std::function<void(const HttpRequest& request, HttpResponder responder)>;

class HttpRouter {
 public:
  // REQUIRES: `pattern` begins with '/', and the pair of method and pattern is new
  void Add(std::string_view method, std::string_view pattern, HttpHandler handler);

  // Finds the handler and calls it, or answers 404 or 405 itself.
  void Dispatch(HttpRequest request, const HttpResponder& responder) const;

 private:
  struct Route {
    std::string method;
    std::vector<std::string> segments;  // "{name}" or literal.
    HttpHandler handler;
  };
  std::vector<Route> routes_;
};

}  // namespace kvs
