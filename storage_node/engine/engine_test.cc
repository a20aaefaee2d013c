// What both engines promise, and the cluster over them.

#include "storage_node/engine/engine.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/file.h"
#include "storage_node/engine/engine_cluster.h"
#include "storage_node/engine/leveldb_engine.h"
#include "storage_node/engine/memory_engine.h"

namespace kvs {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

std::string MakeDir() {
  std::string pattern = testing::TempDir() + "/kvs-engine-XXXXXX";
  KVS_CHECK(::mkdtemp(pattern.data()) != nullptr);
  return pattern;
}

Status Put(Engine* engine, uint64_t lsn, std::string_view key, std::string_view value) {
  const EngineOp op = {.key = key, .value = value};
  return engine->Apply({&op, 1}, lsn);
}

Pairs Scan(Engine* engine, const EngineIteratorOptions& options) {
  Pairs pairs;
  const auto iterator = *engine->NewIterator(options);
  for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next()) {
    pairs.emplace_back(iterator->key(), iterator->value());
  }
  EXPECT_TRUE(iterator->status().ok());
  return pairs;
}

// Every test runs on LevelDB and in memory.
class EngineTest : public testing::TestWithParam<const char*> {
 protected:
  EngineTest() : dir_(MakeDir()) {
    if (std::string_view(GetParam()) == "memory") {
      engine_ = std::make_unique<MemoryEngine>();
    } else {
      engine_ = *LevelDbEngine::Open(dir_ + "/0", {});
    }
  }
  ~EngineTest() override {
    engine_.reset();
    static_cast<void>(RemoveTree(dir_).ok());
  }

  std::string Get(std::string_view key) {
    std::string value;
    const Status status = engine_->Get(key, &value);
    return status.ok() ? value : std::string(CodeName(status.code()));
  }

  const std::string dir_;
  std::unique_ptr<Engine> engine_;
};

INSTANTIATE_TEST_SUITE_P(All, EngineTest, testing::Values("leveldb", "memory"),
                         [](const auto& suite) { return std::string(suite.param); });

TEST_P(EngineTest, AppliesABatchAndItsPosition) {
  ASSERT_TRUE(Put(engine_.get(), 1, "a", "1").ok());
  const EngineOp ops[] = {{.key = "b", .value = "2"}, {.is_delete = true, .key = "a"}};

  ASSERT_TRUE(engine_->Apply(ops, 5).ok());

  EXPECT_EQ(Get("a"), "not_found");
  EXPECT_EQ(Get("b"), "2");
  EXPECT_EQ(engine_->AppliedLsn(), 5U);
}

TEST_P(EngineTest, SkipsWhatItHasApplied) {
  ASSERT_TRUE(Put(engine_.get(), 5, "a", "new").ok());

  ASSERT_TRUE(Put(engine_.get(), 5, "a", "old").ok());
  ASSERT_TRUE(Put(engine_.get(), 4, "a", "older").ok());
  ASSERT_TRUE(engine_->MarkPosition(3).ok());

  EXPECT_EQ(Get("a"), "new");
  EXPECT_EQ(engine_->AppliedLsn(), 5U);
}

TEST_P(EngineTest, IteratorsKeepToTheirRange) {
  for (const char* key : {"a", "b", "c", "d"}) {
    ASSERT_TRUE(Put(engine_.get(), engine_->AppliedLsn() + 1, key, "v").ok());
  }
  const EngineIteratorOptions middle = {.range = {"b", "d"}};

  EXPECT_EQ(Scan(engine_.get(), middle), (Pairs{{"b", "v"}, {"c", "v"}}));
  EXPECT_EQ(Scan(engine_.get(), {}).size(), 4U);  // The position is not among them.
  const auto iterator = *engine_->NewIterator(middle);
  iterator->SeekToLast();
  ASSERT_TRUE(iterator->Valid());
  EXPECT_EQ(iterator->key(), "c");
  iterator->Prev();
  EXPECT_EQ(iterator->key(), "b");
  iterator->Prev();
  EXPECT_FALSE(iterator->Valid());
  iterator->Seek("a");
  ASSERT_TRUE(iterator->Valid());
  EXPECT_EQ(iterator->key(), "b");
  iterator->Seek("d");
  EXPECT_FALSE(iterator->Valid());
  EXPECT_TRUE(Scan(engine_.get(), {.range = {"d", "b"}}).empty());
}

TEST_P(EngineTest, SnapshotsStandStillAndKnowTheirPosition) {
  ASSERT_TRUE(Put(engine_.get(), 1, "a", "old").ok());
  const auto snapshot = *engine_->NewSnapshot();
  ASSERT_TRUE(Put(engine_.get(), 2, "a", "new").ok());
  ASSERT_TRUE(Put(engine_.get(), 3, "b", "new").ok());

  std::string value;
  ASSERT_TRUE(engine_->Get("a", &value, snapshot.get()).ok());
  EXPECT_EQ(value, "old");
  EXPECT_EQ(snapshot->applied_lsn(), 1U);
  EXPECT_EQ(Scan(engine_.get(), {.snapshot = snapshot.get()}), (Pairs{{"a", "old"}}));
  EXPECT_EQ(Get("a"), "new");
}

TEST_P(EngineTest, LocalDeletesDoNotMoveThePosition) {
  ASSERT_TRUE(Put(engine_.get(), 7, "a", "1").ok());
  const std::string_view key = "a";

  ASSERT_TRUE(engine_->DeleteLocal({&key, 1}).ok());

  EXPECT_EQ(Get("a"), "not_found");
  EXPECT_EQ(engine_->AppliedLsn(), 7U);
}

TEST_P(EngineTest, FlushBringsEverythingToTheDisk) {
  ASSERT_TRUE(Put(engine_.get(), 9, "a", "1").ok());

  ASSERT_TRUE(engine_->Flush().ok());

  EXPECT_EQ(engine_->FlushedLsn(), 9U);
  EXPECT_EQ(Get("a"), "1");
}

TEST_P(EngineTest, AClosedEngineIsUnavailable) {
  ASSERT_TRUE(engine_->Close().ok());
  EXPECT_EQ(Get("a"), "unavailable");
  EXPECT_EQ(Put(engine_.get(), 1, "a", "1").code(), Code::kUnavailable);
}

TEST(MemoryEngineTest, ForgetsWhatWasNotFlushedWhenReopened) {
  MemoryEngine engine;
  ASSERT_TRUE(Put(&engine, 1, "a", "1").ok());
  engine.HoldFlushes(true);
  ASSERT_TRUE(Put(&engine, 2, "a", "2").ok());
  engine.FailWrites(Status::Misconf("disk"));
  EXPECT_EQ(engine.FlushedLsn(), 1U);
  EXPECT_EQ(Put(&engine, 3, "a", "3").code(), Code::kMisconf);

  std::string seen;
  uint64_t from = 0;
  ASSERT_TRUE(engine
                  .Reopen([&](uint64_t applied) {
                    from = applied;
                    return Status::Ok();
                  })
                  .ok());

  EXPECT_EQ(from, 1U);
  ASSERT_TRUE(engine.Get("a", &seen).ok());
  EXPECT_EQ(seen, "1");
  EXPECT_TRUE(engine.Health().ok());
}

class ClusterTest : public testing::Test {
 protected:
  ~ClusterTest() override { static_cast<void>(RemoveTree(dir_).ok()); }

  std::unique_ptr<EngineCluster> Open() {
    auto cluster = EngineCluster::Open({.dir = dir_, .instance_count = 3});
    KVS_CHECK(cluster.ok());
    return *std::move(cluster);
  }

  // Records 1..count; record n puts key n into slot n.
  static void Replay(EngineCluster* cluster, uint64_t from, uint64_t count) {
    for (uint64_t lsn = from; lsn <= count; ++lsn) {
      EngineGroup group = cluster->NewGroup();
      const std::string key = "key" + std::to_string(lsn);
      group.Add(static_cast<uint16_t>(lsn), {.key = key, .value = "value"});
      ASSERT_TRUE(cluster->Apply(group, lsn).ok());
    }
  }

  const std::string dir_ = MakeDir();
};

TEST_F(ClusterTest, SlotsGoToTheirInstanceAndPositionsDiffer) {
  const auto cluster = Open();
  Replay(cluster.get(), 1, 5);

  std::string value;
  EXPECT_TRUE(cluster->ForSlot(4)->Get("key4", &value).ok());
  EXPECT_EQ(cluster->engine(0)->Get("key4", &value).code(), Code::kNotFound);
  EXPECT_EQ(cluster->AppliedLsns(), (std::vector<uint64_t>{3, 4, 5}));
  EXPECT_EQ(cluster->MinAppliedLsn(), 3U);
  EXPECT_EQ(cluster->MaxAppliedLsn(), 5U);
}

TEST_F(ClusterTest, AReplayFromTheLowestPositionRestoresALostMemory) {
  {
    const auto cluster = Open();
    Replay(cluster.get(), 1, 6);
    ASSERT_TRUE(cluster->engine(0)->Flush().ok());
    Replay(cluster.get(), 7, 9);
  }  // Dropped: as after kill -9, only instance 0 has something on the disk.

  const auto cluster = Open();
  EXPECT_EQ(cluster->AppliedLsns(), (std::vector<uint64_t>{6, 0, 0}));
  Replay(cluster.get(), cluster->MinAppliedLsn() + 1, 9);

  std::string value;
  for (uint16_t slot = 1; slot <= 9; ++slot) {
    EXPECT_TRUE(cluster->ForSlot(slot)->Get("key" + std::to_string(slot), &value).ok()) << slot;
  }
  EXPECT_EQ(cluster->AppliedLsns(), (std::vector<uint64_t>{9, 7, 8}));
}

TEST_F(ClusterTest, AnIdleInstanceCountsAsFlushedAndIsMarkedBeforeAPurge) {
  {
    const auto cluster = Open();
    Replay(cluster.get(), 1, 3);
    ASSERT_TRUE(cluster->Flush().ok());
    EXPECT_EQ(cluster->MinFlushedLsn(100), 100U);
    EngineGroup group = cluster->NewGroup();
    group.Add(0, {.key = "busy", .value = "v"});
    ASSERT_TRUE(cluster->Apply(group, 50).ok());
    EXPECT_EQ(cluster->MinFlushedLsn(100), 3U);
    ASSERT_TRUE(cluster->Flush().ok());

    ASSERT_TRUE(cluster->PersistIdlePositions(90).ok());
  }

  EXPECT_EQ(Open()->AppliedLsns(), (std::vector<uint64_t>{90, 90, 90}));
}

TEST_F(ClusterTest, CloseLeavesNothingToReplay) {
  {
    const auto cluster = Open();
    Replay(cluster.get(), 1, 6);
    ASSERT_TRUE(cluster->Close().ok());
  }
  EXPECT_EQ(Open()->AppliedLsns(), (std::vector<uint64_t>{6, 4, 5}));
}

TEST(EngineClusterTest, AFailedInstanceDoesNotStopTheOthers) {
  std::vector<std::unique_ptr<Engine>> engines;
  auto* failing = new MemoryEngine();
  engines.emplace_back(failing);
  engines.emplace_back(new MemoryEngine());
  EngineCluster cluster(std::move(engines));
  failing->FailWrites(Status::Misconf("disk"));
  EngineGroup group = cluster.NewGroup();
  group.Add(0, {.key = "a", .value = "1"});
  group.Add(1, {.key = "b", .value = "2"});

  EXPECT_EQ(cluster.Apply(group, 4).code(), Code::kMisconf);

  EXPECT_EQ(cluster.AppliedLsns(), (std::vector<uint64_t>{0, 4}));
  EXPECT_EQ(cluster.MinFlushedLsn(4), 0U);  // The failed one never counts as idle.
}

}  // namespace
}  // namespace kvs
