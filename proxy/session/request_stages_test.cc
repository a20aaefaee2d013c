#include "proxy/session/request_stages.h"

#include "gtest/gtest.h"

#include "common/base/random.h"

namespace kvs {
namespace {

TEST(RequestStagesTest, EachWaitIsOneStage) {
  const RequestTimes times = {.arrived = 1000, .parsed = 1010, .routed = 1100, .answered = 6000};
  const StageTimes stages = StagesOf(times, {.queue = 200, .link = 700}, 26'000);
  EXPECT_EQ(stages.client, 100);
  EXPECT_EQ(stages.unsent, 200);
  EXPECT_EQ(stages.link, 700);
  EXPECT_EQ(stages.node, 4000);
  EXPECT_EQ(stages.merge, 20'000);
  EXPECT_EQ(stages.queue + stages.lock + stages.engine + stages.commit + stages.fsync, 0);
}

TEST(RequestStagesTest, TheStagesLeaveNoGap) {
  Random random(7);
  for (int i = 0; i < 1000; ++i) {
    int64_t now = static_cast<int64_t>(random.Uniform(1'000'000));
    const auto later = [&] { return now += static_cast<int64_t>(random.Uniform(1000)); };
    RequestTimes times = {.arrived = later()};
    times.parsed = later();
    times.routed = later();
    const int64_t sent = now;
    const LinkWait wait = {.queue = later() - sent,
                           .link = static_cast<int64_t>(random.Uniform(9))};
    now += wait.link;
    times.answered = later();
    const int64_t written = later();
    const StageTimes stages = StagesOf(times, wait, written);
    EXPECT_EQ(stages.total(), written - times.arrived);
    EXPECT_GE(stages.client, 0);
    EXPECT_GE(stages.node, 0);
    EXPECT_GE(stages.merge, 0);
  }
}

}  // namespace
}  // namespace kvs
