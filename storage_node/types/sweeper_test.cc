// The sweeper, with a clock of its own and a real store in a temporary folder.

#include "storage_node/types/sweeper.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "common/base/file.h"
#include "common/base/random.h"
#include "common/base/thread.h"
#include "common/slot/slot.h"
#include "storage_node/types/keyspace.h"
#include "storage_node/types/sweeper_thread.h"

namespace kvs {
namespace {

class SweeperTest : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = testing::TempDir() + "kvs_types_" + RandomHex(8);
    Open();
  }
  void TearDown() override {
    store_.reset();
    EXPECT_TRUE(RemoveTree(dir_).ok());
  }
  void Open(SyncPolicy policy = SyncPolicy::kNo) {
    store_.reset();
    StoreOptions options;
    options.dir = dir_;
    options.instance_count = 2;
    options.sync_policy = policy;
    options.engines.block_cache_bytes = 8 << 20;
    Result<std::unique_ptr<Store>> store = Store::Open(options, &clock_);
    ASSERT_TRUE(store.ok());
    store_ = *std::move(store);
  }

  // Sets `key` in a turn of its own.  It expires `ttl_ms` from now, or never.
  void Put(const std::string& key, int64_t ttl_ms) {
    Txn txn(store_.get());
    txn.Begin();
    txn.Lock(key);
    std::vector<std::string> expired;
    Keyspace keyspace(&txn, &expired);
    Result<KeyEntry> entry = keyspace.FindForWrite(key);
    ASSERT_TRUE(entry.ok());
    keyspace.PutString(&*entry, "v",
                       ttl_ms == 0 ? kNoExpiry : static_cast<uint64_t>(Now() + ttl_ms));
    ASSERT_TRUE(txn.Commit().ok());
  }
  void Flush(uint16_t slot) {
    Txn txn(store_.get());
    txn.Begin();
    txn.LockAll();
    txn.StartNewGeneration(slot);
    ASSERT_TRUE(txn.Commit().ok());
  }
  // Brings everything from the cache into the engines.
  void HandOver() {
    for (int i = 0; i < store_->engines().instance_count(); ++i) {
      ASSERT_TRUE(store_->pipeline().HandOver(i).ok());
    }
  }
  // Leaves ten records of a dead generation in the engine of the slot, which it returns.
  uint16_t FlushTen() {
    for (int i = 0; i < 10; ++i) {
      Put("{t}" + std::to_string(i), 0);
    }
    Flush(Slot("{t}"));
    HandOver();
    return Slot("{t}");
  }
  // Lets the sweeper come by every slot.
  static void SweepAll(Sweeper* sweeper) {
    for (int i = 0; i < kNodeSlotCount / 2048; ++i) {
      ASSERT_TRUE(sweeper->RunSlice(1000).ok());
    }
  }
  int64_t Now() const { return clock_.WallMillis(); }
  static uint16_t Slot(const std::string& key) { return static_cast<uint16_t>(SlotOf(key)); }
  // The engine keys of generations that do not live any more.
  size_t CountDeadRecords(uint16_t slot) {
    Result<std::unique_ptr<EngineIterator>> it = store_->engines().ForSlot(slot)->NewIterator(
        {.range = {GenerationLower(slot, 1),
                   GenerationLower(slot, store_->slots().generation(slot))}});
    size_t count = 0;
    for ((*it)->SeekToFirst(); (*it)->Valid(); (*it)->Next()) {
      ++count;
    }
    return count;
  }

  std::string dir_;
  ManualClock clock_;
  std::unique_ptr<Store> store_;
};

TEST_F(SweeperTest, DeletesWhatIsDueInOrderOfTimeAndUpToTheLimit) {
  Put("{t}later", 5000);
  Put("{t}never", 0);
  for (int i = 0; i < 10; ++i) {
    Put("{t}" + std::to_string(i), 100 + i);
  }
  Sweeper sweeper(store_.get(), &clock_);
  const uint16_t slot = Slot("{t}");
  const SlotTable& slots = store_->slots();
  EXPECT_EQ(*sweeper.SweepExpired(slot, 100), 0U);
  EXPECT_EQ(slots.due_ms(slot), Now() + 100);
  clock_.AdvanceMicros(107'000);

  EXPECT_EQ(*sweeper.SweepExpired(slot, 5), 5U);
  EXPECT_EQ(slots.due_ms(slot), Now() - 2);
  EXPECT_EQ(*sweeper.SweepExpired(slot, 5), 3U);
  EXPECT_EQ(slots.due_ms(slot), Now() + 1);
  EXPECT_EQ(slots.key_count(slot), 4U);
  EXPECT_EQ(slots.expire_count(slot), 3U);
  clock_.AdvanceMicros(100'000);
  EXPECT_EQ(*sweeper.SweepExpired(slot, 5), 2U);
  clock_.AdvanceMicros(5'000'000);
  EXPECT_EQ(*sweeper.SweepExpired(slot, 5), 1U);

  EXPECT_EQ(slots.due_ms(slot), kNeverDue);
  EXPECT_EQ(slots.key_count(slot), 1U);
  EXPECT_EQ(sweeper.stats().expired_keys, 11U);
}

TEST_F(SweeperTest, AnIndexEntryThatBelongsToNoKeyIsRemovedAndNotCounted) {
  const uint16_t slot = Slot("x");
  const std::string orphan = ExpiryKey(slot, 1, static_cast<uint64_t>(Now()), "x");
  Txn txn(store_.get());
  txn.Begin();
  txn.Lock("x");
  txn.Put(slot, orphan, "");
  txn.LowerDue(slot, Now());
  ASSERT_TRUE(txn.Commit().ok());

  Sweeper sweeper(store_.get(), &clock_);
  EXPECT_EQ(*sweeper.SweepExpired(slot, 10), 0U);

  std::string value;
  EXPECT_EQ(store_->Get(slot, orphan, &value).code(), Code::kNotFound);
  EXPECT_EQ(store_->slots().due_ms(slot), kNeverDue);
}

TEST_F(SweeperTest, AKeyWithALaterExpiryThanItsIndexEntrySaysStays) {
  Put("x", 100);
  Put("x", 1000);
  clock_.AdvanceMicros(100'000);
  Sweeper sweeper(store_.get(), &clock_);
  EXPECT_EQ(*sweeper.SweepExpired(Slot("x"), 10), 0U);
  EXPECT_EQ(store_->slots().key_count(Slot("x")), 1U);
  EXPECT_EQ(store_->slots().due_ms(Slot("x")), Now() + 900);
}

TEST_F(SweeperTest, ASliceSweepsAllSlotsThatAreDue) {
  for (int i = 0; i < 300; ++i) {
    Put("key" + std::to_string(i), i < 200 ? 10 : 0);
  }
  for (int i = 0; i < 200; ++i) {
    Put("{one slot}" + std::to_string(i), 10);
  }
  clock_.AdvanceMicros(10'000);
  Sweeper sweeper(store_.get(), &clock_);

  const Result<bool> more = sweeper.RunSlice(1000);

  ASSERT_TRUE(more.ok());
  EXPECT_FALSE(*more);
  EXPECT_EQ(store_->slots().total_keys(), 100U);
  EXPECT_EQ(store_->slots().total_expires(), 0U);
  EXPECT_EQ(sweeper.stats().expired_keys, 400U);
}

TEST_F(SweeperTest, WithoutActiveExpiryOnlyDeadGenerationsAreSwept) {
  Put("{x}expired", 10);
  Put("{y}flushed", 0);
  Flush(Slot("{y}"));
  clock_.AdvanceMicros(10'000);
  Sweeper sweeper(store_.get(), &clock_);
  sweeper.set_active_expire(false);
  for (int i = 0; i < kNodeSlotCount / 2048; ++i) {
    ASSERT_TRUE(sweeper.RunSlice(1'000'000).ok());
  }
  EXPECT_EQ(store_->slots().total_keys(), 1U);
  EXPECT_EQ(sweeper.stats().expired_keys, 0U);
  EXPECT_TRUE(store_->slots().dead_generations(Slot("{y}")).empty());

  sweeper.set_active_expire(true);
  ASSERT_TRUE(sweeper.RunSlice(1'000'000).ok());
  EXPECT_EQ(store_->slots().total_keys(), 0U);
  EXPECT_EQ(sweeper.stats().expired_keys, 1U);
}

TEST_F(SweeperTest, DeadGenerationsGoInBatchesAndAreForgottenAtTheEnd) {
  const uint16_t slot = Slot("{t}");
  for (int i = 0; i < 10; ++i) {
    Put("{t}" + std::to_string(i), i == 0 ? 1000 : 0);  // With its index entry 11 records.
  }
  Flush(slot);
  Put("{t}alive", 0);
  Flush(slot);
  Put("{t}alive", 0);
  HandOver();
  ASSERT_EQ(store_->slots().dead_generations(slot), (std::vector<uint32_t>{1, 2}));
  Sweeper sweeper(store_.get(), &clock_);

  EXPECT_EQ(*sweeper.SweepDeadGenerations(slot, 7), 7U);
  EXPECT_EQ(store_->slots().dead_generations(slot).size(), 2U);
  EXPECT_EQ(*sweeper.SweepDeadGenerations(slot, 7), 5U);

  EXPECT_TRUE(store_->slots().dead_generations(slot).empty());
  EXPECT_EQ(CountDeadRecords(slot), 0U);
  EXPECT_EQ(store_->slots().key_count(slot), 1U);
  EXPECT_EQ(sweeper.stats().dead_records, 12U);
  std::string value;
  EXPECT_TRUE(store_->Get(slot, MetadataKey(slot, 3, "{t}alive"), &value).ok());
}

// A clock of which each look takes a while, as if it took that long to pass what was removed.
class SlowClock : public ManualClock {
 public:
  int64_t MonotonicMicros() const override {
    return ManualClock::MonotonicMicros() + looks_++ * step;
  }
  int64_t step = 0;

 private:
  mutable int64_t looks_ = 0;
};

TEST_F(SweeperTest, TheEndsOfAGapStayUntilItIsSoonPassed) {
  const uint16_t slot = FlushTen();
  SlowClock clock;
  clock.step = 1'000'000;
  Sweeper sweeper(store_.get(), &clock);

  EXPECT_EQ(*sweeper.SweepDeadGenerations(slot, 5), 5U);
  EXPECT_EQ(*sweeper.SweepDeadGenerations(slot, 5), 3U);
  EXPECT_EQ(CountDeadRecords(slot), 2U);
  EXPECT_EQ(store_->slots().dead_generations(slot).size(), 1U);

  // Not tried again at once,
  clock.step = 0;
  SweepAll(&sweeper);
  EXPECT_EQ(CountDeadRecords(slot), 2U);
  // ...but after a while,
  clock.AdvanceMicros(60'000'000);
  SweepAll(&sweeper);
  EXPECT_EQ(CountDeadRecords(slot), 0U);
  EXPECT_TRUE(store_->slots().dead_generations(slot).empty());
  EXPECT_EQ(sweeper.stats().dead_records, 10U);
}

// As after a reopen of the engine, which forgets what it was told last.
TEST_F(SweeperTest, WhatComesBackBehindTheSweepIsFoundAgain) {
  const uint16_t slot = FlushTen();
  Sweeper sweeper(store_.get(), &clock_);
  ASSERT_EQ(*sweeper.SweepDeadGenerations(slot, 5), 5U);
  Engine* const engine = store_->engines().ForSlot(slot);
  const std::string back = GenerationLower(slot, 1) + "K{t}1";
  const EngineOp op = {.key = back, .value = "v"};
  ASSERT_TRUE(engine->Apply({&op, 1}, engine->AppliedLsn() + 1).ok());

  EXPECT_EQ(sweeper.SweepDeadGenerations(slot, 5).status().code(), Code::kBusy);
  EXPECT_FALSE(store_->slots().dead_generations(slot).empty());
  SweepAll(&sweeper);

  EXPECT_EQ(CountDeadRecords(slot), 0U);
  EXPECT_TRUE(store_->slots().dead_generations(slot).empty());
}

TEST_F(SweeperTest, WhatDiesBehindAGapIsSweptAtOnce) {
  const uint16_t slot = FlushTen();
  SlowClock clock;
  clock.step = 1'000'000;
  Sweeper sweeper(store_.get(), &clock);
  ASSERT_EQ(*sweeper.SweepDeadGenerations(slot, 100), 8U);
  Put("{t}next", 0);
  Flush(slot);
  HandOver();
  clock.step = 0;
  SweepAll(&sweeper);
  EXPECT_EQ(CountDeadRecords(slot), 0U);
  EXPECT_TRUE(store_->slots().dead_generations(slot).empty());
}

TEST_F(SweeperTest, DeadRecordsThatTheEngineNeverGotAreDropped) {
  const uint16_t slot = Slot("{t}");
  for (int i = 0; i < 10; ++i) {
    Put("{t}" + std::to_string(i), 0);
  }
  Flush(slot);
  Put("{t}alive", 0);
  Sweeper sweeper(store_.get(), &clock_);

  EXPECT_EQ(*sweeper.SweepDeadGenerations(slot, 100), 0U);

  HandOver();
  EXPECT_EQ(CountDeadRecords(slot), 0U);
  std::string value;
  EXPECT_TRUE(store_->engines().ForSlot(slot)->Get(MetadataKey(slot, 2, "{t}alive"), &value).ok());
}

TEST_F(SweeperTest, WhatACrashBringsBackOfAForgottenGenerationIsSweptAgain) {
  const uint16_t slot = Slot("{t}");
  for (int i = 0; i < 10; ++i) {
    Put("{t}" + std::to_string(i), 0);
  }
  HandOver();
  Flush(slot);
  Sweeper sweeper(store_.get(), &clock_);
  ASSERT_EQ(*sweeper.SweepDeadGenerations(slot, 100), 10U);
  Open();  // Without Close(): the engine's memory is lost, and the log is replayed.
  ASSERT_TRUE(store_->slots().dead_generations(slot).empty());
  ASSERT_EQ(CountDeadRecords(slot), 10U);

  Sweeper next(store_.get(), &clock_);
  for (int i = 0; i < kNodeSlotCount / 2048; ++i) {
    ASSERT_TRUE(next.RunSlice(1000).ok());
  }

  EXPECT_EQ(CountDeadRecords(slot), 0U);
  EXPECT_EQ(next.stats().dead_records, 10U);
}

TEST_F(SweeperTest, TheThreadDeletesWithoutBeingAskedAndCanBeStoppedAndStartedAgain) {
  SweeperThread thread(store_.get(), &clock_);
  for (uint64_t round = 1; round <= 2; ++round) {
    thread.Start();
    Put("x", 10);
    clock_.AdvanceMicros(10'000);
    const int64_t deadline = Clock::System()->MonotonicMillis() + 10'000;
    while (thread.stats().expired_keys < round && Clock::System()->MonotonicMillis() < deadline) {
      SleepMicros(100);
    }
    EXPECT_EQ(thread.stats().expired_keys, round);
    EXPECT_EQ(store_->slots().total_keys(), 0U);
    thread.Stop();
  }
}

TEST_F(SweeperTest, AnExpiredKeyIsDeletedOnceAndALiveOneNever) {
  Put("x", 10);
  Put("y", 1000);
  clock_.AdvanceMicros(10'000);
  Txn txn(store_.get());
  txn.Begin();
  EXPECT_TRUE(*DeleteIfExpired(&txn, "x"));
  EXPECT_FALSE(*DeleteIfExpired(&txn, "x"));
  EXPECT_FALSE(*DeleteIfExpired(&txn, "y"));
  EXPECT_FALSE(*DeleteIfExpired(&txn, "missing"));
  ASSERT_TRUE(txn.Commit().ok());
  EXPECT_EQ(store_->slots().total_keys(), 1U);
  EXPECT_EQ(store_->slots().total_expires(), 1U);
}

// Writers shift times of expiry around now while the sweeper runs: no slot may be forgotten.
TEST_F(SweeperTest, NothingThatFallsDueDuringASweepIsForgotten) {
  std::vector<Thread> writers;
  for (int t = 0; t < 2; ++t) {
    writers.emplace_back("writer", [this, t] {
      for (int i = 0; i < 1000; ++i) {
        Put("{s}" + std::to_string(t) + "." + std::to_string(i % 50), 1 + i % 5);
      }
    });
  }
  Sweeper sweeper(store_.get(), &clock_);
  for (int i = 0; i < 300; ++i) {
    clock_.AdvanceMicros(1000);
    ASSERT_TRUE(sweeper.SweepExpired(Slot("{s}"), 7).ok());
  }
  writers.clear();
  clock_.AdvanceMicros(10'000);

  ASSERT_TRUE(sweeper.RunSlice(1000).ok());

  EXPECT_EQ(store_->slots().total_keys(), 0U);
  EXPECT_EQ(store_->slots().total_expires(), 0U);
}

}  // namespace
}  // namespace kvs
