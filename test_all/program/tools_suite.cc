// Programs that users have: hiredis, redis-cli, redis-benchmark and test_all itself.

#include <gtest/gtest.h>
#include <hiredis/hiredis.h>

#include <algorithm>

#include "common/base/strings.h"
#include "test_all/harness/cluster.h"
#include "test_all/harness/settings.h"
#include "test_all/harness/wait.h"

namespace kvs {
namespace {

class ToolsTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    cluster_ = new Cluster({.nodes = 2, .node_options = {}, .proxy_options = {}});
    ASSERT_EQ(cluster_->Start().ToString(), "ok");
  }
  static void TearDownTestSuite() { delete cluster_; }

  static std::string Port(Server* server) { return std::to_string(server->port()); }
  static ToolResult Run(const Words& argv, int64_t timeout_ms = 60'000) {
    Result<ToolResult> result = RunTool(argv, timeout_ms);
    EXPECT_TRUE(result.ok()) << result.status().ToString();
    return result.ok() ? *std::move(result) : ToolResult{.exit_code = -1, .output = {}};
  }

  static Cluster* cluster_;
};

Cluster* ToolsTest::cluster_;

TEST_F(ToolsTest, HiredisWritesAndReads) {
  for (Server* server : {cluster_->node(0), cluster_->proxy()}) {
    redisContext* const context = redisConnect("127.0.0.1", server->port());
    ASSERT_TRUE(context != nullptr && context->err == 0);
    const auto ask = [&](const char* command) {
      auto* const reply = static_cast<redisReply*>(redisCommand(context, command));
      std::string text =
          reply == nullptr ? "<none>" : (reply->str == nullptr ? "<nil>" : reply->str);
      freeReplyObject(reply);
      return text;
    };
    EXPECT_EQ(ask("SET hiredis:k value"), "OK");
    EXPECT_EQ(ask("GET hiredis:k"), "value");
    EXPECT_EQ(ask("GET hiredis:missing"), "<nil>");
    EXPECT_EQ(ask("INCR hiredis:k"), "ERR value is not an integer or out of range");
    redisFree(context);
  }
}

TEST_F(ToolsTest, RedisCliTalksBothProtocols) {
  for (Server* server : {cluster_->node(0), cluster_->proxy()}) {
    const Words cli = {"redis-cli", "-p", Port(server)};
    const auto with = [&](Words more) {
      more.insert(more.begin(), cli.begin(), cli.end());
      return Run(more);
    };
    EXPECT_EQ(with({"set", "cli:k", "v"}).output, "OK\n");
    EXPECT_EQ(with({"-3", "get", "cli:k"}).output, "v\n");
    EXPECT_EQ(with({"-e", "nosuch"}).exit_code, 1);
    EXPECT_EQ(with({"--scan", "--pattern", "cli:*"}).output, "cli:k\n");
    EXPECT_NE(with({"info"}).output.find("redis_version:7.2.4"), std::string::npos);
    EXPECT_EQ(with({"--bigkeys"}).exit_code, 0);
    EXPECT_EQ(with({"del", "cli:k"}).output, "1\n");
  }
}

TEST_F(ToolsTest, RedisBenchmarkRunsWithoutErrors) {
  for (Server* server : {cluster_->node(0), cluster_->proxy()}) {
    const Words argv = {"redis-benchmark",
                        "-p",
                        Port(server),
                        "-q",
                        "-P",
                        "16",
                        "-n",
                        std::to_string(Loops(20'000, 2000)),
                        "-t",
                        "ping,set,get,incr,mset"};
    ToolResult result = Run(argv);
    EXPECT_EQ(result.exit_code, 0);
    std::replace(result.output.begin(), result.output.end(), '\r', '\n');
    for (const char* test : {"PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "MSET (10 keys)"}) {
      EXPECT_NE(result.output.find(std::string(test) + ": "), std::string::npos) << test;
    }
    EXPECT_EQ(ToLower(result.output).find("err"), std::string::npos)
        << result.output.substr(0, 1000);
    EXPECT_EQ(ToLower(result.output).find("warning"), std::string::npos)
        << result.output.substr(0, 1000);
  }
}

TEST_F(ToolsTest, TheClientChecksPassAndLeaveTheUsersDataAlone) {
  RespClient client = cluster_->proxy()->Connect();
  ASSERT_TRUE(client.Do({"flushall"})->is_ok());
  ASSERT_TRUE(client.Do({"mset", "k", "mine", "a", "mine", "n", "mine"})->is_ok());

  const ToolResult result =
      Run({BinaryPath("test_all"), "-h", "127.0.0.1", "-p", Port(cluster_->proxy())}, 120'000);

  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_NE(result.output.find(" passed, 0 failed\n"), std::string::npos);
  EXPECT_EQ(result.output.find('\033'), std::string::npos);
  EXPECT_EQ(client.Do({"dbsize"})->integer, 3);
  EXPECT_EQ(client.Do({"mget", "k", "a", "n"})->elements[1].text, "mine");
}

TEST_F(ToolsTest, TheClientChecksFailWhereNobodyListens) {
  const ToolResult nobody =
      Run({BinaryPath("test_all"), "-h", "127.0.0.1", "-p", std::to_string(FreePort())});
  EXPECT_EQ(nobody.exit_code, 1) << nobody.output;
  EXPECT_EQ(Run({BinaryPath("test_all"), "-p", "x"}).exit_code, 2);
}

}  // namespace
}  // namespace kvs
