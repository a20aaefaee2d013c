#include "common/service/diagnostics.h"

#include "gtest/gtest.h"

namespace kvs {
namespace {

using Words = std::vector<std::string>;

class DiagnosticsTest : public testing::Test {
 protected:
  int64_t Run(CommandId id, const std::vector<std::string_view>& args, int64_t micros) {
    return diagnostics_.OnCommand(GetCommand(id), args, {.engine = micros}, client_, &clock_);
  }
  std::vector<SlowLogEntry> Entries() { return diagnostics_.slow_log.Latest(100); }
  LatencyEvent Event(std::string_view name) { return diagnostics_.latency.Find(name); }

  ManualClock clock_;
  ClientInfo client_{1, "127.0.0.1:1", "127.0.0.1:2", 3, 0, nullptr};
  Diagnostics diagnostics_;
};

TEST_F(DiagnosticsTest, TheSlowLogKeepsTheLatestEntries) {
  diagnostics_.slow_log.Configure(100, 2);
  client_.SetName("me");
  EXPECT_EQ(Run(CommandId::kGet, {"get", "a"}, 99), Diagnostics::kNoEntry);
  EXPECT_EQ(Run(CommandId::kGet, {"get", "a"}, 100), 0);
  EXPECT_EQ(Run(CommandId::kGet, {"get", "b"}, 101), 1);
  EXPECT_EQ(Run(CommandId::kGet, {"get", "c"}, 102), 2);
  const std::vector<SlowLogEntry> entries = Entries();
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].id, 2);
  EXPECT_EQ(entries[0].args, (Words{"get", "c"}));
  EXPECT_EQ(entries[0].times.total(), 102);
  EXPECT_EQ(entries[0].address, "127.0.0.1:1");
  EXPECT_EQ(entries[0].name, "me");
  EXPECT_EQ(entries[0].unix_seconds, 1'700'000'000);
  EXPECT_EQ(entries[1].id, 1);
  EXPECT_EQ(diagnostics_.slow_log.Latest(1).size(), 1u);
  diagnostics_.slow_log.Reset();
  EXPECT_EQ(diagnostics_.slow_log.size(), 0u);
  EXPECT_EQ(Run(CommandId::kGet, {"get", "c"}, 102), 3);
}

TEST_F(DiagnosticsTest, TheSlowLogShrinksAndGoesSilent) {
  diagnostics_.slow_log.Configure(0, 10);
  for (int i = 0; i < 5; ++i) {
    Run(CommandId::kGet, {"get", "a"}, 0);
  }
  EXPECT_EQ(Entries().size(), 5u);
  diagnostics_.slow_log.Configure(0, 3);
  EXPECT_EQ(Entries().size(), 3u);
  EXPECT_EQ(Entries().front().id, 4);
  diagnostics_.slow_log.Configure(-1, 3);
  EXPECT_FALSE(diagnostics_.slow_log.enabled());
  EXPECT_EQ(Run(CommandId::kGet, {"get", "a"}, 1'000'000), Diagnostics::kNoEntry);
  diagnostics_.slow_log.Configure(0, 0);
  Run(CommandId::kGet, {"get", "a"}, 1);
  EXPECT_TRUE(Entries().empty());
}

TEST_F(DiagnosticsTest, TimesAreAddedToTheEntryThatTheyBelongTo) {
  diagnostics_.slow_log.Configure(0, 2);
  for (int i = 0; i < 3; ++i) {
    Run(CommandId::kGet, {"get", "a"}, 1);
  }
  diagnostics_.slow_log.AddTimes(0, 100, 100);  // It is gone.
  diagnostics_.slow_log.AddTimes(1, 10, 20);
  diagnostics_.slow_log.AddTimes(7, 100, 100);  // There was none.
  EXPECT_EQ(Entries()[0].times.total(), 1);
  EXPECT_EQ(Entries()[1].times.total(), 31);
}

// A pause or the replies before it are not what made the command slow.
TEST_F(DiagnosticsTest, WaitingInTheSessionIsInTheLogButIsNoLatencyOfTheCommand) {
  diagnostics_.slow_log.Configure(50'000, 10);
  diagnostics_.latency.Configure(10);
  CommandSample sample;
  sample.Take(GetCommand(CommandId::kGet), std::vector<std::string_view>{"get", "a"});
  StageTimes times = {
      .client = 20'000, .unsent = 1000, .link = 2000, .node = 3000, .merge = 24'000};
  diagnostics_.OnCommand(sample, times, client_, &clock_);
  ASSERT_EQ(Entries().size(), 1u);
  EXPECT_EQ(Entries()[0].times.total(), 50'000);
  EXPECT_TRUE(diagnostics_.latency.Events().empty());
  times.unsent += 4000;
  diagnostics_.OnCommand(sample, times, client_, &clock_);
  EXPECT_EQ(Event("fast-command").worst_ms, 10);
}

TEST_F(DiagnosticsTest, PasswordsAreNotShown) {
  diagnostics_.slow_log.Configure(0, 10);
  Run(CommandId::kAuth, {"auth", "user", "pass"}, 1);
  EXPECT_EQ(Entries()[0].args, (Words{"auth", "(redacted)", "(redacted)"}));
  Run(CommandId::kHello, {"hello", "3", "AUTH", "user", "pass", "setname", "x"}, 1);
  EXPECT_EQ(Entries()[0].args,
            (Words{"hello", "3", "AUTH", "(redacted)", "(redacted)", "setname", "x"}));
  Run(CommandId::kConfigSet, {"config", "set", "port", "1", "RequirePass", "x"}, 1);
  EXPECT_EQ(Entries()[0].args, (Words{"config", "set", "port", "1", "RequirePass", "(redacted)"}));
  Run(CommandId::kMigrate,
      {"migrate", "h", "1", "", "0", "1", "auth2", "user", "keys", "AUTH", "pass", "keys", "auth",
       "k"},
      1);
  EXPECT_EQ(Entries()[0].args, (Words{"migrate", "h", "1", "", "0", "1", "auth2", "(redacted)",
                                      "(redacted)", "AUTH", "(redacted)", "keys", "auth", "k"}));
  Run(CommandId::kMigrate, {"migrate", "h", "1", "k", "0", "1", "auth2", "pass"}, 1);
  EXPECT_EQ(Entries()[0].args, (Words{"migrate", "h", "1", "k", "0", "1", "auth2", "(redacted)"}));
}

TEST_F(DiagnosticsTest, LongRequestsAreCut) {
  const std::string value(200, 'x');
  std::vector<std::string_view> args(40, "k");
  args[0] = "del";
  args[1] = value;
  const Words kept = SlowLogArguments(GetCommand(CommandId::kDel), args);
  ASSERT_EQ(kept.size(), 32u);
  EXPECT_EQ(kept[1], std::string(128, 'x') + "... (72 more bytes)");
  EXPECT_EQ(kept[31], "... (9 more arguments)");
}

TEST_F(DiagnosticsTest, AnEventKeepsTheWorstOfEachSecond) {
  diagnostics_.slow_log.Configure(-1, 0);
  diagnostics_.latency.Configure(10);
  Run(CommandId::kGet, {"get", "a"}, 9'999);
  EXPECT_TRUE(diagnostics_.latency.Events().empty());
  Run(CommandId::kGet, {"get", "a"}, 30'000);
  Run(CommandId::kGet, {"get", "a"}, 20'000);
  clock_.AdvanceMicros(1'000'000);
  Run(CommandId::kGet, {"get", "a"}, 15'000);
  Run(CommandId::kKeys, {"keys", "*"}, 12'000);
  const LatencyEvent event = Event("fast-command");
  ASSERT_EQ(event.samples.size(), 2u);
  EXPECT_EQ(event.samples[0].ms, 30);
  EXPECT_EQ(event.samples[1].ms, 15);
  EXPECT_EQ(event.worst_ms, 30);
  EXPECT_EQ(Event("command").samples.size(), 1u);
  EXPECT_EQ(diagnostics_.latency.Reset({"command", "nosuch"}), 1);
  EXPECT_EQ(diagnostics_.latency.Reset({}), 1);
  EXPECT_TRUE(diagnostics_.latency.Events().empty());
}

TEST_F(DiagnosticsTest, AnEventKeeps160Seconds) {
  for (int i = 0; i < 200; ++i) {
    diagnostics_.latency.Add("command", i, 1000 + i);
  }
  const LatencyEvent event = Event("command");
  ASSERT_EQ(event.samples.size(), 160u);
  EXPECT_EQ(event.samples.front().ms, 40);
  EXPECT_EQ(event.worst_ms, 199);
}

// As redis-server draws it.
TEST_F(DiagnosticsTest, AGraphHasABarForEachSample) {
  diagnostics_.latency.Add("command", 10, 1000);
  diagnostics_.latency.Add("command", 100, 1040);
  diagnostics_.latency.Add("command", 50, 1100);
  EXPECT_EQ(DrawLatency(Event("command"), 1100),
            "command - high 100 ms, low 10 ms (all time high 100 ms)\n" + std::string(80, '-') +
                "\n"
                " # \n"
                " | \n"
                " |#\n"
                "_||\n"
                "   \n"
                "110\n"
                "mms\n");
}

TEST_F(DiagnosticsTest, TheReportNamesTheEvents) {
  EXPECT_NE(LatencyReport(diagnostics_.latency, 10'000, 0).find("disabled"), std::string::npos);
  diagnostics_.latency.Configure(10);
  EXPECT_NE(LatencyReport(diagnostics_.latency, 10'000, 0).find("no latency spike"),
            std::string::npos);
  diagnostics_.latency.Add("command", 10, 1000);
  diagnostics_.latency.Add("command", 30, 1010);
  const std::string report = LatencyReport(diagnostics_.latency, 20'000, 1020);
  EXPECT_NE(report.find("1. command: 2 latency spikes (average 20ms, mean deviation 10ms, period "
                        "10.00 sec). Worst all time event 30ms."),
            std::string::npos)
      << report;
  EXPECT_NE(report.find("CONFIG SET slowlog-log-slower-than 10000"), std::string::npos) << report;
}

}  // namespace
}  // namespace kvs
