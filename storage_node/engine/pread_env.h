// PreadEnv: the file system, with tables read by pread() where LevelDB's own would map them.
//
// A mapped table counts as memory of the process, so the figures that an operator watches would
// grow with the data; and a disk that cannot read a page of it kills the process by SIGBUS, where
// pread() returns an error.
//
// Threads: thread-safe.
// Owner:   static; PreadEnv::Default() is never destroyed.

#pragma once

#include <string>

#include "leveldb/env.h"

namespace kvs {

class PreadEnv : public leveldb::EnvWrapper {
 public:
  static PreadEnv* Default();

  leveldb::Status NewRandomAccessFile(const std::string& name,
                                      leveldb::RandomAccessFile** result) override;

 private:
  PreadEnv() : EnvWrapper(leveldb::Env::Default()) {}
};

}  // namespace kvs
