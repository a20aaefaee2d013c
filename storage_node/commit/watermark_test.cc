#include "storage_node/commit/watermark.h"

#include "gtest/gtest.h"

#include "common/base/random.h"

namespace kvs {
namespace {

TEST(WatermarkTest, AppendedIsEnoughUnlessThePolicyIsAlways) {
  Watermark watermark(10);
  watermark.SetPolicy(SyncPolicy::kEverySecond, 0);
  watermark.OnAppended(12);
  EXPECT_EQ(watermark.value(), 12U);

  watermark.SetPolicy(SyncPolicy::kAlways, 0);
  watermark.OnAppended(20);
  EXPECT_EQ(watermark.value(), 12U);
  watermark.OnSynced(15);
  EXPECT_EQ(watermark.value(), 15U);
}

TEST(WatermarkTest, SlavesHoldItBackUntilEnoughHaveTheRecord) {
  Watermark watermark(0);
  watermark.SetPolicy(SyncPolicy::kNo, 2);
  watermark.OnAppended(10);
  watermark.OnAcked("a", 10);
  EXPECT_EQ(watermark.value(), 0U);
  watermark.OnAcked("b", 7);
  EXPECT_EQ(watermark.value(), 7U);
  watermark.OnAcked("c", 9);
  EXPECT_EQ(watermark.value(), 9U);
}

TEST(WatermarkTest, NothingMovesAfterAFailedSync) {
  Watermark watermark(0);
  watermark.SetPolicy(SyncPolicy::kAlways, 0);
  watermark.OnAppended(5);
  watermark.Freeze();
  watermark.OnSynced(5);
  EXPECT_EQ(watermark.value(), 0U);
}

// Whatever happens in whatever order, the watermark grows, never passes what was appended, and
// with `always` never passes what was synced while that policy held.
TEST(WatermarkTest, RandomEventsKeepTheInvariants) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    Watermark watermark(0);
    watermark.SetPolicy(SyncPolicy::kAlways, 0);
    uint64_t appended = 0;
    uint64_t synced = 0;
    uint64_t before = 0;
    for (int i = 0; i < 300; ++i) {
      if (random.OneIn(2)) {
        appended += random.Uniform(4);
        watermark.OnAppended(appended);
      } else {
        synced = std::max(synced, random.Uniform(appended + 1));
        watermark.OnSynced(synced);
      }
      ASSERT_GE(watermark.value(), before);
      ASSERT_LE(watermark.value(), appended);
      ASSERT_LE(watermark.value(), synced);
      before = watermark.value();
    }
  }
}

}  // namespace
}  // namespace kvs
