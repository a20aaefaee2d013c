// HashStore: what hashes can do, with Redis's limits and words.
//
// Threads: one thread, for the duration of one command.
// Owner:   the command's handler; the Keyspace must outlive it.

#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "common/base/status.h"
#include "storage_node/types/collection.h"
#include "storage_node/types/type_limits.h"

namespace kvs {

inline constexpr CollectionShape kHashShape = {.type = DataType::kHash,
                                               .order = ElementOrder::kNone};

// Returns OBJECT ENCODING's word for a hash.
std::string_view HashEncoding(uint8_t encoding);

class HashStore {
 public:
  HashStore(Keyspace* keyspace, const TypeLimits& limits) : keyspace_(keyspace), limits_(limits) {}

  // All of these:
  //   kWrongType: the key holds something else
  //   kTooLarge: the key is too long
  // REQUIRES: the key's stripe is locked

  // Sets fields: name, value, name, value...  Returns how many are new.
  Result<int64_t> Set(std::string_view key, std::span<const std::string_view> pairs);
  // Sets a field unless it is there.  Returns whether it did.
  Result<bool> SetIfMissing(std::string_view key, std::string_view field, std::string_view value);
  // Returns how many there were.
  Result<int64_t> Delete(std::string_view key, std::span<const std::string_view> fields);
  // Returns the sum.
  //   kInvalidArgument: the value is no integer, or the sum does not fit
  Result<int64_t> IncrBy(std::string_view key, std::string_view field, int64_t increment);
  // Returns the sum as it is stored.
  //   kInvalidArgument: value or increment is no number, or the sum is none
  Result<std::string> IncrByFloat(std::string_view key, std::string_view field,
                                  std::string_view increment);

 private:
  Result<Collection> Open(std::string_view key) {
    return Collection::OpenForWrite(keyspace_, key, kHashShape, limits_.packed_size);
  }
  void Put(Collection* hash, std::string_view field, std::string_view value, bool is_new);

  Keyspace* const keyspace_;
  const TypeLimits& limits_;
};

}  // namespace kvs
