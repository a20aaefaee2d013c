// EVAL, FCALL and their like, and SCRIPT.
//
// A script runs with the stripes of its keys locked, into the batch of the turn, as a transaction
// does: others see all of it or nothing.  One that uses a key which it did not name is taken back
// and run anew with every stripe locked; one that takes long is taken back and run anew by the
// script worker.  What a script has written is known to nobody before the turn is in the log, so
// taking it back leaves no trace.

#include <fmt/format.h>

#include <atomic>
#include <iterator>
#include <set>
#include <utility>

#include "common/base/check.h"
#include "common/base/strings.h"
#include "common/command/sort_request.h"
#include "common/resp/error_text.h"
#include "common/service/acl_gate.h"
#include "common/slot/slot.h"
#include "storage_node/command/command_handlers.h"
#include "storage_node/server/dispatcher.h"
#include "storage_node/server/job_ticket.h"
#include "storage_node/server/node_session.h"

namespace kvs {
namespace {

// A loop runs a script for so long, and then leaves it to the worker.
constexpr int64_t kInlineMicros = 2000;
// The worker finds a script fast again that takes no longer.
constexpr int64_t kFastMicros = 500;

// What a proxy's shared connection waits for is waited for by all of its clients, until the proxy
// takes the node for dead.
constexpr int64_t kProxyPatienceMs = 300;

constexpr std::string_view kBusyWithScript =
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.";
constexpr std::string_view kBusyElsewhere =
    "BUSY a MIGRATE, or a transaction's script, has the keys; retry later";
constexpr std::string_view kBusyWithFunction =
    "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.";

// What FUNCTION STATS shows of a command, at most.
constexpr size_t kMaxShownWords = 1024;
constexpr size_t kMaxShownWord = 1024;

bool IsByDigest(const CommandSpec& spec) {
  return IdOf(spec) == CommandId::kEvalSha || IdOf(spec) == CommandId::kEvalShaRo;
}

bool IsFCall(const CommandSpec& spec) {
  return IdOf(spec) == CommandId::kFCall || IdOf(spec) == CommandId::kFCallRo;
}

RunningScripts::One WhatRuns(const ScriptJob& job, int64_t now_ms) {
  RunningScripts::One one{
      .kind = ScriptKind::kScript, .name = "", .command = {}, .since_ms = now_ms};
  if (job.function.function == nullptr) {
    return one;
  }
  one.kind = ScriptKind::kFunction;
  one.name = job.function.function->name;
  for (size_t i = 0; i < std::min(job.args.size(), kMaxShownWords); ++i) {
    one.command.push_back(job.args[i].substr(0, kMaxShownWord));
  }
  return one;
}

bool Publishes(const CommandSpec& spec) {
  return IdOf(spec) == CommandId::kPublish || IdOf(spec) == CommandId::kSPublish;
}

// The client for which what its script reads is remembered; 0: it does not want that.
uint64_t ReaderOf(const ClientState& client) {
  return client.tracking != nullptr && client.tracking->TracksReads() ? client.info->id : 0;
}

}  // namespace

// What one run of a script asks of the node.
class Dispatcher::ScriptRun : public ScriptHost {
 public:
  ScriptRun(Dispatcher* dispatcher, const ScriptCall& call, int64_t deadline_micros)
      : dispatcher_(dispatcher), call_(call), deadline_micros_(deadline_micros) {}

  enum class Why : uint8_t { kNothing, kNeedsEveryKey, kTooSlow, kKilled };
  // Why the script was stopped.
  Why why() const { return why_; }
  bool needs_every_key() const { return why_ == Why::kNeedsEveryKey; }
  const std::set<std::string>& expired_keys() const { return expired_keys_; }

  bool Call(CommandArgs args, int protocol, std::string* reply) override {
    const CommandSpec* spec = nullptr;
    if (const std::string error = dispatcher_->WhyNotInScript(call_, &args, &spec);
        !error.empty()) {
      RespWriter(protocol, reply).Error(error);
      return true;
    }
    KVS_CHECK(spec != nullptr);
    if (!HoldsKeys(*spec, args)) {
      return Stop(Why::kNeedsEveryKey);
    }
    if (const std::string error = CheckSlot(*spec, args); !error.empty()) {
      RespWriter(protocol, reply).Error(error);
      return true;
    }
    if (IsOnAllKeys(*spec) && !InWorker() && !call_.in_transaction) {
      call_.runnable().asks_for_all_keys.store(true, std::memory_order_relaxed);
      return Stop(Why::kTooSlow);  // It commits; what is committed cannot be taken back.
    }
    dispatcher_->RunForScript(call_, *spec, args, protocol, reply, &expired_keys_);
    if (InWorker() && !committed_ && !dispatcher_->txn_->saved()) {
      committed_ = true;
      dispatcher_->running_scripts_->NoteCommitted();
    }
    return MayGoOn();
  }

  bool MayGoOn() override {
    if (InWorker()) {
      return !dispatcher_->running_scripts_->asked_to_stop() || Stop(Why::kKilled);
    }
    return dispatcher_->loop_->clock()->MonotonicMicros() <= deadline_micros_ ||
           Stop(Why::kTooSlow);
  }

  Result<bool> MayRun(CommandArgs args) override {
    const CommandSpec* spec = FindCommand(args[0]);
    if (spec != nullptr && args.size() > 1 && !SubcommandsOf(*spec).empty()) {
      spec = FindSubcommand(*spec, args[1]);
    }
    if (spec == nullptr) {
      return Status::NotFound();
    }
    return call_.user == nullptr || call_.user->Check(*spec, args).allowed();
  }

 private:
  bool InWorker() const { return dispatcher_->script_jobs_ == nullptr; }

  bool Stop(Why why) {
    why_ = why;
    return false;
  }

  bool HoldsKeys(const CommandSpec& spec, CommandArgs args) const {
    const Txn& txn = *dispatcher_->txn_;
    if (IsOnAllKeys(spec) || ReadsKeysByPattern(spec, args)) {
      return txn.HoldsAll();
    }
    const KeyPositions keys = FindKeys(spec, args);
    for (size_t i = 0; i < keys.count; ++i) {
      if (!txn.Holds(args[keys.index(i)])) {
        return false;
      }
    }
    return true;
  }

  // A script that has a first line says so if its keys are of several slots.
  std::string CheckSlot(const CommandSpec& spec, CommandArgs args) {
    if (!dispatcher_->topology_->managed || call_.runnable().allows_cross_slot_keys) {
      return "";
    }
    const KeyPositions keys = FindKeys(spec, args);
    for (size_t i = 0; i < keys.count; ++i) {
      const int slot = SlotOf(args[keys.index(i)]);
      if (slot_.value_or(slot) != slot) {
        return "ERR Script attempted to access keys that do not hash to the same slot";
      }
      slot_ = slot;
    }
    return "";
  }

  Dispatcher* const dispatcher_;
  const ScriptCall& call_;
  const int64_t deadline_micros_;
  Why why_ = Why::kNothing;
  bool committed_ = false;
  std::optional<int> slot_;
  std::set<std::string> expired_keys_;
};

// Returns an empty text, and `*spec`, if the script may run the command; `*args` may be translated.
std::string Dispatcher::WhyNotInScript(const ScriptCall& call, CommandArgs* args,
                                       const CommandSpec** spec) {
  constexpr std::string_view kUnknown = "ERR Unknown Redis command called from script";
  if (!service_->renames->empty() && !service_->renames->Translate(args, &script_renamed_)) {
    return std::string(kUnknown);
  }
  *spec = ResolveCommand(*args);
  if (*spec == nullptr) {
    const CommandSpec* const named = FindCommand((*args)[0]);
    const bool has_it =
        named != nullptr && (SubcommandsOf(*named).empty() ||
                             (args->size() > 1 && FindSubcommand(*named, (*args)[1]) != nullptr));
    return has_it ? "ERR Wrong number of args calling Redis command from script"
                  : std::string(kUnknown);
  }
  if ((*spec)->Has(Cmd::kNoScript) || IdOf(**spec) == CommandId::kMigrate) {
    return "ERR This Redis command is not allowed from script";
  }
  if (call.user != nullptr) [[unlikely]] {
    if (std::string error = CheckAclInScript(**spec, *args, *call.user, *call.client, service_);
        !error.empty()) {
      return error;
    }
  }
  const bool reads_only = call.spec->is_read() || call.runnable().no_writes;
  if (reads_only && ((*spec)->is_write() || Publishes(**spec))) {
    return "ERR Write commands are not allowed from read-only scripts.";
  }
  if (NeedsCluster(**spec, *service_)) {
    return std::string(kClusterDisabledError);
  }
  if (((*spec)->has_keys() || (*spec)->has_channels()) && !CheckSlots(**spec, *args).empty()) {
    return "ERR Script attempted to access a non local key in a cluster node";
  }
  const Status health = (*spec)->is_write() ? store_->WriteHealth() : Status::Ok();
  if (!health.ok()) {
    return ErrorText(health);
  }
  if (((*spec)->is_write() || Publishes(**spec)) &&
      txn_->batch_bytes() + to_publish_bytes_ > 2 * ToInt(options_->proto_max_bulk_len)) {
    return "ERR the script writes more than twice proto-max-bulk-len";
  }
  return "";
}

// Runs a command whose keys are locked.
void Dispatcher::RunForScript(const ScriptCall& script, const CommandSpec& spec, CommandArgs args,
                              int protocol, std::string* reply,
                              std::set<std::string>* expired_keys) {
  const int64_t start = loop_->clock()->MonotonicMicros();
  bool failed = false;
  if (IsPubSubCommand(spec)) {
    RespWriter writer(protocol, reply);
    AnswerPubSub(spec, args, &writer);
  } else if (HandlerOf(IdOf(spec)) == nullptr) {
    ClientState client{.info = script_client_, .protocol = protocol, .authenticated = true};
    failed = AnswerInTransaction(spec, args, service_, &client, reply);
  } else {
    Invocation call{.spec = spec, .args = args, .protocol = protocol, .in_script = true};
    if (script.tracks_for != 0 && spec.is_read()) {
      TrackReads(script.tracks_for, spec, args);
    }
    const Status status = Invoke(&call, reply);
    expired_keys->insert(std::make_move_iterator(call.expired_keys.begin()),
                         std::make_move_iterator(call.expired_keys.end()));
    if (!status.ok()) {
      failed = true;
      reply->clear();
      RespWriter(protocol, reply).Error(status);
    }
  }
  const int64_t micros = loop_->clock()->MonotonicMicros() - start;
  metrics_->CountCommand(static_cast<int>(IdOf(spec)), micros, failed);
}

Status Dispatcher::ReadCall(CommandArgs args, ScriptCall* call) {
  KVS_RETURN_IF_ERROR(IsFCall(*call->spec) ? ReadFCall(args, call) : ReadEval(args, call));
  if (call->is_known() && call->spec->is_read() && call->runnable().refuses_read_only) {
    return Status::InvalidArgument("Can not execute a script with write flag using *_ro command.");
  }
  return Status::Ok();
}

// Reads the words of EVAL or EVALSHA, and makes the script known.
Status Dispatcher::ReadEval(CommandArgs args, ScriptCall* call) {
  KVS_RETURN_IF_ERROR(ReadKeys(args, "value is not an integer or out of range", call));
  if (IsByDigest(*call->spec)) {
    call->script = scripts_->Find(args[1]);
    return Status::Ok();
  }
  return MakeKnown(args[1], /*loaded=*/false, &call->script);
}

Status Dispatcher::MakeKnown(std::string_view text, bool loaded, ScriptPtr* script) {
  KVS_ASSIGN_OR_RETURN(ScriptPtr made, MakeScript(text));
  *script = scripts_->Find(made->sha);
  if (*script == nullptr) {
    KVS_RETURN_IF_ERROR(interpreter()->Compile(*made));
    *script = std::move(made);
  } else if (!loaded) {
    return Status::Ok();
  }
  return scripts_->Add(*script, loaded);
}

// Most loops never see a script.
Interpreter* Dispatcher::interpreter() {
  if (interpreter_ == nullptr) {
    interpreter_ = std::make_unique<Interpreter>(ToInt(options_->script_memory_limit));
  }
  return interpreter_.get();
}

Dispatcher::Outcome Dispatcher::RunScriptCommand(NodeSession* session, const CommandSpec& spec,
                                                 CommandArgs args) {
  const int64_t start = loop_->clock()->MonotonicMicros();
  txn_->Begin();
  if (pending_functions_ != nullptr && !ChangesFunctions(spec)) {
    (void)txn_->Commit().ok();  // The worker, and other loops, see what is in the log.
    txn_->Begin();
  }
  if (ChangesFunctions(spec)) {
    if (slow_load_turn_ == loop_->now_micros()) {
      session->AbandonReply();  // Others come first.
      host_->ResumeLater(session);
      return Outcome::kHeld;
    }
    (void)txn_->Commit().ok();  // While a library's code runs, nobody waits for other keys.
    txn_->Begin();
    if (!txn_->Lock(kFunctionsLock)) {
      return GiveWay(session, spec);
    }
  }
  std::string reply;
  std::vector<std::string> expired_keys;
  bool failed = false;
  if (!spec.has_keys()) {
    failed = AnswerScript(spec, args, session->client()->protocol, &reply);
    if (ChangesFunctions(spec) && loop_->clock()->MonotonicMicros() - start > kInlineMicros) {
      slow_load_turn_ = loop_->now_micros();
    }
  } else {
    ScriptCall call = CallOf(session, spec);
    const Status status = ReadCall(args, &call);
    ScriptEnd end = ScriptEnd::kFailed;
    if (!status.ok()) {
      RespWriter(call.protocol, &reply).Error(status);
    } else if (!call.is_known()) {
      RespWriter(call.protocol, &reply).Error("NOSCRIPT No matching script. Please use EVAL.");
    } else if (call.runnable().is_slow.load(std::memory_order_relaxed) ||
               call.runnable().asks_for_all_keys.load(std::memory_order_relaxed)) {
      return LeaveToWorker(session, call, args);
    } else {
      end = RunScript(call, start + kInlineMicros, &reply, &expired_keys);
    }
    if (end == ScriptEnd::kGaveUp) {
      return GiveWay(session, spec);
    }
    if (end == ScriptEnd::kTooSlow) {
      call.runnable().is_slow.store(true, std::memory_order_relaxed);
      return LeaveToWorker(session, call, args);
    }
    failed = end == ScriptEnd::kFailed;
  }
  if (failed) {
    metrics_->CountError(Code::kInvalidArgument);
  }
  PublishUnlessWritten();
  session->output()->append(reply);
  Finish(session, spec, args, start, failed);
  DeleteExpired(session, expired_keys);
  return Outcome::kDone;
}

// Somebody's script holds what the command needs: the command comes again, or is refused if that
// has been so for long.
Dispatcher::Outcome Dispatcher::GiveWay(NodeSession* session, const CommandSpec& spec) {
  session->AbandonReply();
  if (IsBusyFor(session)) {
    WriteRefusal(session, spec.name, BusyError());
    return Outcome::kDone;
  }
  host_->ResumeLater(session);
  return Outcome::kHeld;
}

std::string_view Dispatcher::BusyError() const {
  if (!running_scripts_->runs()) {
    return kBusyElsewhere;
  }
  return running_scripts_->kind() == ScriptKind::kFunction ? kBusyWithFunction : kBusyWithScript;
}

int64_t Dispatcher::PatienceOf(NodeSession* session) const {
  const int64_t limit_ms =
      options_->busy_reply_threshold == 0 ? INT64_MAX : options_->busy_reply_threshold;
  return session->is_proxy() ? std::min(limit_ms, kProxyPatienceMs) : limit_ms;
}

// Whether the session has waited for scripts, or would wait for one that has run, for long enough.
bool Dispatcher::IsBusyFor(NodeSession* session) const {
  const int64_t now_ms = loop_->clock()->MonotonicMillis();
  const int64_t patience_ms = PatienceOf(session);
  const int64_t since_ms = session->held_since_ms();
  return running_scripts_->IsBusy(now_ms, patience_ms) ||
         (since_ms != 0 && now_ms - since_ms > patience_ms);
}

Dispatcher::Outcome Dispatcher::LeaveToWorker(NodeSession* session, const ScriptCall& call,
                                              CommandArgs args) {
  // Jobs queue up; their connections wait for nothing else.
  const int64_t limit_ms = options_->busy_reply_threshold;
  if (limit_ms != 0 && running_scripts_->IsBusy(loop_->clock()->MonotonicMillis(), limit_ms)) {
    return GiveWay(session, *call.spec);
  }
  session->AbandonReply();
  ScriptJob job{.host = host_->unblock_host(),
                .ticket = NewJobTicket(),
                .spec = call.spec,
                .args = {args.begin(), args.end()},
                .script = call.script,
                .function = call.function,
                .protocol = call.protocol,
                .user = call.user,
                .client = call.client,
                .client_id = session->client()->info->id,
                .tracks_for = call.tracks_for};
  host_->OnBlocked(session, job.ticket, /*timeout_ms=*/0);
  script_jobs_->Submit(std::move(job));
  return Outcome::kBlocked;
}

Interpreter::End Dispatcher::Interpret(const ScriptCall& call, ScriptHost* host,
                                       std::string* reply) {
  if (call.function.function != nullptr) {
    return RunFunction(call, host, reply);
  }
  return interpreter()->Run({.script = call.script.get(),
                             .keys = call.keys,
                             .args = call.args,
                             .protocol = call.protocol,
                             .host = host},
                            reply);
}

bool Dispatcher::LockForScript(const ScriptCall& call) {
  return call.runnable().uses_any_key.load(std::memory_order_relaxed) ? txn_->LockAll()
                                                                      : txn_->Lock(call.keys);
}

// In a transaction the keys are locked already, and stay so.
Dispatcher::ScriptEnd Dispatcher::RunScript(const ScriptCall& call, int64_t deadline_micros,
                                            std::string* reply,
                                            std::vector<std::string>* expired_keys) {
  const size_t reply_begin = reply->size();
  for (;;) {
    if (!call.in_transaction) {
      if (!LockForScript(call)) {
        return ScriptEnd::kGaveUp;
      }
      txn_->Pin();
    }
    const size_t published = to_publish_.size();
    const size_t published_bytes = to_publish_bytes_;
    txn_->Save();
    ScriptRun run(this, call, deadline_micros);
    const Interpreter::End end = Interpret(call, &run, reply);
    if (!call.in_transaction) {
      txn_->Unpin();
    }
    const bool killed = script_jobs_ == nullptr && !run.needs_every_key() &&
                        !running_scripts_->End() && txn_->saved();
    if (end != Interpreter::End::kStopped && !killed) {
      txn_->Keep();
      expired_keys->assign(run.expired_keys().begin(), run.expired_keys().end());
      if (!txn_->failure().ok()) {
        reply->resize(reply_begin);
        RespWriter(call.protocol, reply).Error(txn_->failure());
        return ScriptEnd::kFailed;
      }
      return end == Interpreter::End::kReplied ? ScriptEnd::kReplied : ScriptEnd::kFailed;
    }
    reply->resize(reply_begin);
    if (txn_->saved()) {
      txn_->Rollback();
      to_publish_.resize(std::min(published, to_publish_.size()));
      to_publish_bytes_ = std::min(published_bytes, to_publish_bytes_);
    }
    if (run.needs_every_key()) {
      call.runnable().uses_any_key.store(true, std::memory_order_relaxed);
      continue;
    }
    if (run.why() == ScriptRun::Why::kTooSlow && !call.in_transaction) {
      return ScriptEnd::kTooSlow;
    }
    RespWriter(call.protocol, reply)
        .Error(killed || run.why() == ScriptRun::Why::kKilled
                   ? fmt::format("ERR Error running script: Script killed by user with {} KILL.",
                                 call.function.function != nullptr ? "FUNCTION" : "SCRIPT")
                   : "ERR Error running script: in a transaction it may take no longer than "
                     "busy-reply-threshold");
    return ScriptEnd::kFailed;
  }
}

Dispatcher::ScriptCall Dispatcher::CallOf(NodeSession* session, const CommandSpec& spec) const {
  ScriptCall call{.spec = &spec,
                  .protocol = session->client()->protocol,
                  .tracks_for = ReaderOf(*session->client())};
  if (!MayDoAll(*session->client(), *service_)) [[unlikely]] {
    call.user = session->client()->identity.user();
    call.client = session->client()->info;
  }
  return call;
}

bool Dispatcher::RunScriptInside(NodeSession* session, const CommandSpec& spec, CommandArgs args,
                                 std::string* out, std::vector<std::string>* expired_keys) {
  const int protocol = session->client()->protocol;
  if (!spec.has_keys()) {
    return AnswerScript(spec, args, protocol, out);
  }
  ScriptCall call = CallOf(session, spec);
  call.in_transaction = true;
  const Status status = ReadCall(args, &call);
  if (!status.ok()) {
    RespWriter(protocol, out).Error(status);
    return true;
  }
  if (!call.is_known()) {
    RespWriter(protocol, out).Error("NOSCRIPT No matching script. Please use EVAL.");
    return true;
  }
  std::vector<std::string> expired;
  const ScriptEnd end = RunScript(call, script_deadline_micros_, out, &expired);
  expired_keys->insert(expired_keys->end(), std::make_move_iterator(expired.begin()),
                       std::make_move_iterator(expired.end()));
  return end != ScriptEnd::kReplied;
}

bool Dispatcher::ScriptGivesUp() const {
  const int64_t limit_ms = options_->busy_reply_threshold;
  return running_scripts_->asked_to_stop() ||
         (limit_ms != 0 && running_scripts_->IsBusy(loop_->clock()->MonotonicMillis(), limit_ms));
}

void Dispatcher::RunJob(const ScriptJob& job) {
  const int64_t start = loop_->clock()->MonotonicMicros();
  const std::vector<std::string_view> args(job.args.begin(), job.args.end());
  running_scripts_->Begin(WhatRuns(job, loop_->clock()->MonotonicMillis()));
  txn_->Begin();
  txn_->set_writer(job.client_id);
  ScriptCall call{.spec = job.spec, .protocol = job.protocol, .tracks_for = job.tracks_for};
  call.user = job.user;
  call.client = job.client;
  std::vector<std::string> expired_keys;
  Unblocked unblocked;
  // Its words were found good before; the script may have been flushed since.
  Status status = ReadCall(args, &call);
  call.script = job.script;
  if (job.function.function != nullptr) {
    call.function = job.function;
    status = ReadKeys(args, "Bad number of keys provided", &call);
  }
  if (!status.ok()) {
    RespWriter(job.protocol, &unblocked.reply).Error(status);
    unblocked.failed = true;
  } else {
    const ScriptEnd end = RunScript(call, INT64_MAX, &unblocked.reply, &expired_keys);
    unblocked.failed = end != ScriptEnd::kReplied;
    if (end == ScriptEnd::kGaveUp) {
      RespWriter(job.protocol, &unblocked.reply).Error("BUSY a MIGRATE holds the keys");
    }
  }
  (void)running_scripts_->End();
  unblocked.micros = loop_->clock()->MonotonicMicros() - start;
  if (unblocked.micros < kFastMicros && call.is_known()) {
    call.runnable().is_slow.store(false, std::memory_order_relaxed);
  }
  unblocked.lsn = txn_->observed_lsn();
  if (txn_->depends_on_turn() && txn_->has_writes()) {
    served_.push_back({job.host, job.ticket, std::move(unblocked), job.protocol});
  } else {
    job.host->OnUnblocked(job.ticket, std::move(unblocked));
  }
  DeleteExpired(nullptr, expired_keys);
  ServeBlocked();
  PublishUnlessWritten();
  (void)txn_->Commit().ok();  // Its outcome goes to OnCommit().
}

void Dispatcher::AnswerKill(ScriptKind kind, RespWriter* reply) {
  switch (running_scripts_->Kill(kind)) {
    case RunningScripts::Killed::kOk:
      return reply->Ok();
    case RunningScripts::Killed::kNoneRuns:
      return reply->Error("NOTBUSY No scripts in execution right now.");
    case RunningScripts::Killed::kIsOfOtherKind:
      return reply->Error(BusyError());
    case RunningScripts::Killed::kHasCommitted:
      return reply->Error(
          "UNKILLABLE Sorry the script already executed write commands against the dataset. You "
          "can either wait the script termination or kill the server in a hard way using the "
          "SHUTDOWN NOSAVE command.");
  }
}

bool Dispatcher::AnswerScript(const CommandSpec& spec, CommandArgs args, int protocol,
                              std::string* out) {
  RespWriter reply(protocol, out);
  const size_t begin = out->size();
  switch (IdOf(spec)) {
    case CommandId::kScriptLoad: {
      ScriptPtr script;
      if (const Status status = MakeKnown(args[2], /*loaded=*/true, &script); !status.ok()) {
        reply.Error(status);
      } else {
        reply.Bulk(script->sha);
      }
      break;
    }
    case CommandId::kScriptExists:
      reply.Array(args.size() - 2);
      for (const std::string_view sha : args.subspan(2)) {
        reply.Integer(scripts_->Find(sha) != nullptr ? 1 : 0);
      }
      break;
    case CommandId::kScriptFlush:
      if (args.size() > 3 || (args.size() == 3 && !EqualsIgnoreCase(args[2], "async") &&
                              !EqualsIgnoreCase(args[2], "sync"))) {
        reply.Error("ERR SCRIPT FLUSH only support SYNC|ASYNC option");
      } else {
        scripts_->Flush();
        reply.Ok();
      }
      break;
    case CommandId::kScriptKill:
      AnswerKill(ScriptKind::kScript, &reply);
      break;
    default:
      AnswerFunction(spec, args, &reply);
      break;
  }
  return (*out)[begin] == '-';
}

}  // namespace kvs
