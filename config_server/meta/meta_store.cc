#include "config_server/meta/meta_store.h"

#include <fmt/format.h>

#include <set>

namespace kvs {
namespace {

Status CheckChange(const std::string& key, size_t value_size, std::set<std::string_view>* changed) {
  if (key.empty() || key.size() > kMaxMetaKeySize) {
    return Status::InvalidArgument(
        fmt::format("a key of {} bytes; use 1 to {}", key.size(), kMaxMetaKeySize));
  }
  if (value_size > kMaxMetaValueSize) {
    return Status::InvalidArgument(fmt::format("record '{}' has {} bytes; use at most {}", key,
                                               value_size, kMaxMetaValueSize));
  }
  if (!changed->insert(key).second) {
    return Status::InvalidArgument(fmt::format("record '{}' is changed twice", key));
  }
  return Status::Ok();
}

}  // namespace

Status CheckMetaTransaction(const MetaTransaction& transaction) {
  std::set<std::string_view> changed;
  for (const auto& [key, value] : transaction.puts) {
    KVS_RETURN_IF_ERROR(CheckChange(key, value.size(), &changed));
  }
  for (const std::string& key : transaction.deletes) {
    KVS_RETURN_IF_ERROR(CheckChange(key, 0, &changed));
  }
  return Status::Ok();
}

}  // namespace kvs
