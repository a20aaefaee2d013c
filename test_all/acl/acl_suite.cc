// Users with few rights try to get around them, at a node and through the proxy.

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "common/base/file.h"
#include "common/base/strings.h"
#include "test_all/harness/cluster.h"
#include "test_all/harness/wait.h"

namespace kvs {
namespace {

// The parameter says whether clients go through the proxy.
class AclTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    ASSERT_EQ(cluster_.Start().ToString(), "ok");
    server_ = GetParam() ? cluster_.proxy() : cluster_.node(0);
    admin_ = std::make_unique<RespClient>(server_->Connect());
  }
  std::string Ask(RespClient* client, const std::string& request) {
    std::vector<std::string> words;
    EXPECT_TRUE(SplitArguments(request, &words));
    const Result<Reply> reply = client->Do(words);
    return reply.ok() ? reply->ToString() : "closed";
  }
  // Makes the user "u" anew with the rules.
  void SetUser(const std::string& rules) {
    const std::string reply = Ask(admin_.get(), "acl setuser u reset on >pw " + rules);
    ASSERT_NE(reply.find("OK"), std::string::npos) << reply;
  }
  RespClient Login() {
    RespClient client = server_->Connect();
    EXPECT_NE(Ask(&client, "auth u pw").find("OK"), std::string::npos);
    return client;
  }
  bool IsRefused(RespClient* client, const std::string& request) {
    return Ask(client, request).find("NOPERM") != std::string::npos;
  }

  Cluster cluster_{{.nodes = 1, .node_options = {"--io-threads", "2"}, .proxy_options = {}}};
  Server* server_ = nullptr;
  std::unique_ptr<RespClient> admin_;
};

INSTANTIATE_TEST_SUITE_P(All, AclTest, testing::Bool(),
                         [](const auto& param) { return param.param ? "proxy" : "node"; });

TEST_P(AclTest, NoFormOfACommandGetsAround) {
  SetUser("+@all -@dangerous -eval -incr ~a* %R~r* &c*");
  RespClient client = Login();
  for (const std::string request : {"flushall",
                                    "FLUSHALL",
                                    "FlushAll async",
                                    "config get x",
                                    "CONFIG SET maxclients 1",
                                    "acl setuser u +@all",
                                    "ACL LIST",
                                    "client kill id 1",
                                    "keys *",
                                    "incr a",
                                    "get b",
                                    "set r 1",
                                    "mget a b",
                                    "mset a 1 b 2",
                                    "rename a b",
                                    "copy r b",
                                    "sort a store b",
                                    "georadius a 0 0 1 m store b",
                                    "georadiusbymember a m 1 m storedist b",
                                    "xread streams a b 0 0",
                                    "xreadgroup group g c streams b >",
                                    "zunionstore b 1 a",
                                    "zunionstore a 2 a b",
                                    "bitop not b a",
                                    "lmpop 2 a b left",
                                    "blpop b 0",
                                    "eval x 0",
                                    "publish d x",
                                    "subscribe d",
                                    "psubscribe *",
                                    "ssubscribe d",
                                    "object encoding b",
                                    "memory usage b",
                                    "set r 1 get",
                                    "bitfield r set u8 0 1",
                                    "watch b",
                                    "restore b 0 x"}) {
    EXPECT_TRUE(IsRefused(&client, request)) << request << ": " << Ask(&client, request);
  }
  EXPECT_FALSE(IsRefused(&client, "set a 1"));
  EXPECT_FALSE(IsRefused(&client, "get r"));
  EXPECT_EQ(Ask(&client, "sort a by w_*").find("OK"), std::string::npos);
}

TEST_P(AclTest, InlineCommandsAndPipelinesAreChecked) {
  SetUser("+get ~a");
  RespClient client = Login();
  const auto replies = client.Pipeline("FLUSHALL\r\nget b\r\nGET a\r\n*1\r\n$8\r\nflushall\r\n", 4);
  ASSERT_TRUE(replies.ok());
  EXPECT_TRUE((*replies)[0].starts_with("-NOPERM"));
  EXPECT_TRUE((*replies)[1].starts_with("-NOPERM"));
  EXPECT_EQ((*replies)[2], "$-1\r\n");
  EXPECT_TRUE((*replies)[3].starts_with("-NOPERM"));
}

TEST_P(AclTest, TransactionsAreCheckedWhenQueuedAndWhenRun) {
  SetUser("+@transaction +get +set ~a");
  RespClient client = Login();
  Ask(&client, "multi");
  EXPECT_TRUE(IsRefused(&client, "get b"));
  EXPECT_NE(Ask(&client, "exec").find("EXECABORT"), std::string::npos);
  Ask(&client, "multi");
  Ask(&client, "set a 1");
  Ask(&client, "get a");
  Ask(admin_.get(), "acl setuser u -get");
  const std::string reply = Ask(&client, "exec");
  EXPECT_NE(reply.find("NOPERM ACLs rules changed"), std::string::npos) << reply;
  EXPECT_NE(reply.find("OK"), std::string::npos) << reply;
}

TEST_P(AclTest, ResetAndHelloChangeWhoOneIs) {
  SetUser("+get +acl|whoami ~a");
  ASSERT_NE(Ask(admin_.get(), "config set requirepass secret").find("OK"), std::string::npos);
  RespClient client = Login();
  EXPECT_TRUE(IsRefused(&client, "set a 1"));
  Ask(&client, "reset");
  EXPECT_NE(Ask(&client, "get a").find("NOAUTH"), std::string::npos);
  EXPECT_NE(Ask(&client, "hello 3 auth u bad").find("WRONGPASS"), std::string::npos);
  Ask(&client, "hello 3 auth u pw");
  EXPECT_NE(Ask(&client, "acl whoami").find("u"), std::string::npos);
  EXPECT_TRUE(IsRefused(&client, "set a 1"));
}

// A node asks for each command of a script; a proxy does not let it run at all.
TEST_P(AclTest, ScriptsHaveTheRightsOfTheirCaller) {
  SetUser("+@all ~a* &*");
  RespClient client = Login();
  const std::string own = Ask(&client, "eval \"return redis.call('set', 'a', '1')\" 1 a");
  const std::string others = Ask(&client, "eval \"return redis.call('set', 'b', '1')\" 1 a");
  const std::string slow =
      Ask(&client, "eval \"for i = 1, 3000000 do end return redis.call('set', 'b', '1')\" 1 a");
  if (GetParam()) {
    EXPECT_NE(own.find("NOPERM"), std::string::npos) << own;
    EXPECT_NE(others.find("NOPERM"), std::string::npos) << others;
  } else {
    EXPECT_NE(own.find("OK"), std::string::npos) << own;
    EXPECT_NE(others.find("can't access at least one of the keys"), std::string::npos) << others;
    EXPECT_NE(slow.find("can't access at least one of the keys"), std::string::npos) << slow;
  }
  EXPECT_TRUE(IsRefused(&client, "eval \"return 1\" 1 b"));
  EXPECT_EQ(admin_->Do({"exists", "b"})->integer, 0);
}

TEST_P(AclTest, WhoIsDeletedIsGone) {
  SetUser("+@all ~* &*");
  RespClient client = Login();
  EXPECT_NE(Ask(&client, "ping").find("PONG"), std::string::npos);
  EXPECT_EQ(admin_->Do({"acl", "deluser", "u"})->integer, 1);
  EXPECT_TRUE(WaitUntil(
      5000, [&] { return Ask(admin_.get(), "client list").find("user=u") == std::string::npos; }));
  const std::string reply = Ask(&client, "ping");
  EXPECT_EQ(reply.find("PONG"), std::string::npos) << reply;
}

TEST_P(AclTest, SubscriptionsEndWithTheRight) {
  SetUser("+subscribe +psubscribe &c &d");
  RespClient stays = Login();
  RespClient goes = Login();
  Ask(&stays, "subscribe c");
  Ask(&goes, "subscribe d");
  Ask(admin_.get(), "acl setuser u resetchannels &c");
  EXPECT_TRUE(WaitUntil(5000, [&] {
    const std::string list = Ask(admin_.get(), "client list");
    return list.find("user=u") != std::string::npos && list.find("user=u") == list.rfind("user=u");
  }));
}

TEST_P(AclTest, ClientsAreKilledByTheirUser) {
  SetUser("+@all");
  RespClient client = Login();
  Ask(&client, "ping");
  EXPECT_EQ(admin_->Do({"client", "kill", "user", "u"})->integer, 1);
  EXPECT_NE(Ask(admin_.get(), "client kill user nosuch").find("No such user"), std::string::npos);
}

TEST_P(AclTest, RefusalsAreLogged) {
  SetUser("+get ~a");
  Ask(admin_.get(), "acl log reset");
  RespClient client = Login();
  Ask(&client, "get b");
  Ask(&client, "flushall");
  const Result<Reply> log = admin_->Do({"acl", "log"});
  ASSERT_TRUE(log.ok());
  ASSERT_EQ(log->elements.size(), 2U);
  EXPECT_EQ(log->elements[0].elements.at(7).text, "flushall");
  EXPECT_EQ(log->elements[1].elements.at(7).text, "b");
}

// What waits at a node is refused when the right goes.
TEST_P(AclTest, WaitingEndsWithTheRight) {
  SetUser("+blpop ~a");
  RespClient client = Login();
  ASSERT_TRUE(client.Send("*3\r\n$5\r\nblpop\r\n$1\r\na\r\n$1\r\n0\r\n").ok());
  ASSERT_TRUE(WaitUntil(
      5000, [&] { return Ask(admin_.get(), "client list").find("flags=b") != std::string::npos; }));
  if (GetParam()) {
    Ask(admin_.get(), "acl deluser u");
    EXPECT_FALSE(client.ReadFrame().ok());
  } else {
    Ask(admin_.get(), "acl setuser u -blpop");
    const Result<std::string> reply = client.ReadFrame();
    ASSERT_TRUE(reply.ok());
    EXPECT_TRUE(reply->starts_with("-NOPERM")) << *reply;
  }
}

TEST(AclFileTest, UsersOutliveTheProcessThatSavesThem) {
  const TempDir dir;
  const std::string path = dir.path() + "/users.acl";
  ASSERT_TRUE(WriteFileAtomic(path, "").ok());
  const auto node = MakeNode(dir, "node", {"--aclfile", path});
  ASSERT_EQ(node->Start().ToString(), "ok");
  {
    RespClient client = node->Connect();
    ASSERT_TRUE(
        client.Do({"acl", "setuser", "u", "on", ">pw", "+ping", "~a", "(+get ~b)"})->is_ok());
    ASSERT_TRUE(client.Do({"acl", "save"})->is_ok());
    ASSERT_TRUE(client.Do({"acl", "setuser", "u", "+@all"})->is_ok());
    ASSERT_TRUE(client.Do({"acl", "load"})->is_ok());
    EXPECT_EQ(client.Do({"acl", "dryrun", "u", "set", "a", "1"})->text,
              "This user has no permissions to run the 'set' command");
  }
  ASSERT_TRUE(node->Stop().ok());
  ASSERT_EQ(node->Start().ToString(), "ok");
  {
    RespClient client = node->Connect();
    EXPECT_TRUE(client.Do({"auth", "u", "pw"})->is_ok());
    EXPECT_EQ(client.Do({"get", "b"})->type, Reply::Type::kNull);
    ASSERT_TRUE(WriteFileAtomic(path, "user u on\nuser v +nosuch\n").ok());
    RespClient admin = node->Connect();
    EXPECT_NE(admin.Do({"acl", "load"})->ToString().find(":2: Error in applying operation"),
              std::string::npos);
  }
  ASSERT_TRUE(node->Stop().ok());
  EXPECT_FALSE(node->Start().ok());  // The file is bad.
}

TEST(AclRenameTest, ACommandIsCheckedByWhatItIs) {
  const TempDir dir;
  const auto node = MakeNode(dir, "node", {"--rename-command", "flushall=wipe"});
  ASSERT_EQ(node->Start().ToString(), "ok");
  RespClient client = node->Connect();
  ASSERT_TRUE(client.Do({"acl", "setuser", "u", "on", ">pw", "+@all", "-flushall", "~*"})->is_ok());
  ASSERT_TRUE(client.Do({"auth", "u", "pw"})->is_ok());
  EXPECT_EQ(client.Do({"wipe"})->text,
            "NOPERM this user has no permissions to run the 'flushall' command");
}

}  // namespace
}  // namespace kvs
