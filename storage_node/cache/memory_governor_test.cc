#include "storage_node/cache/memory_governor.h"

#include <algorithm>

#include "gtest/gtest.h"

#include "common/base/random.h"

namespace kvs {
namespace {

constexpr uint64_t kMiB = 1 << 20;

TEST(MemoryGovernorTest, WithoutALimitTheOptionHolds) {
  MemoryGovernor governor;
  EXPECT_EQ(governor.Decide({.resident = 900 * kMiB, .wanted_cache = 64 * kMiB}), 64 * kMiB);
}

TEST(MemoryGovernorTest, TheExcessIsTakenOnceAndThenItWaits) {
  MemoryGovernor governor;
  const MemoryState state{
      .resident = 600 * kMiB, .limit = 500 * kMiB, .wanted_cache = 256 * kMiB, .cache = 256 * kMiB};
  EXPECT_EQ(governor.Decide(state), 156 * kMiB);
  // The allocator has not let go of the pages yet.
  MemoryState after = state;
  after.cache = 156 * kMiB;
  EXPECT_EQ(governor.Decide(after), 156 * kMiB);
  EXPECT_EQ(governor.Decide(after), 156 * kMiB);
  EXPECT_EQ(governor.Decide(after), 56 * kMiB);
}

TEST(MemoryGovernorTest, WithNothingLeftToGiveItSaysSo) {
  MemoryGovernor governor;
  MemoryState state{
      .resident = 600 * kMiB, .limit = 100 * kMiB, .wanted_cache = 64 * kMiB, .cache = 64 * kMiB};
  EXPECT_EQ(governor.Decide(state), 0U);
  EXPECT_FALSE(governor.exhausted());
  state.cache = 0;
  EXPECT_EQ(governor.Decide(state), 0U);
  EXPECT_TRUE(governor.exhausted());
}

// A process whose other memory comes and goes, and whose pages are returned late.
TEST(MemoryGovernorTest, AProcessSettlesBelowItsLimitAndGetsItsCacheBack) {
  MemoryGovernor governor;
  Random random(7);
  const uint64_t limit = 500 * kMiB;
  uint64_t cache = 0;
  uint64_t resident = 0;
  const auto live = [&](uint64_t other) {
    const uint64_t budget = governor.Decide(
        {.resident = resident, .limit = limit, .wanted_cache = 300 * kMiB, .cache = cache});
    cache = std::min(budget, cache + 20 * kMiB);  // It fills as fast as clients read.
    const uint64_t real = other + random.Uniform(5 * kMiB) + cache;
    resident = real > resident ? real : resident - (resident - real) / 2;
  };
  for (int i = 0; i < 100; ++i) {
    live(400 * kMiB);
    EXPECT_LE(resident, limit + 25 * kMiB) << "second " << i;
  }
  EXPECT_GT(cache, 40 * kMiB);
  for (int i = 0; i < 200; ++i) {
    live(100 * kMiB);
  }
  EXPECT_EQ(cache, 300 * kMiB);
}

}  // namespace
}  // namespace kvs
