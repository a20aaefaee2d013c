// What only LevelDB can get wrong: the order of syncs, the proof of a flush, sticky errors.

#include "storage_node/engine/leveldb_engine.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "common/base/file.h"
#include "common/base/logging.h"
#include "common/base/mutex.h"
#include "leveldb/env.h"

namespace kvs {
namespace {

// A file system that can refuse tables, and can hold their creation back.
class TestEnv : public leveldb::EnvWrapper {
 public:
  TestEnv() : EnvWrapper(leveldb::Env::Default()) {}

  leveldb::Status NewWritableFile(const std::string& name, leveldb::WritableFile** file) override {
    if (name.ends_with(".ldb")) {
      MutexLock lock(&mu_);
      while (hold_) {
        released_.Wait(&mu_);
      }
    }
    const bool is_new = name.ends_with(".ldb") || name.ends_with(".dbtmp");
    const MutexLock lock(&mu_);
    if (is_new && fail_) {
      return leveldb::Status::IOError("test: no more files");
    }
    return target()->NewWritableFile(name, file);
  }
  void FailNewFiles(bool fail) {
    MutexLock lock(&mu_);
    fail_ = fail;
  }
  void HoldTables(bool hold) {
    MutexLock lock(&mu_);
    hold_ = hold;
    released_.NotifyAll();
  }

 private:
  Mutex mu_;
  CondVar released_;
  bool fail_ KVS_GUARDED_BY(mu_) = false;
  bool hold_ KVS_GUARDED_BY(mu_) = false;
};

class LevelDbEngineTest : public testing::Test {
 protected:
  LevelDbEngineTest() {
    SetLogLevel(LogLevel::kOff);
    std::string pattern = testing::TempDir() + "/kvs-leveldb-XXXXXX";
    KVS_CHECK(::mkdtemp(pattern.data()) != nullptr);
    dir_ = pattern;
    options_.base_env = &env_;
  }
  ~LevelDbEngineTest() override {
    env_.HoldTables(false);
    engine_.reset();
    static_cast<void>(RemoveTree(dir_).ok());
  }

  void Open() {
    engine_.reset();
    auto engine = LevelDbEngine::Open(dir_ + "/0", options_);
    ASSERT_TRUE(engine.ok()) << engine.status().ToString();
    engine_ = *std::move(engine);
  }
  Status Put(uint64_t lsn, std::string_view key, std::string_view value) {
    const EngineOp op = {.key = key, .value = value};
    return engine_->Apply({&op, 1}, lsn);
  }
  std::vector<std::string> Files() {
    Result<std::vector<std::string>> names = ListDir(dir_ + "/0");
    return names.ok() ? *std::move(names) : std::vector<std::string>();
  }
  std::string Get(std::string_view key) {
    std::string value;
    const Status status = engine_->Get(key, &value);
    return status.ok() ? value : std::string(CodeName(status.code()));
  }

  TestEnv env_;
  std::string dir_;
  LevelDbOptions options_;
  std::unique_ptr<LevelDbEngine> engine_;
};

TEST_F(LevelDbEngineTest, ItsOwnLogStaysEmpty) {
  Open();
  ASSERT_TRUE(Put(1, "key", std::string(10'000, 'v')).ok());

  int log_count = 0;
  for (const std::string& name : Files()) {
    if (name.ends_with(".log")) {
      ++log_count;
      EXPECT_EQ(*FileSize(dir_ + "/0/" + name), 0U);
    }
  }
  EXPECT_EQ(log_count, 1);
}

TEST_F(LevelDbEngineTest, NothingIsProvenBeforeTheTableIsOnTheDisk) {
  Open();
  ASSERT_TRUE(Put(1, "a", "1").ok());
  ASSERT_TRUE(engine_->Flush().ok());
  EXPECT_EQ(engine_->FlushedLsn(), 1U);
  options_.write_buffer_size = 64 << 10;  // LevelDB's smallest.
  Open();
  env_.HoldTables(true);
  uint64_t lsn = 1;
  while (!engine_->IsStalled()) {  // One memtable waits, and the next is nearly full.
    ++lsn;
    ASSERT_TRUE(Put(lsn, "k" + std::to_string(lsn), std::string(1000, 'v')).ok());
    ASSERT_LT(lsn, 1000U);
  }

  EXPECT_EQ(engine_->FlushedLsn(), 1U);
  EXPECT_EQ(Get("k" + std::to_string(lsn)), std::string(1000, 'v'));  // The memory shows it.
  env_.HoldTables(false);
  ASSERT_TRUE(engine_->Flush().ok());
  EXPECT_EQ(engine_->FlushedLsn(), lsn);
  EXPECT_FALSE(engine_->IsStalled());
  EXPECT_GE(engine_->Stats().flush_count, 2U);
}

// A store dropped without a flush is what kill -9 leaves.  Whatever is there must be at or past
// what had been proven, and complete up to the position it states.
TEST_F(LevelDbEngineTest, AfterACrashThePositionIsThatOfTheContent) {
  options_.write_buffer_size = 64 << 10;
  Open();
  constexpr uint64_t kRecords = 500;
  uint64_t proven = 0;
  for (uint64_t lsn = 1; lsn <= kRecords; ++lsn) {
    ASSERT_TRUE(Put(lsn, "k" + std::to_string(lsn), std::string(1000, 'v')).ok());
    proven = engine_->FlushedLsn();
  }

  Open();

  const uint64_t applied = engine_->AppliedLsn();
  EXPECT_GT(proven, 0U);
  EXPECT_GE(applied, proven);
  EXPECT_EQ(engine_->FlushedLsn(), applied);
  for (uint64_t lsn = 1; lsn <= kRecords; ++lsn) {
    EXPECT_EQ(Get("k" + std::to_string(lsn)) != "not_found", lsn <= applied) << lsn;
  }
}

TEST_F(LevelDbEngineTest, TheBinlogIsDurableBeforeATable) {
  std::vector<uint64_t> asked;
  int tables_at_call = -1;
  options_.ensure_binlog_synced = [&](uint64_t lsn) {
    asked.push_back(lsn);
    tables_at_call = 0;
    for (const std::string& name : Files()) {
      tables_at_call += name.ends_with(".ldb") ? 1 : 0;
    }
    return Status::Ok();
  };
  Open();
  ASSERT_TRUE(Put(41, "a", "1").ok());
  ASSERT_TRUE(Put(42, "b", "2").ok());
  EXPECT_TRUE(asked.empty());

  ASSERT_TRUE(engine_->Flush().ok());

  EXPECT_EQ(asked, std::vector<uint64_t>{42});
  EXPECT_EQ(tables_at_call, 1);  // Written, not yet synced.
}

TEST_F(LevelDbEngineTest, ABinlogThatCannotBeSyncedStopsTheFlush) {
  options_.ensure_binlog_synced = [](uint64_t) { return Status::Misconf("test"); };
  Open();
  ASSERT_TRUE(Put(1, "a", "1").ok());

  EXPECT_FALSE(engine_->Flush().ok());

  EXPECT_EQ(engine_->FlushedLsn(), 0U);
  EXPECT_EQ(engine_->Health().code(), Code::kMisconf);
  EXPECT_EQ(Put(2, "a", "2").code(), Code::kMisconf);
  EXPECT_EQ(Get("a"), "1");  // Reads go on.
  Open();
  EXPECT_EQ(engine_->AppliedLsn(), 0U);
}

TEST_F(LevelDbEngineTest, AFailedStoreIsReopenedWithoutWhatItsMemoryHeld) {
  Open();
  ASSERT_TRUE(Put(1, "a", "flushed").ok());
  ASSERT_TRUE(engine_->Flush().ok());
  ASSERT_TRUE(Put(2, "b", "in memory").ok());
  env_.FailNewFiles(true);
  EXPECT_FALSE(engine_->Flush().ok());
  EXPECT_EQ(Put(3, "c", "refused").code(), Code::kMisconf);
  const auto nothing = [](uint64_t) { return Status::Ok(); };
  EXPECT_FALSE(engine_->Reopen(nothing).ok());  // Where no file can be written it stays open,
  EXPECT_EQ(Get("a"), "flushed");               // and is read as before.
  EXPECT_EQ(Get("b"), "in memory");
  env_.FailNewFiles(false);
  EXPECT_EQ(Put(3, "c", "refused").code(), Code::kMisconf);  // The error is sticky.

  uint64_t from = 0;
  const Status reopened = engine_->Reopen([&](uint64_t applied) {
    from = applied;
    EXPECT_EQ(Get("a"), "unavailable");  // Nobody sees a store that lacks record 2.
    return Status::Ok();
  });

  ASSERT_TRUE(reopened.ok()) << reopened.ToString();
  EXPECT_EQ(from, 1U);
  EXPECT_EQ(engine_->AppliedLsn(), 1U);
  EXPECT_EQ(Get("a"), "flushed");
  EXPECT_EQ(Get("b"), "not_found");
  EXPECT_TRUE(engine_->Health().ok());
  ASSERT_TRUE(Put(3, "c", "accepted").ok());
  ASSERT_TRUE(engine_->Flush().ok());
  EXPECT_EQ(engine_->FlushedLsn(), 3U);
}

TEST_F(LevelDbEngineTest, ARecoveryThatFailsLeavesTheStoreClosed) {
  Open();
  const auto fails = [](uint64_t) { return Status::Corruption("test"); };

  EXPECT_EQ(engine_->Reopen(fails).code(), Code::kCorruption);

  EXPECT_EQ(Get("a"), "io_error");
  EXPECT_FALSE(engine_->Health().ok());
  const auto nothing = [](uint64_t) { return Status::Ok(); };
  EXPECT_TRUE(engine_->Reopen(nothing).ok());
  EXPECT_EQ(Get("a"), "not_found");
}

TEST_F(LevelDbEngineTest, WhatWasRemovedWithoutARecordIsStillGoneAfterAStop) {
  Open();
  const EngineOp op = {.key = "a", .value = "1"};
  ASSERT_TRUE(engine_->Apply({&op, 1}, 7).ok());
  ASSERT_TRUE(engine_->Flush().ok());
  const std::string_view key = "a";
  ASSERT_TRUE(engine_->DeleteLocal({&key, 1}).ok());
  ASSERT_TRUE(engine_->Close().ok());

  Open();

  std::string value;
  EXPECT_EQ(engine_->Get("a", &value).code(), Code::kNotFound);
  EXPECT_EQ(engine_->AppliedLsn(), 7U);
}

TEST_F(LevelDbEngineTest, AnIteratorHoldsUpAReopen) {
  options_.release_timeout = std::chrono::milliseconds(2);
  Open();
  ASSERT_TRUE(Put(1, "a", "1").ok());
  auto iterator = *engine_->NewIterator({});
  const auto nothing = [](uint64_t) { return Status::Ok(); };

  EXPECT_EQ(engine_->Reopen(nothing).code(), Code::kBusy);
  iterator->SeekToFirst();
  ASSERT_TRUE(iterator->Valid());
  EXPECT_EQ(iterator->key(), "a");

  iterator.reset();
  EXPECT_TRUE(engine_->Reopen(nothing).ok());
}

TEST_F(LevelDbEngineTest, KnowsItsSizes) {
  Open();
  for (uint64_t lsn = 1; lsn <= 100; ++lsn) {
    ASSERT_TRUE(Put(lsn, "k" + std::to_string(lsn), std::string(1000, 'v')).ok());
  }
  EXPECT_GT(engine_->Stats().memtable_bytes, 100'000U);
  ASSERT_TRUE(engine_->Flush().ok());

  const EngineStats stats = engine_->Stats();
  EXPECT_EQ(stats.file_count, 1U);
  EXPECT_EQ(stats.applied_lsn, 100U);
  EXPECT_GT(engine_->ApproximateSize({}), 0U);
  EXPECT_EQ(engine_->ApproximateSize({"x", "y"}), 0U);
  EXPECT_NE(engine_->Property("leveldb.stats"), "");
}

}  // namespace
}  // namespace kvs
