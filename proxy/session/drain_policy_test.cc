#include "proxy/session/drain_policy.h"

#include <string>

#include "gtest/gtest.h"

#include "common/base/random.h"

namespace kvs {
namespace {

TEST(DrainPolicyTest, WithoutASuccessorTheFirstReplyOrPauseIsTheEnd) {
  const DrainPolicy policy(1000, 10'000, /*has_successor=*/false);
  EXPECT_TRUE(policy.EndsWithReply({.at_boundary = true}, 1000));
  EXPECT_FALSE(policy.MayClose({.at_boundary = true, .quiet_ms = DrainPolicy::kPauseMs - 1}, 1000));
  EXPECT_TRUE(policy.MayClose({.at_boundary = true, .quiet_ms = DrainPolicy::kPauseMs}, 1000));
  EXPECT_FALSE(policy.MayClose({.at_boundary = false, .quiet_ms = 5000}, 10'999));
  EXPECT_TRUE(policy.MayClose({.at_boundary = false}, 11'000));
  // One that was told where to go may go by itself.
  const DrainPolicy::View told = {.at_boundary = true, .told = true, .quiet_ms = 999};
  EXPECT_FALSE(policy.MayClose(told, 1000));
  EXPECT_FALSE(policy.EndsWithReply(told, 1000));
}

TEST(DrainPolicyTest, WithASuccessorConnectionsInUseEndByThemselves) {
  const DrainPolicy policy(1000, 10'000, /*has_successor=*/true);
  EXPECT_FALSE(policy.MayClose({.at_boundary = true, .quiet_ms = 999}, 9'999));
  EXPECT_TRUE(policy.MayClose({.at_boundary = true, .quiet_ms = 1000}, 1000));
  EXPECT_FALSE(policy.EndsWithReply({.at_boundary = true}, 9'999));
  EXPECT_TRUE(policy.EndsWithReply({.at_boundary = true}, 10'000));
  EXPECT_FALSE(
      policy.MayClose({.at_boundary = true, .quiet_ms = DrainPolicy::kPauseMs - 1}, 10'000));
  EXPECT_TRUE(policy.MayClose({.at_boundary = true, .quiet_ms = DrainPolicy::kPauseMs}, 10'000));
  EXPECT_EQ(policy.seconds_left(1000), 9);
  EXPECT_EQ(policy.seconds_left(20'000), 0);
}

TEST(DrainPolicyTest, WithoutTimeEverythingEndsAtOnce) {
  const DrainPolicy policy(500, 0, /*has_successor=*/true);
  EXPECT_TRUE(policy.MayClose({.at_boundary = false}, 500));
}

// Whatever the connection does: in the middle of a command, or of a row of them, it is cut only
// when the time is over, and what may be closed once may be closed later, as long as nothing comes
// of it.
TEST(DrainPolicyTest, CommandsAreCutOnlyAtTheEndForAnySchedule) {
  const uint64_t seed = Random::FromKernel().Next();
  SCOPED_TRACE("seed " + std::to_string(seed));
  Random random(seed);
  for (int round = 0; round < 2000; ++round) {
    const auto start = static_cast<int64_t>(random.Uniform(1'000'000));
    const auto grace = static_cast<int64_t>(random.Uniform(20'000));
    const DrainPolicy policy(start, grace, random.OneIn(2));
    DrainPolicy::View view = {.told = random.OneIn(2)};
    bool closable = false;
    for (int64_t now = start; now < start + grace + 500; now += 100) {
      view.at_boundary = random.OneIn(2);
      const bool active = random.OneIn(5);
      view.quiet_ms = active ? 0 : view.quiet_ms + 100;
      closable = closable && !active && view.at_boundary;
      const bool may = policy.MayClose(view, now);
      ASSERT_EQ(may && !view.at_boundary, !view.at_boundary && now >= start + grace);
      ASSERT_EQ(may && active, active && now >= start + grace);
      ASSERT_TRUE(may || !closable);
      closable = may;
    }
    ASSERT_TRUE(policy.MayClose(view, start + grace));
  }
}

}  // namespace
}  // namespace kvs
