#include "common/http/http_router.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/base/strings.h"
#include "common/http/http_session.h"

namespace kvs {
namespace {

bool IsParameter(std::string_view segment) {
  return segment.size() > 2 && segment.front() == '{' && segment.back() == '}';
}

bool Match(const std::vector<std::string>& pattern, const std::vector<std::string>& path,
           HttpFields* params) {
  if (pattern.size() != path.size()) {
    return false;
  }
  params->clear();
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (IsParameter(pattern[i])) {
      if (path[i].empty()) {
        return false;
      }
      params->emplace_back(pattern[i].substr(1, pattern[i].size() - 2), path[i]);
    } else if (pattern[i] != path[i]) {
      return false;
    }
  }
  return true;
}

}  // namespace

// Answers for a handler that forgot to.
struct HttpResponder::Promise {
  explicit Promise(std::shared_ptr<HttpExchange> e) : exchange(std::move(e)) {}
  Promise(const Promise&) = delete;
  Promise& operator=(const Promise&) = delete;
  ~Promise() {
    if (!exchange->done) {
      Answer(ErrorResponse(500, "internal", "the request was dropped", "see the server's log"));
    }
  }
  void Answer(HttpResponse response) const {
    exchange->done = true;
    exchange->response = std::move(response);
    if (exchange->session != nullptr) {
      exchange->session->OnAnswer();
    }
  }
  const std::shared_ptr<HttpExchange> exchange;
};

HttpResponder::HttpResponder(std::shared_ptr<HttpExchange> exchange)
    : promise_(std::make_shared<Promise>(std::move(exchange))) {}

void HttpResponder::Send(HttpResponse response) const {
  KVS_CHECK(!promise_->exchange->done);
  promise_->Answer(std::move(response));
}

void HttpRouter::Add(std::string_view method, std::string_view pattern, HttpHandler handler) {
  KVS_CHECK(pattern.starts_with('/'));
  Route route{std::string(method), {}, std::move(handler)};
  for (const std::string_view segment : Split(pattern.substr(1), '/')) {
    route.segments.emplace_back(segment);
  }
  for (const Route& other : routes_) {
    KVS_CHECK(other.method != route.method || other.segments != route.segments);
  }
  routes_.push_back(std::move(route));
}

void HttpRouter::Dispatch(HttpRequest request, const HttpResponder& responder) const {
  std::vector<std::string> path;
  for (const std::string_view segment : Split(std::string_view(request.path).substr(1), '/')) {
    // The parser has checked the escapes.
    KVS_CHECK(PercentDecode(segment, /*plus_is_space=*/false, &path.emplace_back()));
  }
  const std::string_view method =
      request.method == "HEAD" ? "GET" : std::string_view(request.method);
  std::vector<std::string_view> allowed;
  for (const Route& route : routes_) {
    if (!Match(route.segments, path, &request.params)) {
      continue;
    }
    if (route.method == method) {
      return route.handler(request, responder);
    }
    allowed.push_back(route.method);
  }
  if (allowed.empty()) {
    return responder.Send(ErrorResponse(404, "not_found",
                                        fmt::format("there is nothing at {}", request.path),
                                        "see the program's page in doc/reference for the paths"));
  }
  HttpResponse response =
      ErrorResponse(405, "method_not_allowed",
                    fmt::format("{} does not work on {}", request.method, request.path),
                    fmt::format("use {}", fmt::join(allowed, " or ")));
  response.headers.emplace_back("Allow", fmt::format("{}", fmt::join(allowed, ", ")));
  responder.Send(std::move(response));
}

}  // namespace kvs
