#include "storage_node/server/slow_turn.h"

#include "gtest/gtest.h"

namespace kvs {
namespace {

class SlowTurnTest : public testing::Test {
 protected:
  SlowTurnTest() {
    diagnostics_.slow_log.Configure(10'000, 128);
    diagnostics_.latency.Configure(10);
  }

  void Run(std::string_view key, const StageTimes& times) {
    const std::vector<std::string_view> args = {"set", key, "v"};
    const CommandSpec& spec = GetCommand(CommandId::kSet);
    const int64_t id = diagnostics_.OnCommand(spec, args, times, client_, &clock_);
    turn_.OnCommand(spec, args, times, id);
  }
  void Settle(int64_t commit, int64_t fsync) {
    turn_.Settle(&diagnostics_, client_, &clock_, commit, fsync);
  }
  std::vector<SlowLogEntry> Entries() { return diagnostics_.slow_log.Latest(100); }

  ManualClock clock_;
  ClientInfo client_{1, "127.0.0.1:1", "127.0.0.1:2", 3, 0, nullptr};
  Diagnostics diagnostics_;
  SlowTurn turn_;
};

TEST_F(SlowTurnTest, AFastTurnLeavesNothing) {
  Run("a", {.engine = 10});
  EXPECT_FALSE(turn_.empty());
  Settle(100, 100);
  EXPECT_TRUE(turn_.empty());
  EXPECT_TRUE(Entries().empty());
  EXPECT_TRUE(diagnostics_.latency.Events().empty());
}

TEST_F(SlowTurnTest, TheFirstCommandStandsForASlowLog) {
  Run("a", {.queue = 5, .engine = 10});
  Run("b", {.engine = 10});
  Settle(1'000, 50'000);
  const std::vector<SlowLogEntry> entries = Entries();
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0].args, (std::vector<std::string>{"set", "a", "v"}));
  EXPECT_EQ(entries[0].times.total(), 51'010);
  EXPECT_EQ(entries[0].times.queue, 5);
  EXPECT_EQ(entries[0].times.fsync, 50'000);
  const std::vector<LatencyEvent> events = diagnostics_.latency.Events();
  ASSERT_EQ(events.size(), 1u);  // Not "command": that was fast.
  EXPECT_EQ(events[0].name, "fsync");
  EXPECT_EQ(events[0].worst_ms, 50);
}

TEST_F(SlowTurnTest, EntriesOfSlowCommandsGetTheTimesAdded) {
  Run("a", {.engine = 10});
  Run("b", {.lock = 20'000, .engine = 10});
  Run("c", {.engine = 30'000});
  Settle(40'000, 0);
  const std::vector<SlowLogEntry> entries = Entries();
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].args[1], "c");
  EXPECT_EQ(entries[0].times.total(), 70'000);
  EXPECT_EQ(entries[1].times.lock, 20'000);
  EXPECT_EQ(entries[1].times.commit, 40'000);
}

TEST_F(SlowTurnTest, ALogThatWasEmptiedMeanwhileIsLeftAlone) {
  Run("a", {.engine = 30'000});
  diagnostics_.slow_log.Reset();
  Settle(40'000, 0);
  EXPECT_TRUE(Entries().empty());
}

}  // namespace
}  // namespace kvs
