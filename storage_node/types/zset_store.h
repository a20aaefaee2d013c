// ZSetStore: what sorted sets can do, with Redis's limits and words.
//
// A command's changes are applied to the members' scores in memory, one after the other, and what
// comes out of it is written at once: a member that is named a thousand times is written once.
//
// Threads: one thread, for the duration of one command.
// Owner:   the command's handler; the Keyspace must outlive it.

#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "storage_node/types/type_limits.h"
#include "storage_node/types/zset.h"

namespace kvs {

// The words of ZADD that change what it does.
struct ZAddRules {
  bool only_new = false;       // NX
  bool only_existing = false;  // XX
  bool only_greater = false;   // GT
  bool only_less = false;      // LT
  bool increment = false;      // INCR
};

struct ZAddCount {
  int64_t added = 0;
  int64_t updated = 0;
  std::optional<double> score;  // Of the last member; nothing if a rule has left it alone.
};

struct ScoredName {
  double score = 0;
  std::string_view member;
};

class ZSetStore {
 public:
  ZSetStore(Keyspace* keyspace, const TypeLimits& limits) : keyspace_(keyspace), limits_(limits) {}

  // All of these:
  //   kWrongType: the key holds something else
  //   kTooLarge: the key is too long
  // REQUIRES: the key's stripe is locked

  //   kInvalidArgument: a sum is not a number
  Result<ZAddCount> Add(std::string_view key, const ZAddRules& rules,
                        std::span<const ScoredName> members);
  // Returns how many there were.
  Result<int64_t> Remove(std::string_view key, std::span<const std::string_view> members);
  // Removes the members of `range(zset)`, a Result<ZSelection>, and returns how many they were.
  template <typename Range>
  Result<int64_t> RemoveRange(std::string_view key, Range range) {
    KVS_ASSIGN_OR_RETURN(ZSet zset, Open(key));
    if (!zset.exists()) {
      return 0;
    }
    KVS_ASSIGN_OR_RETURN(const ZSelection selection, range(zset));
    return RemoveSelected(&zset, selection);
  }
  // Removes up to `count` members, from the smallest score or the largest, and returns them.
  Result<std::vector<ScoredMember>> Pop(std::string_view key, uint64_t count, bool from_largest);
  // Makes a sorted set of `members`, whatever was there; of none, no key.
  Status Replace(std::string_view key, std::vector<ScoredMember> members);

 private:
  Result<ZSet> Open(std::string_view key) { return ZSet::OpenForWrite(keyspace_, key, limits_); }
  Result<int64_t> RemoveSelected(ZSet* zset, const ZSelection& selection);

  Keyspace* const keyspace_;
  const TypeLimits& limits_;
};

}  // namespace kvs
