#include "common/net/signals.h"

#include <csignal>
#include <vector>

#include "gtest/gtest.h"

namespace kvs {
namespace {

TEST(SignalWatcherTest, SignalsArriveOnTheLoopInOrder) {
  EventLoop loop("test");
  std::vector<int> seen;
  SignalWatcher watcher(&loop, {SIGTERM, SIGHUP}, [&](int signal) {
    loop.AssertInLoop();
    seen.push_back(signal);
  });
  ASSERT_TRUE(watcher.Start().ok());

  ASSERT_EQ(::raise(SIGHUP), 0);
  ASSERT_EQ(::raise(SIGTERM), 0);
  EXPECT_TRUE(seen.empty());
  loop.RunOnce(0);

  EXPECT_EQ(seen, (std::vector<int>{SIGHUP, SIGTERM}));
}

TEST(SignalWatcherTest, BrokenPipesDoNotKill) {
  EventLoop loop("test");
  SignalWatcher watcher(&loop, {SIGTERM}, [](int) {});
  ASSERT_TRUE(watcher.Start().ok());
  EXPECT_EQ(::raise(SIGPIPE), 0);
}

TEST(SignalWatcherTest, AfterwardsTheDefaultActionsAreBack) {
  {
    EventLoop loop("test");
    SignalWatcher watcher(&loop, {SIGTERM}, [](int) {});
    ASSERT_TRUE(watcher.Start().ok());
  }
  struct sigaction action {};
  ASSERT_EQ(::sigaction(SIGTERM, nullptr, &action), 0);
  EXPECT_EQ(action.sa_handler, SIG_DFL);
}

}  // namespace
}  // namespace kvs
