// ProxySession: one client connection of the proxy.
//
// Events only take note: requests are parsed and sent when bytes arrive, and at the end of the
// loop's turn the finished replies are written, in the order of the requests, with one call.  A
// session without room is not read, so TCP makes the client wait: that is all the back-pressure.
// How many requests may be in flight follows from the size of the replies lately; what comes
// nevertheless beyond the session's memory, or the proxy's, is dropped for an error.
//
// When slots change their owners, requests for them are held until the former owners have answered
// (SlotLanes): a client's commands on one key never travel to two nodes at the same time.
//
// Threads: loop-owned.
// Owner:   SessionHost (the loop's worker).

#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/base/unique_fd.h"
#include "common/net/buffer.h"
#include "common/net/event_loop.h"
#include "common/resp/request_parser.h"
#include "common/service/connection_commands.h"
#include "proxy/route/redirect_book.h"
#include "proxy/route/router.h"

namespace kvs {

class ProxySession;

struct SessionLimits {
  RequestLimits request;
  size_t max_pipeline = 4096;         // Requests in flight.
  size_t max_output = 1 << 20;        // Unsent and waiting reply bytes.
  size_t max_memory = 1 << 30;        // Of input and replies; beyond, replies are dropped.
  int64_t max_staleness_ms = 10'000;  // Of what a replica answers.
  int64_t max_wait_ms = 1000;         // For a refused slot's owner, from the request's beginning.
};

struct SessionCounters {
  uint64_t requests = 0;
  uint64_t input_bytes = 0;
  uint64_t output_bytes = 0;
  uint64_t protocol_errors = 0;
  uint64_t error_replies = 0;
  uint64_t dropped_replies = 0;
  uint64_t refused_requests = 0;  // By nodes, or parts of them.
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
  virtual const MemoryBudget& budget() const = 0;
  virtual SessionCounters* counters() = 0;
  // The session has something to do at the turn's end.
  virtual void MarkDirty(ProxySession* session) = 0;
  // An exchange took this long; `failed` if its reply is an error.
  virtual void CountCommand(const CommandSpec& spec, int64_t micros, bool failed) = 0;
  virtual void OnClosed(ProxySession* session) = 0;
  // Calls session->Resume() when the pause of the clients is over.
  virtual void ResumeAfterPause(ProxySession* session) = 0;
  // Marks the session dirty in a moment: it has refused requests to send again.
  virtual void RetryLater(ProxySession* session) = 0;
  // Whether a slow command may be logged now; under a load that makes all of them slow most are
  // not.
  virtual bool MayLogSlow(int64_t micros) = 0;
  // See Router::Follow().
  virtual void Follow(int slot, std::string_view owner) = 0;
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

  bool Admit(size_t bytes) override;
  void OnPart(Exchange* exchange, uint32_t part, size_t bytes) override;
  OutputQueue* DirectOutput(const Exchange* exchange) override;
  bool OnRefused(Exchange* exchange, uint32_t part, std::string_view error) override;
  void OnDone(Exchange* exchange, bool written) override;

  bool dirty() const { return dirty_; }
  void set_dirty(bool dirty) { dirty_ = dirty; }
  // Whether its host is going to mark it dirty; see SessionHost::RetryLater().
  bool retrying() const { return retrying_; }
  void set_retrying(bool retrying) { retrying_ = retrying; }
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
  static constexpr size_t kFirstEstimate = 64 * 1024;

  // A request that waits until its slots are no longer guarded.
  struct HeldRequest {
    Exchange* exchange;
    std::vector<std::string> words;
    Router::Scope scope;
    size_t bytes;
  };

  bool HasRoom() const;
  size_t memory() const { return input_.memory() + output_.size() + waiting_bytes_; }
  void NoteActivity();
  void ProcessInput();
  // Returns false if the request has to wait.
  bool Execute(CommandArgs args, std::string_view frame);
  void Forward(const CommandSpec& spec, CommandArgs args, std::string_view frame);
  // Whether a replica may answer the request: not for a while after a write of this session, which
  // the replica may not have yet.
  bool MayReadFromReplica(const CommandSpec& spec) const;
  // Goes over to the router's table and to masters or replicas, and guards what is in flight to
  // servers that are not asked any more.
  void AdoptTable(bool from_replicas);
  void Hold(Exchange* exchange, CommandArgs args, Footprint footprint);
  // Sends what was held and waits for nothing any more.
  void StartHeld();
  // Hands the exchange to the router.  If an owner may not know its slots yet, what comes behind it
  // waits for its answer.
  void StartExchange(Exchange* exchange, CommandArgs args, std::string_view frame,
                     Router::Scope with_scope);
  bool IsInFlight(const Exchange* exchange) const;
  // The exchange, or a part of it, has been executed, or (`failed`) may have been.
  void NoteExecuted(Exchange* exchange, uint32_t part, bool failed);
  // Sends refused requests again, or fails them, if it is time to.
  void RetryRefused();
  Router::Scope scope() const {
    return client_.knows_topology ? Router::Scope::kShare : Router::Scope::kAll;
  }
  // For the slow log, once the reply has its place in the output.
  void NoteTimes(Exchange* exchange);
  void RefuseUnknown(CommandArgs args, std::string_view error);
  void AnswerHere(const CommandSpec& spec, CommandArgs args);
  void Reply(std::string_view text);
  void ReplyError(std::string_view text);
  void OnProtocolError();
  void RefuseLargeRequest();
  void WriteFinished();
  void Flush();
  void UpdateInterest();

  SessionHost* const host_;
  const MemoryBudget& budget_;
  UniqueFd fd_;
  IoWatch* watch_ = nullptr;
  ClientState client_;
  ReadBuffer input_;
  RequestParser parser_;
  OutputQueue output_;
  std::deque<Exchange*> in_flight_;
  RouteTablePtr table_;  // What requests are routed by.
  bool from_replicas_ = false;
  uint64_t readers_version_ = 0;  // Of the router, while from_replicas_.
  uint32_t writes_in_flight_ = 0;
  int64_t last_write_ms_ = INT64_MIN / 2;
  SlotLanes lanes_;
  std::map<uint64_t, HeldRequest> held_;  // By ascending number, which lanes_ knows them by.
  uint64_t last_held_ = 0;
  RedirectBook refused_;
  bool failing_refused_ = false;
  uint64_t last_number_ = 0;  // Of an exchange.
  size_t request_bytes_ = 0;  // Of the requests in flight, which may be needed again.
  size_t waiting_bytes_ = 0;  // Of replies that wait for earlier ones, and of held requests.
  size_t reply_estimate_ = kFirstEstimate;  // The size of replies lately, rather too large.
  std::string scratch_;
  std::vector<std::string_view> renamed_;  // Scratch of a request with another name.
  int64_t last_active_ms_ = 0;
  int64_t read_micros_ = 0;  // When the latest bytes of the input came.
  bool blocked_ = false;     // The socket is full.
  bool eof_ = false;         // The client has closed its side.
  bool starved_ = false;     // Whole requests may wait in the input for room.
  bool dirty_ = false;
  bool retrying_ = false;
  bool paused_ = false;  // By CLIENT PAUSE.
  bool muted_ = false;   // The reply of the command that runs is to be dropped.
  bool closing_ = false;
  bool closed_ = false;
};

}  // namespace kvs
