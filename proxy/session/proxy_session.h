// ProxySession: one client connection of the proxy.
//
// Events only take note: requests are parsed and sent when bytes arrive, and at the end of the
// loop's turn the finished replies are written, in the order of the requests, with one call.  A
// session without room is not read, so TCP makes the client wait: that is all the back-pressure.
//
// Threads: loop-owned.
// Owner:   SessionHost (the loop's worker).

#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "common/base/unique_fd.h"
#include "common/net/buffer.h"
#include "common/net/event_loop.h"
#include "common/resp/request_parser.h"
#include "common/service/connection_commands.h"
#include "proxy/route/router.h"

namespace kvs {

class ProxySession;

struct SessionLimits {
  RequestLimits request;
  size_t max_pipeline = 4096;   // Requests in flight.
  size_t max_output = 1 << 20;  // Unsent and waiting reply bytes.
};

struct SessionCounters {
  uint64_t requests = 0;
  uint64_t input_bytes = 0;
  uint64_t output_bytes = 0;
  uint64_t protocol_errors = 0;
  uint64_t error_replies = 0;
};

// What a session needs of its loop.
class SessionHost {
 public:
  virtual ~SessionHost() = default;
  virtual EventLoop* loop() = 0;
  virtual Router* router() = 0;
  virtual ExchangePool* exchanges() = 0;
  virtual ServiceContext* service() = 0;
  virtual const SessionLimits& limits() const = 0;
  virtual SessionCounters* counters() = 0;
  // The session has something to do at the turn's end.
  virtual void MarkDirty(ProxySession* session) = 0;
  // An exchange took this long; `failed` if its reply is an error.
  virtual void CountCommand(const CommandSpec& spec, int64_t micros, bool failed) = 0;
  virtual void OnClosed(ProxySession* session) = 0;
  // Calls session->Resume() when the pause of the clients is over.
  virtual void ResumeAfterPause(ProxySession* session) = 0;
  // The session's command may have begun or ended its monitoring.
  virtual void UpdateMonitor(ProxySession* session) = 0;
};

class ProxySession : public IoHandler, public ExchangeOwner {
 public:
  ProxySession(SessionHost* host, UniqueFd fd, std::shared_ptr<ClientInfo> info);
  ~ProxySession() override;

  Status Start();
  void OnReady(bool readable, bool writable) override;
  // Writes what is finished, sends it, and goes on with requests that had no room before.
  void OnTurnEnd();
  // Goes on with requests that were held back by a pause.
  void Resume();
  // Adds what MONITOR shows.
  void AppendMonitored(std::string_view lines) { Push(lines); }
  // Adds what the client has not asked for, behind the replies that are due.
  void Push(std::string_view text);
  void Close();

  OutputQueue* DirectOutput(const Exchange* exchange) override;
  void OnDone(Exchange* exchange, bool written) override;

  bool dirty() const { return dirty_; }
  void set_dirty(bool dirty) { dirty_ = dirty; }
  ClientState* client() { return &client_; }
  // Whether it hears of a move; see AppendMoving().
  bool hears_of_moving() const { return client_.wants_moving() && client_.protocol >= 3; }
  int64_t last_active_ms() const { return last_active_ms_; }
  bool idle() const { return in_flight_.empty() && output_.empty(); }
  bool closed() const { return closed_; }
  // Whether nothing of the client is under way, nor any byte of a further request.
  bool at_boundary() const;
  size_t unsent() const { return output_.size() + waiting_bytes_; }
  // Whether replies wait for the client, and not for a node.
  bool has_unsent() const { return !output_.empty(); }

 private:
  bool HasRoom() const;
  void NoteActivity();
  void ProcessInput();
  // Returns false if the request has to wait.
  bool Execute(CommandArgs args, std::string_view frame);
  void Forward(const CommandSpec& spec, CommandArgs args, std::string_view frame);
  void RefuseUnknown(CommandArgs args, std::string_view error);
  void AnswerHere(const CommandSpec& spec, CommandArgs args);
  void Reply(std::string_view text);
  void ReplyError(std::string_view text);
  void OnProtocolError();
  void WriteFinished();
  void Flush();
  void UpdateInterest();

  SessionHost* const host_;
  UniqueFd fd_;
  IoWatch* watch_ = nullptr;
  ClientState client_;
  ReadBuffer input_;
  RequestParser parser_;
  OutputQueue output_;
  std::deque<Exchange*> in_flight_;
  RouteTablePtr table_;       // What the requests in flight were routed by.
  size_t waiting_bytes_ = 0;  // Of replies that wait for earlier ones.
  std::string scratch_;
  std::vector<std::string_view> renamed_;  // Scratch of a request with another name.
  int64_t last_active_ms_ = 0;
  bool blocked_ = false;  // The socket is full.
  bool eof_ = false;      // The client has closed its side.
  bool starved_ = false;  // Whole requests may wait in the input for room.
  bool dirty_ = false;
  bool paused_ = false;  // By CLIENT PAUSE.
  bool muted_ = false;   // The reply of the command that runs is to be dropped.
  bool closing_ = false;
  bool closed_ = false;
};

}  // namespace kvs
