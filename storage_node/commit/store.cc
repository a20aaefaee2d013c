#include "storage_node/commit/store.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/base/file.h"
#include "common/base/logging.h"
#include "storage_node/binlog/binlog_reader.h"
#include "storage_node/binlog/binlog_session.h"

namespace kvs {
namespace {

constexpr auto kMaintenancePeriod = std::chrono::seconds(1);

}  // namespace

MergedIterator::MergedIterator(std::vector<PendingEntry> pending,
                               std::unique_ptr<EngineIterator> engine)
    : pending_(std::move(pending)), engine_(std::move(engine)) {}

void MergedIterator::SeekToFirst() {
  index_ = 0;
  engine_->SeekToFirst();
  Settle();
}

void MergedIterator::Seek(std::string_view target) {
  const auto found =
      std::lower_bound(pending_.begin(), pending_.end(), target,
                       [](const PendingEntry& entry, std::string_view t) { return entry.key < t; });
  index_ = static_cast<size_t>(found - pending_.begin());
  engine_->Seek(target);
  Settle();
}

void MergedIterator::Next() {
  if (from_pending_) {
    ++index_;
  } else {
    engine_->Next();
  }
  Settle();
}

void MergedIterator::Settle() {
  while (index_ < pending_.size()) {
    const PendingEntry& entry = pending_[index_];
    if (engine_->Valid() && engine_->key() < entry.key) {
      break;
    }
    if (engine_->Valid() && engine_->key() == entry.key) {
      engine_->Next();  // Shadowed by the newer change.
    }
    if (entry.value.has_value()) {
      from_pending_ = true;
      valid_ = true;
      return;
    }
    ++index_;
  }
  from_pending_ = false;
  valid_ = engine_->Valid();
}

Result<std::unique_ptr<Store>> Store::Open(const StoreOptions& options, Clock* clock) {
  std::unique_ptr<Store> store(new Store(options, clock));
  store->binlog_dir_ = options.dir + "/binlog";
  KVS_RETURN_IF_ERROR(CreateDirs(store->binlog_dir_));
  KVS_RETURN_IF_ERROR(CreateDirs(options.dir + "/engine"));
  KVS_RETURN_IF_ERROR(store->OpenEngines());
  KVS_RETURN_IF_ERROR(store->OpenLog());
  KVS_RETURN_IF_ERROR(store->Replay());
  KVS_RETURN_IF_ERROR(store->slots_.Load(*store->engines_));
  store->pipeline_ = std::make_unique<CommitPipeline>(
      CommitPipeline::Parts{.binlog = store->binlog_.get(),
                            .engines = store->engines_.get(),
                            .slots = &store->slots_,
                            .stripes = &store->stripes_,
                            .clock = clock,
                            .binlog_dir = store->binlog_dir_,
                            .epoch = std::max<uint64_t>(store->recovered_.last_epoch, 1),
                            .last_lsn = store->recovered_.last_lsn,
                            .last_time_ms = store->recovered_.last_time_ms});
  store->pipeline_->SetPolicy(options.sync_policy);
  store->pipeline_->Start();
  Store* raw = store.get();
  store->maintenance_ = Thread("maintenance", [raw] { raw->MaintenanceThread(); });
  return store;
}

Store::~Store() {
  // Without Close() this is a crash: nothing is flushed, and the next start replays.
  if (maintenance_.joinable()) {
    {
      const MutexLock lock(&maintenance_mu_);
      stop_ = true;
      maintenance_wake_.NotifyAll();
    }
    maintenance_.Join();
  }
  if (pipeline_ != nullptr) {
    pipeline_->Stop();
  }
  engines_.reset();
}

Status Store::OpenEngines() {
  EngineClusterOptions options = options_.engines;
  options.dir = options_.dir + "/engine";
  options.instance_count = options_.instance_count;
  options.leveldb.ensure_binlog_synced = [this](uint64_t lsn) -> Status {
    BinlogWriter* writer = writer_for_engines_.load(std::memory_order_acquire);
    // Before the writer is open, everything that an engine holds comes from a log that recovery has
    // already made durable.
    return writer == nullptr ? Status::Ok() : writer->EnsureSynced(lsn);
  };
  KVS_ASSIGN_OR_RETURN(engines_, EngineCluster::Open(options));
  return Status::Ok();
}

Status Store::OpenLog() {
  KVS_ASSIGN_OR_RETURN(recovered_, RecoverBinlog(binlog_dir_, engines_->AppliedLsns()));
  if (recovered_.damage.has_value()) {
    KVS_LOG(kError, "binlog damage in {} at offset {}: {}; the node serves reads only",
            recovered_.damage->file, recovered_.damage->offset, recovered_.damage->reason);
    return Status::Ok();
  }
  if (recovered_.cut_bytes > 0) {
    KVS_LOG(kInfo, "cut a torn tail of {} bytes off the log", recovered_.cut_bytes);
  }
  KVS_ASSIGN_OR_RETURN(const std::string boot_id, ReadBootId());
  KVS_RETURN_IF_ERROR(
      SaveBinlogSession(binlog_dir_, {.boot_id = boot_id,
                                      .clean = false,
                                      .sync_always = options_.sync_policy == SyncPolicy::kAlways,
                                      .short_suspect = recovered_.short_suspect}));
  EpochTable epochs = recovered_.epochs;
  if (epochs.entries().empty()) {
    KVS_RETURN_IF_ERROR(
        epochs.Add(std::max<uint64_t>(recovered_.last_epoch, 1), recovered_.last_lsn + 1));
    KVS_RETURN_IF_ERROR(epochs.Save(binlog_dir_));
  }
  KVS_ASSIGN_OR_RETURN(binlog_, BinlogWriter::Open({.dir = binlog_dir_,
                                                    .segment_size = options_.binlog_segment_size,
                                                    .sync_file = {}},
                                                   recovered_.last_lsn + 1));
  writer_for_engines_.store(binlog_.get(), std::memory_order_release);
  return Status::Ok();
}

Status Store::Replay() {
  const uint64_t from = engines_->MinAppliedLsn() + 1;
  if (from > recovered_.last_lsn) {
    return Status::Ok();
  }
  KVS_ASSIGN_OR_RETURN(const std::unique_ptr<BinlogReader> reader,
                       BinlogReader::Open(binlog_dir_, from));
  EngineGroup group = engines_->NewGroup();
  while (reader->next_lsn() <= recovered_.last_lsn) {
    KVS_ASSIGN_OR_RETURN(const BinlogRecord record, reader->Next());
    group.Clear();
    BinlogOpIterator it = record.iterator();
    BinlogOp op;
    while (it.Next(&op)) {
      group.Add(op.slot, {op.type == BinlogOpType::kDelete, op.key, op.value});
    }
    KVS_RETURN_IF_ERROR(engines_->Apply(group, record.stamp.lsn));
    ++replayed_records_;
  }
  return Status::Ok();
}

Status Store::Close() {
  if (std::exchange(closed_, true)) {
    return Status::Ok();
  }
  {
    const MutexLock lock(&maintenance_mu_);
    stop_ = true;
    maintenance_wake_.NotifyAll();
  }
  maintenance_.Join();
  pipeline_->Stop();
  // With everything applied, each instance is at the log's end: the next start replays nothing.
  const uint64_t end = pipeline_->appended_lsn();
  if (pipeline_->Health().ok() && pipeline_->pending().empty()) {
    for (int i = 0; i < engines_->instance_count(); ++i) {
      (void)engines_->engine(i)->MarkPosition(end).ok();  // A failure only costs a replay.
    }
  }
  Status status = engines_->Close();
  if (binlog_ != nullptr) {
    Status sync = binlog_->Sync();
    if (status.ok()) {
      status = std::move(sync);
    }
  }
  if (status.ok() && binlog_ != nullptr) {
    KVS_ASSIGN_OR_RETURN(BinlogSession session, LoadBinlogSession(binlog_dir_));
    session.clean = true;
    status = SaveBinlogSession(binlog_dir_, session);
  }
  return status;
}

Status Store::WriteHealth() const {
  if (recovered_.damage.has_value()) {
    return Status::Misconf(
        fmt::format("binlog damage in {} at offset {}: {}; restore the node or "
                    "copy it anew from a slave",
                    recovered_.damage->file, recovered_.damage->offset, recovered_.damage->reason));
  }
  return pipeline_->Health();
}

Status Store::Get(uint16_t slot, std::string_view engine_key, std::string* value) const {
  std::optional<std::string> pending;
  if (pipeline_->pending().Find(engine_key, &pending)) {
    if (!pending.has_value()) {
      return Status::NotFound();
    }
    *value = std::move(*pending);
    return Status::Ok();
  }
  return engines_->ForSlot(slot)->Get(engine_key, value);
}

Result<std::unique_ptr<MergedIterator>> Store::NewIterator(uint16_t slot, const std::string& lower,
                                                           const std::string& upper) const {
  // Pending first: a record that is applied between the two steps is then seen in either.
  std::vector<PendingEntry> pending = pipeline_->pending().Range(lower, upper);
  KVS_ASSIGN_OR_RETURN(std::unique_ptr<EngineIterator> engine,
                       engines_->ForSlot(slot)->NewIterator({.range = {lower, upper}}));
  return std::make_unique<MergedIterator>(std::move(pending), std::move(engine));
}

void Store::MaintenanceThread() {
  while (true) {
    {
      const MutexLock lock(&maintenance_mu_);
      if (!stop_) {
        maintenance_wake_.WaitFor(&maintenance_mu_, kMaintenancePeriod);
      }
      if (stop_) {
        return;
      }
    }
    if (!pipeline_->Health().ok()) {
      (void)pipeline_->Repair().ok();  // Logged where it failed; tried again in a second.
    }
    if (binlog_ != nullptr) {
      PurgeLog();
    }
  }
}

// Drops segments that no instance needs.  An instance that holds the log back beyond the replay
// limit is flushed, so that a restart stays short.
void Store::PurgeLog() {
  if (binlog_->TotalBytes() < 2 * options_.binlog_segment_size) {
    return;
  }
  const uint64_t applied_through = std::min(pipeline_->watermark(), engines_->MaxAppliedLsn());
  if (binlog_->TotalBytes() > options_.max_replay_bytes) {
    const uint64_t flushed = engines_->MinFlushedLsn(applied_through);
    for (int i = 0; i < engines_->instance_count(); ++i) {
      if (engines_->engine(i)->FlushedLsn() <= flushed) {
        (void)engines_->engine(i)->Flush().ok();  // A failure shows in the instance's health.
      }
    }
  }
  const uint64_t unneeded = engines_->MinFlushedLsn(applied_through);
  if (unneeded <= binlog_->FirstLsn()) {
    return;
  }
  Status status = engines_->PersistIdlePositions(unneeded);
  if (status.ok()) {
    const Result<int> purged = binlog_->Purge(unneeded);
    status = purged.ok() ? Status::Ok() : purged.status();
  }
  if (!status.ok()) {
    KVS_LOG(kWarning, "cannot purge the log: {}", status.message());
  }
}

}  // namespace kvs
