#include "storage_node/commit/slot_table.h"

#include <algorithm>
#include <memory>
#include <utility>

namespace kvs {

SlotTable::SlotTable() : slots_(kNodeSlotCount), dead_(kNodeSlotCount) {}

Status SlotTable::Load(const EngineCluster& engines) {
  std::string value;
  for (int i = 0; i < kNodeSlotCount; ++i) {
    const auto slot = static_cast<uint16_t>(i);
    Engine* engine = engines.ForSlot(slot);
    const Status status = engine->Get(SlotMetaKey(slot), &value);
    if (status.code() == Code::kNotFound) {
      continue;
    }
    KVS_RETURN_IF_ERROR(status);
    KVS_ASSIGN_OR_RETURN(const SlotMeta meta, DecodeSlotMeta(value));
    Publish(slot, meta);
    if (meta.expires_count == 0) {
      continue;
    }
    // The index sorts by time, so its first entry is the earliest.
    std::string first;
    AppendKeyPrefix(slot, meta.live_generation, KeyTag::kExpiry, &first);
    KVS_ASSIGN_OR_RETURN(
        const std::unique_ptr<EngineIterator> it,
        engine->NewIterator({.range = {first, PrefixEnd(first)}, .fill_cache = false}));
    it->SeekToFirst();
    KVS_RETURN_IF_ERROR(it->status());
    if (it->Valid()) {
      KVS_ASSIGN_OR_RETURN(const DecodedKey entry, DecodeKey(it->key()));
      SetDue(slot, static_cast<int64_t>(entry.time_ms));
    }
  }
  return Status::Ok();
}

SlotMeta SlotTable::Preview(const SlotDelta& delta) const {
  const Slot& slot = At(delta.slot);
  SlotMeta meta;
  meta.live_generation = slot.generation.load(std::memory_order_relaxed);
  meta.key_count = slot.key_count.load(std::memory_order_relaxed);
  meta.expires_count = slot.expire_count.load(std::memory_order_relaxed);
  meta.next_version = slot.next_version.load(std::memory_order_relaxed);
  meta.dead_generations = dead_generations(delta.slot);
  Advance(delta, &meta);
  return meta;
}

void SlotTable::Advance(const SlotDelta& delta, SlotMeta* meta) {
  if (delta.new_generation) {
    meta->dead_generations.push_back(meta->live_generation);
    ++meta->live_generation;
    meta->key_count = 0;
    meta->expires_count = 0;
  }
  for (const uint32_t swept : delta.swept) {
    std::erase(meta->dead_generations, swept);
  }
  const int64_t keys = static_cast<int64_t>(meta->key_count) + delta.keys;
  const int64_t expires = static_cast<int64_t>(meta->expires_count) + delta.expires;
  KVS_CHECK(keys >= 0 && expires >= 0);
  meta->key_count = static_cast<uint64_t>(keys);
  meta->expires_count = static_cast<uint64_t>(expires);
}

void SlotTable::Publish(uint16_t index, const SlotMeta& meta) {
  Slot& slot = At(index);
  if (meta.live_generation != slot.generation.load(std::memory_order_relaxed)) {
    slot.due_ms.store(kNeverDue, std::memory_order_release);
  }
  total_keys_.fetch_add(meta.key_count - slot.key_count.load(std::memory_order_relaxed),
                        std::memory_order_relaxed);
  total_expires_.fetch_add(meta.expires_count - slot.expire_count.load(std::memory_order_relaxed),
                           std::memory_order_relaxed);
  slot.key_count.store(meta.key_count, std::memory_order_relaxed);
  slot.expire_count.store(meta.expires_count, std::memory_order_relaxed);
  // Others may have taken versions since the preview.
  uint64_t next = slot.next_version.load(std::memory_order_relaxed);
  while (next < meta.next_version && !slot.next_version.compare_exchange_weak(
                                         next, meta.next_version, std::memory_order_relaxed)) {
  }
  slot.generation.store(meta.live_generation, std::memory_order_release);
  const MutexLock lock(&mu_);
  dead_[index] = meta.dead_generations;
}

void SlotTable::LowerDue(uint16_t slot, int64_t expire_at_ms) {
  std::atomic<int64_t>& due = At(slot).due_ms;
  int64_t current = due.load(std::memory_order_acquire);
  while (expire_at_ms < current &&
         !due.compare_exchange_weak(current, expire_at_ms, std::memory_order_acq_rel)) {
  }
}

std::vector<uint32_t> SlotTable::dead_generations(uint16_t slot) const {
  const MutexLock lock(&mu_);
  return dead_[slot];
}

}  // namespace kvs
