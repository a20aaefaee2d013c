// FakeNode: a scripted RESP server on the test's own loop.  For tests only.
//
// Each request is handed to a function that returns the bytes to send, or nothing to stay silent.
//
// Threads: loop-owned.
// Owner:   the test.

#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/base/address.h"
#include "common/net/buffer.h"
#include "common/net/listener.h"
#include "common/net/socket.h"
#include "common/resp/request_parser.h"

namespace kvs {

class FakeNode {
 public:
  using Args = std::vector<std::string>;
  using Script = std::function<std::string(const Args& args)>;

  FakeNode(EventLoop* loop, Script script) : loop_(loop), script_(std::move(script)) {
    Result<UniqueFd> socket = ListenTcp("127.0.0.1", 0, {});
    KVS_CHECK(socket.ok());
    port_ = LocalPort(socket->get());
    listener_ = std::make_unique<Listener>(loop, *std::move(socket), [this](UniqueFd fd) {
      peers_.push_back(std::make_unique<Peer>(this, std::move(fd)));
    });
    KVS_CHECK(listener_->Start().ok());
  }

  NodeAddress address() const { return {"127.0.0.1", port_}; }
  const std::vector<Args>& requests() const { return requests_; }
  void DropConnections() { peers_.clear(); }
  // Whether HELLO is answered.
  void set_greets(bool greets) { greets_ = greets; }
  // Sends bytes that nobody asked for.
  void SendUnasked(std::string_view bytes) {
    for (const auto& peer : peers_) {
      peer->Send(bytes);
    }
  }

 private:
  class Peer : public IoHandler {
   public:
    Peer(FakeNode* node, UniqueFd fd) : node_(node), fd_(std::move(fd)) {
      watch_ = *node_->loop_->Watch(fd_.get(), this, kReadable);
    }
    ~Peer() override { node_->loop_->Unwatch(watch_); }
    void OnReady(bool, bool) override {
      if (input_.ReadFrom(fd_.get(), 1 << 20) == IoResult::kClosed) {
        node_->loop_->SetInterest(watch_, kNoInterest);
        return;
      }
      while (input_.size() > 0 &&
             parser_.Parse(input_.unread()) == RequestParser::Outcome::kRequest) {
        const Args args(parser_.args().begin(), parser_.args().end());
        input_.Consume(parser_.frame_size());
        parser_.Reset();
        if (args[0] == "HELLO") {
          Send(node_->greets_ ? "+OK\r\n" : "");
          continue;
        }
        node_->requests_.push_back(args);
        Send(node_->script_(args));
      }
    }
    void Send(std::string_view bytes) {
      OutputQueue output;
      output.Append(bytes);
      (void)output.WriteTo(fd_.get());
    }

   private:
    FakeNode* node_;
    UniqueFd fd_;
    IoWatch* watch_ = nullptr;
    ReadBuffer input_;
    RequestParser parser_;
  };

  EventLoop* loop_;
  Script script_;
  uint16_t port_ = 0;
  bool greets_ = true;
  std::vector<Args> requests_;
  std::unique_ptr<Listener> listener_;
  std::vector<std::unique_ptr<Peer>> peers_;
};

}  // namespace kvs
