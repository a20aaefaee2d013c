// ScanCursors: what the numbers stand for that SCAN hands out.
//
// A scan walks the slots, and the keys of a slot in byte order.  A cursor is (slot: 14 bits, token:
// 32 bits): the token names the last key that was visited, which a bounded table remembers.  A
// token that the table does not know, because it was dropped or is from before a restart, stands
// for the slot's beginning: the scan then shows some keys a second time, and never misses one.
// Tokens count from a random number, so that one of an earlier process is hardly ever taken for a
// known one.
//
// Threads: thread-safe.
// Owner:   the node.

#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/mutex.h"

namespace kvs {

class ScanCursors {
 public:
  // Positions that are remembered; the oldest is dropped for a new one.
  static constexpr size_t kMaxPositions = 65'536;
  static constexpr size_t kMaxKeyBytes = size_t{32} << 20;

  // Every cursor is below this, so that a proxy can add the number of a shard above it.
  static constexpr uint64_t kCursorEnd = uint64_t{1} << 46;

  // Starts at a random token.
  ScanCursors();
  explicit ScanCursors(uint32_t first_token) : first_token_(first_token) {}

  struct Position {
    uint16_t slot = 0;
    std::optional<std::string> after = {};  // Nothing: from the slot's beginning.
  };

  // Returns the cursor that stands for a slot's beginning; 0 for the first slot's.
  static uint64_t AtSlot(uint16_t slot) { return uint64_t{slot} << 32; }
  // Returns a cursor, never 0, that stands for what comes after `key`.
  uint64_t After(uint16_t slot, std::string_view key) KVS_EXCLUDES(mu_);

  // REQUIRES: cursor < kCursorEnd
  Position Find(uint64_t cursor) const KVS_EXCLUDES(mu_);

 private:
  struct Entry {
    uint16_t slot;
    std::string key;
  };
  void Push(Entry entry) KVS_REQUIRES(mu_);
  void DropOldest() KVS_REQUIRES(mu_);

  mutable Mutex mu_;
  // entries_[i] has the token first_token_ + i, modulo 2^32.
  std::deque<Entry> entries_ KVS_GUARDED_BY(mu_);
  uint32_t first_token_ KVS_GUARDED_BY(mu_);
  size_t key_bytes_ KVS_GUARDED_BY(mu_) = 0;
};

}  // namespace kvs
