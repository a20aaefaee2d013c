// HotKeys: the keys that are asked for most, estimated from a sample of the commands.
//
// About one command in kSampleEvery is looked at, at random distances, so the cost of the others is
// a countdown.  The keys of a sampled command are counted by the Space-Saving algorithm (Metwally,
// Agrawal, El Abbadi 2005): with n counters a count is too high by at most 1/n of all counts, and
// what is asked for more often than that is surely among them.  Counts are kept for windows of
// kWindowMs, so the answer is about the last ten to twenty seconds.
//
// Threads: KeySketch has one owner; HotKeys is thread-safe.
// Owner:   Diagnostics.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/random.h"
#include "common/command/command_table.h"

namespace kvs {

// The most frequent of a stream of keys, in bounded memory.
class KeySketch {
 public:
  struct Entry {
    std::string key;
    uint64_t count = 0;  // Too high by `error` at most, and never too low.
    uint64_t error = 0;
  };

  // REQUIRES: capacity > 0
  explicit KeySketch(size_t capacity);

  void Add(std::string_view key, uint64_t count = 1);
  // Adds all that `other` has counted.
  void Merge(const KeySketch& other);
  // Returns the `count` highest, the highest first; equal counts in the order of keys.
  std::vector<Entry> Top(size_t count) const;
  uint64_t total() const { return total_; }
  void Clear();

 private:
  void Insert(std::string_view key, uint64_t count, uint64_t error);
  // Returns the place of a lowest count.  REQUIRES: it is full
  size_t FindLowest();

  size_t capacity_;
  uint64_t total_ = 0;
  std::vector<Entry> entries_;
  std::vector<uint64_t> counts_;  // Of entries_, together for the search of the lowest.
  uint64_t lowest_ = 0;           // No count of a full sketch is below it,
  size_t next_ = 0;               // and none before this place is as low.
  std::unordered_map<std::string_view, size_t> places_;  // The views are of entries_' keys.
};

struct HotKey {
  std::string key;
  double per_second = 0;  // Estimated requests that name it.
  double share = 0;       // Of all requests for keys, 0 to 1.
};

class HotKeys {
 public:
  static constexpr uint32_t kSampleEvery = 16;
  static constexpr size_t kCapacity = 256;
  static constexpr int64_t kWindowMs = 10'000;
  // Longer keys, and further keys of one command, are not counted.
  static constexpr size_t kMaxKeyBytes = 512;
  static constexpr size_t kMaxKeys = 64;

  // Called by loops for each command that they execute.
  void OnCommand(const CommandSpec& spec, CommandArgs args, Clock* clock) {
    thread_local uint32_t left = 1;
    if (--left == 0) [[unlikely]] {
      left = NextDistance();
      Sample(spec, args, clock->MonotonicMillis());
    }
  }
  // Counts the keys of a command that stands for kSampleEvery others.
  void Sample(const CommandSpec& spec, CommandArgs args, int64_t now_ms) KVS_EXCLUDES(mu_);

  // Returns the `count` hottest keys, the hottest first.
  std::vector<HotKey> Top(size_t count, int64_t now_ms) KVS_EXCLUDES(mu_);
  void Reset(int64_t now_ms) KVS_EXCLUDES(mu_);

 private:
  // Returns 1 to 2 * kSampleEvery - 1, evenly, so that no pattern of commands hides from the
  // sample.
  static uint32_t NextDistance();
  void Turn(int64_t now_ms) KVS_REQUIRES(mu_);

  Mutex mu_;
  KeySketch current_ KVS_GUARDED_BY(mu_) = KeySketch(kCapacity);
  KeySketch previous_ KVS_GUARDED_BY(mu_) = KeySketch(kCapacity);
  int64_t current_since_ms_ KVS_GUARDED_BY(mu_) = -1;   // -1: nothing was counted yet.
  int64_t previous_since_ms_ KVS_GUARDED_BY(mu_) = -1;  // -1: there is no previous window.
};

}  // namespace kvs
