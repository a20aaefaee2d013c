#include <gtest/gtest.h>

#include "common/service/connection_commands.h"
#include "common/service/maintenance.h"

namespace kvs {
namespace {

class ClientCommandsTest : public testing::Test {
 protected:
  ClientCommandsTest() {
    service_.acl = &acl_;
    service_.clients = &clients_;
    service_.clock = &clock_;
    service_.pause = &pause_;
    service_.diagnostics = &diagnostics_;
    client_.info = clients_.Add(-1, 0);
    client_.authenticated = true;
  }

  std::string Run(const std::vector<std::string_view>& args) {
    const CommandSpec* spec = ResolveCommand(args);
    if (spec == nullptr) {
      return CommandError(args);
    }
    std::string out;
    muted_ = TakeMute(&client_);
    AnswerConnectionCommand(*spec, args, &service_, &client_, &out, &muted_);
    return muted_ ? "" : out;
  }
  // Adds another connection that counts how often it was to be closed.
  std::shared_ptr<ClientInfo> AddClient() {
    return clients_.Add(-1, 0, [this] { ++closed_; });
  }
  bool Holds(CommandId id) const {
    return pause_.Holds(GetCommand(id), [this] { return clock_.MonotonicMillis(); });
  }

  ClientRegistry clients_;
  ManualClock clock_;
  ClientPause pause_;
  Diagnostics diagnostics_;
  AclStore acl_;
  ServiceContext service_;
  ClientState client_;
  bool muted_ = false;
  int closed_ = 0;
};

TEST_F(ClientCommandsTest, KillByIdClosesOneConnectionOnce) {
  const auto first = AddClient();
  const auto second = AddClient();
  EXPECT_EQ(Run({"client", "kill", "id", "2"}), ":1\r\n");
  EXPECT_EQ(closed_, 1);
  EXPECT_TRUE(first->killed());
  EXPECT_FALSE(second->killed());
  EXPECT_EQ(Run({"client", "kill", "id", "2"}), ":0\r\n");
  EXPECT_EQ(closed_, 1);
  EXPECT_EQ(Run({"client", "list"}).find("id=2 "), std::string::npos);
  EXPECT_NE(Run({"client", "list"}).find("id=3 "), std::string::npos);
}

TEST_F(ClientCommandsTest, MaintenanceIsToldToWhoAskedInRespThree) {
  MovingNotice notice = {.number = 7, .seconds = 10, .endpoint = "10.0.0.1:7400"};
  const auto push = [&] {
    std::string out;
    AppendMoving(notice, client_, &out);
    return out;
  };
  const std::string told = ">4\r\n$6\r\nMOVING\r\n:7\r\n:10\r\n$13\r\n10.0.0.1:7400\r\n";
  EXPECT_TRUE(Run({"client", "maint_notifications", "on"}).starts_with("-ERR "));  // A node.
  service_.tells_moving = true;
  EXPECT_NE(Run({"client", "maint_notifications", "on"}).find("RESP3"), std::string::npos);
  client_.protocol = 3;
  EXPECT_EQ(push(), "");
  EXPECT_EQ(Run({"client", "maint_notifications", "on"}), "+OK\r\n");
  EXPECT_EQ(push(), told);
  for (const char* type : {"internal-ip", "internal-fqdn", "external-ip", "EXTERNAL-FQDN"}) {
    EXPECT_EQ(Run({"client", "maint_notifications", "ON", "moving-endpoint-type", type}),
              "+OK\r\n");
    EXPECT_EQ(push(), told);
  }
  EXPECT_EQ(Run({"client", "maint_notifications", "on", "moving-endpoint-type", "none"}),
            "+OK\r\n");
  EXPECT_EQ(push(), ">4\r\n$6\r\nMOVING\r\n:7\r\n:10\r\n_\r\n");
  for (const std::vector<std::string_view>& words :
       std::vector<std::vector<std::string_view>>{{"maybe"},
                                                  {"on", "moving-endpoint-type"},
                                                  {"on", "moving-endpoint-type", "best"},
                                                  {"on", "endpoint", "none"}}) {
    std::vector<std::string_view> args = {"client", "maint_notifications"};
    args.insert(args.end(), words.begin(), words.end());
    EXPECT_EQ(Run(args), "-ERR syntax error\r\n");
  }
  EXPECT_NE(push(), "");
  EXPECT_EQ(Run({"client", "maint_notifications", "off"}), "+OK\r\n");
  EXPECT_EQ(push(), "");

  // Null is for those who want no address: others could not make sense of it.
  notice.endpoint.clear();
  EXPECT_EQ(Run({"client", "maint_notifications", "on", "moving-endpoint-type", "none"}),
            "+OK\r\n");
  EXPECT_NE(push(), "");
  EXPECT_EQ(Run({"client", "maint_notifications", "on"}), "+OK\r\n");
  EXPECT_EQ(push(), "");
}

TEST_F(ClientCommandsTest, KillSparesTheOneWhoAsksUnlessToldOtherwise) {
  AddClient();
  EXPECT_EQ(Run({"client", "kill", "type", "pubsub"}), ":0\r\n");
  EXPECT_EQ(Run({"client", "kill", "type", "normal", "user", "default"}), ":1\r\n");
  EXPECT_FALSE(client_.close_after_reply);
  EXPECT_EQ(Run({"client", "kill", "type", "normal", "skipme", "no"}), ":1\r\n");
  EXPECT_TRUE(client_.close_after_reply);
  EXPECT_FALSE(client_.info->killed());  // It gets its reply first.
}

TEST_F(ClientCommandsTest, KillByAddressMeansAlsoTheOneWhoAsks) {
  EXPECT_EQ(Run({"client", "kill", "1.2.3.4:5"}), "-ERR No such client\r\n");
  EXPECT_EQ(Run({"client", "kill", client_.info->address}), "+OK\r\n");
  EXPECT_TRUE(client_.close_after_reply);
}

TEST_F(ClientCommandsTest, KillTakesEveryFilterAtOnce) {
  AddClient();
  EXPECT_EQ(Run({"client", "kill", "id", "2", "laddr", "nowhere"}), ":0\r\n");
  EXPECT_EQ(Run({"client", "kill", "id", "2", "addr", client_.info->address}), ":1\r\n");
}

TEST_F(ClientCommandsTest, ListByIdKeepsTheOrderOfTheIds) {
  AddClient();
  const std::string list = Run({"client", "list", "id", "2", "99", "1", "2"});
  EXPECT_LT(list.find("id=2 "), list.find("id=1 "));
  EXPECT_LT(list.find("id=1 "), list.rfind("id=2 "));
}

TEST_F(ClientCommandsTest, PauseHoldsUntilItsTime) {
  EXPECT_EQ(Run({"client", "pause", "100"}), "+OK\r\n");
  EXPECT_TRUE(Holds(CommandId::kGet));
  clock_.AdvanceMicros(100'000);
  EXPECT_FALSE(Holds(CommandId::kGet));
  EXPECT_EQ(Run({"client", "pause", "9223372036854775807", "WRITE"}), "+OK\r\n");
  EXPECT_FALSE(Holds(CommandId::kGet));
  EXPECT_TRUE(Holds(CommandId::kSet));
  EXPECT_EQ(Run({"client", "unpause"}), "+OK\r\n");
  EXPECT_FALSE(Holds(CommandId::kSet));
  EXPECT_EQ(Run({"client", "pause", "0"}), "+OK\r\n");
  EXPECT_FALSE(Holds(CommandId::kSet));
}

TEST_F(ClientCommandsTest, RepliesAreDroppedAsTold) {
  EXPECT_EQ(Run({"client", "reply", "skip"}), "");
  EXPECT_EQ(Run({"ping"}), "");
  EXPECT_EQ(Run({"ping"}), "+PONG\r\n");
  EXPECT_EQ(Run({"client", "reply", "off"}), "");
  EXPECT_EQ(Run({"ping"}), "");
  EXPECT_EQ(Run({"client", "reply", "skip"}), "");
  EXPECT_EQ(Run({"client", "reply", "bogus"}), "");
  EXPECT_EQ(Run({"ping"}), "");
  EXPECT_EQ(Run({"client", "reply", "on"}), "+OK\r\n");
  EXPECT_EQ(Run({"ping"}), "+PONG\r\n");
  EXPECT_EQ(Run({"client", "reply", "off"}), "");
  EXPECT_EQ(Run({"reset"}), "+RESET\r\n");
  EXPECT_EQ(Run({"ping"}), "+PONG\r\n");
}

TEST_F(ClientCommandsTest, FlagsAreShownAndResetForgetsThem) {
  EXPECT_NE(Run({"client", "info"}).find(" flags=N "), std::string::npos);
  EXPECT_EQ(Run({"client", "no-evict", "on"}), "+OK\r\n");
  EXPECT_EQ(Run({"client", "no-touch", "on"}), "+OK\r\n");
  EXPECT_EQ(Run({"client", "no-touch", "maybe"}), "-ERR syntax error\r\n");
  EXPECT_NE(Run({"client", "info"}).find(" flags=eT "), std::string::npos);
  EXPECT_EQ(Run({"client", "no-evict", "off"}), "+OK\r\n");
  EXPECT_NE(Run({"client", "info"}).find(" flags=T "), std::string::npos);
  EXPECT_EQ(Run({"monitor"}), "+OK\r\n");
  EXPECT_EQ(Run({"monitor"}), "");
  EXPECT_NE(Run({"client", "info"}).find(" flags=OT "), std::string::npos);
  EXPECT_EQ(Run({"reset"}), "+RESET\r\n");
  EXPECT_NE(Run({"client", "info"}).find(" flags=N "), std::string::npos);
}

TEST_F(ClientCommandsTest, TrackingStaysOff) {
  EXPECT_EQ(Run({"client", "tracking", "on"}),
            "-ERR CLIENT TRACKING ON is not supported: keys are not tracked here\r\n");
  EXPECT_EQ(Run({"client", "tracking", "off", "redirect", "1", "redirect", "1"}),
            "-ERR A client can only redirect to a single other client\r\n");
  EXPECT_EQ(Run({"client", "getredir"}), ":-1\r\n");
  client_.protocol = 3;
  EXPECT_EQ(Run({"client", "trackinginfo"}),
            "%3\r\n$5\r\nflags\r\n~1\r\n$3\r\noff\r\n$8\r\nredirect\r\n:-1\r\n"
            "$8\r\nprefixes\r\n*0\r\n");
}

TEST_F(ClientCommandsTest, ShutdownAsksTheServer) {
  bool forced = false;
  int asked = 0;
  service_.shutdown = [&](bool force) {
    ++asked;
    forced = force;
    return force ? Status::Ok() : Status::Unavailable("the disk is full");
  };
  EXPECT_EQ(Run({"shutdown"}), "-ERR Errors trying to SHUTDOWN. Check logs.\r\n");
  EXPECT_EQ(Run({"shutdown", "now", "FORCE"}), "");
  EXPECT_TRUE(forced);
  EXPECT_EQ(Run({"shutdown", "nosave"}), "");
  EXPECT_EQ(asked, 3);
  EXPECT_EQ(Run({"shutdown", "save", "nosave"}), "-ERR syntax error\r\n");
  EXPECT_EQ(Run({"shutdown", "abort"}), "-ERR No shutdown in progress.\r\n");
  EXPECT_EQ(asked, 3);
}

}  // namespace
}  // namespace kvs
