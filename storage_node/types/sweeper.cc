#include "storage_node/types/sweeper.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "common/base/slowness.h"
#include "storage_node/keys/key_codec.h"
#include "storage_node/types/keyspace.h"

namespace kvs {
namespace {

// Expired keys a commit.  Their stripes are locked meanwhile, so few.
constexpr size_t kKeysPerCommit = 64;
// When a key that a MIGRATE or a script holds is looked at again.
constexpr int64_t kHeldKeyRetryMillis = 200;
// Engine keys that one batch removes.  Nothing is locked.
constexpr size_t kRecordsPerBatch = 512;
// Slots that a slice asks for dead generations: each takes a lock, and none of it is urgent.
constexpr int kDeadSlotsPerSlice = 2048;
// Dead versions that are looked up at once.
constexpr size_t kVersionsPerLook = 64;
// What it may take to pass the place where a range was: some thousand removed records.
constexpr int64_t kSoonMicros = 300 * kSlownessFactor;
// Of so many ranges.
constexpr size_t kMostKept = 1000;
// After these times ends that were kept are tried again, each after twice the time before it.
constexpr int64_t kFirstRetryMicros = 10'000'000;
constexpr int64_t kMaxRetryMicros = 3'600'000'000;

uint16_t NextSlot(uint16_t slot) {
  return static_cast<uint16_t>((slot + 1) % kNodeSlotCount);
}

}  // namespace

struct Sweeper::DueKeys {
  struct Entry {
    std::string key;
    uint64_t time_ms;
  };
  std::vector<Entry> entries;
  int64_t next_ms = kNeverDue;  // The first index entry that is not among them.
  uint32_t generation = 0;
};

// Reads the front of the slot's expiry index.
Result<Sweeper::DueKeys> Sweeper::FindDue(uint16_t slot, size_t limit) {
  DueKeys due;
  due.generation = store_->slots().generation(slot);
  std::string lower;
  AppendKeyPrefix(slot, due.generation, KeyTag::kExpiry, &lower);
  KVS_ASSIGN_OR_RETURN(const std::unique_ptr<MergedIterator> it,
                       store_->NewIterator(slot, lower, PrefixEnd(lower)));
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    KVS_ASSIGN_OR_RETURN(const DecodedKey entry, DecodeKey(it->key()));
    const auto time_ms = static_cast<int64_t>(entry.time_ms);
    if (time_ms > txn_.NowMillis() || due.entries.size() == limit) {
      due.next_ms = time_ms;
      break;
    }
    due.entries.push_back({std::string(entry.user_key), entry.time_ms});
  }
  KVS_RETURN_IF_ERROR(it->status());
  return due;
}

void Sweeper::TellEvents(bool committed) {
  std::vector<KeyEvent> events = txn_.TakeEvents();
  if (committed && event_sink_ && !events.empty()) {
    event_sink_(txn_.event_kinds(), std::move(events));
  }
}

void Sweeper::TellTracked() {
  Txn::TrackedWrites tracked = txn_.TakeTrackedWrites();
  if (tracked_sink_ && (tracked.unnoted || tracked.everything || !tracked.writes.empty())) {
    tracked_sink_(std::move(tracked));
  }
}

Result<size_t> Sweeper::SweepExpired(uint16_t slot, size_t limit) {
  txn_.Begin();
  SlotTable& slots = store_->slots();
  const int64_t due_before = slots.due_ms(slot);
  // Reset before the look: an entry that becomes visible after it lowers the time again.
  slots.SetDue(slot, kNeverDue);
  Result<DueKeys> due = FindDue(slot, limit);
  Result<std::vector<std::string>> deleted =
      due.ok() ? DeleteDue(slot, &*due) : Result<std::vector<std::string>>(due.status());
  Status committed = txn_.Commit();
  if (deleted.ok() && !committed.ok()) {
    deleted = std::move(committed);
  }
  if (!deleted.ok()) {
    slots.LowerDue(slot, due_before);
    return deleted.status();
  }
  slots.LowerDue(slot, due->next_ms);
  stats_.expired_keys += deleted->size();
  for (size_t i = 0; on_expired_ && i < deleted->size(); ++i) {
    on_expired_((*deleted)[i]);
  }
  return deleted->size();
}

Result<std::vector<std::string>> Sweeper::DeleteDue(uint16_t slot, DueKeys* due) {
  std::vector<std::string> deleted_keys;
  for (const DueKeys::Entry& entry : due->entries) {
    KVS_ASSIGN_OR_RETURN(const bool deleted, DeleteIfExpired(&txn_, entry.key));
    if (deleted) {
      deleted_keys.push_back(entry.key);
      continue;
    }
    if (txn_.gave_up()) {
      txn_.Begin();
      const int64_t later_ms = txn_.NowMillis() + kHeldKeyRetryMillis;
      due->next_ms = due->next_ms > txn_.NowMillis() ? std::min(due->next_ms, later_ms) : later_ms;
      continue;
    }
    // A client was faster.  An entry that is still there all the same belongs to no key: it would
    // be found, and block those behind it, for ever.
    const std::string index_key = ExpiryKey(slot, due->generation, entry.time_ms, entry.key);
    std::string unused;
    if (txn_.Get(slot, index_key, &unused).ok()) {
      txn_.Delete(slot, index_key);
    }
  }
  return deleted_keys;
}

Result<size_t> Sweeper::SweepDeadGenerations(uint16_t slot, size_t limit) {
  // In this order: what is dead now is below the generation that lives afterwards.
  const std::vector<uint32_t> dead = store_->slots().dead_generations(slot);
  const uint32_t live = store_->slots().generation(slot);
  const std::string lower = GenerationLower(slot, kMetaGeneration + 1);
  const std::string upper = GenerationLower(slot, live);
  KVS_ASSIGN_OR_RETURN(const Removed removed, RemoveRange(slot, lower, upper, limit));
  if (removed.all && !dead.empty()) {
    txn_.Begin();
    for (const uint32_t generation : dead) {
      txn_.ForgetGeneration(slot, generation);
    }
    KVS_RETURN_IF_ERROR(txn_.Commit());
  }
  return removed.records;
}

// LevelDB knows no end of a walk: one that comes to the last record of its range goes on to the
// next record there is, over all that were removed and are not compacted yet.  So while they are
// many, the two ends of what was removed stay, and a walk from either side ends there.
Result<Sweeper::Removed> Sweeper::RemoveRange(uint16_t slot, const std::string& lower,
                                              const std::string& upper, size_t limit) {
  if (!store_->cache().DropFresh(slot, lower, upper)) {
    return Status::Busy("dead records are on their way into the engine");
  }
  Engine* engine = store_->engines().ForSlot(slot);
  if (progress_.lower != lower) {
    progress_ = {.lower = lower, .first = {}, .last = {}};
  }
  std::vector<std::string> keys;  // Up to one more than go now.
  {
    KVS_ASSIGN_OR_RETURN(const std::unique_ptr<EngineIterator> it,
                         engine->NewIterator({.range = {lower, upper}, .fill_cache = false}));
    if (progress_.first.empty()) {
      it->SeekToFirst();
      if (it->Valid()) {
        progress_.first = progress_.last = it->key();
        it->Next();
      }
    } else {
      it->Seek(progress_.last + '\0');
    }
    for (; it->Valid() && keys.size() <= limit; it->Next()) {
      keys.emplace_back(it->key());
    }
    KVS_RETURN_IF_ERROR(it->status());
  }
  if (progress_.first.empty()) {
    return Removed{.all = true};
  }
  Removed removed;
  const bool is_hollow = keys.size() <= limit;
  const std::string end = keys.empty() ? progress_.last : keys.back();
  if (!keys.empty()) {
    keys.pop_back();
  }
  KVS_RETURN_IF_ERROR(Delete(engine, keys));
  removed.records = keys.size();
  progress_.last = keys.empty() ? progress_.last : keys.back();
  if (!is_hollow) {
    return removed;
  }
  const std::string first = progress_.first;
  progress_ = {};
  KVS_ASSIGN_OR_RETURN(const bool is_soon_passed, IsSoonPassed(engine, first, end));
  if (!is_soon_passed) {
    Keep(slot, lower);
    return removed;
  }
  std::vector<std::string> ends = {first};
  if (end != first) {
    ends.push_back(end);
  }
  KVS_RETURN_IF_ERROR(Delete(engine, ends));
  kept_.erase(lower);
  removed.records += ends.size();
  removed.all = true;
  return removed;
}

Status Sweeper::Delete(Engine* engine, const std::vector<std::string>& keys) {
  if (keys.empty()) {
    return Status::Ok();
  }
  const std::vector<std::string_view> views(keys.begin(), keys.end());
  KVS_RETURN_IF_ERROR(engine->DeleteLocal(views));
  stats_.dead_records += keys.size();
  return Status::Ok();
}

Result<bool> Sweeper::IsSoonPassed(Engine* engine, const std::string& first,
                                   const std::string& last) {
  if (kept_.size() >= kMostKept) {
    return true;
  }
  for (int attempt = 0; attempt < 2; ++attempt) {  // This thread may have been off the processor.
    KVS_ASSIGN_OR_RETURN(const std::unique_ptr<EngineIterator> it, engine->NewIterator({}));
    const int64_t start = clock_->MonotonicMicros();
    it->Seek(first);
    if (it->Valid()) {
      it->Prev();
    }
    it->Seek(first);
    if (first != last && it->Valid()) {
      it->Next();
      if (it->Valid() && it->key() != last) {
        // An engine that was reopened has lost what it was told last.
        return Status::Busy("removed records are back");
      }
    }
    if (it->Valid()) {
      it->Next();
    }
    const int64_t took = clock_->MonotonicMicros() - start;
    KVS_RETURN_IF_ERROR(it->status());
    if (took <= kSoonMicros) {
      return true;
    }
  }
  return false;
}

Status Sweeper::RemoveKey(uint16_t slot, const std::string& key) {
  if (!store_->cache().DropFresh(slot, key, key + '\0')) {
    return Status::Busy("a dead record is on its way into the engine");
  }
  Engine* engine = store_->engines().ForSlot(slot);
  std::string value;
  const Status found = engine->Get(key, &value);
  return found.code() == Code::kNotFound ? Status::Ok()
         : found.ok()                    ? Delete(engine, {key})
                                         : found;
}

void Sweeper::Keep(uint16_t slot, const std::string& lower) {
  Kept& kept = kept_[lower];
  const uint32_t generation = store_->slots().generation(slot);
  kept.slot = slot;
  kept.delay_us = kept.generation == generation ? kept.delay_us : 0;
  kept.generation = generation;
  kept.delay_us = std::clamp(2 * kept.delay_us, kFirstRetryMicros, kMaxRetryMicros);
  kept.retry_us = clock_->MonotonicMicros() + kept.delay_us;
  next_retry_us_ = std::min(next_retry_us_, kept.retry_us);
}

bool Sweeper::IsKept(uint16_t slot, const std::string& lower) const {
  const auto kept = kept_.find(lower);
  return kept != kept_.end() && kept->second.generation == store_->slots().generation(slot) &&
         clock_->MonotonicMicros() < kept->second.retry_us;
}

void Sweeper::WakeKept() {
  const int64_t now_us = clock_->MonotonicMicros();
  if (now_us < next_retry_us_) {
    return;
  }
  next_retry_us_ = INT64_MAX;
  for (auto it = kept_.begin(); it != kept_.end();) {
    const Kept& kept = it->second;
    if (now_us < kept.retry_us) {
      next_retry_us_ = std::min(next_retry_us_, kept.retry_us);
      ++it;
      continue;
    }
    store_->slots().SetMayHaveDeadVersions(kept.slot, true);
    // Versions of a generation that is dead are swept with it.
    const bool is_past = kept.generation != store_->slots().generation(kept.slot);
    it = is_past ? kept_.erase(it) : std::next(it);
  }
}

// Returns the keys that name dead versions of the live generation, at least one if there are any.
Result<std::vector<std::string>> Sweeper::FindDeadVersions(uint16_t slot) {
  std::string lower;
  AppendKeyPrefix(slot, store_->slots().generation(slot), KeyTag::kDeadVersion, &lower);
  KVS_ASSIGN_OR_RETURN(const std::unique_ptr<MergedIterator> it,
                       store_->NewIterator(slot, lower, PrefixEnd(lower)));
  std::vector<std::string> keys;
  for (it->SeekToFirst(); it->Valid() && keys.size() < kVersionsPerLook; it->Next()) {
    KVS_ASSIGN_OR_RETURN(const DecodedKey dead, DecodeKey(it->key()));
    if (kept_.empty() || !IsKept(slot, ElementPrefix(slot, dead.generation, dead.version))) {
      keys.emplace_back(it->key());
    }
  }
  KVS_RETURN_IF_ERROR(it->status());
  return keys;
}

Result<size_t> Sweeper::SweepDeadVersions(uint16_t slot, size_t limit) {
  // Reset before the look: a version that dies after it sets the mark again.
  store_->slots().SetMayHaveDeadVersions(slot, false);
  Result<std::vector<std::string>> dead_keys = FindDeadVersions(slot);
  Result<size_t> removed = dead_keys.ok() ? Result<size_t>(size_t{0}) : dead_keys.status();
  bool all = removed.ok() && dead_keys->size() < kVersionsPerLook;
  for (size_t i = 0; removed.ok() && i < dead_keys->size(); ++i) {
    if (*removed >= limit) {
      all = false;
      break;
    }
    const Result<size_t> swept = SweepVersion(slot, (*dead_keys)[i], limit - *removed);
    removed = swept.ok() ? Result<size_t>(*removed + *swept) : swept;
  }
  if (!removed.ok() || !all || *removed >= limit) {
    store_->slots().SetMayHaveDeadVersions(slot, true);
  }
  return removed;
}

Result<size_t> Sweeper::SweepVersion(uint16_t slot, const std::string& dead_key, size_t limit) {
  KVS_ASSIGN_OR_RETURN(const DecodedKey dead, DecodeKey(dead_key));
  const std::string lower = ElementPrefix(slot, dead.generation, dead.version);
  KVS_ASSIGN_OR_RETURN(const Removed removed, RemoveRange(slot, lower, PrefixEnd(lower), limit));
  if (removed.all) {
    KVS_RETURN_IF_ERROR(RemoveKey(slot, dead_key));
  }
  return removed.records;
}

bool Sweeper::MayHaveDead(Dead what, uint16_t slot) const {
  const SlotTable& slots = store_->slots();
  if (what == Dead::kVersions) {
    return slots.may_have_dead_versions(slot);
  }
  return slots.generation(slot) > kMetaGeneration + 1 &&
         (!looked_at_.test(slot) || !slots.dead_generations(slot).empty()) &&
         !IsKept(slot, GenerationLower(slot, kMetaGeneration + 1));
}

Result<bool> Sweeper::ExpireSlots(int64_t deadline_us) {
  const int64_t now_ms = store_->NowMillis();
  for (int i = 0; i < kNodeSlotCount; ++i, expire_slot_ = NextSlot(expire_slot_)) {
    while (store_->slots().due_ms(expire_slot_) <= now_ms) {
      if (clock_->MonotonicMicros() > deadline_us) {
        return true;
      }
      const Result<size_t> swept = SweepExpired(expire_slot_, kKeysPerCommit);
      if (!swept.ok()) {
        expire_slot_ = NextSlot(expire_slot_);  // One bad slot does not keep the others waiting.
        return swept.status();
      }
    }
  }
  return false;
}

Result<bool> Sweeper::SweepSlots(int64_t deadline_us) {
  for (int i = 0; i < kDeadSlotsPerSlice; ++i, dead_slot_ = NextSlot(dead_slot_)) {
    for (const Dead what : {Dead::kGenerations, Dead::kVersions}) {
      Result<bool> out_of_time = SweepSlot(what, dead_slot_, deadline_us);
      if (!out_of_time.ok()) {
        dead_slot_ = NextSlot(dead_slot_);
        return out_of_time;
      }
      if (*out_of_time) {
        return true;
      }
    }
  }
  return false;
}

// Returns whether time ran out before the slot was clean.
Result<bool> Sweeper::SweepSlot(Dead what, uint16_t slot, int64_t deadline_us) {
  while (MayHaveDead(what, slot)) {
    if (clock_->MonotonicMicros() > deadline_us) {
      return true;
    }
    const Result<size_t> swept = what == Dead::kGenerations
                                     ? SweepDeadGenerations(slot, kRecordsPerBatch)
                                     : SweepDeadVersions(slot, kRecordsPerBatch);
    if (swept.status().code() == Code::kBusy) {
      return false;  // Its turn comes again.
    }
    KVS_RETURN_IF_ERROR(swept.status());
    if (what == Dead::kGenerations && *swept < kRecordsPerBatch &&
        !kept_.contains(GenerationLower(slot, kMetaGeneration + 1))) {
      looked_at_.set(slot);
    }
  }
  return false;
}

Result<bool> Sweeper::RunSlice(int64_t budget_us) {
  const int64_t start = clock_->MonotonicMicros();
  WakeKept();
  bool more_expired = false;
  if (active_expire_) {
    KVS_ASSIGN_OR_RETURN(more_expired, ExpireSlots(start + budget_us / 2));
  }
  KVS_ASSIGN_OR_RETURN(const bool more_dead, SweepSlots(start + budget_us));
  return more_expired || more_dead;
}

}  // namespace kvs
