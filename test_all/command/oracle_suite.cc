// Every case of the tables: a node, a proxy before one node, a proxy before three, and redis-server
// give the same bytes in RESP2 and RESP3.

#include <gtest/gtest.h>

#include <memory>

#include "common/base/strings.h"
#include "test_all/command/case_runner.h"
#include "test_all/harness/cluster.h"
#include "test_all/harness/wait.h"

namespace kvs {
namespace {

class OracleTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    const Words alone = {"--cluster-emulation", "no"};
    one_ = new Cluster({.nodes = 1, .node_options = {}, .proxy_options = alone});
    three_ = new Cluster({.nodes = 3, .node_options = {}, .proxy_options = alone});
    dir_ = new TempDir;
    redis_ = MakeRedis(*dir_, "redis").release();
    ASSERT_EQ(one_->Start().ToString(), "ok");
    ASSERT_EQ(three_->Start().ToString(), "ok");
    ASSERT_EQ(redis_->Start().ToString(), "ok");
  }
  static void TearDownTestSuite() {
    delete redis_;
    delete dir_;
    delete three_;
    delete one_;
  }

  static Target At(const Server& server) {
    return {.host = "127.0.0.1", .port = server.port(), .password = {}};
  }

  // Runs every case that may run there; cases start from an empty server.
  static void RunAll(const Server& server, bool many_shards, int protocol);

  static Cluster* one_;
  static Cluster* three_;
  static TempDir* dir_;
  static Server* redis_;
};

Cluster* OracleTest::one_;
Cluster* OracleTest::three_;
TempDir* OracleTest::dir_;
Server* OracleTest::redis_;

Result<std::vector<std::string>> RunFlushed(const Target& target, const Case& test, int protocol) {
  KVS_ASSIGN_OR_RETURN(RespClient client, OpenClient(target, 2));
  KVS_ASSIGN_OR_RETURN(const Reply flushed, client.Do({"flushall"}));
  if (!flushed.is_ok()) {
    return Status::Unavailable(flushed.ToString());
  }
  // The case before may have had subscriptions, which its nodes forget when its client has gone.
  const bool nobody_listens = WaitUntil(10'000, [&] {
    const Result<Reply> channels = client.Do({"pubsub", "channels"});
    return !channels.ok() || channels->elements.empty();
  });
  if (!nobody_listens) {
    return Status::Unavailable("subscriptions of a client that has gone stay");
  }
  return RunCase(target, test, {.protocol = protocol, .key_prefix = {}});
}

void OracleTest::RunAll(const Server& server, bool many_shards, int protocol) {
  int compared = 0;
  for (const Case& test : AllCases()) {
    if (many_shards && !test.one_shard.empty()) {
      continue;
    }
    const auto replies = RunFlushed(At(server), test, protocol);
    ASSERT_TRUE(replies.ok()) << replies.status().ToString();
    if (protocol == 2) {
      EXPECT_EQ(CompareWithTable(test, *replies), "");
    }
    if (!test.oracle_agrees()) {
      continue;
    }
    const auto expected = RunFlushed(At(*redis_), test, protocol);
    ASSERT_TRUE(expected.ok()) << expected.status().ToString();
    EXPECT_EQ(CompareServers(test, *expected, *replies), "");
    ++compared;
  }
  EXPECT_GT(compared, 40);
}

TEST_F(OracleTest, TheTablesHoldForRedis) {
  for (const Case& test : AllCases()) {
    if (test.oracle_agrees()) {
      const auto replies = RunFlushed(At(*redis_), test, 2);
      ASSERT_TRUE(replies.ok()) << replies.status().ToString();
      EXPECT_EQ(CompareWithTable(test, *replies), "");
    }
  }
}

// A case is listed as different only as long as it is.
TEST_F(OracleTest, WhatIsListedAsDifferentDiffers) {
  for (const Case& test : AllCases()) {
    if (!test.oracle_agrees()) {
      const auto replies = RunFlushed(At(*redis_), test, 2);
      ASSERT_TRUE(replies.ok()) << replies.status().ToString();
      EXPECT_NE(CompareWithTable(test, *replies), "") << test.title();
    }
  }
}

TEST_F(OracleTest, ANodeAnswersAsRedisInResp2) {
  RunAll(*one_->node(0), false, 2);
}

TEST_F(OracleTest, ANodeAnswersAsRedisInResp3) {
  RunAll(*one_->node(0), false, 3);
}

TEST_F(OracleTest, AProxyBeforeOneNodeAnswersAsRedisInResp2) {
  RunAll(*one_->proxy(), false, 2);
}

TEST_F(OracleTest, AProxyBeforeOneNodeAnswersAsRedisInResp3) {
  RunAll(*one_->proxy(), false, 3);
}

TEST_F(OracleTest, AProxyBeforeThreeNodesAnswersAsRedisInResp2) {
  RunAll(*three_->proxy(), true, 2);
}

TEST_F(OracleTest, AProxyBeforeThreeNodesAnswersAsRedisInResp3) {
  RunAll(*three_->proxy(), true, 3);
}

// Time passes as it does; only that it passes is checked, not how fast.
TEST_F(OracleTest, KeysExpireByThemselvesThroughTheProxy) {
  RespClient client = three_->proxy()->Connect();
  for (int i = 0; i < 30; ++i) {
    const std::string key = "expiring:" + std::to_string(i);
    ASSERT_TRUE(client.Do({"set", key, "v", "px", "50"})->is_ok());
    ASSERT_TRUE(client.Do({"set", "staying:" + std::to_string(i), "v", "ex", "1000"})->is_ok());
  }
  EXPECT_TRUE(WaitUntil(5000, [&] {
    const Result<Reply> keys = client.Do({"keys", "expiring:*"});
    return keys.ok() && keys->elements.empty();
  }));
  EXPECT_EQ(client.Do({"keys", "staying:*"})->elements.size(), 30U);
  EXPECT_EQ(client.Do({"exists", "expiring:1", "staying:1"})->integer, 1);
}

}  // namespace
}  // namespace kvs
