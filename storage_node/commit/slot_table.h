// SlotTable: what the node knows of each of its 16384 slots: live generation, counts, next version.
//
// The commit leader changes it, in LSN order, and writes the changed entries as absolute values
// into the same record, so the counts are exact after any crash.  Everybody else reads.
//
// Threads: thread-safe reads; writes by the commit leader and, before the node serves, by Load().
//          SetDue()/LowerDue() by anybody.
// Owner:   Store.
// Format:  doc/formats/keys.md (slot meta)

#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/status.h"
#include "storage_node/engine/engine_cluster.h"
#include "storage_node/keys/key_codec.h"

namespace kvs {

inline constexpr int kNodeSlotCount = 16384;
inline constexpr int64_t kNeverDue = std::numeric_limits<int64_t>::max();

// What one turn changes in one slot.
struct SlotDelta {
  uint16_t slot = 0;
  int64_t keys = 0;
  int64_t expires = 0;
  bool new_version = false;     // Versions were taken.
  bool new_generation = false;  // FLUSH: the live generation dies, counts become 0 first.
  std::vector<uint32_t> swept;  // Dead generations that have been removed from the engine.
  // The earliest expiry that the turn sets.  Not part of the meta: the index entry itself tells.
  int64_t due_ms = kNeverDue;
  bool dead_version = false;  // A collection's elements die.  Not part of the meta either.

  bool changes() const {
    return keys != 0 || expires != 0 || new_version || new_generation || !swept.empty();
  }
};

class SlotTable {
 public:
  SlotTable();

  // Reads all slot metas and the earliest expiry of each slot from the engines.
  Status Load(const EngineCluster& engines);

  uint32_t generation(uint16_t slot) const {
    return At(slot).generation.load(std::memory_order_acquire);
  }
  uint64_t key_count(uint16_t slot) const {
    return At(slot).key_count.load(std::memory_order_relaxed);
  }
  uint64_t expire_count(uint16_t slot) const {
    return At(slot).expire_count.load(std::memory_order_relaxed);
  }
  // Returns a version for a new collection, which nobody else gets.  The slot's meta has to be
  // written with it, so that it is not taken again after a restart.
  uint64_t TakeVersion(uint16_t slot) {
    return At(slot).next_version.fetch_add(1, std::memory_order_relaxed);
  }
  uint64_t total_keys() const { return total_keys_.load(std::memory_order_relaxed); }
  uint64_t total_expires() const { return total_expires_.load(std::memory_order_relaxed); }

  // Returns the slot's meta as it will be after `delta`, without changing anything.  All versions
  // that have been taken are behind it.
  SlotMeta Preview(const SlotDelta& delta) const;
  // As Preview(), on top of an earlier preview of the same slot.
  static void Advance(const SlotDelta& delta, SlotMeta* meta);
  // Makes `meta` the slot's state.
  void Publish(uint16_t slot, const SlotMeta& meta);

  // The time in milliseconds before which no key of the slot expires.
  int64_t due_ms(uint16_t slot) const { return At(slot).due_ms.load(std::memory_order_acquire); }
  void LowerDue(uint16_t slot, int64_t expire_at_ms);
  void SetDue(uint16_t slot, int64_t expire_at_ms) {
    At(slot).due_ms.store(expire_at_ms, std::memory_order_release);
  }

  // Whether elements of dead versions may be left in the slot.
  bool may_have_dead_versions(uint16_t slot) const {
    return At(slot).may_have_dead_versions.load(std::memory_order_acquire);
  }
  void SetMayHaveDeadVersions(uint16_t slot, bool may_have) {
    At(slot).may_have_dead_versions.store(may_have, std::memory_order_release);
  }

  // Returns the dead generations of a slot that still have to be swept.
  std::vector<uint32_t> dead_generations(uint16_t slot) const KVS_EXCLUDES(mu_);

 private:
  struct Slot {
    std::atomic<uint32_t> generation{1};
    std::atomic<uint64_t> key_count{0};
    std::atomic<uint64_t> expire_count{0};
    std::atomic<uint64_t> next_version{1};
    std::atomic<int64_t> due_ms{kNeverDue};
    std::atomic<bool> may_have_dead_versions{true};  // Until the sweeper has looked.
  };
  Slot& At(uint16_t slot) { return slots_[slot]; }
  const Slot& At(uint16_t slot) const { return slots_[slot]; }

  std::vector<Slot> slots_;
  std::atomic<uint64_t> total_keys_{0};
  std::atomic<uint64_t> total_expires_{0};
  mutable Mutex mu_;
  std::vector<std::vector<uint32_t>> dead_ KVS_GUARDED_BY(mu_);
};

}  // namespace kvs
