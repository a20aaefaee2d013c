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
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/base/ring_queue.h"
#include "common/base/unique_fd.h"
#include "common/command/command_queue.h"
#include "common/net/buffer.h"
#include "common/net/event_loop.h"
#include "common/resp/request_parser.h"
#include "common/service/connection_commands.h"
#include "common/service/maintenance.h"
#include "proxy/pubsub/pubsub_relay.h"
#include "proxy/route/redirect_book.h"
#include "proxy/route/router.h"

namespace kvs {

class ProxySession;

struct SessionLimits {
  RequestLimits request;
  size_t max_pipeline = 4096;         // Requests in flight.
  size_t max_output = 1 << 20;        // Unsent and waiting reply bytes.
  size_t max_memory = 1 << 30;        // Of input and replies; beyond, replies are dropped.
  size_t max_messages = 32 << 20;     // Bytes that wait for a client with subscriptions.
  int64_t max_staleness_ms = 10'000;  // Of what a replica answers.
  int64_t script_patience_ms = 0;     // How much later than others a script may be answered.
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
  virtual LinkPool* links() = 0;
  virtual PubSubRelay* relay() = 0;
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

class ProxySession : public IoHandler, public ExchangeOwner, public RelayClient {
 public:
  ProxySession(SessionHost* host, UniqueFd fd, std::shared_ptr<ClientInfo> info);
  ~ProxySession() override;

  Status Start();
  void OnReady(bool readable, bool writable) override;
  // Writes what is finished, sends it, and goes on with requests that had no room before.
  void OnTurnEnd();
  // Goes on with requests that were held back by a pause.
  void Resume();
  // Gives back what a session that has been quiet for a while holds for its next requests.
  void ReleaseIfQuiet();
  // Adds what MONITOR shows.
  void AppendMonitored(std::string_view lines) { Push(lines); }
  // Adds what the client has not asked for, behind the replies that are due.
  void Push(std::string_view text);
  // Tells the client to go elsewhere, if it wants to hear that; see AppendMoving().
  void TellToMove(const MovingNotice& notice);
  // CLIENT UNBLOCK names it: asks the node to end the command that waits there.
  void OnUnblockAsked(bool with_error);
  // Closes with the next reply that leaves it at a boundary.
  void EndWithReply() { ends_with_reply_ = true; }
  void Close();

  Subscriptions* subscriptions() override { return &subscriptions_; }
  void OnOpened(const Status& status) override;
  void OnMessage(const Delivery& delivery) override;
  void OnLost() override;
  // What the client, or another that redirects to it, has read may have changed.
  void OnInvalidation(const InvalidationOrder& order);

  bool Admit(size_t bytes) override;
  void OnPart(Exchange* exchange, uint32_t part, size_t bytes) override;
  OutputQueue* DirectOutput(const Exchange* exchange) override;
  NodeLink* OwnLink(const NodeAddress& address) override;
  bool OnRefused(Exchange* exchange, uint32_t part, std::string_view error) override;
  void OnDone(Exchange* exchange, bool written) override;

  bool dirty() const { return dirty_; }
  void set_dirty(bool dirty) { dirty_ = dirty; }
  // Whether its host is going to mark it dirty; see SessionHost::RetryLater().
  bool retrying() const { return retrying_; }
  void set_retrying(bool retrying) { retrying_ = retrying; }
  ClientState* client() { return &client_; }
  // Whether the client has been told to go elsewhere.
  bool told_to_move() const { return told_to_move_; }
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

  // What is known since MULTI or WATCH.
  struct Transaction {
    bool open = false;     // Since MULTI.
    bool spoiled = false;  // A request was refused since.
    CommandQueue queue;
    std::string watched;      // One of the keys that are watched,
    bool watching = false;    // if there are any,
    uint64_t connection = 0;  // over this connection of own_link_.
  };

  bool HasRoom() const;
  size_t memory() const {
    return input_.memory() + output_.size() + waiting_bytes_ + subscriptions_.bytes() +
           (transaction_ == nullptr ? 0 : transaction_->queue.bytes());
  }
  void NoteActivity();
  void ProcessInput();
  enum class Outcome : uint8_t {
    kDone,
    kPaused,  // It has to wait, until Resume() or until what is in flight is answered.
  };
  Outcome Execute(CommandArgs args, std::string_view frame);
  // Why a user who may not do everything runs no script here; empty: it is none.
  std::string WhyNoScript(const CommandSpec& spec) const;
  void Forward(const CommandSpec& spec, CommandArgs args, std::string_view frame);
  // EXEC is what it runs.
  bool MustPause(const CommandSpec& spec) const;
  // In proxy_transaction.cc.
  bool in_multi() const { return transaction_ != nullptr && transaction_->open; }
  Transaction* OpenTransaction();
  // Forgets the queue and what is watched.
  void EndTransaction();
  void NoteTransaction();
  // Answers a request that is not even queued: that spoils a transaction, and if it is EXEC ends
  // it.
  void ReplyRefusal(std::string_view name, std::string_view error);
  // What goes over a link of the session's own is ordered with nothing else: it is sent when
  // nothing is in flight, and nothing is sent until it is answered.
  bool MustWaitToBeAlone(const CommandSpec& spec) const;
  void OnAloneDone(Exchange* exchange);
  // Notes that a command is alone, and whether it may wait for keys.
  void BeginWait(const CommandSpec& spec, CommandArgs args);
  bool waits_for_keys() const { return alone_ != nullptr && waits_for_keys_; }
  // What comes while a command waits is kept for later.
  void ReadAhead();
  void RunTransactionCommand(const CommandSpec& spec, CommandArgs args, std::string_view frame);
  void Watch(const CommandSpec& spec, CommandArgs args, std::string_view frame);
  // Why the command cannot be a part of a transaction here; empty: it can.
  std::string WhyNotInMulti(const CommandSpec& spec, CommandArgs args) const;
  void Queue(const CommandSpec& spec, CommandArgs args);
  void Exec(const CommandSpec& spec);
  // Finds where the transaction has to run.  -1: nowhere, it has no keys.
  Result<int> ShardOfTransaction(int* lane) const;
  void StartTransaction(const CommandSpec& spec, int shard, int lane);
  bool LostWatch() const;
  // In proxy_pubsub.cc.
  void RunSubscription(const CommandSpec& spec, CommandArgs args);
  void Subscribe(const CommandSpec& spec, CommandArgs args);
  void EndSubscriptions();
  void NoteSubscriptions();
  // Remembers that the client is about to read the keys.  Adds those of which it will not hear that
  // they change: it may not keep them.
  void TrackReads(const CommandSpec& spec, CommandArgs args,
                  std::vector<std::string>* kept_in_vain);
  void TellKeptInVain(std::vector<std::string> keys);
  // Adds a message of what it has asked for, unless it does not read.
  void PushMessage(std::string_view text);
  void ReleaseOwnLink(bool clean);
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
  std::unique_ptr<Transaction> transaction_;
  Subscriptions subscriptions_;
  std::vector<std::string> opening_;  // The names of alone_, a SUBSCRIBE that waits for nodes.
  bool lost_messages_ = false;        // It is to close: it has missed what it has subscribed to.
  NodeLink* own_link_ = nullptr;      // Borrowed, for what cannot go over the links that all share.
  Exchange* alone_ = nullptr;         // It goes over own_link_, and nothing else is in flight.
  bool waits_to_be_alone_ = false;
  bool waits_for_keys_ = false;  // The one that is alone does.
  int64_t patience_ms_ = 0;      // How much later than others it may be answered.
  bool unblock_sent_ = false;    // The node was asked to end the wait.
  ReadBuffer input_;
  RequestParser parser_;
  OutputQueue output_;
  RingQueue<Exchange*> in_flight_;
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
  bool told_to_move_ = false;
  bool ends_with_reply_ = false;
  bool closed_ = false;
};

}  // namespace kvs
