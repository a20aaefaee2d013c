#include "storage_node/types/string_store.h"

#include <algorithm>
#include <cmath>

#include "common/base/check.h"
#include "common/base/strings.h"
#include "storage_node/types/string_change.h"

namespace kvs {
namespace {

// What is in chunks is too long for a number, so nobody reads it to see that.
bool IsText(const KeyEntry& entry) {
  return entry.exists() && entry.is_chunked();
}

uint64_t ExpiryOf(const KeyEntry& entry) {
  return entry.exists() ? entry.expire_at_ms : kNoExpiry;
}

}  // namespace

StringPart StringRange(size_t size, int64_t start, int64_t end) {
  const auto total = static_cast<int64_t>(size);
  // Without this a range that is the wrong way round could become right by the clamping below.
  if (start < 0 && end < 0 && start > end) {
    return {};
  }
  start = std::max<int64_t>(start < 0 ? total + start : start, 0);
  end = std::max<int64_t>(end < 0 ? total + end : end, 0);
  end = std::min(end, total - 1);
  if (start > end) {
    return {};
  }
  return {static_cast<uint64_t>(start), static_cast<uint64_t>(end - start + 1)};
}

Result<KeyEntry> StringStore::FindToChange(std::string_view key) {
  KVS_ASSIGN_OR_RETURN(KeyEntry entry, keyspace_->FindForWrite(key));
  if (entry.exists() && entry.type != DataType::kString) {
    return Status::WrongType();
  }
  return entry;
}

Status StringStore::CheckSize(uint64_t size) const {
  return size <= max_size_
             ? Status::Ok()
             : Status::TooLarge("string exceeds maximum allowed size (proto-max-bulk-len)");
}

Result<size_t> StringStore::Append(std::string_view key, std::string_view suffix) {
  KVS_ASSIGN_OR_RETURN(StringChange change, StringChange::Open(keyspace_, key));
  KVS_RETURN_IF_ERROR(CheckSize(change.size() + suffix.size()));
  KVS_RETURN_IF_ERROR(change.Write(change.size(), suffix));
  change.Save();
  return change.size();
}

Result<size_t> StringStore::SetRange(std::string_view key, int64_t offset, std::string_view part) {
  KVS_CHECK(offset >= 0);
  KVS_ASSIGN_OR_RETURN(StringChange change, StringChange::Open(keyspace_, key));
  if (part.empty()) {
    return change.size();
  }
  // Neither addend is above 2^63, so the sum of both fits.
  KVS_RETURN_IF_ERROR(CheckSize(static_cast<uint64_t>(offset) + part.size()));
  KVS_RETURN_IF_ERROR(change.Write(static_cast<uint64_t>(offset), part));
  change.Save();
  return change.size();
}

Result<int64_t> StringStore::IncrBy(std::string_view key, int64_t increment) {
  KVS_ASSIGN_OR_RETURN(KeyEntry entry, FindToChange(key));
  int64_t value = 0;
  if (IsText(entry) || (entry.exists() && !ParseInt64(entry.value(), &value))) {
    return Status::InvalidArgument("value is not an integer or out of range");
  }
  int64_t sum = 0;
  if (__builtin_add_overflow(value, increment, &sum)) {
    return Status::InvalidArgument("increment or decrement would overflow");
  }
  keyspace_->PutString(&entry, std::to_string(sum), ExpiryOf(entry));
  return sum;
}

Result<std::string> StringStore::IncrByFloat(std::string_view key, std::string_view increment) {
  KVS_ASSIGN_OR_RETURN(KeyEntry entry, FindToChange(key));
  long double value = 0;
  long double addend = 0;
  if (IsText(entry) || (entry.exists() && !ParseLongDouble(entry.value(), &value)) ||
      !ParseLongDouble(increment, &addend)) {
    return Status::InvalidArgument("value is not a valid float");
  }
  value += addend;
  if (std::isnan(value) || std::isinf(value)) {
    return Status::InvalidArgument("increment would produce NaN or Infinity");
  }
  const std::string text = FormatLongDouble(value);
  keyspace_->PutString(&entry, text, ExpiryOf(entry));
  return text;
}

}  // namespace kvs
