#include "common/http/http_server.h"

#include <sys/socket.h>

#include <utility>
#include <vector>

#include "common/base/logging.h"
#include "common/http/http_session.h"
#include "common/net/socket.h"

namespace kvs {
namespace {

constexpr int64_t kIdleCheckMillis = 1000;

}  // namespace

HttpServer::HttpServer(EventLoop* loop, UniqueFd fd, const HttpServerOptions& options)
    : loop_(loop),
      options_(options),
      port_(LocalPort(fd.get())),
      listener_(loop, std::move(fd), [this](UniqueFd client) { OnAccept(std::move(client)); }) {}

HttpServer::~HttpServer() {
  Stop();
}

void HttpServer::AddRoute(std::string_view method, std::string_view pattern, HttpHandler handler) {
  KVS_CHECK(idle_timer_ == kNoTimer);
  router_.Add(method, pattern, std::move(handler));
}

Status HttpServer::Start() {
  loop_->AssertInLoop();
  KVS_RETURN_IF_ERROR(listener_.Start());
  idle_timer_ = loop_->Every(kIdleCheckMillis, [this] { CloseIdle(); });
  return Status::Ok();
}

void HttpServer::Stop() {
  loop_->AssertInLoop();
  listener_.Stop();
  loop_->Cancel(idle_timer_);
  while (!sessions_.empty()) {
    sessions_.begin()->first->Close();
  }
}

void HttpServer::OnAccept(UniqueFd fd) {
  if (sessions_.size() >= options_.max_connections) {
    std::string text;
    EncodeResponse(ErrorResponse(503, "busy", "too many connections", "try again"),
                   /*keep_alive=*/false, /*head_only=*/false, &text);
    // What does not fit into the empty socket buffer is not worth waiting for.
    [[maybe_unused]] const ssize_t sent =
        ::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return;
  }
  SetNoDelay(fd.get());
  auto session = std::make_unique<HttpSession>(this, std::move(fd));
  HttpSession* const raw = session.get();
  sessions_.emplace(raw, std::move(session));
  const Status started = raw->Start();
  if (!started.ok()) {
    KVS_LOG(kWarning, "cannot serve an HTTP connection: {}", started.message());
    raw->Close();
  }
}

void HttpServer::OnSessionClosed(HttpSession* session) {
  const auto found = sessions_.find(session);
  KVS_CHECK(found != sessions_.end());
  loop_->DeleteLater(std::move(found->second));
  sessions_.erase(found);
}

void HttpServer::CloseIdle() {
  std::vector<HttpSession*> idle;
  for (const auto& [session, owned] : sessions_) {
    if (session->IsIdle(loop_->now_ms() - options_.idle_timeout_ms)) {
      idle.push_back(session);
    }
  }
  for (HttpSession* session : idle) {
    session->Close();
  }
}

}  // namespace kvs
