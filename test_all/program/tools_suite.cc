// Programs that users have: hiredis, redis-cli, redis-benchmark and test_all itself.

#include <gtest/gtest.h>
#include <hiredis/hiredis.h>

#include <algorithm>

#include "common/base/file.h"
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

// Whether `output` holds all of `texts`.
testing::AssertionResult Shows(const std::string& output, const Words& texts) {
  for (const std::string& text : texts) {
    if (output.find(text) == std::string::npos) {
      return testing::AssertionFailure() << "there is no '" << text << "' in: " << output;
    }
  }
  return testing::AssertionSuccess();
}

TEST_F(ToolsTest, RedisCliFindsTheLargestKeys) {
  for (Server* server : {cluster_->node(0), cluster_->proxy()}) {
    RespClient client = server->Connect();
    ASSERT_TRUE(client.Do({"flushall"})->is_ok());
    ASSERT_TRUE(client.Do({"mset", "small", "x", "large", std::string(5000, 'x')})->is_ok());
    EXPECT_TRUE(Shows(Run({"redis-cli", "-p", Port(server), "--bigkeys"}).output,
                      {"Sampled 2 keys in the keyspace!", "Total key length in bytes is 10 ",
                       "Biggest string found '\"large\"' has 5000 bytes"}));
    EXPECT_TRUE(
        Shows(Run({"redis-cli", "-p", Port(server), "--memkeys"}).output,
              {"Sampled 2 keys in the keyspace!", "Biggest string found '\"large\"' has "}));
    // Nobody counts how often a key is used, and it is said so.
    EXPECT_TRUE(Shows(Run({"redis-cli", "-p", Port(server), "--hotkeys"}).output,
                      {"An LFU maxmemory policy is not selected"}));
    ASSERT_TRUE(client.Do({"flushall"})->is_ok());
  }
}

TEST_F(ToolsTest, RedisCliSendsAFileAsOnePipeline) {
  const TempDir dir;
  const int count = Loops(20'000, 2000);
  std::string requests;
  for (int i = 0; i < count; ++i) {
    const std::string number = std::to_string(i);
    requests += "set pipe:" + number + " " + number + "\r\n" + (i % 100 == 0 ? "\r\n" : "");
  }
  requests += "incr pipe:1\r\nget\r\n";
  ASSERT_TRUE(WriteFileAtomic(dir.Join("requests"), requests).ok());
  for (Server* server : {cluster_->node(0), cluster_->proxy()}) {
    RespClient client = server->Connect();
    ASSERT_TRUE(client.Do({"flushall"})->is_ok());
    const ToolResult result =
        Run({"sh", "-c", "redis-cli -p " + Port(server) + " --pipe <" + dir.Join("requests")});
    EXPECT_TRUE(Shows(result.output, {"ERR wrong number of arguments for 'get' command\n",
                                      "errors: 1, replies: " + std::to_string(count + 2) + "\n"}));
    EXPECT_EQ(client.Do({"dbsize"})->integer, count);
    EXPECT_EQ(client.Do({"get", "pipe:1"})->text, "2");
    ASSERT_TRUE(client.Do({"flushall"})->is_ok());
  }
}

TEST_F(ToolsTest, RedisCliMeasuresAndRefusesToHang) {
  for (Server* server : {cluster_->node(0), cluster_->proxy()}) {
    // Four numbers: least, most, average, samples.
    const ToolResult latency =
        Run({"redis-cli", "-p", Port(server), "--raw", "--latency", "-i", "0.1"});
    EXPECT_EQ(latency.exit_code, 0);
    EXPECT_EQ(std::count(latency.output.begin(), latency.output.end(), ' '), 3) << latency.output;

    const TempDir dir;
    const ToolResult copy =
        Run({"redis-cli", "-p", Port(server), "--rdb", dir.Join("copy.rdb")}, 20'000);
    EXPECT_NE(copy.exit_code, 0);
    EXPECT_TRUE(Shows(copy.output, {"unknown command 'SYNC'"}));
  }
}

TEST_F(ToolsTest, RedisCliShowsWhatGoesOn) {
  for (Server* server : {cluster_->node(0), cluster_->proxy()}) {
    const TempDir dir;
    Result<std::unique_ptr<Process>> stat = Process::Start(
        {.argv = {"stdbuf", "-oL", "redis-cli", "-p", Port(server), "-i", "0.05", "--stat"},
         .output_file = dir.Join("stat"),
         .working_dir = {},
         .env = {}});
    ASSERT_TRUE(stat.ok()) << stat.status().ToString();
    // Two lines of numbers below the head: the second one counts the first one's INFO.
    EXPECT_TRUE(WaitUntil(20'000, [&] {
      return (*stat)->Output().find(" (+1)") != std::string::npos || !(*stat)->Running();
    })) << (*stat)->Output();
    EXPECT_TRUE(Shows((*stat)->Output(), {"keys       mem      clients", " (+0)", " (+1)"}));
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
