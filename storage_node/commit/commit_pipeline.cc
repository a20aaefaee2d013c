#include "storage_node/commit/commit_pipeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/base/fault_point.h"
#include "common/base/logging.h"
#include "storage_node/binlog/binlog_reader.h"

namespace kvs {
namespace {

// A leader takes at most this much with it, so that the last of a group does not wait for ever.
constexpr size_t kMaxGroupBytes = size_t{4} << 20;
constexpr int64_t kSyncPeriodMs = 1000;
// From the begin of one fsync to the end of the next, so that `everysec` keeps its promise.
constexpr int64_t kSyncGoalMs = Watermark::kMaxUnsyncedMs - 100;

// Returns how long after the begin of one fsync the next should begin, given what the last took.
int64_t SyncIntervalMs(int64_t last_took_ms) {
  return std::clamp<int64_t>(kSyncGoalMs - last_took_ms, 0, kSyncPeriodMs);
}

}  // namespace

CommitPipeline::CommitPipeline(const Parts& parts)
    : parts_(parts),
      appended_lsn_(parts.last_lsn),
      last_time_ms_(static_cast<int64_t>(parts.last_time_ms)),
      cached_lsn_(parts.last_lsn),
      watermark_(parts.last_lsn),
      watermark_value_(parts.last_lsn) {
  for (int i = 0; i < parts.engines->instance_count(); ++i) {
    carriers_.push_back(std::make_unique<Carrier>());
    const MutexLock lock(&carriers_.back()->mu);
    carriers_.back()->handed_lsn = parts.engines->engine(i)->AppliedLsn();
  }
}

CommitPipeline::~CommitPipeline() {
  Stop();
}

void CommitPipeline::Start() {
  if (parts_.binlog == nullptr) {
    const MutexLock lock(&mark_mu_);
    refusal_ = Status::Misconf("the binlog is damaged; restore the node or copy it anew");
    refuses_.store(true, std::memory_order_release);
    return;
  }
  thread_ = Thread("binlog", [this] { BinlogThread(); });
  for (size_t i = 0; i < carriers_.size(); ++i) {
    carriers_[i]->thread =
        Thread::Background("hand-over", [this, i] { CarrierThread(static_cast<int>(i)); });
  }
}

void CommitPipeline::Stop() {
  if (!thread_.joinable()) {
    return;
  }
  {
    const MutexLock lock(&thread_mu_);
    stop_ = true;
    wake_.NotifyAll();
  }
  thread_.Join();
  for (const auto& carrier : carriers_) {
    {
      const MutexLock lock(&carrier->wake_mu);
      carrier->stop = true;
      carrier->wake.NotifyAll();
    }
    carrier->thread.Join();
  }
}

Result<uint64_t> CommitPipeline::Commit(TurnBatch* batch) {
  if (refuses_.load(std::memory_order_acquire)) {
    // Repair() may have mended it since: then the write goes on.
    if (Status health = Health(); !health.ok()) {
      failed_.fetch_add(1, std::memory_order_relaxed);
      return health;
    }
  }
  Waiter self;
  self.batch = batch;
  std::vector<Waiter*> group;
  {
    const MutexLock lock(&queue_mu_);
    queue_.push_back(&self);
    while (!self.done && queue_.front() != &self) {
      self.ready.Wait(&queue_mu_);
    }
    if (!self.done) {
      size_t bytes = 0;
      for (Waiter* waiter : queue_) {
        bytes += waiter->batch->ops.ApproximateBytes();
        if (!group.empty() && bytes > kMaxGroupBytes) {
          break;
        }
        group.push_back(waiter);
      }
    }
  }
  if (!group.empty()) {
    LeadGroup(group);
    FinishGroup(group);
  }
  if (!self.status.ok()) {
    failed_.fetch_add(1, std::memory_order_relaxed);
    return self.status;
  }
  return self.lsn;
}

void CommitPipeline::FinishGroup(const std::vector<Waiter*>& group) {
  const MutexLock lock(&queue_mu_);
  for (Waiter* waiter : group) {
    KVS_CHECK(queue_.front() == waiter);
    queue_.pop_front();
    waiter->done = true;
    waiter->ready.NotifyOne();
  }
  if (!queue_.empty()) {
    queue_.front()->ready.NotifyOne();
  }
}

// Turns the deltas of a batch into absolute slot metas inside the same record.
void CommitPipeline::StageSlots(TurnBatch* batch, std::unordered_map<uint16_t, SlotMeta>* staged) {
  for (const auto& [slot, delta] : batch->slots) {
    if (!delta.changes()) {
      continue;
    }
    auto found = staged->find(slot);
    if (found == staged->end()) {
      found = staged->emplace(slot, parts_.slots->Preview(delta)).first;
    } else {
      SlotTable::Advance(delta, &found->second);
    }
    batch->ops.Put(slot, SlotMetaKey(slot), EncodeSlotMeta(found->second));
  }
}

void CommitPipeline::LeadGroup(const std::vector<Waiter*>& group) {
  const auto fail = [&group](const Status& status) {
    for (Waiter* waiter : group) {
      waiter->status = status;
    }
  };
  const uint64_t first = appended_lsn_.load(std::memory_order_relaxed) + 1;
  const int64_t time_ms =
      std::max(parts_.clock->WallMillis(), last_time_ms_.load(std::memory_order_relaxed));
  std::unordered_map<uint16_t, SlotMeta> staged;
  encoded_.clear();
  uint64_t lsn = first;
  for (Waiter* waiter : group) {
    StageSlots(waiter->batch, &staged);
    waiter->lsn = lsn;
    EncodeBinlogRecord({.epoch = parts_.epoch,
                        .lsn = lsn,
                        .time_ms = static_cast<uint64_t>(time_ms),
                        .synced_lsn = parts_.binlog->synced_lsn()},
                       waiter->batch->ops, &encoded_);
    ++lsn;
  }
  const uint64_t last = lsn - 1;
  if (KVS_FAULT_POINT("commit.before_append")) {
    return fail(Status::Misconf("fault point commit.before_append"));
  }
  if (Status status = NoteAppend(parts_.binlog->Append(encoded_, first, last)); !status.ok()) {
    return fail(status);
  }
  appended_lsn_.store(last, std::memory_order_release);
  last_time_ms_.store(time_ms, std::memory_order_relaxed);
  records_.fetch_add(group.size(), std::memory_order_relaxed);
  appends_.fetch_add(1, std::memory_order_relaxed);
  bytes_.fetch_add(encoded_.size(), std::memory_order_relaxed);
  (void)KVS_FAULT_POINT("commit.after_append");

  if (encoded_.capacity() > 4 * kMaxGroupBytes) {
    std::string().swap(encoded_);  // One giant value does not cost its size for ever.
  }
  ApplyGroup(group, staged, last);
  WakeSweeper(group);
  RequestDueHandOvers();
}

// Only now can the sweeper see the entries that it looks for.  Told any earlier, it might look for
// them in vain, and forget that there is something to do.
void CommitPipeline::WakeSweeper(const std::vector<Waiter*>& group) {
  for (const Waiter* waiter : group) {
    for (const auto& [slot, delta] : waiter->batch->slots) {
      parts_.slots->LowerDue(slot, delta.due_ms);
      if (delta.dead_version) {
        parts_.slots->SetMayHaveDeadVersions(slot, true);
      }
    }
  }
}

// Returns what a client is told.
Status CommitPipeline::NoteAppend(const Status& status) {
  if (status.ok() && !append_failed_.load(std::memory_order_relaxed)) [[likely]] {
    return status;
  }
  Status told;
  if (!status.ok()) {
    KVS_LOG(kError, "the log refuses a write: {}", status.message());
    told = Status::Misconf(fmt::format("Errors writing to the binlog: {}", status.message()));
  }
  append_failed_.store(!status.ok(), std::memory_order_relaxed);
  const MutexLock lock(&mark_mu_);
  append_error_ = told;
  return told;
}

void CommitPipeline::PublishStripes(const std::vector<Waiter*>& group) {
  for (const Waiter* waiter : group) {
    const StripeSet& dirty = waiter->batch->dirty;
    for (size_t i = dirty._Find_first(); i < dirty.size(); i = dirty._Find_next(i)) {
      parts_.stripes->Publish(static_cast<int>(i), waiter->lsn);
    }
  }
}

void CommitPipeline::PublishSlots(const std::unordered_map<uint16_t, SlotMeta>& staged) {
  for (const auto& [slot, meta] : staged) {
    parts_.slots->Publish(slot, meta);
  }
}

// A reader without a lock may come at any point: the stripes tell of a record before slots or cache
// show it, and where the watermark moves at once it does so before that, so that nobody waits for
// news that nobody will send.
void CommitPipeline::ApplyGroup(const std::vector<Waiter*>& group,
                                const std::unordered_map<uint16_t, SlotMeta>& staged,
                                uint64_t last_lsn) {
  const MutexLock lock(&apply_mu_);
  const bool always = policy() == SyncPolicy::kAlways;
  if (!always && AdvanceAppended(last_lsn) < last_lsn) {
    delayed_.fetch_add(1, std::memory_order_relaxed);
  }
  PublishStripes(group);
  PublishSlots(staged);
  for (const Waiter* waiter : group) {
    BinlogOpIterator ops = waiter->batch->ops.iterator();
    BinlogOp op;
    while (ops.Next(&op)) {
      parts_.cache->Apply(op.slot, {op.type == BinlogOpType::kDelete, op.key, op.value});
    }
  }
  cached_lsn_.store(last_lsn, std::memory_order_release);
  (void)KVS_FAULT_POINT("commit.after_cache");
  if (always) {
    AdvanceAppended(last_lsn);
    uint64_t ops = 0;
    for (const Waiter* waiter : group) {
      ops += waiter->batch->ops.op_count();
    }
    RequestSync(ops);
  }
}

void CommitPipeline::RequestSync(uint64_t ops) {
  const MutexLock lock(&thread_mu_);
  const uint64_t before = waiting_ops_;
  waiting_ops_ += ops;
  // The first starts the thread's patience, the last of the company ends it.
  if (before == 0 || (before < wake_at_ops_ && waiting_ops_ >= wake_at_ops_)) {
    wake_.NotifyOne();
  }
}

void CommitPipeline::RequestDueHandOvers() {
  for (int i = 0; i < parts_.engines->instance_count(); ++i) {
    if (parts_.cache->fresh_bytes(i) >= parts_.hand_over_bytes) {
      RequestHandOver(i);
    }
  }
}

void CommitPipeline::RequestHandOver(int instance) {
  Carrier& carrier = *carriers_[static_cast<size_t>(instance)];
  if (carrier.wanted.load(std::memory_order_relaxed) ||
      carrier.wanted.exchange(true, std::memory_order_acq_rel)) {
    return;
  }
  const MutexLock lock(&carrier.wake_mu);
  carrier.wake.NotifyOne();
}

void CommitPipeline::CarrierThread(int instance) {
  Carrier& carrier = *carriers_[static_cast<size_t>(instance)];
  while (true) {
    {
      const MutexLock lock(&carrier.wake_mu);
      while (!carrier.stop && !carrier.wanted.load(std::memory_order_acquire)) {
        carrier.wake.Wait(&carrier.wake_mu);
      }
      if (carrier.stop) {
        return;
      }
    }
    // Before the hand-over: what comes during it may ask for the next.
    carrier.wanted.store(false, std::memory_order_release);
    (void)HandOver(instance).ok();  // A failure is noted; Repair() asks again.
  }
}

Status CommitPipeline::HandOver(int instance) {
  Carrier& carrier = *carriers_[static_cast<size_t>(instance)];
  const MutexLock carrier_lock(&carrier.mu);
  RecordCache::HandOver hand_over;
  uint64_t lsn = 0;
  {
    const MutexLock lock(&apply_mu_);
    parts_.cache->BeginHandOver(instance, &hand_over);
    lsn = cached_lsn_.load(std::memory_order_relaxed);
  }
  RecordCache::Prepare(&hand_over);
  Status status;
  if (!hand_over.ops().empty()) {
    // What may never be acknowledged must not get into an engine.
    status = policy() == SyncPolicy::kAlways ? parts_.binlog->EnsureSynced(lsn) : Status::Ok();
    if (!status.ok()) {
      FreezeWatermark(status);
    } else {
      (void)KVS_FAULT_POINT("hand_over.before_apply");
      status = parts_.engines->engine(instance)->Apply(hand_over.ops(), lsn);
      (void)KVS_FAULT_POINT("hand_over.after_apply");
      if (!status.ok()) {
        OnEngineFailure(status);
      }
    }
  }
  parts_.cache->EndHandOver(&hand_over, status.ok());
  (void)KVS_FAULT_POINT("hand_over.end");
  if (status.ok()) {
    carrier.handed_lsn = lsn;
  }
  return status;
}

uint64_t CommitPipeline::AdvanceAppended(uint64_t lsn) {
  const MutexLock lock(&mark_mu_);
  watermark_.OnAppended(lsn, parts_.clock->MonotonicMillis());
  watermark_value_.store(watermark_.value(), std::memory_order_release);
  return watermark_.value();
}

void CommitPipeline::OnEngineFailure(const Status& cause) {
  const MutexLock lock(&mark_mu_);
  if (!engine_failed_) {
    KVS_LOG(kError, "a storage instance refuses writes, the node is read-only: {}",
            cause.message());
  }
  engine_failed_ = true;
  if (refusal_.ok()) {
    refusal_ =
        Status::Misconf(fmt::format("Errors writing to the storage engine: {}", cause.message()));
  }
  refuses_.store(true, std::memory_order_release);
}

Status CommitPipeline::Health() const {
  const MutexLock lock(&mark_mu_);
  return refusal_;
}

Status CommitPipeline::LastWrite() const {
  const MutexLock lock(&mark_mu_);
  return refusal_.ok() ? append_error_ : refusal_;
}

Status CommitPipeline::Repair() {
  {
    const MutexLock lock(&mark_mu_);
    if (!engine_failed_) {
      return refusal_;
    }
  }
  for (int i = 0; i < parts_.engines->instance_count(); ++i) {
    if (!parts_.engines->engine(i)->Health().ok()) {
      KVS_RETURN_IF_ERROR(
          RepairInstance(i).WithContext(fmt::format("repair of storage instance {}", i)));
      KVS_LOG(kWarning, "storage instance {} was closed, reopened and takes writes again", i);
    }
  }
  Status refusal;
  {
    const MutexLock mark_lock(&mark_mu_);
    engine_failed_ = false;
    if (!watermark_.frozen()) {
      refusal_ = Status::Ok();
      refuses_.store(false, std::memory_order_release);
    }
    refusal = refusal_;
  }
  RequestDueHandOvers();
  return refusal;
}

// Writes are refused until the instance has shown that it takes them.
Status CommitPipeline::RepairInstance(int instance) {
  Engine* engine = parts_.engines->engine(instance);
  Carrier& carrier = *carriers_[static_cast<size_t>(instance)];
  {
    const MutexLock lock(&carrier.mu);
    (void)KVS_FAULT_POINT("commit.before_reopen");
    // What the engine has not taken yet is still fresh.
    KVS_RETURN_IF_ERROR(engine->Reopen([&](uint64_t applied_lsn) KVS_NO_THREAD_SAFETY_ANALYSIS {
      return RestoreFresh(instance, applied_lsn, carrier.handed_lsn);
    }));
    carrier.handed_lsn = engine->AppliedLsn();
  }
  KVS_RETURN_IF_ERROR(HandOver(instance));
  return engine->Flush();
}

Status CommitPipeline::RestoreFresh(int instance, uint64_t after_lsn, uint64_t through_lsn) {
  struct LastOp {
    uint16_t slot;
    bool is_delete;
    std::string value;
  };
  std::unordered_map<std::string, LastOp> lost;
  if (after_lsn < through_lsn) {
    KVS_ASSIGN_OR_RETURN(const std::unique_ptr<BinlogReader> reader,
                         BinlogReader::Open(parts_.binlog_dir, after_lsn + 1));
    while (reader->next_lsn() <= through_lsn) {
      KVS_ASSIGN_OR_RETURN(const BinlogRecord record, reader->Next(appended_lsn()));
      BinlogOpIterator it = record.iterator();
      BinlogOp op;
      while (it.Next(&op)) {
        if (parts_.engines->InstanceOf(op.slot) == instance) {
          lost[std::string(op.key)] = {op.slot, op.type == BinlogOpType::kDelete,
                                       std::string(op.value)};
        }
      }
    }
  }
  {
    const MutexLock lock(&apply_mu_);
    for (const auto& [key, op] : lost) {
      parts_.cache->Restore(op.slot, {op.is_delete, key, op.value});
    }
  }
  restores_.fetch_add(1, std::memory_order_acq_rel);
  return Status::Ok();
}

void CommitPipeline::SetPolicy(SyncPolicy policy) {
  {
    const MutexLock lock(&mark_mu_);
    policy_.store(policy, std::memory_order_relaxed);
    watermark_.SetPolicy(policy, 0, parts_.clock->MonotonicMillis());
  }
  Settle();  // A weaker policy may have acknowledged what was waiting.
}

int64_t CommitPipeline::NowMillis() const {
  return std::max(parts_.clock->WallMillis(), last_time_ms_.load(std::memory_order_relaxed));
}

uint64_t CommitPipeline::WaitForWork(int64_t wait_ms, bool* stopping) {
  const MutexLock lock(&thread_mu_);
  if (!stop_ && waiting_ops_ == 0 && wait_ms > 0) {
    wake_at_ops_ = 1;
    wake_.WaitFor(&thread_mu_, std::chrono::milliseconds(wait_ms));
  }
  wake_at_ops_ = gatherer_.goal();
  if (!stop_ && waiting_ops_ > 0 && waiting_ops_ < wake_at_ops_) {
    wake_.WaitFor(&thread_mu_, std::chrono::microseconds(gatherer_.patience_micros()));
  }
  *stopping = stop_;
  return std::exchange(waiting_ops_, 0);
}

void CommitPipeline::BinlogThread() {
  int64_t began_us = parts_.clock->MonotonicMicros();
  int64_t ended_us = began_us;
  bool stopping = false;
  while (!stopping) {
    const int64_t took_ms = (ended_us - began_us) / 1000;
    const uint64_t ops = WaitForWork(SyncIntervalMs(took_ms) - took_ms, &stopping);
    began_us = parts_.clock->MonotonicMicros();
    ended_us = began_us;
    if (stopping || policy() != SyncPolicy::kNo) {
      SyncOnce(began_us / 1000);
      ended_us = parts_.clock->MonotonicMicros();
    } else {
      Settle();
    }
    if (ops > 0) {
      const MutexLock lock(&thread_mu_);
      gatherer_.OnSynced(ops, ended_us - began_us);
    }
    if (stopping) {
      return;
    }
    if (Status status = parts_.binlog->RotateIfFull(); !status.ok()) {
      KVS_LOG(kWarning, "cannot start a new log segment: {}", status.message());
    }
  }
}

// After a failed fsync nothing may be acknowledged, whatever a later one says: the kernel may have
// dropped the pages.  The listeners end the connections that wait.
void CommitPipeline::FreezeWatermark(const Status& cause) {
  uint64_t reached = 0;
  {
    const MutexLock lock(&mark_mu_);
    if (!watermark_.frozen()) {
      KVS_LOG(kError, "the log cannot be made durable, nothing is acknowledged any more: {}",
              cause.message());
    }
    watermark_.Freeze();
    reached = watermark_.value();
    frozen_.store(true, std::memory_order_release);
    refusal_ = Status::Misconf(
        fmt::format("Errors syncing the binlog: {}; restart the node to recover", cause.message()));
    refuses_.store(true, std::memory_order_release);
  }
  TellListeners(reached);
}

void CommitPipeline::SyncOnce(int64_t began_ms) {
  const uint64_t appended = appended_lsn();
  if (parts_.binlog->synced_lsn() < appended) {
    if (Status status = parts_.binlog->Sync(); !status.ok()) {
      FreezeWatermark(status);
      return;
    }
    syncs_.fetch_add(1, std::memory_order_relaxed);
  }
  {
    const MutexLock lock(&mark_mu_);
    watermark_.OnSynced(parts_.binlog->synced_lsn(), began_ms, parts_.clock->MonotonicMillis());
  }
  Settle();
}

void CommitPipeline::Settle() {
  uint64_t reached = 0;
  bool news = false;
  {
    // The leader may have moved it further meanwhile: it never runs backwards.
    const MutexLock lock(&mark_mu_);
    reached = watermark_.value();
    watermark_value_.store(reached, std::memory_order_release);
    news = reached > told_lsn_;
    told_lsn_ = std::max(told_lsn_, reached);
  }
  if (news) {
    TellListeners(reached);
  }
}

void CommitPipeline::AddListener(WatermarkListener* listener) {
  const MutexLock lock(&listeners_mu_);
  listeners_.push_back(listener);
}

void CommitPipeline::RemoveListener(WatermarkListener* listener) {
  const MutexLock lock(&listeners_mu_);
  std::erase(listeners_, listener);
}

void CommitPipeline::TellListeners(uint64_t lsn) {
  const MutexLock lock(&listeners_mu_);
  for (WatermarkListener* listener : listeners_) {
    listener->OnWatermark(lsn);
  }
}

CommitStats CommitPipeline::stats() const {
  return {.records = records_.load(std::memory_order_relaxed),
          .appends = appends_.load(std::memory_order_relaxed),
          .bytes = bytes_.load(std::memory_order_relaxed),
          .syncs = syncs_.load(std::memory_order_relaxed),
          .failed = failed_.load(std::memory_order_relaxed),
          .delayed = delayed_.load(std::memory_order_relaxed)};
}

}  // namespace kvs
