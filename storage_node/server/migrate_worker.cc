#include "storage_node/server/migrate_worker.h"

#include <algorithm>
#include <utility>

#include "common/resp/error_text.h"
#include "common/resp/resp_writer.h"
#include "common/slot/slot.h"
#include "storage_node/command/dump_value.h"
#include "storage_node/server/key_event_messages.h"
#include "storage_node/server/tracked_writes.h"
#include "storage_node/types/keyspace.h"

namespace kvs {
namespace {

constexpr int64_t kLockRetryMs = 2;
// What is to be sent leaves when there is so much of it, or all.
constexpr size_t kSendSize = 64 * 1024;
constexpr const char* kNoKeyReply = "+NOKEY\r\n";

MigrateRequest RequestOf(CommandArgs args) {
  return *ParseMigrate(args);  // The loop has parsed it, too.
}

}  // namespace

MigrateWorker::Running::Running(MigrateJob its_job)
    : job(std::move(its_job)),
      args(job.args.begin(), job.args.end()),
      request(RequestOf(args)),
      migration(request) {}

MigrateWorker::MigrateWorker(std::string name, const Parts& parts, NodeTopologyPtr topology,
                             OnIdle on_idle)
    : parts_(parts),
      on_idle_(std::move(on_idle)),
      loop_(std::move(name)),
      topology_(std::move(topology)),
      txn_(
          parts.store, [this](const Status& status, uint64_t /*lsn*/) { OnCommit(status); },
          Txn::Manner::kGivesUp),
      link_(&loop_, this) {
  txn_.CollectTrackedWrites(&parts_.tracking->count());
}

MigrateWorker::~MigrateWorker() {
  BeginStop();
  Join();
}

void MigrateWorker::StartThread() {
  thread_ = Thread(loop_.name(), [this] { loop_.Run(); });
}

void MigrateWorker::BeginStop() {
  loop_.PostAlways([this] {
    if (running_ != nullptr) {
      OnLost(TargetLoss::kReading);
    }
    loop_.Stop();
  });
}

void MigrateWorker::Join() {
  if (thread_.joinable()) {
    thread_.Join();
  }
}

void MigrateWorker::Start(MigrateJob job) {
  loop_.PostAlways(
      [this, job = std::make_shared<MigrateJob>(std::move(job))] { Begin(std::move(*job)); });
}

void MigrateWorker::GiveUp(WaitTicket ticket) {
  loop_.PostAlways([this, ticket] {
    if (running_ != nullptr && running_->job.ticket == ticket) {
      OnLost(TargetLoss::kReading);
    }
  });
}

void MigrateWorker::SetTopology(NodeTopologyPtr topology) {
  loop_.PostAlways(
      [this, topology = std::move(topology)]() mutable { topology_ = std::move(topology); });
}

void MigrateWorker::Begin(MigrateJob job) {
  running_ = std::make_unique<Running>(std::move(job));
  running_->begun_micros = loop_.clock()->MonotonicMicros();
  running_->waits_since_ms = loop_.clock()->MonotonicMillis();
  total_timer_ = loop_.After(running_->request.total_ms(), [this] {
    total_timer_ = kNoTimer;
    OnLost(TargetLoss::kReading);
  });
  Look();
}

void MigrateWorker::Look() {
  if (!LockKeys(&MigrateWorker::Look)) {
    return;
  }
  std::vector<std::string> expired_keys;  // The sweeper comes for them.
  Keyspace keyspace(&txn_, &expired_keys);
  bool any = false;
  for (const std::string_view key : running_->request.keys) {
    const Result<KeyEntry> entry = keyspace.Find(key);
    if (!entry.ok()) {
      running_->migration.Fail(ErrorText(entry.status()));
      return Finish();
    }
    any = entry->exists();
    if (any) {
      break;
    }
  }
  if (!any) {
    return Answer(kNoKeyReply);
  }
  (void)txn_.Commit().ok();  // Nothing was written: it releases the keys.
  link_.Open(std::string(running_->request.host), running_->request.port,
             running_->request.timeout_ms);
}

void MigrateWorker::OnConnected() {
  if (std::string greeting = running_->migration.Greet(); !greeting.empty()) {
    return link_.Send(std::move(greeting));
  }
  running_->waits_since_ms = loop_.clock()->MonotonicMillis();
  SendKeys();
}

void MigrateWorker::OnInput() {
  const bool was_greeted = running_->migration.greeted();
  running_->migration.TakeAnswers(link_.input());
  if (!was_greeted && running_->migration.greeted() && !running_->migration.done()) {
    running_->waits_since_ms = loop_.clock()->MonotonicMillis();
    return SendKeys();
  }
  Pump();
}

void MigrateWorker::OnLost(TargetLoss loss) {
  running_->migration.Lose(loss);
  Finish();
}

void MigrateWorker::SendKeys() {
  link_.Touch();
  if (!LockKeys(&MigrateWorker::SendKeys)) {
    return;
  }
  if (const Status health = parts_.store->WriteHealth(); !running_->request.copy && !health.ok()) {
    running_->migration.Fail(ErrorText(health));  // They could not be deleted afterwards.
    return Finish();
  }
  running_->locked = true;
  Pump();
}

bool MigrateWorker::LockKeys(void (MigrateWorker::*again)()) {
  txn_.Begin();
  if (!txn_.Lock(running_->request.keys)) {
    const int64_t waited_ms = loop_.clock()->MonotonicMillis() - running_->waits_since_ms;
    if (waited_ms >= running_->request.timeout_ms) {
      running_->migration.Fail("BUSY a script or another MIGRATE holds the keys");
      Finish();
      return false;
    }
    lock_timer_ = loop_.After(kLockRetryMs, [this, again] {
      lock_timer_ = kNoTimer;
      (this->*again)();
    });
    return false;
  }
  txn_.HoldLong();
  running_->seen_lsn = txn_.observed_lsn();
  if (const std::string error = WhyNotServed(); !error.empty()) {
    running_->migration.Fail(error);
    Finish();
    return false;
  }
  return true;
}

// The slots may have moved while it waited.
std::string MigrateWorker::WhyNotServed() const {
  for (const std::string_view key : running_->request.keys) {
    if (std::string error = topology_->WhyNotServed(SlotOf(key)); !error.empty()) {
      return error;
    }
  }
  return "";
}

void MigrateWorker::Pump() {
  Migration& migration = running_->migration;
  while (running_->locked && migration.WantsKey() && link_.unsent() < kSendSize) {
    SendNext();
  }
  if (migration.done()) {
    Finish();
  }
}

void MigrateWorker::SendNext() {
  Migration& migration = running_->migration;
  bool exists = false;
  int64_t ttl_ms = 0;
  std::string payload;
  const Status status = Dump(migration.next_key(), &exists, &ttl_ms, &payload);
  link_.Touch();  // The target was not asked for anything meanwhile.
  if (!status.ok()) {
    migration.RefuseKey(ErrorText(status));
  } else if (!exists) {
    migration.SkipKey();
  } else {
    link_.Send(migration.SendKey(ttl_ms, payload));
  }
}

Status MigrateWorker::Dump(std::string_view key, bool* exists, int64_t* ttl_ms,
                           std::string* payload) {
  txn_.Begin();  // It is later than when the keys were locked.
  std::vector<std::string> expired_keys;
  Keyspace keyspace(&txn_, &expired_keys);
  KVS_ASSIGN_OR_RETURN(const KeyEntry entry, keyspace.Find(key));
  *exists = entry.exists();
  if (!*exists) {
    return Status::Ok();
  }
  if (entry.expire_at_ms != kNoExpiry) {
    *ttl_ms = std::max<int64_t>(static_cast<int64_t>(entry.expire_at_ms) - keyspace.NowMillis(), 1);
  }
  const size_t limit = ToInt(parts_.config->current()->proto_max_bulk_len);
  KVS_ASSIGN_OR_RETURN(*payload, DumpValue(&keyspace, entry, limit));
  return Status::Ok();
}

void MigrateWorker::Finish() {
  link_.Close();
  const Migration& migration = running_->migration;
  std::string error = migration.error();
  if (!migration.acknowledged().empty() && !running_->request.copy) {
    if (const Status status = DeleteAcknowledged(); !status.ok()) {
      error = ErrorText(status);
    }
  }
  std::string reply;
  if (error.empty()) {
    // They may have gone since they were looked at.
    reply = migration.found_any() ? std::string(kOkReply) : kNoKeyReply;
  } else {
    RespWriter(running_->job.protocol, &reply).Error(error);
  }
  Answer(reply);
}

// The keys are locked since before they were sent.
Status MigrateWorker::DeleteAcknowledged() {
  txn_.Begin();
  KVS_CHECK(txn_.Lock(running_->request.keys));
  txn_.set_writer(running_->job.client_id);
  std::vector<std::string> expired_keys;
  Keyspace keyspace(&txn_, &expired_keys);
  Status status;
  for (const std::string_view key : running_->migration.acknowledged()) {
    Result<KeyEntry> entry = keyspace.Find(key);
    if (!entry.ok()) {
      status = entry.status();
      continue;
    }
    if (entry->stored) {
      keyspace.Delete(&*entry);
      txn_.NoteEvent(KeyEventKind::kGeneric, "del", key);
    }
  }
  events_ = txn_.TakeEvents();
  if (Status committed = txn_.Commit(); !committed.ok()) {
    return committed;
  }
  for (const std::string_view key : running_->migration.acknowledged()) {
    if (parts_.blocked->HasAnEnd(key)) {
      parts_.offer(std::string(key));
    }
  }
  return status;
}

// Even if the record is lost: who is told in vain reads again.
void MigrateWorker::OnCommit(const Status& status) {
  TellTrackedWrites(txn_.TakeTrackedWrites(), parts_.tracking);
  for (KeyEvent& event : std::exchange(events_, {})) {
    if (status.ok() && parts_.pubsub->active()) {
      for (Message& message : MessagesOf(txn_.event_kinds(), std::move(event))) {
        parts_.pubsub->Publish(std::move(message));
      }
    }
  }
}

void MigrateWorker::Answer(std::string_view reply) {
  loop_.Cancel(std::exchange(lock_timer_, kNoTimer));
  loop_.Cancel(std::exchange(total_timer_, kNoTimer));
  (void)txn_.Commit().ok();  // Nothing was written: it releases the keys.
  Unblocked unblocked{.reply = std::string(reply),
                      .failed = reply.starts_with('-'),
                      .lsn = std::max(running_->seen_lsn, txn_.observed_lsn()),
                      .micros = loop_.clock()->MonotonicMicros() - running_->begun_micros};
  const std::unique_ptr<Running> done = std::move(running_);
  done->job.host->OnUnblocked(done->job.ticket, std::move(unblocked));
  on_idle_(this);
}

}  // namespace kvs
