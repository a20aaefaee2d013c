#include "common/service/monitor_feed.h"

#include <algorithm>
#include <string>

#include "gtest/gtest.h"

namespace kvs {
namespace {

class MonitorFeedTest : public testing::Test {
 protected:
  void Run(CommandId id, const std::vector<std::string_view>& args, const ClientInfo& client) {
    feed_.OnCommand(GetCommand(id), args, client, &clock_);
  }
  std::string Take() {
    bool overflown = false;
    std::string lines = outlet_.Take(&overflown);
    EXPECT_FALSE(overflown);
    return lines;
  }

  ManualClock clock_{1'700'000'000'000'042};
  ClientInfo client_{1, "127.0.0.1:60000", "127.0.0.1:2", 3, 0, nullptr};
  ClientInfo local_client_{2, "/run/kv.sock:0", "/run/kv.sock:0", 4, 0, nullptr};
  int wakes_ = 0;
  MonitorOutlet outlet_{[this] { ++wakes_; }};
  MonitorFeed feed_;
};

TEST_F(MonitorFeedTest, ALineIsThatOfRedis) {
  EXPECT_FALSE(feed_.active());
  feed_.Add(&outlet_);
  EXPECT_TRUE(feed_.active());
  Run(CommandId::kSet, {"set", "k", "a \"b\"\n\x01"}, client_);
  Run(CommandId::kPing, {"ping"}, local_client_);
  EXPECT_EQ(wakes_, 1);
  EXPECT_EQ(Take(),
            "+1700000000.000042 [0 127.0.0.1:60000] \"set\" \"k\" \"a \\\"b\\\"\\n\\x01\"\r\n"
            "+1700000000.000042 [0 unix:/run/kv.sock] \"ping\"\r\n");
  Run(CommandId::kPing, {"ping"}, client_);
  EXPECT_EQ(wakes_, 2);
}

TEST_F(MonitorFeedTest, SecretsAndAdministratorsAreNotShown) {
  feed_.Add(&outlet_);
  Run(CommandId::kAuth, {"auth", "x"}, client_);
  Run(CommandId::kConfigGet, {"config", "get", "*"}, client_);
  EXPECT_EQ(Take(), "+1700000000.000042 [0 127.0.0.1:60000] \"auth\" \"(redacted)\"\r\n");
}

TEST_F(MonitorFeedTest, OneOfManyIsShownIfThatIsAskedFor) {
  feed_.Add(&outlet_);
  feed_.set_sample(10);
  for (int i = 0; i < 10'000; ++i) {
    Run(CommandId::kPing, {"ping"}, client_);
  }
  const std::string lines = Take();
  const auto shown = std::count(lines.begin(), lines.end(), '\n');
  EXPECT_GT(shown, 800);  // More than six standard deviations of 30 from 1000.
  EXPECT_LT(shown, 1200);
  feed_.set_sample(1);
  Run(CommandId::kPing, {"ping"}, client_);
  EXPECT_NE(Take(), "");
}

TEST_F(MonitorFeedTest, NothingIsMadeForNobody) {
  feed_.Add(&outlet_);
  feed_.Remove(&outlet_);
  Run(CommandId::kPing, {"ping"}, client_);
  EXPECT_EQ(wakes_, 0);
  EXPECT_EQ(Take(), "");
}

TEST_F(MonitorFeedTest, AnOutletThatIsNotEmptiedOverflows) {
  feed_.Add(&outlet_);
  const std::string value(60'000, 'v');
  for (size_t i = 0; i <= MonitorOutlet::kMaxWaiting / value.size(); ++i) {
    Run(CommandId::kSet, {"set", "k", value}, client_);
  }
  bool overflown = false;
  EXPECT_LE(outlet_.Take(&overflown).size(), MonitorOutlet::kMaxWaiting);
  EXPECT_TRUE(overflown);
  Run(CommandId::kPing, {"ping"}, client_);
  EXPECT_NE(Take(), "");
}

}  // namespace
}  // namespace kvs
