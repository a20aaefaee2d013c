// Commands that wait for their keys.
//
// Behind each command that has changed keys somebody waits for, those are run that can have what
// there is now, by this loop and in this turn, before any stripe is released: as if they came
// next.  Their replies go to their own loops when the turn is in the log.

#include <algorithm>
#include <iterator>
#include <utility>

#include "common/slot/slot.h"
#include "storage_node/server/dispatcher.h"
#include "storage_node/server/node_session.h"
#include "storage_node/server/tracked_writes.h"
#include "storage_node/types/keyspace.h"

namespace kvs {

void Dispatcher::Block(NodeSession* session, const Invocation& call) {
  auto command = std::make_shared<BlockedCommand>();
  if (!call.spec.has_keys()) {
    // Nobody will run it again: what it has said now is what it says in the end.
    command->timeout_reply = session->output()->substr(session->reply_start());
  }
  session->AbandonReply();
  command->host = host_->unblock_host();
  command->client_id = session->client()->info->id;
  command->protocol = call.protocol;
  command->spec = &call.spec;
  command->args = call.wait->args;
  if (command->args.empty()) {
    command->args.assign(call.args.begin(), call.args.end());
  }
  command->type = call.wait->type;
  command->wants_the_end = call.wait->wants_the_end;
  const KeyPositions keys = FindKeys(call.spec, call.args);
  for (size_t i = 0; i < keys.count; ++i) {
    command->keys.emplace_back(call.args[keys.index(i)]);
  }
  // The stripes are locked since before the handler looked: nothing has been missed.
  const WaitTicket ticket = blocked_->Add(std::move(command));
  host_->OnBlocked(session, ticket, call.wait->timeout_ms);
  DeleteExpired(nullptr, call.expired_keys);
}

void Dispatcher::ServeBlocked() {
  to_offer_ = txn_->TakeChangedKeys();
  if (txn_->TakeClearedSlots()) {
    std::vector<std::string> keys = blocked_->KeysWithAnEnd();
    to_offer_.insert(to_offer_.end(), std::make_move_iterator(keys.begin()),
                     std::make_move_iterator(keys.end()));
  }
  ServeOffers();
}

void Dispatcher::OfferKey(const std::string& key) {
  to_offer_ = {key};
  ServeOffers();
  PublishUnlessWritten();
}

void Dispatcher::ServeOffers() {
  while (!to_offer_.empty()) {
    // What a command that is served changes, and whom others passed by, comes behind it.
    for (const std::string& key : std::exchange(to_offer_, {})) {
      Offer(key);
    }
  }
}

void Dispatcher::OfferAgain() {
  to_offer_ = std::exchange(to_offer_again_, {});
  ServeOffers();
  PublishUnlessWritten();
}

void Dispatcher::Offer(const std::string& key) {
  WaitTicket after = 0;
  while (const auto claimed = blocked_->Claim(key, after)) {
    after = claimed->ticket;
    const Offered offered = RunBlocked(key, claimed->ticket, *claimed->command);
    std::vector<std::string> changed = txn_->TakeChangedKeys();
    std::erase(changed, key);
    to_offer_.insert(to_offer_.end(), changed.begin(), changed.end());
    if (offered != Offered::kTaken) {
      PutBack(claimed->ticket, *claimed->command);
    }
    if (offered == Offered::kNothing) {
      return;
    }
  }
}

void Dispatcher::PutBack(WaitTicket ticket, const BlockedCommand& command) {
  if (blocked_->PutBack(ticket)) {
    to_offer_.insert(to_offer_.end(), command.keys.begin(), command.keys.end());
  }
}

Dispatcher::Offered Dispatcher::RunBlocked(const std::string& key, WaitTicket ticket,
                                           const BlockedCommand& command) {
  const int64_t start = loop_->clock()->MonotonicMicros();
  const std::vector<std::string_view> args(command.args.begin(), command.args.end());
  txn_->Begin();
  // Other keys may have to be waited for; then the turn is committed, and this one may be gone.
  if (!LockKeys(*command.spec, args)) {
    if (std::find(to_offer_again_.begin(), to_offer_again_.end(), key) == to_offer_again_.end()) {
      to_offer_again_.push_back(key);
    }
    host_->OfferLater();
    return Offered::kLeft;
  }
  std::vector<std::string> expired_keys;
  const Result<KeyEntry> entry = Keyspace(txn_, &expired_keys).Find(key);
  if (entry.ok() && !command.wants_the_end) {
    if (!entry->exists()) {
      return blocked_->HasAnEnd(key) ? Offered::kLeft : Offered::kNothing;
    }
    if (entry->type != command.type) {
      return Offered::kLeft;  // What is there may be what others wait for.
    }
  }
  Invocation call{
      .spec = *command.spec, .args = args, .protocol = command.protocol, .has_waited = true};
  txn_->set_writer(command.client_id);
  Unblocked unblocked;
  const Status status = Invoke(&call, &unblocked.reply);
  if (call.wait.has_value()) {
    DeleteExpired(nullptr, call.expired_keys);
    return Offered::kLeft;
  }
  if (!status.ok()) {
    unblocked.reply.clear();
    RespWriter(command.protocol, &unblocked.reply).Error(status);
    unblocked.failed = true;
    metrics_->CountError(status.code());
  }
  blocked_->Finish(ticket);
  unblocked.lsn = txn_->observed_lsn();
  unblocked.micros = loop_->clock()->MonotonicMicros() - start;
  if (txn_->depends_on_turn()) {
    served_.push_back({command.host, ticket, std::move(unblocked), command.protocol});
  } else {
    command.host->OnUnblocked(ticket, std::move(unblocked));
  }
  DeleteExpired(nullptr, call.expired_keys);
  return Offered::kTaken;
}

void Dispatcher::OnCommit(const Status& status, uint64_t lsn) {
  if (pending_functions_ != nullptr) {
    SettleFunctions(status.ok());
  }
  // Even if the record is lost: who is told in vain reads again.
  TellTrackedWrites(txn_->TakeTrackedWrites(), tracking_);
  if (status.ok()) {
    PublishAll();
  } else {
    commit_failure_ = status;
  }
  to_publish_.clear();
  to_publish_bytes_ = 0;
  for (Served& served : std::exchange(served_, {})) {
    Unblocked* const unblocked = &served.unblocked;
    unblocked->lsn = std::max(unblocked->lsn, lsn);
    if (!status.ok()) {
      unblocked->reply.clear();
      RespWriter(served.protocol, &unblocked->reply).Error(status);
      unblocked->failed = true;
    }
    served.host->OnUnblocked(served.ticket, std::move(*unblocked));
  }
}

}  // namespace kvs
