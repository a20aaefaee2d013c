#include "storage_node/types/hash_store.h"

#include <cmath>
#include <unordered_set>
#include <vector>

#include "common/base/strings.h"

namespace kvs {
namespace {

enum Encoding : uint8_t { kListpack = 0, kHashtable = 1 };

}  // namespace

std::string_view HashEncoding(uint8_t encoding) {
  return encoding == kListpack ? "listpack" : "hashtable";
}

void HashStore::Put(Collection* hash, std::string_view field, std::string_view value, bool is_new) {
  hash->Put(field, value);
  hash->AddToCount(is_new ? 1 : 0);
  if (hash->count() > limits_.hash_max_listpack_entries ||
      field.size() > limits_.hash_max_listpack_value ||
      value.size() > limits_.hash_max_listpack_value) {
    hash->set_encoding(kHashtable);
  }
}

Result<int64_t> HashStore::Set(std::string_view key, std::span<const std::string_view> pairs) {
  KVS_ASSIGN_OR_RETURN(Collection hash, Open(key));
  // All are looked up before the first is written, so an error leaves nothing half done.
  std::vector<bool> is_new(pairs.size() / 2);
  std::unordered_set<std::string_view> seen;
  int64_t added = 0;
  for (size_t i = 0; i < is_new.size(); ++i) {
    const std::string_view field = pairs[2 * i];
    KVS_ASSIGN_OR_RETURN(const bool found, hash.Contains(field));
    is_new[i] = !found && (is_new.size() == 1 || seen.insert(field).second);
    added += is_new[i] ? 1 : 0;
  }
  for (size_t i = 0; i < is_new.size(); ++i) {
    Put(&hash, pairs[2 * i], pairs[2 * i + 1], is_new[i]);
  }
  hash.Save();
  return added;
}

Result<bool> HashStore::SetIfMissing(std::string_view key, std::string_view field,
                                     std::string_view value) {
  KVS_ASSIGN_OR_RETURN(Collection hash, Open(key));
  KVS_ASSIGN_OR_RETURN(const bool found, hash.Contains(field));
  if (!found) {
    Put(&hash, field, value, true);
    hash.Save();
  }
  return !found;
}

Result<int64_t> HashStore::Delete(std::string_view key, std::span<const std::string_view> fields) {
  KVS_ASSIGN_OR_RETURN(Collection hash, Open(key));
  if (!hash.exists()) {
    return 0;
  }
  std::unordered_set<std::string_view> found;
  for (const std::string_view field : fields) {
    KVS_ASSIGN_OR_RETURN(const bool is_there, hash.Contains(field));
    if (is_there) {
      found.insert(field);
    }
  }
  for (const std::string_view field : found) {
    hash.Remove(field);
  }
  const auto count = static_cast<int64_t>(found.size());
  if (count > 0) {
    hash.AddToCount(-count);
    hash.Save();
  }
  return count;
}

Result<int64_t> HashStore::IncrBy(std::string_view key, std::string_view field, int64_t increment) {
  KVS_ASSIGN_OR_RETURN(Collection hash, Open(key));
  std::string text;
  KVS_ASSIGN_OR_RETURN(const bool found, hash.Get(field, &text));
  int64_t value = 0;
  if (found && !ParseInt64(text, &value)) {
    return Status::InvalidArgument("hash value is not an integer");
  }
  int64_t sum = 0;
  if (__builtin_add_overflow(value, increment, &sum)) {
    return Status::InvalidArgument("increment or decrement would overflow");
  }
  Put(&hash, field, std::to_string(sum), !found);
  hash.Save();
  return sum;
}

Result<std::string> HashStore::IncrByFloat(std::string_view key, std::string_view field,
                                           std::string_view increment) {
  long double addend = 0;
  if (!ParseLongDouble(increment, &addend)) {
    return Status::InvalidArgument("value is not a valid float");
  }
  if (std::isnan(addend) || std::isinf(addend)) {
    return Status::InvalidArgument("value is NaN or Infinity");
  }
  KVS_ASSIGN_OR_RETURN(Collection hash, Open(key));
  std::string text;
  KVS_ASSIGN_OR_RETURN(const bool found, hash.Get(field, &text));
  long double value = 0;
  if (found && !ParseLongDouble(text, &value)) {
    return Status::InvalidArgument("hash value is not a float");
  }
  value += addend;
  if (std::isnan(value) || std::isinf(value)) {
    return Status::InvalidArgument("increment would produce NaN or Infinity");
  }
  std::string sum = FormatLongDouble(value);
  Put(&hash, field, sum, !found);
  hash.Save();
  return sum;
}

}  // namespace kvs
