// KeyWatches: which transactions WATCH a key and want to hear that it changes.
//
// A change is told by whoever holds the key's stripe, as soon as it is a part of the turn's batch.
// Watchers are marked at once: one that is marked for a turn that fails has been marked in vain,
// which WATCH allows.  Clients that wait for a key are served through Txn::TakeChangedKeys().
//
// While nobody is interested in any key, a change costs one load.
//
// Threads: thread-safe.  Add() for a key is called with its stripe locked: then no change of it is
//          under way that the caller does not see.
// Owner:   Store.

#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/mutex.h"

namespace kvs {

// Whether one of the keys that a transaction watches has changed.
struct WatchMark {
  std::atomic<bool> changed{false};
};

enum class KeyChange : uint8_t {
  kWritten,
  kGone,  // The key went with its slot, or because its time has come: news for those who saw it.
};

class KeyWatches {
 public:
  // Whether a change of any key has to be told.
  bool any() const { return count_.load(std::memory_order_acquire) > 0; }

  // `exists`: whether the key is there.  REQUIRES: the key's stripe is locked
  void Add(uint16_t slot, std::string_view key, bool exists,
           const std::shared_ptr<WatchMark>& mark);
  void Remove(uint16_t slot, std::string_view key, const WatchMark* mark);

  // REQUIRES: the key's stripe is locked
  void OnChange(uint16_t slot, std::string_view key, KeyChange change);
  // Every key of the slot is gone.  REQUIRES: all stripes are locked
  void OnSlotCleared(uint16_t slot);

 private:
  struct Watcher {
    std::shared_ptr<WatchMark> mark;
    bool exists;
  };
  using Keys = std::map<std::string, std::vector<Watcher>, std::less<>>;
  struct Shard {
    Mutex mu;
    std::atomic<size_t> count{0};
    std::map<uint16_t, Keys> slots KVS_GUARDED_BY(mu);
  };
  static constexpr size_t kShards = 64;

  static void Mark(const std::vector<Watcher>& watchers, KeyChange change);
  Shard& ShardOf(uint16_t slot) { return shards_[slot % kShards]; }

  std::atomic<size_t> count_{0};
  std::array<Shard, kShards> shards_;
};

}  // namespace kvs
