// MemoryMetaStore: a MetaStore for tests.
//
// Threads: thread-safe (locked inside).
// Owner:   the test.

#pragma once

#include <map>
#include <string>
#include <vector>

#include "common/base/mutex.h"
#include "config_server/meta/meta_store.h"

namespace kvs {

class MemoryMetaStore : public MetaStore {
 public:
  Result<std::string> Get(std::string_view key) const override KVS_EXCLUDES(mu_);
  Result<std::vector<MetaRecord>> List(std::string_view prefix) const override KVS_EXCLUDES(mu_);
  Status Commit(const MetaTransaction& transaction) override KVS_EXCLUDES(mu_);

 private:
  mutable Mutex mu_;
  std::map<std::string, std::string, std::less<>> records_ KVS_GUARDED_BY(mu_);
};

}  // namespace kvs
