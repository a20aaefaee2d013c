// What clients of a Redis Cluster see: a proxy that shows itself as one, proxies that share the
// slots, and nodes that tell what is theirs.

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "common/slot/slot.h"
#include "test_all/command/case_runner.h"
#include "test_all/harness/config_cluster.h"
#include "test_all/harness/wait.h"

namespace kvs {
namespace {

Target At(const Server& server) {
  return {.host = "127.0.0.1", .port = server.port(), .password = {}};
}

ToolResult RunRedisCli(Words arguments) {
  arguments.insert(arguments.begin(), "redis-cli");
  Result<ToolResult> result = RunTool(std::move(arguments), 60'000);
  EXPECT_TRUE(result.ok()) << result.status().ToString();
  return result.ok() ? *std::move(result) : ToolResult{.exit_code = -1, .output = {}};
}

Words Keys(int count) {
  Words keys;
  for (int i = 0; i < count; ++i) {
    keys.push_back("key:" + std::to_string(i));
  }
  return keys;
}

void Fill(Server* proxy, const Words& keys) {
  RespClient client = proxy->Connect();
  for (const std::string& key : keys) {
    ASSERT_TRUE(client.Do({"set", key, "v"})->is_ok()) << key;
  }
}

// Runs every case against `server` and compares it with the table and with a real cluster of one.
void CompareWithRedis(const Server& server, const Server& redis, int protocol) {
  int compared = 0;
  for (const Case& test : ClusterCases()) {
    ASSERT_TRUE(OpenClient(At(server), 2)->Do({"flushall"})->is_ok());
    ASSERT_TRUE(OpenClient(At(redis), 2)->Do({"flushall"})->is_ok());
    const auto found = RunCase(At(server), test, {.protocol = protocol, .key_prefix = {}});
    const auto expected = RunCase(At(redis), test, {.protocol = protocol, .key_prefix = {}});
    ASSERT_TRUE(found.ok()) << found.status().ToString();
    ASSERT_TRUE(expected.ok()) << expected.status().ToString();
    if (protocol == 2) {
      EXPECT_EQ(CompareWithTable(test, *expected), "") << "redis-server";
      EXPECT_EQ(CompareWithTable(test, *found), "") << server.name();
    }
    EXPECT_EQ(CompareServers(test, *expected, *found), "") << server.name();
    ++compared;
  }
  EXPECT_GT(compared, 5);
}

TEST(ClusterViewTest, NodeAndProxyAnswerAsAClusterOfRedisWithOneNode) {
  ConfigCluster cluster(1);
  ASSERT_EQ(cluster.Start().ToString(), "ok");
  TempDir dir;
  // Its bus would listen 10000 above its port, where there may be no more ports.
  const auto redis = MakeRedis(dir, "redis",
                               {"--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1",
                                "--cluster-port", std::to_string(FreePort())});
  ASSERT_EQ(redis->Start().ToString(), "ok");
  RespClient client = redis->Connect();
  ASSERT_TRUE(client.Do({"cluster", "addslotsrange", "0", "16383"})->is_ok());
  ASSERT_TRUE(WaitUntil(10'000, [&] {
    return client.Do({"cluster", "info"})->text.find("cluster_state:ok") != std::string::npos;
  }));

  for (const int protocol : {2, 3}) {
    CompareWithRedis(*cluster.proxy(), *redis, protocol);
    CompareWithRedis(*cluster.node(0), *redis, protocol);
  }
}

TEST(ClusterViewTest, NodesTellTheSameOfAllAndEachOfItself) {
  ConfigCluster cluster(2);
  ASSERT_EQ(cluster.Start().ToString(), "ok");
  RespClient first = cluster.node(0)->Connect();
  RespClient second = cluster.node(1)->Connect();

  EXPECT_EQ(first.Ask({"cluster", "slots"}), second.Ask({"cluster", "slots"}));
  EXPECT_EQ(first.Ask({"cluster", "shards"}), second.Ask({"cluster", "shards"}));
  EXPECT_NE(first.Ask({"cluster", "myid"}), second.Ask({"cluster", "myid"}));
  EXPECT_NE(first.Ask({"cluster", "myshardid"}), second.Ask({"cluster", "myshardid"}));
  const std::string id = first.Do({"cluster", "myid"})->text;
  const std::string own = id + " " + cluster.node(0)->address() + "@";
  EXPECT_TRUE(first.Do({"cluster", "nodes"})->text.find(own) != std::string::npos);
  EXPECT_NE(first.Do({"info", "cluster"})->text.find("cluster_enabled:1\r\n"), std::string::npos);

  EXPECT_EQ(RunRedisCli({"--cluster", "check", cluster.node(0)->address()}).exit_code, 0);
  Fill(cluster.proxy(), Keys(20));
  const ToolResult followed = RunRedisCli(
      {"-c", "-p", std::to_string(cluster.node(0)->port()), "get", cluster.KeyOn(1, "key:")});
  EXPECT_EQ(followed.output, "v\n");
}

TEST(ClusterViewTest, TheToolsOfRedisUseTheNodesAsACluster) {
  ConfigCluster cluster(2);
  ASSERT_EQ(cluster.Start().ToString(), "ok");
  Fill(cluster.proxy(), Keys(100));
  const std::string address = cluster.node(0)->address();

  const ToolResult info = RunRedisCli({"--cluster", "info", address});
  EXPECT_EQ(info.exit_code, 0) << info.output;
  EXPECT_NE(info.output.find("100 keys in 2 masters."), std::string::npos) << info.output;
  const ToolResult call = RunRedisCli({"--cluster", "call", address, "ping"});
  EXPECT_EQ(call.exit_code, 0) << call.output;
  EXPECT_NE(call.output.find(cluster.node(1)->address() + ": PONG"), std::string::npos)
      << call.output;
  // Whatever would change the cluster is the config server's business: it fails at its first step.
  const std::string id = cluster.node(0)->Connect().Do({"cluster", "myid"})->text;
  const ToolResult reshard =
      RunRedisCli({"--cluster", "reshard", address, "--cluster-from", "all", "--cluster-to", id,
                   "--cluster-slots", "1", "--cluster-yes"});
  EXPECT_NE(reshard.exit_code, 0);
  EXPECT_NE(reshard.output.find("ERR use kv_admin"), std::string::npos) << reshard.output;
  EXPECT_EQ(RunRedisCli({"--cluster", "check", address}).exit_code, 0);

  const Result<ToolResult> load =
      RunTool({"redis-benchmark", "--cluster", "-p", std::to_string(cluster.node(1)->port()), "-t",
               "set,get,incr,mset", "-n", "2000", "-c", "10", "-P", "4", "-q"},
              60'000);
  ASSERT_TRUE(load.ok()) << load.status().ToString();
  EXPECT_EQ(load->exit_code, 0) << load->output;
  EXPECT_NE(load->output.find("Cluster has 2 master nodes"), std::string::npos) << load->output;
  EXPECT_NE(load->output.find("MSET (10 keys): "), std::string::npos) << load->output;
  EXPECT_EQ(load->output.find("rror"), std::string::npos) << load->output;
}

TEST(ClusterViewTest, AProxyOfSeveralNodesIsOneNodeWithAllSlots) {
  ConfigCluster cluster(2);
  ASSERT_EQ(cluster.Start().ToString(), "ok");
  Fill(cluster.proxy(), Keys(100));
  RespClient client = cluster.proxy()->Connect();

  EXPECT_EQ(client.Do({"cluster", "slots"})->elements.size(), 1U);
  EXPECT_EQ(client.Do({"dbsize"})->integer, 100);
  int64_t keys = 0;
  for (const std::string& key : Keys(100)) {
    const std::string slot = std::to_string(SlotOf(key));
    EXPECT_GE(client.Do({"cluster", "countkeysinslot", slot})->integer, 1) << key;
    keys +=
        static_cast<int64_t>(client.Do({"cluster", "getkeysinslot", slot, "1"})->elements.size());
  }
  EXPECT_EQ(keys, 100);
  EXPECT_TRUE(
      client.Do({"cluster", "setslot", "1", "stable"})->text.starts_with("ERR use kv_admin"));
  const ToolResult check = RunRedisCli({"--cluster", "check", cluster.proxy()->address()});
  EXPECT_EQ(check.exit_code, 0) << check.output;
  EXPECT_NE(check.output.find("All 16384 slots covered"), std::string::npos) << check.output;
  const ToolResult info = RunRedisCli({"--cluster", "info", cluster.proxy()->address()});
  EXPECT_EQ(info.exit_code, 0) << info.output;
  EXPECT_NE(info.output.find("100 keys in 1 masters."), std::string::npos) << info.output;
}

// Two proxies of one namespace that hear of each other through the config server.
class PeersTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(cluster_.Start().ToString(), "ok");
    for (const char* name : {"peer-1", "peer-2"}) {
      Words options = cluster_.JoinOptions(cluster_.secret_file());
      options.insert(options.end(), {"--cluster-emulation", "peers"});
      peers_.push_back(MakeProxy(cluster_.dir(), name, options));
      ASSERT_EQ(peers_.back()->Start().ToString(), "ok");
    }
    // The proxy of the harness is a member too: it is stopped, to have two that share.
    ASSERT_EQ(*cluster_.proxy()->Stop(), 0);
    ASSERT_TRUE(WaitMasters(2));
  }
  // Waits until each peer shows so many and serves.
  bool WaitMasters(size_t count) {
    return WaitUntil(15'000, [&] {
      for (const auto& peer : peers_) {
        RespClient client = peer->Connect();
        if (client.Do({"cluster", "slots"})->elements.size() != count ||
            client.Do({"get", "a"})->is_error()) {
          return false;
        }
      }
      return true;
    });
  }

  ConfigCluster cluster_{3};
  std::vector<std::unique_ptr<Server>> peers_;
};

TEST_F(PeersTest, WhatSmartClientsAddUpIsThere) {
  const Words keys = Keys(300);
  Fill(peers_[0].get(), keys);
  int64_t sum = 0;
  std::multiset<std::string> scanned;
  std::multiset<std::string> listed;
  for (const auto& peer : peers_) {
    RespClient client = peer->Connect();
    EXPECT_EQ(client.Do({"dbsize"})->integer, 300) << "a plain client sees one server";
    ASSERT_FALSE(client.Do({"cluster", "shards"})->is_error());
    sum += client.Do({"dbsize"})->integer;
    const Reply matching = *client.Do({"keys", "*"});
    for (const Reply& key : matching.elements) {
      listed.insert(key.text);
    }
    std::string cursor = "0";
    do {
      const Reply page = *client.Do({"scan", cursor, "count", "7"});
      ASSERT_EQ(page.elements.size(), 2U) << page.ToString();
      cursor = page.elements[0].text;
      for (const Reply& key : page.elements[1].elements) {
        scanned.insert(key.text);
      }
    } while (cursor != "0");
    // Any proxy serves any key, whatever it announces: nobody is ever sent on.
    for (const std::string& key : keys) {
      EXPECT_EQ(client.Do({"get", key})->text, "v");
    }
  }
  EXPECT_EQ(sum, 300);
  const std::multiset<std::string> all(keys.begin(), keys.end());
  EXPECT_EQ(listed, all);
  EXPECT_EQ(scanned, all);
}

TEST_F(PeersTest, TheyAgreeAndAProxyThatGoesLeavesItsSlotsToTheOthers) {
  RespClient first = peers_[0]->Connect();
  RespClient second = peers_[1]->Connect();
  EXPECT_EQ(first.Ask({"cluster", "slots"}), second.Ask({"cluster", "slots"}));
  for (const char* mode : {"check", "info"}) {
    const ToolResult result = RunRedisCli({"--cluster", mode, peers_[0]->address()});
    EXPECT_EQ(result.exit_code, 0) << result.output;
    EXPECT_NE(result.output.find(peers_[1]->address()), std::string::npos) << result.output;
  }

  peers_[1]->Kill();
  peers_.pop_back();
  EXPECT_TRUE(WaitMasters(1));
  // Each loop of the proxy hears for itself.
  EXPECT_TRUE(WaitUntil(5000, [&] {
    return first.Do({"cluster", "nodes"})->text.find(" 0-16383\n") != std::string::npos;
  }));
}

TEST_F(PeersTest, TheBenchmarkOfRedisRunsOverThem) {
  const Result<ToolResult> result =
      RunTool({"redis-benchmark", "--cluster", "-p", std::to_string(peers_[0]->port()), "-t",
               "set,get,mset", "-n", "2000", "-c", "10", "-q"},
              60'000);
  ASSERT_TRUE(result.ok()) << result.status().ToString();
  EXPECT_EQ(result->exit_code, 0) << result->output;
  EXPECT_NE(result->output.find("Cluster has 2 master nodes"), std::string::npos) << result->output;
  EXPECT_NE(result->output.find("MSET (10 keys): "), std::string::npos) << result->output;
  EXPECT_EQ(result->output.find("rror"), std::string::npos) << result->output;
}

}  // namespace
}  // namespace kvs
