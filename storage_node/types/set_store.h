// SetStore: what sets can do to themselves, with Redis's limits.
//
// A set is a Collection whose elements are the members, with nothing as their values; each is read
// and written by its own name, whatever the size of the set.
//
// Threads: one thread, for the duration of one command.
// Owner:   the command's handler; the Keyspace must outlive it.
// Format:  doc/formats/keys.md

#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/random.h"
#include "common/base/status.h"
#include "storage_node/types/collection.h"
#include "storage_node/types/type_limits.h"

namespace kvs {

inline constexpr CollectionShape kSetShape = {.type = DataType::kSet, .order = ElementOrder::kNone};

// What OBJECT ENCODING says.  The values are on disk.
enum class SetEncoding : uint8_t { kIntset = 0, kListpack = 1, kHashtable = 2 };

// Returns OBJECT ENCODING's word for a set.
std::string_view SetEncodingName(uint8_t encoding);

// As what Redis begins a set that it makes of others.
enum class SetOrigin : uint8_t { kIntset, kListpack };

class SetStore {
 public:
  SetStore(Keyspace* keyspace, const TypeLimits& limits) : keyspace_(keyspace), limits_(limits) {}

  // All of these:
  //   kWrongType: the key holds something else
  //   kTooLarge: the key is too long
  // REQUIRES: the stripes of the keys are locked

  // Returns how many are new.
  Result<int64_t> Add(std::string_view key, std::span<const std::string_view> members);
  // Returns how many there were.
  Result<int64_t> Remove(std::string_view key, std::span<const std::string_view> members);
  // Moves a member from one set to the other, where it may be already.  Returns whether it did.
  Result<bool> Move(std::string_view from, std::string_view to, std::string_view member);
  // Removes up to `count` members that are chosen at random, and returns them.
  Result<std::vector<std::string>> Pop(std::string_view key, uint64_t count, Random* random);
  // Makes a set of `members`, whatever was there; of none, no key.  No member is named twice.
  Status Replace(std::string_view key, std::span<const std::string> members, SetOrigin origin);

 private:
  Result<Collection> Open(std::string_view key) {
    return Collection::OpenForWrite(keyspace_, key, kSetShape, limits_.packed_size);
  }
  void Put(Collection* set, std::string_view member) const;
  // Leaves `members` alone in the set.
  void Refill(Collection* set, std::span<const std::string> members, SetEncoding encoding) const;
  SetEncoding EncodingOf(std::span<const std::string> members, SetOrigin origin) const;
  SetEncoding EncodingWith(const Collection& set, std::string_view member) const;
  // Sets the encoding that the set has before so many members are added, of which this is the
  // first.
  void Expect(Collection* set, std::string_view first, uint64_t count) const;

  Keyspace* const keyspace_;
  const TypeLimits& limits_;
};

}  // namespace kvs
