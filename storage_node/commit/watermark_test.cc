#include "storage_node/commit/watermark.h"

#include "gtest/gtest.h"

#include "common/base/random.h"
#include "storage_node/commit/sync_gatherer.h"

namespace kvs {
namespace {

TEST(WatermarkTest, AppendedIsEnoughUnlessThePolicyIsAlways) {
  Watermark watermark(10);
  watermark.SetPolicy(SyncPolicy::kEverySecond, 0, 0);
  watermark.OnAppended(12, 0);
  EXPECT_EQ(watermark.value(), 12U);

  watermark.SetPolicy(SyncPolicy::kAlways, 0, 0);
  watermark.OnAppended(20, 0);
  EXPECT_EQ(watermark.value(), 12U);
  watermark.OnSynced(15, 0, 0);
  EXPECT_EQ(watermark.value(), 15U);
}

TEST(WatermarkTest, EverysecWaitsForTheDiskWhenItIsTooSlow) {
  Watermark watermark(0);
  watermark.SetPolicy(SyncPolicy::kEverySecond, 0, 0);
  watermark.OnAppended(1, 1000);
  watermark.OnAppended(2, 2500);
  EXPECT_EQ(watermark.value(), 2U) << "the oldest is 1.5 s old";
  watermark.OnAppended(3, 2501);
  EXPECT_EQ(watermark.value(), 2U);
  // The fsync began at 2000 and covers the first record alone.
  watermark.OnSynced(1, 2000, 3000);
  EXPECT_EQ(watermark.value(), 3U) << "what is not on the disk came after 2000";
  watermark.OnAppended(4, 3600);
  EXPECT_EQ(watermark.value(), 3U);
  watermark.OnSynced(4, 3500, 9000);
  EXPECT_EQ(watermark.value(), 4U);
  watermark.OnAppended(5, 9000);
  EXPECT_EQ(watermark.value(), 5U) << "a pause without writes is not the disk's fault";
}

// With any history of slow fsyncs, what is acknowledged and not on the disk spans 1.5 s at most.
TEST(WatermarkTest, EverysecNeverRisksMoreThanItsTime) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    Watermark watermark(0);
    watermark.SetPolicy(SyncPolicy::kEverySecond, 0, 0);
    std::vector<int64_t> appended_at{0};  // By LSN.
    std::vector<int64_t> acknowledged_at{0};
    int64_t now_ms = 0;
    uint64_t covers = 0;
    int64_t began_ms = -1;
    for (int i = 0; i < 500; ++i) {
      now_ms += static_cast<int64_t>(random.Uniform(300));
      if (random.OneIn(4) && began_ms < 0) {
        began_ms = now_ms;
        covers = appended_at.size() - 1;
      } else if (random.OneIn(8) && began_ms >= 0) {
        watermark.OnSynced(covers, began_ms, now_ms);
        began_ms = -1;
      } else {
        appended_at.push_back(now_ms);
        watermark.OnAppended(appended_at.size() - 1, now_ms);
      }
      while (acknowledged_at.size() <= watermark.value()) {
        acknowledged_at.push_back(now_ms);
      }
      if (acknowledged_at.size() > watermark.synced() + 1) {
        ASSERT_LE(acknowledged_at.back() - appended_at[watermark.synced() + 1],
                  Watermark::kMaxUnsyncedMs);
      }
    }
  }
}

TEST(WatermarkTest, SlavesHoldItBackUntilEnoughHaveTheRecord) {
  Watermark watermark(0);
  watermark.SetPolicy(SyncPolicy::kNo, 2, 0);
  watermark.OnAppended(10, 0);
  watermark.OnAcked("a", 10, 0);
  EXPECT_EQ(watermark.value(), 0U);
  watermark.OnAcked("b", 7, 0);
  EXPECT_EQ(watermark.value(), 7U);
  watermark.OnAcked("c", 9, 0);
  EXPECT_EQ(watermark.value(), 9U);
}

TEST(WatermarkTest, NothingMovesAfterAFailedSync) {
  Watermark watermark(0);
  watermark.SetPolicy(SyncPolicy::kAlways, 0, 0);
  watermark.OnAppended(5, 0);
  watermark.Freeze();
  watermark.OnSynced(5, 0, 0);
  EXPECT_EQ(watermark.value(), 0U);
}

// Whatever happens in whatever order, the watermark grows, never passes what was appended, and
// with `always` never passes what was synced while that policy held.
TEST(WatermarkTest, RandomEventsKeepTheInvariants) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    Watermark watermark(0);
    watermark.SetPolicy(SyncPolicy::kAlways, 0, 0);
    uint64_t appended = 0;
    uint64_t synced = 0;
    uint64_t before = 0;
    for (int i = 0; i < 300; ++i) {
      if (random.OneIn(2)) {
        appended += random.Uniform(4);
        watermark.OnAppended(appended, 0);
      } else {
        synced = std::max(synced, random.Uniform(appended + 1));
        watermark.OnSynced(synced, 0, 0);
      }
      ASSERT_GE(watermark.value(), before);
      ASSERT_LE(watermark.value(), appended);
      ASSERT_LE(watermark.value(), synced);
      before = watermark.value();
    }
  }
}

TEST(SyncGathererTest, WaitsForWhoCameTogetherAndNoLonger) {
  SyncGatherer gatherer;
  EXPECT_EQ(gatherer.goal(), 1U);
  EXPECT_EQ(gatherer.patience_micros(), 0);
  for (int i = 0; i < 50; ++i) {
    gatherer.OnSynced(100, 400);
  }
  EXPECT_EQ(gatherer.goal(), 75U);
  EXPECT_NEAR(static_cast<double>(gatherer.patience_micros()), 400, 5);
  gatherer.OnSynced(20, 400);
  EXPECT_EQ(gatherer.goal(), 66U) << "one small fsync is no proof that the others have left";
  for (int i = 0; i < 50; ++i) {
    gatherer.OnSynced(1, 1'000'000);
  }
  EXPECT_LE(gatherer.goal(), 6U);
  EXPECT_LE(gatherer.patience_micros(), SyncGatherer::kMaxPatienceMicros);
}

TEST(SyncGathererTest, ASingleClientNeverWaits) {
  SyncGatherer gatherer;
  for (int i = 0; i < 20; ++i) {
    gatherer.OnSynced(1, 5000);
  }
  EXPECT_EQ(gatherer.patience_micros(), 0);
}

}  // namespace
}  // namespace kvs
