#include "storage_node/server/dispatcher.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/base/logging.h"
#include "common/base/strings.h"
#include "common/command/sort_request.h"
#include "common/resp/error_text.h"
#include "common/service/acl_gate.h"
#include "common/service/protected_mode.h"
#include "common/slot/slot.h"
#include "storage_node/command/command_handlers.h"
#include "storage_node/server/key_event_messages.h"
#include "storage_node/server/node_session.h"
#include "storage_node/types/keyspace.h"

namespace kvs {
namespace {

// A turn that has gathered this much is committed before its end, so that it stays short and small.
constexpr size_t kMaxTurnBytes = size_t{1} << 20;

bool IsNodeCommand(const CommandSpec& spec) {
  return HandlerOf(IdOf(spec)) != nullptr;
}

// Multi-key reads see one moment, as in Redis; reads of one key need no lock for that, but one that
// may wait for its key must miss no change of it.
bool NeedsLock(const CommandSpec& spec, size_t key_count) {
  return spec.may_write() || key_count > 1 || spec.Has(Cmd::kBlocking);
}

bool IsTransactionCommand(const CommandSpec& spec) {
  return spec.group == Group::kTransactions;
}

}  // namespace

Dispatcher::Dispatcher(const Parts& parts, NodeOptionsPtr options, NodeTopologyPtr topology)
    : store_(parts.store),
      scan_cursors_(parts.scan_cursors),
      sweeper_(parts.sweeper),
      metrics_(parts.metrics),
      pubsub_(parts.pubsub),
      tracking_(parts.tracking),
      scripts_(parts.scripts),
      functions_(parts.functions),
      running_scripts_(parts.running_scripts),
      script_jobs_(parts.script_jobs),
      migrations_(parts.migrations),
      service_(parts.service),
      loop_(parts.loop),
      txn_(parts.txn),
      blocked_(parts.blocked),
      host_(parts.host),
      topology_(std::move(topology)),
      function_set_(std::make_shared<const FunctionSet>()),
      script_client_(std::make_shared<ClientInfo>(0, "", "", -1, 0, nullptr)) {
  txn_->CollectChanges(&blocked_->count());
  txn_->CollectTrackedWrites(&tracking_->count());
  SetOptions(std::move(options));
}

void Dispatcher::SetOptions(NodeOptionsPtr options) {
  options_ = std::move(options);
  type_limits_ = TypeLimitsOf(*options_);
}

Dispatcher::Outcome Dispatcher::Execute(NodeSession* session, CommandArgs args) {
  metrics_->Increment(kNode_requests_total);
  if (!service_->renames->empty() && !service_->renames->Translate(&args, &renamed_)) {
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
  if (session->in_multi() && IsQueuedInMulti(*spec)) {
    Queue(session, *spec, args);
    return Outcome::kDone;
  }
  if (Hold(session, *spec, args)) {
    return Outcome::kHeld;
  }
  session->client()->info->NoteCommand(static_cast<int>(IdOf(*spec)));
  txn_->set_writer(session->client()->info->id);
  session->BeginReply();
  Outcome outcome = Outcome::kDone;
  if (IsTransactionCommand(*spec)) {
    outcome = RunTransactionCommand(session, *spec, args);
  } else if (IsPubSubCommand(*spec)) {
    RunPubSubCommand(session, *spec, args);
  } else if (IsScriptCommand(*spec)) {
    outcome = RunScriptCommand(session, *spec, args);
  } else if (IdOf(*spec) == CommandId::kMigrate) {
    outcome = RunMigrate(session, *spec, args);
  } else if (IsNodeCommand(*spec)) {
    outcome = RunHandler(session, *spec, args);
  } else {
    AnswerHere(session, *spec, args);
  }
  if (outcome == Outcome::kHeld) {
    return Outcome::kHeld;
  }
  Show(session, *spec, args);
  EndCaching(*spec, session->in_multi(), session->client());
  ServeBlocked();
  if (!to_publish_.empty() && !txn_->has_writes()) {
    PublishAll();  // Else OnCommit() does.
  }
  if (txn_->batch_bytes() > kMaxTurnBytes) {
    (void)txn_->Commit().ok();  // Its outcome goes to the owner of the turn.
  }
  return outcome;
}

// To MONITOR and to the count of hot keys.
void Dispatcher::Show(NodeSession* session, const CommandSpec& spec, CommandArgs args) {
  service_->monitors->OnCommand(spec, args, *session->client()->info, loop_->clock());
  service_->diagnostics->hot_keys.OnCommand(spec, args, loop_->clock());
}

void Dispatcher::RefuseUnknown(NodeSession* session, CommandArgs args, std::string_view error) {
  if (EqualsIgnoreCase(args[0], "post") || EqualsIgnoreCase(args[0], "host:")) {
    // A browser was made to talk to us; what follows would be somebody else's commands.
    KVS_LOG(kWarning, "closed a connection that speaks HTTP from {}",
            session->client()->info->address);
    return session->Close();
  }
  WriteRefusal(session, args[0], session->client()->authenticated ? error : kNoAuthError);
  metrics_->CountError(Code::kUnsupported);
}

// An EXEC that is refused ends the transaction; anything else spoils it.
void Dispatcher::WriteRefusal(NodeSession* session, std::string_view name, std::string_view error) {
  session->BeginReply();
  if (EqualsIgnoreCase(name, "exec")) {
    session->EndTransaction();
  } else {
    session->SpoilTransaction();
  }
  RespWriter(session->client()->protocol, session->output()).Error(RefusalOf(name, error));
  session->EndReply();
}

bool Dispatcher::Hold(NodeSession* session, const CommandSpec& spec, CommandArgs args) {
  if (MustPause(session, spec)) {
    host_->ResumeAfterPause(session);
    return true;
  }
  if (MustStall(session, spec, args)) {
    metrics_->Increment(kNode_stalled_writes_total);
    host_->ResumeLater(session);
    return true;
  }
  return false;
}

// EXEC is what it runs.
bool Dispatcher::MustPause(NodeSession* session, const CommandSpec& spec) const {
  const auto holds = [this](const CommandSpec& one) {
    return service_->pause->Holds(one, [this] { return loop_->clock()->MonotonicMillis(); });
  };
  return holds(spec) || (IdOf(spec) == CommandId::kExec && session->in_multi() &&
                         session->transaction()->queue().Any(holds));
}

bool Dispatcher::MustStall(NodeSession* session, const CommandSpec& spec, CommandArgs args) const {
  if (IdOf(spec) != CommandId::kExec || !session->in_multi()) {
    return spec.may_write() && AnyStalled(spec, args);
  }
  bool stalled = false;
  session->transaction()->queue().ForEach([&](const CommandSpec& one, CommandArgs its_args) {
    stalled = stalled || (one.may_write() && AnyStalled(one, its_args));
  });
  return stalled;
}

// Commands about the connection and the process.
void Dispatcher::AnswerHere(NodeSession* session, const CommandSpec& spec, CommandArgs args) {
  const int64_t start = loop_->clock()->MonotonicMicros();
  const bool failed = AnswerConnectionCommand(spec, args, service_, session->client(),
                                              session->output(), session->muted());
  if (IdOf(spec) == CommandId::kReset) {
    session->EndTransaction();
    host_->EndSubscriptions(session);
  }
  const int64_t micros = loop_->clock()->MonotonicMicros() - start;
  metrics_->CountCommand(static_cast<int>(IdOf(spec)), micros, failed);
  session->EndReply();
  const StageTimes times = {.queue = start - loop_->now_micros(), .engine = micros};
  session->NoteTimes(spec, args, times, /*waits=*/false);
  host_->UpdateMonitor(session);
}

// Writes an error and returns true if the command may not run.
bool Dispatcher::Refuse(NodeSession* session, const CommandSpec& spec, CommandArgs args) {
  std::string error;
  Code code = Code::kUnauthenticated;
  if (!MayRun(spec, *session->client())) {
    error = kNoAuthError;
  } else if (!MayRunSubscribed(spec, *session->client())) {
    error = SubscribedError(spec);
    code = Code::kUnsupported;
  } else if (session->in_multi() && IsRefusedInMulti(spec)) {
    error = "ERR Command not allowed inside a transaction";
    code = Code::kUnsupported;
  } else if (!MayDoAll(*session->client(), *service_) &&
             !(error = CheckAcl(spec, args, service_, session->client())).empty()) [[unlikely]] {
    code = Code::kNoPermission;
  } else if (NeedsCluster(spec, *service_)) {
    error = kClusterDisabledError;
    code = Code::kUnsupported;
  } else if (spec.has_keys() || spec.has_channels()) {
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
  WriteRefusal(session, spec.name, error);
  return true;
}

std::string Dispatcher::CheckSlots(const CommandSpec& spec, CommandArgs args) const {
  if (!topology_->managed || IdOf(spec) == CommandId::kSUnsubscribe) {
    return "";
  }
  const KeyPositions keys = FindRouted(spec, args);
  for (size_t i = 0; i < keys.count; ++i) {
    std::string error = topology_->WhyNotServed(SlotOf(args[keys.index(i)]));
    if (error.empty() || (spec.has_channels() && IsEveryNodesChannel(args[keys.index(i)]))) {
      continue;
    }
    metrics_->Increment(kNode_redirects_total);
    return error;
  }
  return "";
}

bool Dispatcher::AllowsDebug(NodeSession* session) const {
  const std::string& who = options_->enable_debug_command;
  return who == "yes" || (who == "local" && PeerIsLocal(session->client()->info->fd));
}

bool Dispatcher::AnyStalled(const CommandSpec& spec, CommandArgs args) const {
  const KeyPositions keys = FindKeys(spec, args);
  for (size_t i = 0; i < keys.count; ++i) {
    if (store_->IsStalled(static_cast<uint16_t>(SlotOf(args[keys.index(i)])))) {
      return true;
    }
  }
  return false;
}

bool Dispatcher::LockKeys(const CommandSpec& spec, CommandArgs args) {
  if (ReadsKeysByPattern(spec, args)) {
    return txn_->LockAll();
  }
  const KeyPositions keys = FindKeys(spec, args);
  if (keys.count == 0 || !NeedsLock(spec, keys.count)) {
    return true;
  }
  lock_keys_.clear();
  for (size_t i = 0; i < keys.count; ++i) {
    lock_keys_.push_back(args[keys.index(i)]);
  }
  return txn_->Lock(lock_keys_);
}

Status Dispatcher::Invoke(Invocation* call, std::string* out) {
  CommandContext context{.spec = call->spec,
                         .args = call->args,
                         .txn = txn_,
                         .reply = RespWriter(call->protocol, out),
                         .owned_slots = &topology_->owned,
                         .scan_cursors = scan_cursors_,
                         .sweeper = sweeper_,
                         .in_cluster = topology_->managed,
                         .debug_allowed = call->debug_allowed,
                         .in_script = call->in_script,
                         .has_waited = call->has_waited,
                         .max_string_size = ToInt(options_->proto_max_bulk_len),
                         .type_limits = type_limits_};
  Status status = HandlerOf(IdOf(call->spec))(context);
  metrics_->Add(kNode_keyspace_hits_total, context.keyspace_hits);
  metrics_->Add(kNode_keyspace_misses_total, context.keyspace_misses);
  call->expired_keys = std::move(context.expired_keys);
  TakeKeyEvents(/*keep=*/status.ok());
  call->wait = status.ok() ? context.wait : std::nullopt;
  return status;
}

// What a command that has failed would have told did not happen.
void Dispatcher::TakeKeyEvents(bool keep) {
  if (txn_->event_kinds() == 0) {
    return;
  }
  for (KeyEvent& event : txn_->TakeEvents()) {
    if (keep && pubsub_->active()) {
      for (Message& message : MessagesOf(txn_->event_kinds(), std::move(event))) {
        PublishLater(std::move(message));
      }
    }
  }
}

void Dispatcher::TrackReads(uint64_t client_id, const CommandSpec& spec, CommandArgs args) {
  const KeyPositions keys = FindKeys(spec, args);
  for (size_t i = 0; i < keys.count; ++i) {
    tracking_->Track(client_id, args[keys.index(i)]);
  }
}

Dispatcher::Outcome Dispatcher::RunHandler(NodeSession* session, const CommandSpec& spec,
                                           CommandArgs args) {
  const int64_t start = loop_->clock()->MonotonicMicros();
  txn_->Begin();
  if (!LockKeys(spec, args)) {
    return GiveWay(session, spec);
  }
  Invocation call{.spec = spec,
                  .args = args,
                  .protocol = session->client()->protocol,
                  .debug_allowed = IdOf(spec) == CommandId::kDebug && AllowsDebug(session)};
  TrackReads(*session->client(), spec, args);
  const Status status = Invoke(&call, session->output());
  if (txn_->gave_up()) {
    return GiveWay(session, spec);
  }
  if (status.code() == Code::kUnavailable && !spec.is_write()) {
    session->AbandonReply();
    // An instance is being reopened: that takes milliseconds, or as long as somebody still uses
    // what was open before.
    host_->ResumeLater(session);
    return Outcome::kHeld;
  }
  if (call.wait.has_value()) {
    Block(session, call);
    return Outcome::kBlocked;
  }
  if (!status.ok()) {
    session->output()->resize(session->reply_start());
    RespWriter(session->client()->protocol, session->output()).Error(status);
    metrics_->CountError(status.code());
  }
  const KeyPositions keys = FindKeys(spec, args);
  if (!NeedsLock(spec, keys.count)) {
    for (size_t i = 0; i < keys.count; ++i) {
      txn_->Observe(args[keys.index(i)]);
    }
  }
  Finish(session, spec, args, start, !status.ok());
  DeleteExpired(session, call.expired_keys);
  return Outcome::kDone;
}

void Dispatcher::Finish(NodeSession* session, const CommandSpec& spec, CommandArgs args,
                        int64_t start, bool failed) {
  session->EndReply();
  StageTimes times = {.queue = start - loop_->now_micros(),
                      .lock = txn_->lock_micros(),
                      .commit = txn_->commit_micros()};
  const bool waits =
      txn_->depends_on_turn() || txn_->observed_lsn() > store_->pipeline().watermark();
  if (txn_->depends_on_turn()) {
    session->DependOnTurn();
  }
  session->Observe(txn_->observed_lsn());
  const int64_t micros = loop_->clock()->MonotonicMicros() - start;
  metrics_->CountCommand(static_cast<int>(IdOf(spec)), micros, failed);
  times.engine = std::max<int64_t>(micros - times.lock - times.commit, 0);
  session->NoteTimes(spec, args, times, waits);
}

// Deletes what a command found expired.  Its reply said that the keys are gone: it waits until that
// is in the log.
void Dispatcher::DeleteExpired(NodeSession* session, const std::vector<std::string>& keys) {
  for (const std::string& key : keys) {
    if (!store_->WriteHealth().ok() || store_->IsStalled(static_cast<uint16_t>(SlotOf(key)))) {
      continue;  // It is invisible all the same, and the sweeper comes again.
    }
    txn_->Begin();
    const Result<bool> deleted = DeleteIfExpired(txn_, key);
    TakeKeyEvents(deleted.ok());
    if (deleted.ok() && *deleted) {
      metrics_->Increment(kNode_expired_keys_total);
    }
    if (session != nullptr) {
      if (deleted.ok() && *deleted) {
        session->DependOnTurn();
      }
      session->Observe(txn_->observed_lsn());
    }
  }
}

}  // namespace kvs
