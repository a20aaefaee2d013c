// TablelessEnv: the file system below an engine, for tests, which refuses new tables when told to.
//
// Threads: thread-safe.
// Owner:   the test; must outlive the engines.

#pragma once

#include <atomic>
#include <string>

#include "leveldb/env.h"
#include "storage_node/engine/pread_env.h"

namespace kvs {

class TablelessEnv : public leveldb::EnvWrapper {
 public:
  TablelessEnv() : EnvWrapper(PreadEnv::Default()) {}
  leveldb::Status NewWritableFile(const std::string& name, leveldb::WritableFile** file) override {
    if (refuses_.load() && name.ends_with(".ldb")) {
      *file = nullptr;
      return leveldb::Status::IOError("test: no more tables");
    }
    return target()->NewWritableFile(name, file);
  }
  void Refuse(bool refuses) { refuses_.store(refuses); }

 private:
  std::atomic<bool> refuses_{false};
};

}  // namespace kvs
