#include "proxy/hash/pool_health.h"

#include "gtest/gtest.h"

namespace kvs {
namespace {

TEST(PoolHealthTest, AServerThatFailsIsOutForTheRetryTime) {
  PoolHealth health(3, 1000);
  EXPECT_FALSE(health.OnTime(0));
  EXPECT_TRUE(health.OnFailure(1, 100));
  EXPECT_EQ(health.live(), (std::vector<bool>{true, false, true}));
  EXPECT_FALSE(health.OnTime(1099));
  EXPECT_TRUE(health.OnTime(1100));
  EXPECT_EQ(health.live(), (std::vector<bool>{true, true, true}));
}

TEST(PoolHealthTest, AsLongAsItFailsItStaysOut) {
  PoolHealth health(2, 1000);
  EXPECT_TRUE(health.OnFailure(0, 0));
  for (int64_t now = 500; now < 5000; now += 500) {
    EXPECT_FALSE(health.OnFailure(0, now));
    EXPECT_FALSE(health.OnTime(now + 499));
  }
  EXPECT_TRUE(health.OnTime(5500));
  EXPECT_TRUE(health.OnFailure(0, 5600));
}

TEST(PoolHealthTest, AllMayBeOut) {
  PoolHealth health(2, 1000);
  EXPECT_TRUE(health.OnFailure(0, 0));
  EXPECT_TRUE(health.OnFailure(1, 10));
  EXPECT_EQ(health.live(), (std::vector<bool>{false, false}));
  EXPECT_TRUE(health.OnTime(1005));
  EXPECT_EQ(health.live(), (std::vector<bool>{true, false}));
}

}  // namespace
}  // namespace kvs
