// A data directory with strings in it, and what was written there, for tests.
//
// Threads: one owner.
// Owner:   the test.

#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "common/base/file.h"
#include "common/base/random.h"
#include "storage_node/commit/data_dir.h"
#include "storage_node/commit/store.h"
#include "storage_node/commit/txn.h"
#include "storage_node/keys/key_codec.h"

namespace kvs {

class FilledDir {
 public:
  static constexpr int kInstances = 2;

  FilledDir() : dir_(testing::TempDir() + "kvs_check_" + RandomHex(8)) {}
  ~FilledDir() { (void)RemoveTree(dir_).ok(); }

  const std::string& dir() const { return dir_; }
  const std::map<int, std::string>& values() const { return values_; }
  static std::string Name(int n) { return "key" + std::to_string(n); }
  static uint16_t SlotFor(int n) { return static_cast<uint16_t>((n * 7) % 64); }
  static std::string Key(int n) { return MetadataKey(SlotFor(n), 1, Name(n)); }
  // When a key expires; 0 for never.
  static uint64_t ExpiryOf(int n) { return n % 4 == 0 ? kFar + static_cast<uint64_t>(n) : 0; }
  static std::string ExpiryKeyOf(int n) { return ExpiryKey(SlotFor(n), 1, ExpiryOf(n), Name(n)); }
  static std::string Record(std::string_view value, uint64_t expire_at_ms) {
    std::string record;
    AppendMetadata({.expire_at_ms = expire_at_ms, .rest = value}, &record);
    return record;
  }

  static StoreOptions Options(const std::string& dir) {
    StoreOptions options;
    options.dir = dir;
    options.instance_count = kInstances;
    options.binlog_segment_size = 64 << 10;
    options.record_cache_bytes = 0;  // So that reads come from the engines,
    options.write_behind_bytes = 1;  // ...which get all of it at once.
    options.engines.block_cache_bytes = 1 << 20;
    options.engines.leveldb.write_buffer_size = 64 << 10;
    options.engines.leveldb.max_file_size = 64 << 10;
    return options;
  }

  void Open() {
    lock_ = std::make_unique<DataDir>(*DataDir::OpenOrCreate(dir_, kInstances));
    Result<std::unique_ptr<Store>> store = Store::Open(Options(dir_), Clock::System());
    ASSERT_TRUE(store.ok()) << store.status().ToString();
    store_ = *std::move(store);
  }

  // Writes keys, every fourth with an expiry; some are overwritten and some deleted later on.
  void Write(int writes, Random* random) {
    Txn txn(store_.get());
    for (int i = 0; i < writes; ++i) {
      const int n = static_cast<int>(random->Uniform(2000));
      txn.Begin();
      txn.Lock(Name(n));
      const bool had = values_.contains(n);
      if (had && random->OneIn(8)) {
        txn.Delete(SlotFor(n), Key(n));
        Expire(&txn, n, false);
        txn.AddKeys(SlotFor(n), -1);
        values_.erase(n);
      } else {
        values_[n] = RandomHex(32 + static_cast<int>(random->Uniform(200)));
        txn.Put(SlotFor(n), Key(n), Record(values_[n], ExpiryOf(n)));
        if (!had) {
          Expire(&txn, n, true);
          txn.AddKeys(SlotFor(n), 1);
        }
      }
      if (i % 16 == 15) {
        ASSERT_TRUE(txn.Commit().ok());
      }
    }
    ASSERT_TRUE(txn.Commit().ok());
  }

  void Close() {
    ASSERT_TRUE(store_->Close().ok());
    Crash();
  }
  // As a kill does.
  void Crash() {
    store_.reset();
    lock_.reset();
  }

  Store* store() { return store_.get(); }

 private:
  static constexpr uint64_t kFar = 4'000'000'000'000;

  static void Expire(Txn* txn, int n, bool set) {
    if (ExpiryOf(n) == 0) {
      return;
    }
    if (set) {
      txn->Put(SlotFor(n), ExpiryKeyOf(n), {});
    } else {
      txn->Delete(SlotFor(n), ExpiryKeyOf(n));
    }
    txn->AddExpires(SlotFor(n), set ? 1 : -1);
  }

  const std::string dir_;
  std::unique_ptr<DataDir> lock_;
  std::unique_ptr<Store> store_;
  std::map<int, std::string> values_;
};

}  // namespace kvs
