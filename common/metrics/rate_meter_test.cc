#include "common/metrics/rate_meter.h"

#include "gtest/gtest.h"

namespace kvs {
namespace {

TEST(RateMeterTest, NothingIsKnownBeforeTheSecondSample) {
  RateMeter meter;
  EXPECT_EQ(meter.PerSecond(), 0);
  meter.Sample(1000, 500);
  EXPECT_EQ(meter.PerSecond(), 0);
  meter.Sample(1100, 600);
  EXPECT_DOUBLE_EQ(meter.PerSecond(), 1000);
}

TEST(RateMeterTest, WhatIsLongAgoDoesNotCount) {
  RateMeter meter;
  int64_t now_ms = 0;
  uint64_t total = 0;
  for (int i = 0; i < 50; ++i) {
    meter.Sample(now_ms += 100, total += 1000);
  }
  EXPECT_DOUBLE_EQ(meter.PerSecond(), 10'000);
  for (size_t i = 0; i < RateMeter::kSamples; ++i) {
    meter.Sample(now_ms += 100, total);
  }
  EXPECT_EQ(meter.PerSecond(), 0);
}

TEST(RateMeterTest, ACounterThatWasResetAndAClockThatStandsGiveZero) {
  RateMeter meter;
  meter.Sample(100, 1000);
  meter.Sample(200, 10);
  EXPECT_EQ(meter.PerSecond(), 0);
  RateMeter still;
  still.Sample(100, 1);
  still.Sample(100, 2);
  EXPECT_EQ(still.PerSecond(), 0);
}

}  // namespace
}  // namespace kvs
