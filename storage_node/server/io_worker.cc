#include "storage_node/server/io_worker.h"

#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "common/base/logging.h"
#include "common/net/socket.h"
#include "common/service/acl_gate.h"
#include "common/service/protected_mode.h"

namespace kvs {
namespace {

constexpr int64_t kStallRetryMs = 1;
constexpr int64_t kIdleCheckMs = 1000;

}  // namespace

IoWorker::IoWorker(std::string name, const Parts& parts)
    : store_(parts.store),
      metrics_(parts.metrics),
      service_(parts.service),
      options_(parts.options),
      loop_(std::move(name)),
      pubsub_(parts.pubsub),
      outlet_([this] { loop_.PostAlways([this] { DeliverMessages(); }); }),
      sessions_(&loop_, parts.service, [this](NodeSession* session) { EnterTurn(session); }),
      blocked_(parts.blocked),
      migrations_(parts.migrations),
      txn_(
          parts.store, [this](const Status& status, uint64_t lsn) { OnCommit(status, lsn); },
          Txn::Manner::kGivesUp),
      dispatcher_({.store = parts.store,
                   .scan_cursors = parts.scan_cursors,
                   .sweeper = parts.sweeper,
                   .blocked = parts.blocked,
                   .metrics = parts.metrics,
                   .pubsub = parts.pubsub,
                   .tracking = parts.tracking,
                   .scripts = parts.scripts,
                   .functions = parts.functions,
                   .running_scripts = parts.running_scripts,
                   .script_jobs = parts.script_jobs,
                   .migrations = parts.migrations,
                   .service = &service_,
                   .loop = &loop_,
                   .txn = &txn_,
                   .host = this},
                  parts.options, parts.topology) {
  loop_.AddTurnHook(this);
  store_->pipeline().AddListener(this);
  loop_.Every(kIdleCheckMs, [this] {
    sessions_.CloseIdle(options_->timeout.count(), options_->client_output_timeout.count());
  });
}

IoWorker::~IoWorker() {
  Stop();
}

Status IoWorker::Listen(UniqueFd socket) {
  listeners_.push_back(std::make_unique<Listener>(
      &loop_, std::move(socket), [this](UniqueFd fd) { OnAccept(std::move(fd)); }));
  return listeners_.back()->Start();
}

void IoWorker::StartThread() {
  thread_ = Thread(loop_.name(), [this] { loop_.Run(); });
}

void IoWorker::Stop() {
  store_->pipeline().RemoveListener(this);
  if (thread_.joinable()) {
    loop_.PostAlways([this] {
      listeners_.clear();
      sessions_.CloseIf([](NodeSession* /*session*/) { return true; });
      loop_.Stop();
    });
    thread_.Join();
  }
}

void IoWorker::SetOptions(NodeOptionsPtr options) {
  loop_.PostAlways([this, options = std::move(options)]() mutable {
    options_ = std::move(options);
    dispatcher_.SetOptions(options_);
  });
}

void IoWorker::SetTopology(NodeTopologyPtr topology) {
  loop_.PostAlways([this, topology = std::move(topology)]() mutable {
    service_.cluster = topology->cluster;
    const bool loses_slots = dispatcher_.LosesSlots(*topology);
    dispatcher_.SetTopology(std::move(topology));
    if (loses_slots) {
      tracking()->OnEverything();  // Others will change what our clients have read.
    }
    RedirectBlocked();
  });
}

void IoWorker::ReviewUsers() {
  loop_.PostAlways([this] {
    sessions_.ReviewUsers(service_);
    RefuseBlocked();
  });
}

// What waits for keys that its user may no longer use.
void IoWorker::RefuseBlocked() {
  for (const auto& [ticket, session] : waiting_) {
    if (const BlockedCommandPtr command = blocked_->Find(ticket);
        command != nullptr && !MayDoAll(*session->client(), service_)) {
      const std::vector<std::string_view> args(command->args.begin(), command->args.end());
      if (const std::string error = CheckAcl(*command->spec, args, &service_, session->client());
          !error.empty()) {
        blocked_->Refuse(ticket, error);
      }
    }
  }
}

void IoWorker::OfferKey(const std::string& key) {
  loop_.PostAlways([this, key] { dispatcher_.OfferKey(key); });
}

void IoWorker::RedirectBlocked() {
  for (const auto& [ticket, session] : waiting_) {
    const BlockedCommandPtr command = blocked_->Find(ticket);
    if (command == nullptr) {
      continue;  // Its reply is on its way.
    }
    const std::vector<std::string_view> args(command->args.begin(), command->args.end());
    if (const std::string error = dispatcher_.CheckSlots(*command->spec, args); !error.empty()) {
      blocked_->Refuse(ticket, error);
    }
  }
}

void IoWorker::OnBlocked(NodeSession* session, WaitTicket ticket, int64_t timeout_ms) {
  waiting_.emplace(ticket, session);
  session->BeginWait(ticket, timeout_ms);
}

// In any thread: that of the loop that has served the command, or of the client that unblocks it.
void IoWorker::OnUnblocked(WaitTicket ticket, Unblocked unblocked) {
  loop_.PostAlways([this, ticket, unblocked = std::move(unblocked)] {
    const auto found = waiting_.find(ticket);
    if (found == waiting_.end()) {
      return;  // The client has gone meanwhile.
    }
    NodeSession* const session = found->second;
    waiting_.erase(found);
    EnterTurn(session);
    session->EndWait(unblocked);
  });
}

void IoWorker::OnWaitTimeout(WaitTicket ticket) {
  blocked_->Expire(ticket);
  migrations_->Expire(ticket);
}

void IoWorker::SettleTurn(NodeSession* session) {
  if (session->depends_on_turn()) {
    (void)txn_.Commit().ok();  // Its outcome goes to OnCommit().
  }
}

RequestLimits IoWorker::Limits(bool authenticated) const {
  RequestLimits limits;
  limits.max_bulk_bytes = ToInt(options_->proto_max_bulk_len);
  limits.max_request_bytes = ToInt(options_->client_query_buffer_limit);
  limits.authenticated = authenticated;
  return limits;
}

void IoWorker::OnAccept(UniqueFd fd) {
  if (static_cast<int64_t>(service_.clients->count()) >= options_->maxclients) {
    metrics_->Increment(kNode_connections_rejected_total);
    constexpr std::string_view kFull = "-ERR max number of clients reached\r\n";
    (void)::send(fd.get(), kFull.data(), kFull.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return;
  }
  if (IsProtectedFrom(*options_, service_.acl->is_open(), fd.get())) {
    metrics_->Increment(kNode_connections_rejected_total);
    (void)::send(fd.get(), kProtectedModeError.data(), kProtectedModeError.size(),
                 MSG_NOSIGNAL | MSG_DONTWAIT);
    return;
  }
  SetNoDelay(fd.get());
  SetKeepAlive(fd.get(), static_cast<int>(options_->tcp_keepalive.count() / 1000));
  std::shared_ptr<ClientInfo> info = sessions_.AddClient(fd.get());
  NodeSession* raw =
      sessions_.Add(std::make_unique<NodeSession>(this, std::move(fd), std::move(info)));
  BeginClient(service_, raw->client());
  metrics_->Increment(kNode_connections_total);
  metrics_->Increment(kNode_client_connections);
  if (Status status = raw->Start(); !status.ok()) {
    KVS_LOG(kWarning, "cannot watch a connection: {}", status.message());
    raw->Close();
  }
}

void IoWorker::OnClosed(NodeSession* session) {
  metrics_->Add(kNode_client_connections, -1);
  std::erase(turn_, session);
  std::erase(stalled_, session);
  std::erase(parked_, session);
  if (session->blocked()) {
    waiting_.erase(session->wait_ticket());
    blocked_->GiveUp(session->wait_ticket());
    migrations_->GiveUp(session->wait_ticket());
  }
  sessions_.Remove(session);
}

void IoWorker::EnterTurn(NodeSession* session) {
  if (!session->in_turn()) {
    session->set_in_turn(true);
    turn_.push_back(session);
  }
}

// Called by Txn for every record, at the turn's end or in its middle: what the sessions have got
// so far depends on this record or on none.
void IoWorker::OnCommit(const Status& status, uint64_t lsn) {
  for (NodeSession* session : turn_) {
    if (!session->depends_on_turn()) {
      continue;
    }
    if (!status.ok()) {
      session->FailTurn(status);
    }
    session->FinishTurn(lsn, txn_.last_commit_micros());
  }
  dispatcher_.OnCommit(status, lsn);
}

void IoWorker::OnTurnEnd() {
  if (turn_.empty() && !txn_.has_writes() && !txn_.holds_locks()) {
    return;
  }
  (void)txn_.Commit().ok();  // Its outcome goes to OnCommit().
  if (!turn_.empty()) {
    metrics_->Observe(kNode_turn_seconds, loop_.clock()->MonotonicMicros() - loop_.now_micros());
  }
  std::vector<NodeSession*> turn = std::exchange(turn_, {});
  for (NodeSession* session : turn) {
    session->set_in_turn(false);
    session->FinishTurn(0, 0);
    session->AppendMessages();
    session->Flush();
  }
  if (turn_.empty()) {
    turn.clear();
    turn_.swap(turn);  // Keeps the storage.
  }
}

// In the thread that moved the watermark.  One message to the loop is enough, however often.
void IoWorker::OnWatermark(uint64_t /*lsn*/) {
  if (watermark_posted_.exchange(true, std::memory_order_acq_rel)) {
    return;
  }
  loop_.PostAlways([this] {
    watermark_posted_.store(false, std::memory_order_release);
    for (NodeSession* session : std::exchange(parked_, {})) {
      session->set_listed(false);
      session->Flush();
      if (session->parked() && !session->closed()) {
        OnParked(session);
      }
    }
  });
}

void IoWorker::OnParked(NodeSession* session) {
  if (!session->listed()) {
    session->set_listed(true);
    parked_.push_back(session);
  }
}

void IoWorker::Subscribe(NodeSession* session, ChannelKind kind, std::string_view name) {
  if (session->OpenSubscriptions()->Add(kind, name)) {
    subscriptions_.Add(kind, name, session);
    pubsub_->Add(kind, name, &outlet_);
    session->NoteSubscriptions();
  }
}

void IoWorker::Unsubscribe(NodeSession* session, ChannelKind kind, std::string_view name) {
  if (session->subscriptions() != nullptr && session->OpenSubscriptions()->Remove(kind, name)) {
    subscriptions_.Remove(kind, name, session);
    pubsub_->Remove(kind, name, &outlet_);
    session->NoteSubscriptions();
  }
}

void IoWorker::EndSubscriptions(NodeSession* session) {
  for (const ChannelKind kind :
       {ChannelKind::kChannel, ChannelKind::kPattern, ChannelKind::kShard}) {
    while (session->subscriptions() != nullptr && !session->subscriptions()->names(kind).empty()) {
      Unsubscribe(session, kind, std::string(*session->subscriptions()->names(kind).begin()));
    }
  }
}

// A loop that has lost messages does not know whose they were.
void IoWorker::DeliverMessages() {
  bool overflown = false;
  for (const MessagePtr& message : outlet_.Take(&overflown)) {
    subscriptions_.Deliver(*message);
  }
  if (overflown) {
    KVS_LOG(kWarning, "closed all clients of {} that have subscribed: it cannot keep up",
            loop_.name());
    sessions_.CloseIf([](NodeSession* session) { return session->subscriptions() != nullptr; });
  }
}

void IoWorker::ResumeSoon(NodeSession* session) {
  stalled_.push_back(session);
  loop_.PostAlways([this] { ResumeStalled(); });
}

void IoWorker::ResumeLater(NodeSession* session) {
  stalled_.push_back(session);
  if (stall_timer_ == kNoTimer) {
    stall_timer_ = loop_.After(kStallRetryMs, [this] { ResumeStalled(); });
  }
}

void IoWorker::OfferLater() {
  if (offer_timer_ == kNoTimer) {
    offer_timer_ = loop_.After(kStallRetryMs, [this] {
      offer_timer_ = kNoTimer;
      dispatcher_.OfferAgain();
    });
  }
}

void IoWorker::ResumeStalled() {
  stall_timer_ = kNoTimer;
  for (NodeSession* session : std::exchange(stalled_, {})) {
    session->Resume();
  }
}

}  // namespace kvs
