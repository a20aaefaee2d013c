// DataDir: a node's folder, locked: one process at a time may use it.
//
// The file FORMAT says which release family wrote the folder and over how many engine instances its
// slots are spread, which is fixed when it is made.
//
// Threads: one owner.
// Owner:   the node's app, or a tool; outlives the Store.
// Format:  doc/formats/keys.md

#pragma once

#include <string>

#include "common/base/file.h"
#include "common/base/status.h"

namespace kvs {

class DataDir {
 public:
  // Locks the folder; makes and marks it if it is new.
  //   kBusy and others, from the lock: another process uses it; kUnsupported: another format
  static Result<DataDir> OpenOrCreate(const std::string& path, int instance_count);
  // Locks a folder that exists and has been used.  kNotFound: it was not
  static Result<DataDir> OpenExisting(const std::string& path);

  const std::string& path() const { return path_; }
  int instance_count() const { return instance_count_; }

 private:
  DataDir(std::string path, FileLock lock) : path_(std::move(path)), lock_(std::move(lock)) {}

  static Result<DataDir> Lock(const std::string& path);
  Status ParseFormat(std::string_view text);

  std::string path_;
  FileLock lock_;
  int instance_count_ = 0;
};

}  // namespace kvs
