#include "storage_node/commit/txn.h"

#include <algorithm>
#include <utility>

namespace kvs {

Txn::Txn(Store* store, OnCommit on_commit) : store_(store), on_commit_(std::move(on_commit)) {}

Txn::~Txn() {
  KVS_CHECK(held_.none() && batch_.empty());
}

void Txn::Begin() {
  current_.reset();
  depends_on_turn_ = false;
  observed_lsn_ = 0;
  lock_micros_ = 0;
  commit_micros_ = 0;
  now_ms_ = store_->NowMillis();
}

void Txn::Lock(std::span<const std::string_view> keys) {
  std::vector<int> wanted;
  wanted.reserve(keys.size());
  for (const std::string_view key : keys) {
    wanted.push_back(StripeTable::IndexOf(key));
  }
  std::sort(wanted.begin(), wanted.end());
  wanted.erase(std::unique(wanted.begin(), wanted.end()), wanted.end());
  if (!TryLockAll(wanted)) {
    WaitFor(wanted);
  }
  for (const int stripe : wanted) {
    current_.set(static_cast<size_t>(stripe));
    depends_on_turn_ |= batch_.dirty.test(static_cast<size_t>(stripe));
    observed_lsn_ = std::max(observed_lsn_, store_->stripes().last_lsn(stripe));
  }
}

// Commits and releases everything, then waits.  For the command all of that is waiting.
void Txn::WaitFor(const std::vector<int>& stripes) {
  const int64_t start = store_->clock()->MonotonicMicros();
  const int64_t own_commits = commit_micros_;
  (void)Commit().ok();  // Its outcome goes to on_commit_.
  for (const int stripe : stripes) {
    store_->stripes().Lock(stripe);
    held_.set(static_cast<size_t>(stripe));
  }
  lock_micros_ += store_->clock()->MonotonicMicros() - start;
  commit_micros_ = own_commits;
}

// Takes what is not held yet, without waiting.  After a failure the caller releases everything.
bool Txn::TryLockAll(const std::vector<int>& stripes) {
  for (const int stripe : stripes) {
    if (held_.test(static_cast<size_t>(stripe))) {
      continue;
    }
    if (!store_->stripes().TryLock(stripe)) {
      return false;
    }
    held_.set(static_cast<size_t>(stripe));
  }
  return true;
}

void Txn::LockAll() {
  const int64_t start = store_->clock()->MonotonicMicros();
  const int64_t own_commits = commit_micros_;
  (void)Commit().ok();
  for (int stripe = 0; stripe < kStripeCount; ++stripe) {
    store_->stripes().Lock(stripe);
    observed_lsn_ = std::max(observed_lsn_, store_->stripes().last_lsn(stripe));
  }
  held_.set();
  current_.set();
  lock_micros_ += store_->clock()->MonotonicMicros() - start;
  commit_micros_ = own_commits;
}

void Txn::Observe(std::string_view key) {
  const int stripe = StripeTable::IndexOf(key);
  depends_on_turn_ |= batch_.dirty.test(static_cast<size_t>(stripe));
  observed_lsn_ = std::max(observed_lsn_, store_->stripes().last_lsn(stripe));
}

void Txn::ObserveAll() {
  KVS_CHECK(batch_.empty());
  observed_lsn_ = std::max(observed_lsn_, store_->pipeline().appended_lsn());
}

void Txn::LowerDue(uint16_t slot, int64_t expire_at_ms) {
  SlotDelta& delta = Delta(slot);
  delta.due_ms = std::min(delta.due_ms, expire_at_ms);
}

Status Txn::Get(uint16_t slot, std::string_view engine_key, std::string* value) const {
  if (!overlay_.empty()) {
    const auto found = overlay_.find(std::string(engine_key));
    if (found != overlay_.end()) {
      if (!found->second.has_value()) {
        return Status::NotFound();
      }
      *value = *found->second;
      return Status::Ok();
    }
  }
  return store_->Get(slot, engine_key, value);
}

void Txn::Put(uint16_t slot, std::string_view engine_key, std::string_view value) {
  batch_.ops.Put(slot, engine_key, value);
  overlay_[std::string(engine_key)] = std::string(value);
  batch_.dirty |= current_;
  depends_on_turn_ = true;
}

void Txn::Delete(uint16_t slot, std::string_view engine_key) {
  batch_.ops.Delete(slot, engine_key);
  overlay_[std::string(engine_key)] = std::nullopt;
  batch_.dirty |= current_;
  depends_on_turn_ = true;
}

SlotDelta& Txn::Delta(uint16_t slot) {
  SlotDelta& delta = batch_.slots[slot];
  delta.slot = slot;
  batch_.dirty |= current_;
  depends_on_turn_ = true;
  return delta;
}

uint64_t Txn::NewVersion(uint16_t slot) {
  SlotDelta& delta = Delta(slot);
  return store_->slots().next_version(slot) + delta.versions++;
}

Status Txn::Commit() {
  Status status;
  if (!batch_.empty()) {
    const int64_t start = store_->clock()->MonotonicMicros();
    Result<uint64_t> lsn = store_->pipeline().Commit(&batch_);
    last_commit_micros_ = store_->clock()->MonotonicMicros() - start;
    commit_micros_ += last_commit_micros_;
    if (lsn.ok() && depends_on_turn_) {
      observed_lsn_ = std::max(observed_lsn_, *lsn);
      depends_on_turn_ = false;
    }
    status = lsn.ok() ? Status::Ok() : lsn.status();
    batch_.Clear();
    overlay_.clear();
    if (on_commit_) {
      on_commit_(status, lsn.ok() ? *lsn : 0);
    }
  }
  ReleaseAll();
  return status;
}

void Txn::ReleaseAll() {
  for (size_t i = held_._Find_first(); i < held_.size(); i = held_._Find_next(i)) {
    store_->stripes().Unlock(static_cast<int>(i));
  }
  held_.reset();
  current_.reset();
}

}  // namespace kvs
