#include "storage_node/commit/store.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/base/fault_point.h"
#include "common/base/file.h"
#include "common/base/logging.h"
#include "storage_node/binlog/binlog_reader.h"
#include "storage_node/binlog/binlog_session.h"

namespace kvs {
namespace {

constexpr auto kMaintenancePeriod = std::chrono::seconds(1);
// An iteration that meets more fresh records than this asks for a hand-over.
constexpr size_t kManyFresh = 1000;
// Of a walk over elements.
constexpr uint64_t kMinWindow = 4;
constexpr uint64_t kMaxWindow = 256;

}  // namespace

Result<std::unique_ptr<Store>> Store::Open(const StoreOptions& options, Clock* clock) {
  std::unique_ptr<Store> store(new Store(options, clock));
  store->binlog_dir_ = options.dir + "/binlog";
  KVS_RETURN_IF_ERROR(CreateDirs(store->binlog_dir_));
  KVS_RETURN_IF_ERROR(CreateDirs(options.dir + "/engine"));
  KVS_RETURN_IF_ERROR(store->OpenEngines());
  store->cache_ = std::make_unique<RecordCache>(RecordCacheOptions{
      .instance_count = options.instance_count, .clean_bytes = options.record_cache_bytes});
  KVS_RETURN_IF_ERROR(store->OpenLog());
  KVS_RETURN_IF_ERROR(store->Replay());
  KVS_RETURN_IF_ERROR(store->slots_.Load(*store->engines_));
  store->pipeline_ = std::make_unique<CommitPipeline>(
      CommitPipeline::Parts{.binlog = store->binlog_.get(),
                            .engines = store->engines_.get(),
                            .slots = &store->slots_,
                            .stripes = &store->stripes_,
                            .cache = store->cache_.get(),
                            .clock = clock,
                            .binlog_dir = store->binlog_dir_,
                            .epoch = std::max<uint64_t>(store->recovered_.last_epoch, 1),
                            .last_lsn = store->recovered_.last_lsn,
                            .last_time_ms = store->recovered_.last_time_ms,
                            .hand_over_bytes = store->HandOverBytes()});
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
  (void)KVS_FAULT_POINT("store.session_saved");
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

// The log goes through the cache, as it did before the crash: what was overwritten in it costs the
// engines nothing.
Status Store::Replay() {
  const std::vector<uint64_t> applied = engines_->AppliedLsns();
  const uint64_t from = engines_->MinAppliedLsn() + 1;
  if (from > recovered_.last_lsn) {
    return Status::Ok();
  }
  const auto hand_over = [this](int instance, uint64_t lsn) -> Status {
    RecordCache::HandOver records;
    cache_->BeginHandOver(instance, &records);
    RecordCache::Prepare(&records);
    (void)KVS_FAULT_POINT("replay.before_apply");
    Status status = engines_->engine(instance)->Apply(records.ops(), lsn);
    (void)KVS_FAULT_POINT("replay.after_apply");
    cache_->EndHandOver(&records, status.ok());
    return status;
  };
  KVS_ASSIGN_OR_RETURN(const std::unique_ptr<BinlogReader> reader,
                       BinlogReader::Open(binlog_dir_, from));
  while (reader->next_lsn() <= recovered_.last_lsn) {
    KVS_ASSIGN_OR_RETURN(const BinlogRecord record, reader->Next());
    BinlogOpIterator it = record.iterator();
    BinlogOp op;
    while (it.Next(&op)) {
      if (record.stamp.lsn > applied[static_cast<size_t>(engines_->InstanceOf(op.slot))]) {
        cache_->Apply(op.slot, {op.type == BinlogOpType::kDelete, op.key, op.value});
      }
    }
    for (int i = 0; i < engines_->instance_count(); ++i) {
      if (cache_->fresh_bytes(i) >= HandOverBytes()) {
        KVS_RETURN_IF_ERROR(hand_over(i, record.stamp.lsn));
      }
    }
    ++replayed_records_;
  }
  for (int i = 0; i < engines_->instance_count(); ++i) {
    KVS_RETURN_IF_ERROR(hand_over(i, recovered_.last_lsn));
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
  if (pipeline_->Health().ok()) {
    for (int i = 0; i < engines_->instance_count(); ++i) {
      // A failure only costs a replay.
      if (pipeline_->HandOver(i).ok()) {
        (void)engines_->engine(i)->MarkPosition(end).ok();
      }
    }
  }
  (void)KVS_FAULT_POINT("close.before_engines");
  Status status = engines_->Close();
  (void)KVS_FAULT_POINT("close.after_engines");
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
  while (true) {
    const uint64_t restores = pipeline_->restores();
    RecordCache::Ticket ticket;
    switch (cache_->Get(slot, engine_key, value, &ticket)) {
      case RecordCache::Found::kValue:
        return Status::Ok();
      case RecordCache::Found::kAbsent:
        return Status::NotFound();
      case RecordCache::Found::kMiss:
        break;
    }
    Status status = engines_->ForSlot(slot)->Get(engine_key, value);
    if (pipeline_->restores() != restores) {
      continue;  // The engine was reopened without what is in the cache now.
    }
    if (status.ok() || status.code() == Code::kNotFound) {
      cache_->Fill(slot, engine_key,
                   status.ok() ? std::optional<std::string_view>(*value) : std::nullopt, ticket);
    }
    return status;
  }
}

Result<std::unique_ptr<MergedIterator>> Store::NewIterator(uint16_t slot, const std::string& lower,
                                                           const std::string& upper,
                                                           uint64_t expected) const {
  if (RecordCache::IsElementRange(lower, upper)) {
    return std::make_unique<MergedIterator>(
        MergedIterator::Elements{.cache = cache_.get(),
                                 .engine = engines_->ForSlot(slot),
                                 .slot = slot,
                                 .range = {lower, upper},
                                 .first_window = std::clamp(expected, kMinWindow, kMaxWindow)});
  }
  while (true) {
    const uint64_t restores = pipeline_->restores();
    // Fresh ones first: a record that is handed over between the two steps is then seen in either.
    FreshRun fresh = cache_->FreshRange(slot, lower, upper);
    if (fresh.size() > kManyFresh) {
      // The next step need not copy as many.
      pipeline_->RequestHandOver(engines_->InstanceOf(slot));
    }
    KVS_ASSIGN_OR_RETURN(std::unique_ptr<EngineIterator> engine,
                         engines_->ForSlot(slot)->NewIterator({.range = {lower, upper}}));
    if (pipeline_->restores() == restores) {
      return std::make_unique<MergedIterator>(std::move(fresh), std::move(engine));
    }
  }
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
  // What is up to here is in the engine of any instance without fresh records.
  const uint64_t cached = std::min(pipeline_->watermark(), pipeline_->cached_lsn());
  const auto has_fresh = [this](int instance) { return cache_->fresh_bytes(instance) > 0; };
  const uint64_t flushed = engines_->MinFlushedLsn(cached, has_fresh);
  if (binlog_->BytesBehind(flushed) > options_.max_replay_bytes) {
    for (int i = 0; i < engines_->instance_count(); ++i) {
      // A failure shows in the instance's health.
      if (engines_->engine(i)->FlushedLsn() <= flushed && pipeline_->HandOver(i).ok()) {
        (void)engines_->engine(i)->Flush().ok();
      }
    }
  }
  const uint64_t unneeded = engines_->MinFlushedLsn(cached, has_fresh);
  const int64_t keep_ms = keep_log_ms_.load(std::memory_order_relaxed);
  const BinlogRetention keep = {
      .bytes = keep_log_bytes_.load(std::memory_order_relaxed),
      .written_after_ms = keep_ms == 0 ? -1 : clock_->WallMillis() - keep_ms};
  if (!binlog_->CanPurge(unneeded, keep)) {
    return;
  }
  (void)KVS_FAULT_POINT("purge.before_positions");
  Status status = engines_->PersistIdlePositions(unneeded);
  (void)KVS_FAULT_POINT("purge.after_positions");
  if (status.ok()) {
    const Result<int> purged = binlog_->Purge(unneeded, keep);
    status = purged.ok() ? Status::Ok() : purged.status();
  }
  if (!status.ok()) {
    KVS_LOG(kWarning, "cannot purge the log: {}", status.message());
  }
}

}  // namespace kvs
