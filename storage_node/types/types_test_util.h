// StoreTest: a store of two instances in a temporary folder, with a clock that only the test moves
// and one transaction at a time.  For tests only.
//
// Threads: the test's.
// Owner:   googletest.

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/random.h"
#include "common/slot/slot.h"
#include "storage_node/commit/store.h"
#include "storage_node/commit/txn.h"

namespace kvs {

class StoreTest : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = testing::TempDir() + "kvs_types_" + RandomHex(8);
    Open();
  }
  void TearDown() override {
    txn_.reset();
    store_.reset();
    EXPECT_TRUE(RemoveTree(dir_).ok());
  }
  // Opens the store; one that was open ends as in a crash.
  void Open() {
    txn_.reset();
    store_.reset();
    StoreOptions options;
    options.dir = dir_;
    options.instance_count = 2;
    options.sync_policy = SyncPolicy::kNo;
    options.engines.block_cache_bytes = 8 << 20;
    Result<std::unique_ptr<Store>> store = Store::Open(options, &clock_);
    ASSERT_TRUE(store.ok()) << store.status().ToString();
    store_ = *std::move(store);
    txn_ = std::make_unique<Txn>(store_.get());
  }
  void Commit() { ASSERT_TRUE(txn_->Commit().ok()); }
  // Brings everything from the cache into the engines.
  void HandOver() {
    for (int i = 0; i < store_->engines().instance_count(); ++i) {
      ASSERT_TRUE(store_->pipeline().HandOver(i).ok());
    }
  }
  static uint16_t Slot(const std::string& key) { return static_cast<uint16_t>(SlotOf(key)); }

  std::string dir_;
  ManualClock clock_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Txn> txn_;
  std::vector<std::string> expired_;
};

}  // namespace kvs
