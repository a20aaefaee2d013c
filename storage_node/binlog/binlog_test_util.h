// What the binlog's tests share: a folder of their own, and records of known size.
//
// Threads: one owner.
// Owner:   the test.

#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "common/base/file.h"
#include "storage_node/binlog/binlog_record.h"

namespace kvs {

class TestDir {
 public:
  TestDir() {
    // In memory where there is such a folder: the tests sync thousands of times.
    const std::string parent = FileExists("/dev/shm") ? "/dev/shm" : testing::TempDir();
    std::string pattern = parent + "/kvs-binlog-XXXXXX";
    KVS_CHECK(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~TestDir() { static_cast<void>(RemoveTree(path_).ok()); }
  TestDir(const TestDir&) = delete;
  TestDir& operator=(const TestDir&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// A record with one put of key "k<lsn>".
inline std::string TestRecord(uint64_t lsn, uint64_t synced_lsn = 0, size_t value_size = 40,
                              uint64_t epoch = 1) {
  BinlogBatch batch;
  batch.Put(static_cast<uint16_t>(lsn % 16384), fmt::format("k{}", lsn),
            std::string(value_size, static_cast<char>('a' + lsn % 26)));
  std::string bytes;
  EncodeBinlogRecord({.epoch = epoch, .lsn = lsn, .time_ms = lsn * 10, .synced_lsn = synced_lsn},
                     batch, &bytes);
  return bytes;
}

inline std::string MustRead(const std::string& path) {
  Result<std::string> content = ReadFile(path, uint64_t{1} << 30);
  KVS_CHECK(content.ok());
  return *std::move(content);
}

inline void MustWrite(const std::string& path, const std::string& content) {
  KVS_CHECK(WriteFileAtomic(path, content).ok());
}

}  // namespace kvs
