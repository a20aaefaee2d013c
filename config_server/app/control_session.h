// ControlSession: one control link, from the server's side.
//
// Threads: loop-owned.
// Owner:   ControlServer; destroyed at the end of the turn in which it closes.
// Format:  doc/protocols/control.md

#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "common/base/unique_fd.h"
#include "common/control/control_message.h"
#include "common/net/buffer.h"
#include "common/net/event_loop.h"
#include "common/resp/request_parser.h"
#include "config_server/app/members.h"

namespace kvs {

class ControlServer;

class ControlSession : public IoHandler {
 public:
  ControlSession(ControlServer* server, LinkId link, UniqueFd fd);
  ~ControlSession() override;

  Status Start();
  void OnReady(bool readable, bool writable) override;

  bool authenticated() const { return state_ != State::kStranger; }
  // Whether the peer should have said something by `now_ms`.
  bool IsLate(int64_t now_ms) const;
  // REQUIRES: the host has been asked to register this link and has not answered yet
  void FinishRegistration(const Result<RegistrationReply>& reply);
  void Send(std::string_view bytes);
  // Closes and counts the link as one that we refused.
  void Refuse(std::string_view reason);
  void Close();

 private:
  enum class State : uint8_t {
    kStranger,     // Has not shown the secret.
    kGreeted,      // Has, and may register.
    kRegistering,  // The host is asked; no request is read meanwhile.
    kRegistered,
    kClosing,  // Closes when everything is sent.
  };
  using Args = std::span<const std::string_view>;

  void ProcessInput();
  bool MayAsk();
  void Execute(Args args);
  void Greet(Args args);
  void Control(Args args);
  void Register(std::string_view payload);
  void Beat(std::string_view payload);
  void Reply(const Json& json);
  void Fail(std::string_view error);
  void FailAndClose(std::string_view error);
  void Flush();
  void UpdateInterest();

  ControlServer* const server_;
  EventLoop* const loop_;
  const LinkId link_;
  UniqueFd fd_;
  const std::string peer_;
  IoWatch* watch_ = nullptr;
  ReadBuffer input_;
  RequestParser parser_;
  OutputQueue output_;
  State state_ = State::kStranger;
  const int64_t connected_ms_;
  int64_t last_seen_ms_;
  int64_t window_ms_;  // Requests are counted by the second that began here.
  int window_requests_ = 0;
  bool closed_ = false;
};

}  // namespace kvs
