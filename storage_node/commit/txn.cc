#include "storage_node/commit/txn.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "storage_node/keys/key_codec.h"

namespace kvs {

namespace {

// Who gives up looks so often whether the holder is one to wait for.
constexpr std::chrono::milliseconds kLookAtHolder{1};

}  // namespace

Txn::Txn(Store* store, OnCommit on_commit, Manner manner)
    : store_(store), on_commit_(std::move(on_commit)), manner_(manner) {}

Txn::~Txn() {
  KVS_CHECK(held_.none() && batch_.empty());
}

void Txn::Begin() {
  current_.reset();
  saved_.reset();
  gave_up_ = false;
  failure_ = Status::Ok();
  depends_on_turn_ = false;
  observed_lsn_ = 0;
  lock_micros_ = 0;
  commit_micros_ = 0;
  now_ms_ = store_->NowMillis();
  event_kinds_ = store_->event_kinds();
  removed_keys_.clear();
}

void Txn::NoteMade(std::string_view key) {
  // What is removed and made again was replaced.
  if (event_kinds_ != 0 && std::erase(removed_keys_, key) == 0) {
    NoteEvent(KeyEventKind::kNew, "new", key);
  }
}

bool Txn::HasRemoved(std::string_view key) const {
  return std::find(removed_keys_.begin(), removed_keys_.end(), key) != removed_keys_.end();
}

bool Txn::Lock(std::span<const std::string_view> keys) {
  std::vector<int> wanted;
  wanted.reserve(keys.size());
  for (const std::string_view key : keys) {
    wanted.push_back(StripeTable::IndexOf(key));
  }
  std::sort(wanted.begin(), wanted.end());
  wanted.erase(std::unique(wanted.begin(), wanted.end()), wanted.end());
  if (!TryLockAll(wanted) && !WaitFor(wanted)) {
    return false;
  }
  for (const int stripe : wanted) {
    current_.set(static_cast<size_t>(stripe));
    depends_on_turn_ |= batch_.dirty.test(static_cast<size_t>(stripe));
    observed_lsn_ = std::max(observed_lsn_, store_->stripes().last_lsn(stripe));
  }
  return true;
}

// Commits and releases everything, then waits.  For the command all of that is waiting.
bool Txn::WaitFor(const std::vector<int>& stripes) {
  KVS_CHECK(!pinned_);
  const int64_t start = store_->clock()->MonotonicMicros();
  const int64_t own_commits = commit_micros_;
  (void)Commit().ok();  // Its outcome goes to on_commit_.
  for (const int stripe : stripes) {
    if (!WaitForOne(stripe)) {
      break;
    }
  }
  lock_micros_ += store_->clock()->MonotonicMicros() - start;
  commit_micros_ = own_commits;
  return !gave_up_;
}

// Gives everything up if it does not get this one.
bool Txn::WaitForOne(int stripe) {
  StripeTable& stripes = store_->stripes();
  if (manner_ == Manner::kWaits) {
    stripes.Lock(stripe);
    NoteHeld(stripe);
    return true;
  }
  const bool is_quick = manner_ == Manner::kGivesUp;
  while (!stripes.TryLock(stripe)) {
    if ((!is_quick || !stripes.IsHeldLong(stripe)) && stripes.TryLockFor(stripe, kLookAtHolder)) {
      break;
    }
    if (stripes.IsHeldLong(stripe) && (is_quick || (gives_up_when_ && gives_up_when_()))) {
      gave_up_ = true;
      ReleaseAll();
      return false;
    }
  }
  NoteHeld(stripe);
  return true;
}

void Txn::NoteHeld(int stripe) {
  held_.set(static_cast<size_t>(stripe));
  if (manner_ == Manner::kHoldsLong) {
    store_->stripes().SetHeldLong(stripe, true);
  }
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
    NoteHeld(stripe);
  }
  return true;
}

bool Txn::LockAll() {
  const int64_t start = store_->clock()->MonotonicMicros();
  const int64_t own_commits = commit_micros_;
  (void)Commit().ok();
  KVS_CHECK(!pinned_ || held_.all());
  for (int stripe = 0; stripe < kStripeCount; ++stripe) {
    if (!pinned_ && !WaitForOne(stripe)) {
      break;
    }
    observed_lsn_ = std::max(observed_lsn_, store_->stripes().last_lsn(stripe));
  }
  if (!gave_up_) {
    current_.set();
  }
  lock_micros_ += store_->clock()->MonotonicMicros() - start;
  commit_micros_ = own_commits;
  return !gave_up_;
}

void Txn::Observe(std::string_view key) {
  const int stripe = StripeTable::IndexOf(key);
  depends_on_turn_ |= batch_.dirty.test(static_cast<size_t>(stripe));
  const uint64_t lsn = store_->stripes().last_lsn(stripe);
  observed_lsn_ = std::max(observed_lsn_, lsn);
  store_->pipeline().AwaitCached(lsn);
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
  const std::optional<std::string>* written = FindInOverlay(engine_key);
  if (written == nullptr) {
    return store_->Get(slot, engine_key, value);
  }
  if (!written->has_value()) {
    return Status::NotFound();
  }
  *value = **written;
  return Status::Ok();
}

const std::optional<std::string>* Txn::FindInOverlay(std::string_view engine_key) const {
  if (IsElementKey(engine_key)) {
    const auto found = element_overlay_.find(engine_key);
    return found != element_overlay_.end() ? &found->second : nullptr;
  }
  if (overlay_.empty()) {
    return nullptr;
  }
  const auto found = overlay_.find(std::string(engine_key));
  return found != overlay_.end() ? &found->second : nullptr;
}

void Txn::SetInOverlay(std::string_view engine_key, std::optional<std::string> value) {
  if (saved_.has_value()) {
    const auto [entry, is_first] = saved_->before.try_emplace(std::string(engine_key));
    if (const auto* before = is_first ? FindInOverlay(engine_key) : nullptr; before != nullptr) {
      entry->second.emplace(*before);
    }
  }
  if (IsElementKey(engine_key)) {
    element_overlay_.insert_or_assign(std::string(engine_key), std::move(value));
  } else {
    overlay_.insert_or_assign(std::string(engine_key), std::move(value));
  }
}

Result<TxnIterator> Txn::NewElementIterator(uint16_t slot, const std::string& lower,
                                            const std::string& upper, uint64_t expected) const {
  KVS_ASSIGN_OR_RETURN(std::unique_ptr<MergedIterator> committed,
                       store_->NewIterator(slot, lower, upper, expected));
  return TxnIterator(&element_overlay_, lower, upper, std::move(committed));
}

void Txn::Put(uint16_t slot, std::string_view engine_key, std::string_view value) {
  batch_.ops.Put(slot, engine_key, value);
  SetInOverlay(engine_key, std::string(value));
  batch_.dirty |= current_;
  depends_on_turn_ = true;
}

void Txn::Delete(uint16_t slot, std::string_view engine_key) {
  batch_.ops.Delete(slot, engine_key);
  SetInOverlay(engine_key, std::nullopt);
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
  Delta(slot).new_version = true;
  const uint64_t version = store_->slots().TakeVersion(slot);
  const std::string prefix = ElementPrefix(slot, store_->slots().generation(slot), version);
  store_->cache().NoteEmpty(slot, prefix, PrefixEnd(prefix));
  return version;
}

void Txn::Save() {
  failure_ = Status::Ok();
  saved_ = Saved{.ops = batch_.ops.mark(),
                 .slots = batch_.slots,
                 .dirty = batch_.dirty,
                 .depends_on_turn = depends_on_turn_,
                 .changed_keys = changed_keys_.size(),
                 .before = {}};
}

void Txn::HoldLong() {
  holds_long_ = true;
  for (size_t i = held_._Find_first(); i < held_.size(); i = held_._Find_next(i)) {
    store_->stripes().SetHeldLong(static_cast<int>(i), true);
  }
}

void Txn::Rollback() {
  Saved saved = std::move(*saved_);
  saved_.reset();
  batch_.ops.CutTo(saved.ops);
  batch_.slots = std::move(saved.slots);
  batch_.dirty = saved.dirty;
  depends_on_turn_ = saved.depends_on_turn;
  changed_keys_.resize(saved.changed_keys);
  for (auto& [engine_key, before] : saved.before) {
    if (before.has_value()) {
      SetInOverlay(engine_key, std::move(*before));
    } else if (IsElementKey(engine_key)) {
      element_overlay_.erase(engine_key);
    } else {
      overlay_.erase(engine_key);
    }
  }
}

Status Txn::Commit() {
  Status status;
  if (!batch_.empty()) {
    saved_.reset();
    const int64_t start = store_->clock()->MonotonicMicros();
    Result<uint64_t> lsn = store_->pipeline().Commit(&batch_);
    last_commit_micros_ = store_->clock()->MonotonicMicros() - start;
    commit_micros_ += last_commit_micros_;
    if (lsn.ok() && depends_on_turn_) {
      observed_lsn_ = std::max(observed_lsn_, *lsn);
      depends_on_turn_ = false;
    }
    status = lsn.ok() ? Status::Ok() : lsn.status();
    if (!status.ok()) {
      failure_ = status;
      depends_on_turn_ = false;
    }
    batch_.Clear();
    overlay_.clear();
    element_overlay_.clear();
    if (on_commit_) {
      on_commit_(status, lsn.ok() ? *lsn : 0);
    }
  } else {
    tracked_ = {};  // All of it was taken back.
  }
  if (!pinned_) {
    ReleaseAll();
  }
  return status;
}

void Txn::ReleaseAll() {
  for (size_t i = held_._Find_first(); i < held_.size(); i = held_._Find_next(i)) {
    const auto stripe = static_cast<int>(i);
    if (manner_ == Manner::kHoldsLong || holds_long_) {
      store_->stripes().SetHeldLong(stripe, false);
    }
    store_->stripes().Unlock(stripe);
  }
  held_.reset();
  current_.reset();
  holds_long_ = false;
}

}  // namespace kvs
