#include "storage_node/types/sweeper.h"

#include <string>
#include <utility>
#include <vector>

#include "storage_node/keys/key_codec.h"
#include "storage_node/types/keyspace.h"

namespace kvs {
namespace {

// Expired keys a commit.  Their stripes are locked meanwhile, so few.
constexpr size_t kKeysPerCommit = 64;
// Engine keys that one batch removes.  Nothing is locked.
constexpr size_t kRecordsPerBatch = 512;
// Slots that a slice asks for dead generations: each takes a lock, and none of it is urgent.
constexpr int kDeadSlotsPerSlice = 2048;

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

Result<size_t> Sweeper::SweepExpired(uint16_t slot, size_t limit) {
  txn_.Begin();
  SlotTable& slots = store_->slots();
  const int64_t due_before = slots.due_ms(slot);
  // Reset before the look: an entry that becomes visible after it lowers the time again.
  slots.SetDue(slot, kNeverDue);
  const Result<DueKeys> due = FindDue(slot, limit);
  Result<size_t> deleted = due.ok() ? DeleteDue(slot, *due) : due.status();
  Status committed = txn_.Commit();
  if (deleted.ok() && !committed.ok()) {
    deleted = std::move(committed);
  }
  if (!deleted.ok()) {
    slots.LowerDue(slot, due_before);
    return deleted;
  }
  slots.LowerDue(slot, due->next_ms);
  stats_.expired_keys += *deleted;
  return deleted;
}

Result<size_t> Sweeper::DeleteDue(uint16_t slot, const DueKeys& due) {
  size_t deleted_count = 0;
  for (const DueKeys::Entry& entry : due.entries) {
    KVS_ASSIGN_OR_RETURN(const bool deleted, DeleteIfExpired(&txn_, entry.key));
    if (deleted) {
      ++deleted_count;
      continue;
    }
    // A client was faster.  An entry that is still there all the same belongs to no key: it would
    // be found, and block those behind it, for ever.
    const std::string index_key = ExpiryKey(slot, due.generation, entry.time_ms, entry.key);
    std::string unused;
    if (txn_.Get(slot, index_key, &unused).ok()) {
      txn_.Delete(slot, index_key);
    }
  }
  return deleted_count;
}

Result<size_t> Sweeper::SweepDeadGenerations(uint16_t slot, size_t limit) {
  // In this order: what is dead now is below the generation that lives afterwards.
  const std::vector<uint32_t> dead = store_->slots().dead_generations(slot);
  const uint32_t live = store_->slots().generation(slot);
  const std::string lower = GenerationLower(slot, kMetaGeneration + 1);
  const std::string upper = GenerationLower(slot, live);
  if (!store_->cache().DropFresh(slot, lower, upper)) {
    return Status::Busy("records of a dead generation are on their way into the engine");
  }
  Engine* engine = store_->engines().ForSlot(slot);
  std::vector<std::string> keys;
  {
    KVS_ASSIGN_OR_RETURN(const std::unique_ptr<EngineIterator> it,
                         engine->NewIterator({.range = {lower, upper}, .fill_cache = false}));
    for (it->SeekToFirst(); it->Valid() && keys.size() < limit; it->Next()) {
      keys.emplace_back(it->key());
    }
    KVS_RETURN_IF_ERROR(it->status());
  }
  if (!keys.empty()) {
    const std::vector<std::string_view> views(keys.begin(), keys.end());
    KVS_RETURN_IF_ERROR(engine->DeleteLocal(views));
    stats_.dead_records += keys.size();
  }
  if (keys.size() < limit && !dead.empty()) {
    txn_.Begin();
    for (const uint32_t generation : dead) {
      txn_.ForgetGeneration(slot, generation);
    }
    KVS_RETURN_IF_ERROR(txn_.Commit());
  }
  return keys.size();
}

bool Sweeper::MayHaveDead(uint16_t slot) const {
  return store_->slots().generation(slot) > kMetaGeneration + 1 &&
         (!looked_at_.test(slot) || !store_->slots().dead_generations(slot).empty());
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
    while (MayHaveDead(dead_slot_)) {
      if (clock_->MonotonicMicros() > deadline_us) {
        return true;
      }
      const Result<size_t> swept = SweepDeadGenerations(dead_slot_, kRecordsPerBatch);
      if (swept.status().code() == Code::kBusy) {
        break;  // Its turn comes again.
      }
      if (!swept.ok()) {
        dead_slot_ = NextSlot(dead_slot_);
        return swept.status();
      }
      if (*swept < kRecordsPerBatch) {
        looked_at_.set(dead_slot_);
      }
    }
  }
  return false;
}

Result<bool> Sweeper::RunSlice(int64_t budget_us) {
  const int64_t start = clock_->MonotonicMicros();
  bool more_expired = false;
  if (active_expire_) {
    KVS_ASSIGN_OR_RETURN(more_expired, ExpireSlots(start + budget_us / 2));
  }
  KVS_ASSIGN_OR_RETURN(const bool more_dead, SweepSlots(start + budget_us));
  return more_expired || more_dead;
}

}  // namespace kvs
