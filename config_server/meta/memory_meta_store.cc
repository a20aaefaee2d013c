#include "config_server/meta/memory_meta_store.h"

#include <fmt/format.h>

namespace kvs {

Result<std::string> MemoryMetaStore::Get(std::string_view key) const {
  const MutexLock lock(&mu_);
  const auto found = records_.find(key);
  if (found == records_.end()) {
    return Status::NotFound(fmt::format("there is no record '{}'", key));
  }
  return found->second;
}

Result<std::vector<MetaRecord>> MemoryMetaStore::List(std::string_view prefix) const {
  const MutexLock lock(&mu_);
  std::vector<MetaRecord> records;
  for (auto it = records_.lower_bound(prefix);
       it != records_.end() && it->first.starts_with(prefix); ++it) {
    records.emplace_back(it->first, it->second);
  }
  return records;
}

Status MemoryMetaStore::Commit(const MetaTransaction& transaction) {
  KVS_RETURN_IF_ERROR(CheckMetaTransaction(transaction));
  const MutexLock lock(&mu_);
  for (const auto& [key, expected] : transaction.compares) {
    const auto found = records_.find(key);
    const bool holds = expected.has_value() ? found != records_.end() && found->second == *expected
                                            : found == records_.end();
    if (!holds) {
      return Status::Aborted(fmt::format("record '{}' has changed", key));
    }
  }
  for (const auto& [key, value] : transaction.puts) {
    records_.insert_or_assign(key, value);
  }
  for (const std::string& key : transaction.deletes) {
    records_.erase(key);
  }
  return Status::Ok();
}

}  // namespace kvs
