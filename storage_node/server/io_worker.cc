#include "storage_node/server/io_worker.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "common/base/logging.h"
#include "common/base/strings.h"
#include "common/net/socket.h"
#include "common/resp/error_text.h"
#include "common/service/protected_mode.h"
#include "common/slot/slot.h"
#include "storage_node/command/command_handlers.h"
#include "storage_node/types/keyspace.h"

namespace kvs {
namespace {

// A turn that has gathered this much is committed before its end, so that it stays short and small.
constexpr size_t kMaxTurnBytes = size_t{1} << 20;
constexpr int64_t kStallRetryMs = 1;
constexpr int64_t kIdleCheckMs = 1000;
bool IsNodeCommand(const CommandSpec& spec) {
  return HandlerOf(IdOf(spec)) != nullptr;
}

// Multi-key reads see one moment, as in Redis; reads of one key need no lock for that.
bool NeedsLock(const CommandSpec& spec, size_t key_count) {
  return spec.is_write() || key_count > 1;
}

}  // namespace

IoWorker::IoWorker(std::string name, const Parts& parts)
    : store_(parts.store),
      scan_cursors_(parts.scan_cursors),
      sweeper_(parts.sweeper),
      metrics_(parts.metrics),
      service_(parts.service),
      options_(parts.options),
      topology_(parts.topology),
      loop_(std::move(name)),
      sessions_(&loop_, parts.service, [this](NodeSession* session) { EnterTurn(session); }),
      txn_(parts.store, [this](const Status& status, uint64_t lsn) { OnCommit(status, lsn); }) {
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
    service_.requirepass = options_->requirepass;
  });
}

void IoWorker::SetTopology(NodeTopologyPtr topology) {
  loop_.PostAlways([this, topology = std::move(topology)]() mutable {
    topology_ = std::move(topology);
    service_.cluster = topology_->cluster;
  });
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
  if (IsProtectedFrom(*options_, fd.get())) {
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
  raw->client()->authenticated = options_->requirepass.empty();
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
  sessions_.Remove(session);
}

void IoWorker::EnterTurn(NodeSession* session) {
  if (!session->in_turn()) {
    session->set_in_turn(true);
    turn_.push_back(session);
  }
}

IoWorker::Outcome IoWorker::Execute(NodeSession* session, CommandArgs args) {
  metrics_->Increment(kNode_requests_total);
  if (!service_.renames->empty() && !service_.renames->Translate(&args, &renamed_)) {
    RefuseUnknown(session, args, UnknownNameError(args));
    return Outcome::kDone;
  }
  const CommandSpec* spec = ResolveCommand(args);
  if (spec == nullptr) {
    RefuseUnknown(session, args, CommandError(args));
    return Outcome::kDone;
  }
  if (Refuse(session, *spec, args)) {
    return Outcome::kDone;
  }
  if (Hold(session, *spec, args)) {
    return Outcome::kHeld;
  }
  session->client()->info->NoteCommand(static_cast<int>(IdOf(*spec)));
  session->BeginReply();
  if (IsNodeCommand(*spec)) {
    if (RunHandler(session, *spec, args) == Outcome::kHeld) {
      return Outcome::kHeld;
    }
  } else {
    AnswerHere(session, *spec, args);
  }
  service_.monitors->OnCommand(*spec, args, *session->client()->info, loop_.clock());
  service_.diagnostics->hot_keys.OnCommand(*spec, args, loop_.clock());
  if (txn_.batch_bytes() > kMaxTurnBytes) {
    (void)txn_.Commit().ok();  // Its outcome goes to OnCommit().
  }
  return Outcome::kDone;
}

void IoWorker::RefuseUnknown(NodeSession* session, CommandArgs args, std::string_view error) {
  if (EqualsIgnoreCase(args[0], "post") || EqualsIgnoreCase(args[0], "host:")) {
    // A browser was made to talk to us; what follows would be somebody else's commands.
    KVS_LOG(kWarning, "closed a connection that speaks HTTP from {}",
            session->client()->info->address);
    return session->Close();
  }
  session->BeginReply();
  RespWriter(session->client()->protocol, session->output())
      .Error(session->client()->authenticated ? error : kNoAuthError);
  metrics_->CountError(Code::kUnsupported);
  session->EndReply();
}

bool IoWorker::Hold(NodeSession* session, const CommandSpec& spec, CommandArgs args) {
  if (service_.pause->Holds(spec, [this] { return loop_.clock()->MonotonicMillis(); })) {
    sessions_.ResumeAfterPause(session);
    return true;
  }
  if (spec.is_write() && AnyStalled(spec, args)) {
    metrics_->Increment(kNode_stalled_writes_total);
    ResumeLater(session);
    return true;
  }
  return false;
}

// Commands about the connection and the process.
void IoWorker::AnswerHere(NodeSession* session, const CommandSpec& spec, CommandArgs args) {
  const int64_t start = loop_.clock()->MonotonicMicros();
  const bool failed = AnswerConnectionCommand(spec, args, &service_, session->client(),
                                              session->output(), session->muted());
  const int64_t micros = loop_.clock()->MonotonicMicros() - start;
  metrics_->CountCommand(static_cast<int>(IdOf(spec)), micros, failed);
  session->EndReply();
  const StageTimes times = {.queue = start - loop_.now_micros(), .engine = micros};
  session->NoteTimes(spec, args, times, /*waits=*/false);
  sessions_.UpdateMonitor(session);
}

// Writes an error and returns true if the command may not run.
bool IoWorker::Refuse(NodeSession* session, const CommandSpec& spec, CommandArgs args) {
  std::string error;
  Code code = Code::kUnauthenticated;
  if (!MayRun(spec, *session->client())) {
    error = kNoAuthError;
  } else if (NeedsCluster(spec, service_)) {
    error = kClusterDisabledError;
    code = Code::kUnsupported;
  } else if (spec.has_keys()) {
    error = CheckSlots(spec, args);
    code = Code::kUnavailable;
  }
  if (error.empty() && spec.is_write()) {
    if (const Status health = store_->WriteHealth(); !health.ok()) {
      error = ErrorText(health);
      code = health.code();
    }
  }
  if (error.empty()) {
    return false;
  }
  metrics_->CountError(code);
  metrics_->CountRejected(static_cast<int>(IdOf(spec)));
  session->BeginReply();
  RespWriter(session->client()->protocol, session->output()).Error(error);
  session->EndReply();
  return true;
}

std::string IoWorker::CheckSlots(const CommandSpec& spec, CommandArgs args) const {
  if (!topology_->managed) {
    return "";
  }
  const KeyPositions keys = FindKeys(spec, args);
  for (size_t i = 0; i < keys.count; ++i) {
    const int slot = SlotOf(args[keys.index(i)]);
    if (topology_->owned.test(static_cast<size_t>(slot))) {
      continue;
    }
    metrics_->Increment(kNode_redirects_total);
    const Shard* shard = topology_->map == nullptr ? nullptr : topology_->map->Find(slot);
    if (shard == nullptr) {
      return "CLUSTERDOWN Hash slot not served";
    }
    return fmt::format("MOVED {} {}", slot, FormatAddress(shard->master.address));
  }
  return "";
}

bool IoWorker::AllowsDebug(NodeSession* session) const {
  const std::string& who = options_->enable_debug_command;
  return who == "yes" || (who == "local" && PeerIsLocal(session->client()->info->fd));
}

bool IoWorker::AnyStalled(const CommandSpec& spec, CommandArgs args) const {
  const KeyPositions keys = FindKeys(spec, args);
  for (size_t i = 0; i < keys.count; ++i) {
    if (store_->IsStalled(static_cast<uint16_t>(SlotOf(args[keys.index(i)])))) {
      return true;
    }
  }
  return false;
}

void IoWorker::LockKeys(const CommandSpec& spec, CommandArgs args) {
  const KeyPositions keys = FindKeys(spec, args);
  if (keys.count == 0 || !NeedsLock(spec, keys.count)) {
    return;
  }
  lock_keys_.clear();
  for (size_t i = 0; i < keys.count; ++i) {
    lock_keys_.push_back(args[keys.index(i)]);
  }
  txn_.Lock(lock_keys_);
}

IoWorker::Outcome IoWorker::RunHandler(NodeSession* session, const CommandSpec& spec,
                                       CommandArgs args) {
  const int64_t start = loop_.clock()->MonotonicMicros();
  txn_.Begin();
  LockKeys(spec, args);
  CommandContext context{.spec = spec,
                         .args = args,
                         .txn = &txn_,
                         .reply = RespWriter(session->client()->protocol, session->output()),
                         .owned_slots = &topology_->owned,
                         .scan_cursors = scan_cursors_,
                         .sweeper = sweeper_,
                         .debug_allowed = IdOf(spec) == CommandId::kDebug && AllowsDebug(session),
                         .max_string_size = ToInt(options_->proto_max_bulk_len)};
  const Status status = HandlerOf(IdOf(spec))(context);
  if (status.code() == Code::kUnavailable && !spec.is_write()) {
    session->AbandonReply();
    // An instance is being reopened: that takes milliseconds, or as long as somebody still uses
    // what was open before.
    ResumeLater(session);
    return Outcome::kHeld;
  }
  if (!status.ok()) {
    session->output()->resize(session->reply_start());
    context.reply.Error(status);
    metrics_->CountError(status.code());
  }
  const KeyPositions keys = FindKeys(spec, args);
  if (!NeedsLock(spec, keys.count)) {
    for (size_t i = 0; i < keys.count; ++i) {
      txn_.Observe(args[keys.index(i)]);
    }
  }
  session->EndReply();
  StageTimes times = {.queue = start - loop_.now_micros(),
                      .lock = txn_.lock_micros(),
                      .commit = txn_.commit_micros()};
  const bool waits = txn_.depends_on_turn() || txn_.observed_lsn() > watermark();
  if (txn_.depends_on_turn()) {
    session->DependOnTurn();
  }
  session->Observe(txn_.observed_lsn());
  DeleteExpired(session, context.expired_keys);
  metrics_->Add(kNode_keyspace_hits_total, context.keyspace_hits);
  metrics_->Add(kNode_keyspace_misses_total, context.keyspace_misses);
  const int64_t micros = loop_.clock()->MonotonicMicros() - start;
  metrics_->CountCommand(static_cast<int>(IdOf(spec)), micros, !status.ok());
  times.engine = std::max<int64_t>(micros - times.lock - times.commit, 0);
  session->NoteTimes(spec, args, times, waits);
  return Outcome::kDone;
}

// Deletes what a command found expired.  Its reply said that the keys are gone: it waits until that
// is in the log.
void IoWorker::DeleteExpired(NodeSession* session, const std::vector<std::string>& keys) {
  for (const std::string& key : keys) {
    if (!store_->WriteHealth().ok() || store_->IsStalled(static_cast<uint16_t>(SlotOf(key)))) {
      continue;  // It is invisible all the same, and the sweeper comes again.
    }
    txn_.Begin();
    const Result<bool> deleted = DeleteIfExpired(&txn_, key);
    if (deleted.ok() && *deleted) {
      metrics_->Increment(kNode_expired_keys_total);
      session->DependOnTurn();
    }
    session->Observe(txn_.observed_lsn());
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

void IoWorker::ResumeStalled() {
  stall_timer_ = kNoTimer;
  for (NodeSession* session : std::exchange(stalled_, {})) {
    session->Resume();
  }
}

}  // namespace kvs
