// LevelDbMetaStore: a MetaStore in a folder of its own, on LevelDB with synchronous writes.
//
// Threads: thread-safe.
// Owner:   the program; one process at a time may have the folder open.
// Format:  doc/formats/meta_store.md

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/base/mutex.h"
#include "config_server/meta/meta_store.h"

namespace leveldb {
class DB;
}

namespace kvs {

class LevelDbMetaStore : public MetaStore {
 public:
  // Opens the store in `path`, which is created if it is missing.
  //   kBusy: another process has it open
  //   kUnsupported: a newer program wrote it
  //   kCorruption, kIoError: the folder is damaged or cannot be used; the message says what to do
  static Result<std::unique_ptr<LevelDbMetaStore>> Open(const std::string& path);
  ~LevelDbMetaStore() override;

  Result<std::string> Get(std::string_view key) const override;
  Result<std::vector<MetaRecord>> List(std::string_view prefix) const override;
  Status Commit(const MetaTransaction& transaction) override KVS_EXCLUDES(mu_);

 private:
  explicit LevelDbMetaStore(std::unique_ptr<leveldb::DB> db);
  Status CheckFormat();

  const std::unique_ptr<leveldb::DB> db_;
  Mutex mu_;  // Nothing changes between a transaction's compares and its writes.
  Status broken_ KVS_GUARDED_BY(mu_);
};

}  // namespace kvs
