#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/service/acl_gate.h"
#include "common/service/connection_commands.h"

namespace kvs {
namespace {

class AclCommandsTest : public testing::Test {
 protected:
  AclCommandsTest() {
    service_.acl = &acl_;
    service_.clients = &clients_;
    service_.clock = &clock_;
    Connect();
  }

  void Connect() {
    client_ = {};
    client_.info = clients_.Add(-1, 0);
    BeginClient(service_, &client_);
  }
  // As a dispatcher does.
  std::string Run(const std::vector<std::string_view>& args) {
    const CommandSpec* spec = ResolveCommand(args);
    if (spec == nullptr) {
      return CommandError(args);
    }
    if (!MayRun(*spec, client_)) {
      return std::string(kNoAuthError);
    }
    if (!MayDoAll(client_, service_)) {
      if (std::string error = CheckAcl(*spec, args, &service_, &client_); !error.empty()) {
        return error;
      }
    }
    std::string out;
    bool muted = false;
    AnswerConnectionCommand(*spec, args, &service_, &client_, &out, &muted);
    return out;
  }

  AclStore acl_;
  ClientRegistry clients_;
  ManualClock clock_;
  ServiceContext service_;
  ClientState client_;
};

TEST_F(AclCommandsTest, WhoeverConnectsMayDoEverythingAtFirst) {
  EXPECT_TRUE(client_.authenticated);
  EXPECT_TRUE(MayDoAll(client_, service_));
  EXPECT_EQ(Run({"acl", "whoami"}), "$7\r\ndefault\r\n");
}

TEST_F(AclCommandsTest, AClientBecomesAUserAndHasItsRights) {
  EXPECT_EQ(Run({"acl", "setuser", "a", "on", ">pw", "+acl|whoami", "+ping", "+select|0"}),
            "+OK\r\n");
  EXPECT_EQ(Run({"auth", "a", "bad"}),
            "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
  EXPECT_EQ(Run({"auth", "nosuch", "pw"}),
            "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
  EXPECT_EQ(Run({"acl", "whoami"}), "$7\r\ndefault\r\n");
  EXPECT_EQ(Run({"auth", "a", "pw"}), "+OK\r\n");
  EXPECT_EQ(Run({"acl", "whoami"}), "$1\r\na\r\n");
  EXPECT_EQ(client_.info->user(), "a");
  EXPECT_EQ(Run({"ping"}), "+PONG\r\n");
  EXPECT_EQ(Run({"select", "0"}), "+OK\r\n");
  EXPECT_EQ(Run({"select", "1"}),
            "NOPERM this user has no permissions to run the 'select' command");
  EXPECT_EQ(Run({"ACL", "LIST"}),
            "NOPERM this user has no permissions to run the 'acl|list' command");
  EXPECT_EQ(Run({"reset"}), "+RESET\r\n");
  EXPECT_EQ(Run({"acl", "whoami"}), "$7\r\ndefault\r\n");
}

TEST_F(AclCommandsTest, HelloAuthIsAuth) {
  EXPECT_EQ(Run({"acl", "setuser", "a", "on", ">pw", "+acl|whoami"}), "+OK\r\n");
  EXPECT_EQ(Run({"hello", "2", "auth", "a", "bad"}),
            "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
  EXPECT_TRUE(Run({"hello", "2", "auth", "a", "pw"}).starts_with("*14\r\n"));
  EXPECT_EQ(Run({"acl", "whoami"}), "$1\r\na\r\n");
  EXPECT_TRUE(Run({"ping"}).starts_with("NOPERM"));
}

TEST_F(AclCommandsTest, AUserThatIsGoneMayDoNothing) {
  const std::vector<std::string_view> name = {"a"};
  EXPECT_EQ(Run({"acl", "setuser", "a", "on", "nopass", "+@all", "~*", "&*"}), "+OK\r\n");
  EXPECT_EQ(Run({"auth", "a", "x"}), "+OK\r\n");
  EXPECT_TRUE(MayDoAll(client_, service_));
  EXPECT_EQ(acl_.Delete(name), 1U);
  EXPECT_EQ(Run({"ping"}), kNoAuthError);
  EXPECT_TRUE(client_.close_after_reply);
  EXPECT_FALSE(MayStay(nullptr, service_, &client_));
}

TEST_F(AclCommandsTest, WhoDeletesItsOwnUserGetsTheReply) {
  EXPECT_EQ(Run({"acl", "setuser", "a", "on", "nopass", "+@all"}), "+OK\r\n");
  EXPECT_EQ(Run({"auth", "a", "x"}), "+OK\r\n");
  EXPECT_FALSE(client_.close_after_reply);
  EXPECT_EQ(Run({"acl", "deluser", "a"}), ":1\r\n");
  EXPECT_TRUE(client_.close_after_reply);
}

TEST_F(AclCommandsTest, ChangedRightsHoldAtOnce) {
  EXPECT_EQ(Run({"acl", "setuser", "a", "on", "nopass", "+@all", "~*", "&*"}), "+OK\r\n");
  EXPECT_EQ(Run({"auth", "a", "x"}), "+OK\r\n");
  EXPECT_EQ(Run({"ping"}), "+PONG\r\n");
  EXPECT_EQ(Run({"acl", "setuser", "a", "-ping"}), "+OK\r\n");
  EXPECT_EQ(Run({"ping"}), "NOPERM this user has no permissions to run the 'ping' command");
  EXPECT_EQ(Run({"acl", "setuser", "a", "off"}), "+OK\r\n");
  EXPECT_EQ(Run({"echo", "x"}), "$1\r\nx\r\n");  // Off is about who comes, as in Redis.
}

TEST_F(AclCommandsTest, SubscriptionsEndWithTheRight) {
  EXPECT_EQ(Run({"acl", "setuser", "a", "on", "nopass", "+@all", "~*", "&c*"}), "+OK\r\n");
  EXPECT_EQ(Run({"auth", "a", "x"}), "+OK\r\n");
  Subscriptions subscriptions;
  subscriptions.Add(ChannelKind::kChannel, "c1");
  subscriptions.Add(ChannelKind::kPattern, "c*");
  EXPECT_TRUE(MayStay(&subscriptions, service_, &client_));
  EXPECT_EQ(Run({"acl", "setuser", "a", "resetchannels", "&c1"}), "+OK\r\n");
  EXPECT_FALSE(MayStay(&subscriptions, service_, &client_));
}

TEST_F(AclCommandsTest, RefusalsAreNoted) {
  EXPECT_EQ(Run({"acl", "setuser", "a", "on", "nopass", "+get", "~k"}), "+OK\r\n");
  EXPECT_EQ(Run({"auth", "a", "x"}), "+OK\r\n");
  EXPECT_EQ(Run({"get", "other"}),
            "NOPERM this user has no permissions to access one of the keys used as arguments");
  EXPECT_TRUE(Run({"set", "k", "v"}).starts_with("NOPERM"));
  EXPECT_TRUE(Run({"auth", "b", "x"}).starts_with("-WRONGPASS"));
  const auto entries = acl_.log()->Latest(10);
  ASSERT_EQ(entries.size(), 3U);
  EXPECT_EQ(entries[0].reason, AclDenial::kAuth);
  EXPECT_EQ(entries[0].object, "auth");
  EXPECT_EQ(entries[0].username, "b");
  EXPECT_EQ(entries[1].object, "set");
  EXPECT_EQ(entries[2].object, "other");
  EXPECT_EQ(entries[2].username, "a");
  EXPECT_NE(entries[2].client.find("user=a"), std::string::npos);
}

TEST_F(AclCommandsTest, SortByPatternsNeedsTheRightToReadEveryKey) {
  AclUser user = MakeAclUser("a", DefaultChannels::kNone);
  for (const std::string_view rule : {"+sort", "~a"}) {
    ASSERT_TRUE(ApplyAclRule(rule, DefaultChannels::kNone, &user).ok());
  }
  const auto ask = [&](const std::vector<std::string_view>& args) {
    return CheckAclInScript(*ResolveCommand(args), args, user, *client_.info, &service_);
  };
  EXPECT_EQ(ask({"sort", "a"}), "");
  EXPECT_EQ(ask({"sort", "a", "by", "nosort"}), "");
  EXPECT_EQ(ask({"sort", "a", "BY", "w_*"}),
            "ERR BY option of SORT denied due to insufficient ACL permissions.");
  EXPECT_EQ(ask({"sort", "a", "limit", "0", "1", "get", "w_*"}),
            "ERR GET option of SORT denied due to insufficient ACL permissions.");
  ASSERT_TRUE(ApplyAclRule("%R~*", DefaultChannels::kNone, &user).ok());
  EXPECT_EQ(ask({"sort", "a", "by", "w_*"}), "");
}

TEST_F(AclCommandsTest, RequirepassIsThePasswordOfTheDefaultUser) {
  EXPECT_TRUE(Run({"auth", "x"}).starts_with("-ERR AUTH <password> called without any password"));
  acl_.SetDefaultPassword("secret");
  EXPECT_TRUE(client_.authenticated);  // Who is there stays.
  Connect();
  EXPECT_EQ(Run({"ping"}), kNoAuthError);
  EXPECT_TRUE(Run({"auth", "bad"}).starts_with("-WRONGPASS"));
  EXPECT_EQ(Run({"auth", "secret"}), "+OK\r\n");
  EXPECT_EQ(Run({"ping"}), "+PONG\r\n");
  EXPECT_EQ(Run({"auth", "default", "secret"}), "+OK\r\n");
}

TEST_F(AclCommandsTest, GetUserShowsAll) {
  EXPECT_EQ(Run({"acl", "setuser", "a", "on", "+get", "~k", "&c", "(+set %W~w)"}), "+OK\r\n");
  EXPECT_EQ(Run({"acl", "getuser", "a"}),
            "*12\r\n$5\r\nflags\r\n*1\r\n$2\r\non\r\n$9\r\npasswords\r\n*0\r\n$8\r\ncommands\r\n"
            "$10\r\n-@all +get\r\n$4\r\nkeys\r\n$2\r\n~k\r\n$8\r\nchannels\r\n$2\r\n&c\r\n"
            "$9\r\nselectors\r\n*1\r\n*6\r\n$8\r\ncommands\r\n$10\r\n-@all +set\r\n$4\r\nkeys\r\n"
            "$4\r\n%W~w\r\n$8\r\nchannels\r\n$0\r\n\r\n");
  EXPECT_EQ(Run({"acl", "getuser", "nosuch"}), "$-1\r\n");
}

TEST_F(AclCommandsTest, PasswordsAreMadeOfAsManyBitsAsAsked) {
  EXPECT_TRUE(Run({"acl", "genpass"}).starts_with("$64\r\n"));
  EXPECT_TRUE(Run({"acl", "genpass", "5"}).starts_with("$2\r\n"));
  EXPECT_TRUE(Run({"acl", "genpass", "12"}).starts_with("$3\r\n"));
  EXPECT_NE(Run({"acl", "genpass"}), Run({"acl", "genpass"}));
  EXPECT_TRUE(Run({"acl", "genpass", "4097"}).starts_with("-ERR ACL GENPASS argument must be"));
}

}  // namespace
}  // namespace kvs
