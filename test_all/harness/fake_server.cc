#include "test_all/harness/fake_server.h"

#include <utility>

#include "common/net/socket.h"
#include "test_all/harness/wait.h"

namespace kvs {

FakePeer::FakePeer(FakeServer* server, uint64_t id, UniqueFd fd)
    : server_(server), id_(id), fd_(std::move(fd)) {
  SetNoDelay(fd_.get());
  watch_ = *server_->loop()->Watch(fd_.get(), this, kReadable);
}

FakePeer::~FakePeer() {
  server_->loop()->Unwatch(watch_);
}

void FakePeer::OnReady(bool readable, bool writable) {
  if (writable) {
    Send({});
  }
  if (readable && !closed_) {
    if (input_.ReadFrom(fd_.get(), 1 << 20, parser_.size_hint()) == IoResult::kClosed) {
      return Close();
    }
    ReadRequests();
  }
}

void FakePeer::ReadRequests() {
  while (!closed_ && input_.size() > 0 &&
         parser_.Parse(input_.unread()) == RequestParser::Outcome::kRequest) {
    const std::vector<std::string> request(parser_.args().begin(), parser_.args().end());
    input_.Consume(parser_.frame_size());
    parser_.Reset();
    if (server_->greets_ && request[0] == "HELLO") {
      Send("+OK\r\n");
    } else {
      server_->handler_(this, request);
    }
  }
}

void FakePeer::Send(std::string_view bytes) {
  if (closed_) {
    return;
  }
  output_.Append(bytes);
  const IoResult result = output_.WriteTo(fd_.get());
  server_->loop()->SetInterest(
      watch_, static_cast<uint8_t>(kReadable | (result == IoResult::kWouldBlock ? kWritable : 0)));
}

void FakePeer::Close() {
  closed_ = true;
  server_->loop()->SetInterest(watch_, kNoInterest);
  const auto found = server_->peers_.find(id_);
  if (found != server_->peers_.end()) {
    server_->loop()->DeleteLater(std::move(found->second));
    server_->peers_.erase(found);
  }
}

FakeServer::FakeServer(Handler handler, bool greets)
    : handler_(std::move(handler)), greets_(greets) {
  port_ = FreePort();
  Result<UniqueFd> socket = ListenTcp("127.0.0.1", port_, {});
  KVS_CHECK(socket.ok());
  listener_ = std::make_unique<Listener>(&loop_, *std::move(socket), [this](UniqueFd fd) {
    const auto id = static_cast<uint64_t>(++accepted_);
    peers_[id] = std::make_unique<FakePeer>(this, id, std::move(fd));
  });
  KVS_CHECK(listener_->Start().ok());
  thread_ = Thread("fake", [this] { loop_.Run(); });
}

FakeServer::~FakeServer() {
  loop_.PostAlways([this] {
    listener_.reset();
    peers_.clear();
    loop_.Stop();
  });
  thread_.Join();
}

void FakeServer::Run(const std::function<void()>& task) {
  std::atomic<bool> done{false};
  loop_.PostAlways([&task, &done] {
    task();
    done = true;
    done.notify_one();
  });
  done.wait(false);
}

FakePeer* FakeServer::Find(uint64_t id) {
  const auto found = peers_.find(id);
  return found == peers_.end() ? nullptr : found->second.get();
}

void FakeServer::ForEach(const std::function<void(FakePeer*)>& visit) {
  for (const auto& [id, peer] : peers_) {
    visit(peer.get());
  }
}

}  // namespace kvs
