#include "common/net/listener.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "common/base/logging.h"

namespace kvs {
namespace {

constexpr int kAcceptsPerTurn = 64;
// More than a backlog holds.
constexpr int kMaxBacklog = 65536;
constexpr int64_t kRestMillis = 100;
constexpr int64_t kWarningMillis = 10'000;  // The same warning again comes no sooner.

}  // namespace

Listener::Listener(EventLoop* loop, UniqueFd fd, OnAccept on_accept)
    : loop_(loop), fd_(std::move(fd)), on_accept_(std::move(on_accept)) {}

Listener::~Listener() {
  Stop();
}

Status Listener::Start() {
  KVS_ASSIGN_OR_RETURN(watch_, loop_->Watch(fd_.get(), this, kReadable));
  return Status::Ok();
}

void Listener::Stop() {
  if (watch_ != nullptr) {
    loop_->Unwatch(watch_);
    watch_ = nullptr;
  }
  loop_->Cancel(resting_);
  resting_ = kNoTimer;
  fd_.reset();
}

void Listener::OnReady(bool /*readable*/, bool /*writable*/) {
  for (int i = 0; i < kAcceptsPerTurn && AcceptOne(); ++i) {
  }
}

void Listener::AcceptBacklog() {
  for (int i = 0; i < kMaxBacklog && AcceptOne(); ++i) {
  }
}

bool Listener::AcceptOne() {
  if (watch_ == nullptr) {
    return false;
  }
  UniqueFd client(::accept4(fd_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (client.valid()) {
    on_accept_(std::move(client));
    return true;
  }
  if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
    Warn(errno);
    Rest();
    return false;
  }
  return errno == EINTR || errno == ECONNABORTED;
}

void Listener::Warn(int error) {
  if (loop_->now_ms() - warned_ms_ >= kWarningMillis) {
    warned_ms_ = loop_->now_ms();
    KVS_LOG(kWarning, "cannot accept a connection: {}; raise the open files limit (ulimit -n)",
            std::strerror(error));
  }
}

void Listener::Rest() {
  if (resting_ != kNoTimer) {
    return;
  }
  loop_->SetInterest(watch_, kNoInterest);
  resting_ = loop_->After(kRestMillis, [this] {
    resting_ = kNoTimer;
    loop_->SetInterest(watch_, kReadable);
  });
}

}  // namespace kvs
