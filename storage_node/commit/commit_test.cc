// The store, the pipeline and the turn, with real LevelDB instances in a temporary folder.

#include <array>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "common/base/file.h"
#include "common/base/random.h"
#include "common/base/thread.h"
#include "storage_node/commit/store.h"
#include "storage_node/commit/txn.h"
#include "storage_node/engine/tableless_env.h"

namespace kvs {
namespace {

class CommitTest : public testing::Test {
 protected:
  void SetUp() override { dir_ = testing::TempDir() + "kvs_commit_" + RandomHex(8); }
  void TearDown() override {
    store_.reset();
    EXPECT_TRUE(RemoveTree(dir_).ok());
  }

  void Open(SyncPolicy policy = SyncPolicy::kEverySecond) {
    StoreOptions options;
    options.dir = dir_;
    options.instance_count = 4;
    options.sync_policy = policy;
    options.binlog_segment_size = 1 << 20;
    options.engines.block_cache_bytes = 8 << 20;
    options.engines.leveldb.base_env = &env_;
    options.record_cache_bytes = record_cache_bytes_;
    Result<std::unique_ptr<Store>> store = Store::Open(options, Clock::System());
    ASSERT_TRUE(store.ok()) << store.status().ToString();
    store_ = *std::move(store);
  }

  // Drops the store without flushing, as a kill does.
  void Crash() { store_.reset(); }

  static std::string Key(int n) { return MetadataKey(SlotFor(n), 1, std::to_string(n)); }
  static uint16_t SlotFor(int n) { return static_cast<uint16_t>((n * 7) % kNodeSlotCount); }

  void Write(Txn* txn, int n, std::string_view value, bool is_new) {
    const std::string user_key = std::to_string(n);
    txn->Begin();
    txn->Lock(user_key);
    txn->Put(SlotFor(n), Key(n), value);
    if (is_new) {
      txn->AddKeys(SlotFor(n), 1);
    }
  }

  std::string Read(int n) {
    std::string value;
    return store_->Get(SlotFor(n), Key(n), &value).ok() ? value : "(none)";
  }

  std::string dir_;
  TablelessEnv env_;
  size_t record_cache_bytes_ = 8 << 20;
  std::unique_ptr<Store> store_;
};

TEST_F(CommitTest, ATurnIsSeenByItselfAtOnceAndByOthersAfterItsCommit) {
  Open();
  Txn txn(store_.get());
  Write(&txn, 1, "one", true);
  std::string value;

  EXPECT_TRUE(txn.Get(SlotFor(1), Key(1), &value).ok());
  EXPECT_EQ(value, "one");
  EXPECT_EQ(Read(1), "(none)");
  ASSERT_TRUE(txn.Commit().ok());
  EXPECT_EQ(Read(1), "one");
  EXPECT_EQ(store_->slots().total_keys(), 1U);
}

TEST_F(CommitTest, ACrashLosesNothingThatWasCommittedAndCountsStayExact) {
  Open();
  int next = 0;
  for (int round = 0; round < 5; ++round) {
    Txn txn(store_.get());
    for (int i = 0; i < 500; ++i) {
      Write(&txn, next, "v" + std::to_string(next), true);
      ++next;
      if (i % 50 == 49) {
        ASSERT_TRUE(txn.Commit().ok());
      }
    }
    ASSERT_TRUE(txn.Commit().ok());
    Crash();
    Open();
    for (int i = 0; i < next; ++i) {
      ASSERT_EQ(Read(i), "v" + std::to_string(i));
    }
    ASSERT_EQ(store_->slots().total_keys(), static_cast<uint64_t>(next));
  }
}

TEST_F(CommitTest, ACleanStopNeedsNoReplay) {
  Open();
  Txn txn(store_.get());
  Write(&txn, 1, "one", true);
  ASSERT_TRUE(txn.Commit().ok());
  ASSERT_TRUE(store_->Close().ok());
  Crash();
  Open();
  EXPECT_EQ(store_->replayed_records(), 0U);
  EXPECT_EQ(Read(1), "one");
}

class Recorder : public WatermarkListener {
 public:
  void OnWatermark(uint64_t lsn) override { seen.store(lsn, std::memory_order_release); }
  std::atomic<uint64_t> seen{0};
};

TEST_F(CommitTest, WithAlwaysTheWatermarkWaitsForTheSyncAndReadersSeeTheValueMeanwhile) {
  Open(SyncPolicy::kAlways);
  Recorder recorder;
  store_->pipeline().AddListener(&recorder);
  uint64_t lsn = 0;
  Txn txn(store_.get(), [&lsn](const Status& status, uint64_t at) {
    ASSERT_TRUE(status.ok());
    lsn = at;
  });
  for (int i = 0; i < 100; ++i) {
    Write(&txn, 5, std::to_string(i), i == 0);
    ASSERT_TRUE(txn.Commit().ok());
    ASSERT_EQ(Read(5), std::to_string(i));
  }
  const int64_t deadline = Clock::System()->MonotonicMillis() + 10'000;
  while (recorder.seen.load(std::memory_order_acquire) < lsn &&
         Clock::System()->MonotonicMillis() < deadline) {
    SleepMicros(100);
  }
  EXPECT_GE(recorder.seen.load(), lsn);
  EXPECT_GE(store_->binlog().synced_lsn(), lsn);
  EXPECT_EQ(store_->pipeline().watermark(), lsn);
  store_->pipeline().RemoveListener(&recorder);
}

TEST_F(CommitTest, ACommandThatReadsAnothersWriteObservesItsRecord) {
  Open();
  Txn writer(store_.get());
  Txn reader(store_.get());
  Write(&writer, 9, "x", true);
  ASSERT_TRUE(writer.Commit().ok());

  reader.Begin();
  reader.Observe("9");

  EXPECT_EQ(reader.observed_lsn(), store_->pipeline().appended_lsn());
  EXPECT_FALSE(reader.depends_on_turn());
}

// Threads add to shared counters under the stripes' locks, several keys a turn in random order.
TEST_F(CommitTest, ConcurrentReadModifyWritesLoseNothing) {
  Open();
  constexpr int kThreads = 4;
  constexpr int kTurns = 300;
  constexpr int kKeys = 20;
  std::vector<Thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back("writer", [this, t] {
      Random random(static_cast<uint64_t>(t) + 1);
      Txn txn(store_.get());
      for (int turn = 0; turn < kTurns; ++turn) {
        for (int i = 0; i < 4; ++i) {
          const int n = static_cast<int>(random.Uniform(kKeys));
          txn.Begin();
          txn.Lock(std::to_string(n));
          std::string value;
          const bool found = txn.Get(SlotFor(n), Key(n), &value).ok();
          txn.Put(SlotFor(n), Key(n), std::to_string(found ? std::stoi(value) + 1 : 1));
          if (!found) {
            txn.AddKeys(SlotFor(n), 1);
          }
        }
        ASSERT_TRUE(txn.Commit().ok());
      }
    });
  }
  threads.clear();
  int total = 0;
  for (int n = 0; n < kKeys; ++n) {
    total += std::stoi(Read(n));
  }
  EXPECT_EQ(total, kThreads * kTurns * 4);
  EXPECT_EQ(store_->slots().total_keys(), static_cast<uint64_t>(kKeys));
}

TEST_F(CommitTest, WhileAnInstanceFailsAndIsReopenedReadersMissNothing) {
  constexpr int kKeys = 400;
  record_cache_bytes_ = 0;  // What the engines have is read from them.
  Open();
  std::array<std::atomic<int>, kKeys> acknowledged{};
  std::atomic<bool> stop{false};
  std::atomic<int64_t> reads{0};
  std::vector<Thread> readers;
  for (int r = 0; r < 2; ++r) {
    readers.emplace_back("reader", [&, r] {
      Random random(static_cast<uint64_t>(r));
      while (!stop.load()) {
        const int n = static_cast<int>(random.Uniform(kKeys));
        const int least = acknowledged[static_cast<size_t>(n)].load();
        std::string value;
        const Status status = store_->Get(SlotFor(n), Key(n), &value);
        if (status.code() == Code::kUnavailable) {
          continue;  // It is being reopened: the client would wait.
        }
        const int seen = status.ok() ? std::stoi(value) : 0;
        KVS_CHECK(status.ok() || status.code() == Code::kNotFound);
        KVS_CHECK(seen >= least);
        reads.fetch_add(1);
      }
    });
  }
  const auto stop_readers = [&](const void* /*unused*/) {
    stop.store(true);
    readers.clear();
  };
  const std::unique_ptr<const void, decltype(stop_readers)> stopper(&stop, stop_readers);
  Txn txn(store_.get());
  Random random(1);
  int version = 0;
  const auto now_ms = [] { return Clock::System()->MonotonicMillis(); };
  const auto write_until = [&](const std::function<bool()>& done) {
    const int64_t give_up_ms = now_ms() + 20'000;
    while (!done() && now_ms() < give_up_ms) {
      const int n = static_cast<int>(random.Uniform(kKeys));
      std::string value = std::to_string(++version) + " ";
      value.resize(4000, 'x');
      Write(&txn, n, value, false);
      if (txn.Commit().ok()) {
        acknowledged[static_cast<size_t>(n)].store(version);
      }
      if (version % 100 == 0) {
        store_->pipeline().RequestHandOver(version / 100 % 4);
      }
    }
  };
  for (int round = 0; round < 3; ++round) {
    const int begin = version;
    write_until([&] { return version > begin + 3000; });
    ASSERT_GT(version, begin + 3000);
    env_.Refuse(true);
    write_until([&] { return !store_->WriteHealth().ok(); });
    ASSERT_FALSE(store_->WriteHealth().ok());
    const int64_t reads_before = reads.load();
    // Twice at least it tries in vain to be well again.
    const int64_t failing_ms = now_ms();
    write_until([&] { return now_ms() - failing_ms > 2500; });
    EXPECT_GT(reads.load(), reads_before);
    env_.Refuse(false);
    write_until([&] { return store_->WriteHealth().ok(); });
    ASSERT_TRUE(store_->WriteHealth().ok());
  }
  stop.store(true);
  readers.clear();
  const auto check = [&] {
    for (int n = 0; n < kKeys; ++n) {
      const int least = acknowledged[static_cast<size_t>(n)].load();
      ASSERT_TRUE(least == 0 || std::stoi(Read(n)) == least) << n;
    }
  };
  ASSERT_NO_FATAL_FAILURE(check());
  Crash();
  Open();
  ASSERT_NO_FATAL_FAILURE(check());
}

// Two keys of one slot are locked by two loops at once, and both become large.
TEST_F(CommitTest, TurnsThatOverlapGetVersionsOfTheirOwn) {
  constexpr uint16_t kSlot = 5;
  Open();
  std::set<uint64_t> taken;
  {
    Txn first(store_.get());
    Txn second(store_.get());
    first.Begin();
    second.Begin();
    ASSERT_TRUE(first.Lock("a"));
    std::string other = "b";
    while (StripeTable::IndexOf(other) == StripeTable::IndexOf("a")) {
      other += "b";
    }
    ASSERT_TRUE(second.Lock(other));
    for (Txn* txn : {&first, &second, &first}) {
      const uint64_t version = txn->NewVersion(kSlot);
      EXPECT_TRUE(taken.insert(version).second) << version;
      txn->Put(kSlot, ElementKey(kSlot, 1, version, "element"), "v");
    }
    ASSERT_TRUE(second.Commit().ok());
    taken.insert(second.NewVersion(kSlot));
    ASSERT_TRUE(first.Commit().ok());
    ASSERT_TRUE(second.Commit().ok());
    EXPECT_EQ(taken.size(), 4U);
  }
  Crash();
  Open();
  Txn txn(store_.get());
  txn.Begin();
  ASSERT_TRUE(txn.Lock("a"));
  EXPECT_GT(txn.NewVersion(kSlot), *taken.rbegin());
  ASSERT_TRUE(txn.Commit().ok());
}

TEST_F(CommitTest, ASlotFallsDueOnlyWhenTheIndexEntryCanBeSeen) {
  Open();
  Txn txn(store_.get());
  Write(&txn, 4, "x", true);
  txn.LowerDue(SlotFor(4), 900);
  txn.LowerDue(SlotFor(4), 1000);
  EXPECT_EQ(store_->slots().due_ms(SlotFor(4)), kNeverDue);

  ASSERT_TRUE(txn.Commit().ok());

  EXPECT_EQ(store_->slots().due_ms(SlotFor(4)), 900);
}

TEST_F(CommitTest, ACommandThatCommitsWhileItRunsDependsOnItsRecordAndNotOnTheTurn) {
  Open();
  Txn txn(store_.get());
  Write(&txn, 4, "x", true);
  ASSERT_TRUE(txn.depends_on_turn());

  ASSERT_TRUE(txn.Commit().ok());

  EXPECT_FALSE(txn.depends_on_turn());
  EXPECT_EQ(txn.observed_lsn(), store_->pipeline().appended_lsn());
  txn.Begin();
  txn.ObserveAll();
  EXPECT_EQ(txn.observed_lsn(), store_->pipeline().appended_lsn());
}

TEST_F(CommitTest, ANewGenerationHidesASlotAndSurvivesACrash) {
  Open();
  Txn txn(store_.get());
  Write(&txn, 3, "x", true);
  ASSERT_TRUE(txn.Commit().ok());

  txn.Begin();
  txn.LockAll();
  txn.StartNewGeneration(SlotFor(3));
  ASSERT_TRUE(txn.Commit().ok());

  EXPECT_EQ(store_->slots().generation(SlotFor(3)), 2U);
  EXPECT_EQ(store_->slots().total_keys(), 0U);
  Crash();
  Open();
  EXPECT_EQ(store_->slots().generation(SlotFor(3)), 2U);
  EXPECT_EQ(store_->slots().dead_generations(SlotFor(3)), std::vector<uint32_t>{1});
}

}  // namespace
}  // namespace kvs
