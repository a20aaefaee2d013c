// MULTI, EXEC, DISCARD, WATCH and UNWATCH.
//
// EXEC locks the keys of all its commands at once, and what it watches, then runs them into one
// batch: the log has all of it or nothing, and whoever reads sees all of it or nothing.

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "common/base/strings.h"
#include "common/command/sort_request.h"
#include "common/resp/error_text.h"
#include "common/service/acl_gate.h"
#include "common/slot/slot.h"
#include "storage_node/command/command_handlers.h"
#include "storage_node/server/dispatcher.h"
#include "storage_node/server/node_session.h"
#include "storage_node/types/keyspace.h"

namespace kvs {
namespace {

// EVAL, FCALL and their like.
bool IsEval(const CommandSpec& spec) {
  return spec.group == Group::kScripting && spec.has_keys();
}

// Whether it may need any key: a script does not have to name what it uses.
bool NeedsEveryKey(const CommandSpec& spec) {
  return IsOnAllKeys(spec) || IsEval(spec);
}

// How long the scripts of a transaction may take together: the loop does nothing else meanwhile.
constexpr int64_t kMaxTransactionMs = 5000;

}  // namespace

void Dispatcher::Queue(NodeSession* session, const CommandSpec& spec, CommandArgs args) {
  session->BeginReply();
  const size_t limit = ToInt(options_->client_query_buffer_limit);
  if (session->transaction()->Queue(spec, args, limit)) {
    session->output()->append(kQueuedReply);
    session->NoteTransaction();
  } else {
    metrics_->CountError(Code::kTooLarge);
    RespWriter(session->client()->protocol, session->output())
        .Error(fmt::format("ERR the transaction is larger than client-query-buffer-limit, which "
                           "is {} bytes",
                           limit));
  }
  session->EndReply();
}

Dispatcher::Outcome Dispatcher::RunTransactionCommand(NodeSession* session, const CommandSpec& spec,
                                                      CommandArgs args) {
  const int64_t start = loop_->clock()->MonotonicMicros();
  std::vector<std::string> expired_keys;
  RespWriter reply(session->client()->protocol, session->output());
  Status status;
  txn_->Begin();
  switch (IdOf(spec)) {
    case CommandId::kMulti:
      status = session->in_multi() ? Status::InvalidArgument("MULTI calls can not be nested")
                                   : Status::Ok();
      if (status.ok()) {
        session->OpenTransaction(&store_->watches())->Open();
        reply.Ok();
      }
      break;
    case CommandId::kDiscard:
      status =
          session->in_multi() ? Status::Ok() : Status::InvalidArgument("DISCARD without MULTI");
      if (status.ok()) {
        session->EndTransaction();
        reply.Ok();
      }
      break;
    case CommandId::kWatch:
      status = Watch(session, args);
      if (status.ok()) {
        reply.Ok();
      }
      break;
    case CommandId::kUnwatch:
      session->EndTransaction();
      reply.Ok();
      break;
    default:
      status = Exec(session, &expired_keys);
      break;
  }
  if (txn_->gave_up()) {
    return GiveWay(session, spec);
  }
  if (status.code() == Code::kUnavailable) {
    session->AbandonReply();
    host_->ResumeLater(session);  // Nothing has happened yet; an instance is being reopened.
    return Outcome::kHeld;
  }
  if (!status.ok()) {
    session->output()->resize(session->reply_start());
    reply.Error(status);
    metrics_->CountError(status.code());
  }
  session->NoteTransaction();
  Finish(session, spec, args, start, !status.ok());
  DeleteExpired(session, expired_keys);
  return Outcome::kDone;
}

// WATCH key [key ...]
Status Dispatcher::Watch(NodeSession* session, CommandArgs args) {
  if (session->in_multi()) {
    return Status::InvalidArgument("WATCH inside MULTI is not allowed");
  }
  const size_t limit = ToInt(options_->client_query_buffer_limit);
  if (session->transaction() != nullptr && session->transaction()->watched_bytes() > limit) {
    return Status::TooLarge("the watched keys are longer than client-query-buffer-limit");
  }
  if (!txn_->Lock(args.subspan(1))) {
    return Status::Unavailable("a script holds the keys");
  }
  std::vector<std::string> expired_keys;
  Keyspace keyspace(txn_, &expired_keys);
  std::vector<bool> exists;
  for (const std::string_view key : args.subspan(1)) {
    KVS_ASSIGN_OR_RETURN(const KeyEntry entry, keyspace.Find(key));
    exists.push_back(entry.exists());
  }
  Transaction* transaction = session->OpenTransaction(&store_->watches());
  for (size_t i = 1; i < args.size(); ++i) {
    transaction->Watch(static_cast<uint16_t>(SlotOf(args[i])), args[i], exists[i - 1]);
  }
  return Status::Ok();
}

// Returns an empty text if nothing is in the way.
std::string Dispatcher::WhyNotExec(const Transaction& transaction) const {
  if (transaction.spoiled()) {
    return "EXECABORT Transaction discarded because of previous errors.";
  }
  std::string error;
  transaction.queue().ForEach([&](const CommandSpec& spec, CommandArgs args) {
    if (error.empty() && (spec.has_keys() || spec.has_channels())) {
      error = CheckSlots(spec, args);
    }
  });
  const Status health = store_->WriteHealth();
  if (error.empty() && !health.ok() &&
      transaction.queue().Any([](const CommandSpec& spec) { return spec.may_write(); })) {
    error = "EXECABORT Transaction discarded because of: " + ErrorText(health);
  }
  return error;
}

bool Dispatcher::LockTransaction(const Transaction& transaction) {
  bool needs_all = transaction.queue().Any(NeedsEveryKey);
  std::vector<std::string> keys;
  transaction.queue().ForEach([&](const CommandSpec& spec, CommandArgs args) {
    needs_all = needs_all || ReadsKeysByPattern(spec, args);
    const KeyPositions positions = FindKeys(spec, args);
    for (size_t i = 0; i < positions.count; ++i) {
      keys.emplace_back(args[positions.index(i)]);
    }
  });
  for (const auto& [key, watched] : transaction.watched()) {
    keys.push_back(key);
  }
  if (transaction.queue().Any(ChangesFunctions)) {
    keys.emplace_back(kFunctionsLock);
  }
  if (needs_all) {
    return txn_->LockAll();
  }
  return txn_->Lock(std::vector<std::string_view>(keys.begin(), keys.end()));
}

// A key that was there and whose time has come since counts as changed, as in Redis.
Result<bool> Dispatcher::WatchedHasChanged(const Transaction& transaction,
                                           std::vector<std::string>* expired_keys) {
  if (transaction.changed()) {
    return true;
  }
  Keyspace keyspace(txn_, expired_keys);
  for (const auto& [key, watched] : transaction.watched()) {
    if (watched.exists) {
      KVS_ASSIGN_OR_RETURN(const KeyEntry entry, keyspace.Find(key));
      if (!entry.exists()) {
        return true;
      }
    }
  }
  return false;
}

Status Dispatcher::Exec(NodeSession* session, std::vector<std::string>* expired_keys) {
  if (!session->in_multi()) {
    return Status::InvalidArgument("EXEC without MULTI");
  }
  const Transaction& transaction = *session->transaction();
  const int protocol = session->client()->protocol;
  if (const std::string error = WhyNotExec(transaction); !error.empty()) {
    session->EndTransaction();
    RespWriter(protocol, session->output()).Error(error);
    return Status::Ok();
  }
  if (!LockTransaction(transaction)) {
    return Status::Unavailable("a script holds the keys");
  }
  KVS_ASSIGN_OR_RETURN(const bool changed, WatchedHasChanged(transaction, expired_keys));
  if (changed) {
    session->EndTransaction();
    RespWriter(protocol, session->output()).NullArray();
    return Status::Ok();
  }
  // Beside the session's output: what a command commits in the middle is not cut out of the reply.
  std::string replies;
  const size_t count = transaction.queue().size();
  if (transaction.queue().Any(IsEval) || transaction.queue().Any(ChangesFunctions)) {
    txn_->HoldLong();
    script_deadline_micros_ =
        loop_->clock()->MonotonicMicros() + 1000 * std::min(PatienceOf(session), kMaxTransactionMs);
  }
  commit_failure_ = Status::Ok();
  txn_->Pin();
  transaction.queue().ForEach([&](const CommandSpec& spec, CommandArgs args) {
    RunInside(session, spec, args, &replies, expired_keys);
  });
  txn_->Unpin();
  script_deadline_micros_ = INT64_MAX;
  PublishUnlessWritten();
  session->EndTransaction();
  if (!commit_failure_.ok()) {
    // A command in the middle commits what is before it, which is lost: nothing that was said
    // holds.
    RespWriter(protocol, session->output()).Error(commit_failure_);
    metrics_->CountError(commit_failure_.code());
    return Status::Ok();
  }
  RespWriter reply(session->client()->protocol, session->output());
  reply.Array(count);
  reply.Raw(replies);
  return Status::Ok();
}

void Dispatcher::RunInside(NodeSession* session, const CommandSpec& spec, CommandArgs args,
                           std::string* out, std::vector<std::string>* expired_keys) {
  const int64_t start = loop_->clock()->MonotonicMicros();
  const size_t reply_start = out->size();
  bool failed = false;
  std::string refusal;
  if (!MayDoAll(*session->client(), *service_)) [[unlikely]] {
    refusal = CheckAclAtExec(spec, args, service_, session->client());
  }
  if (!refusal.empty()) {
    failed = true;
    RespWriter(session->client()->protocol, out).Error(refusal);
    metrics_->CountError(Code::kNoPermission);
  } else if (IsPubSubCommand(spec)) {
    RespWriter reply(session->client()->protocol, out);
    AnswerPubSub(spec, args, &reply);
  } else if (IsScriptCommand(spec)) {
    failed = RunScriptInside(session, spec, args, out, expired_keys);
  } else if (spec.is_write() && txn_->batch_bytes() > 2 * ToInt(options_->proto_max_bulk_len)) {
    // Each version of a value that is changed again and again is in the turn.
    failed = true;
    RespWriter(session->client()->protocol, out)
        .Error("ERR the transaction writes more than twice proto-max-bulk-len");
  } else if (HandlerOf(IdOf(spec)) == nullptr) {
    failed = AnswerInTransaction(spec, args, service_, session->client(), out);
  } else {
    // A command that would wait does not, and says what it has found.
    Invocation call{.spec = spec,
                    .args = args,
                    .protocol = session->client()->protocol,
                    .debug_allowed = IdOf(spec) == CommandId::kDebug && AllowsDebug(session)};
    TrackReads(*session->client(), spec, args);
    const Status status = Invoke(&call, out);
    expired_keys->insert(expired_keys->end(), std::make_move_iterator(call.expired_keys.begin()),
                         std::make_move_iterator(call.expired_keys.end()));
    if (!status.ok()) {
      failed = true;
      out->resize(reply_start);
      RespWriter(session->client()->protocol, out).Error(status);
      metrics_->CountError(status.code());
    }
  }
  const int64_t micros = loop_->clock()->MonotonicMicros() - start;
  metrics_->CountCommand(static_cast<int>(IdOf(spec)), micros, failed);
  session->NoteTimes(spec, args, {.engine = micros}, /*waits=*/true);
  Show(session, spec, args);
}

}  // namespace kvs
