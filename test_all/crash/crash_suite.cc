// kill -9 of a node under pipelined writes: nothing that was acknowledged may be missing, nothing
// may be there twice, and the counts are exact.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/base/file.h"
#include "test_all/harness/cluster.h"
#include "test_all/harness/settings.h"
#include "test_all/harness/wait.h"
#include "test_all/load/ledger_writers.h"

namespace kvs {
namespace {

class CrashTest : public testing::Test {
 protected:
  // Lets the writers run until they got `writes` acknowledgements more, kills `node` and stops
  // them.
  void WriteAndKill(uint16_t port, Server* node, uint64_t writes);
  void Loop(Cluster* cluster, Server* entry, uint64_t writes);

  LedgerWriters writers_;
};

void CrashTest::WriteAndKill(uint16_t port, Server* node, uint64_t writes) {
  const uint64_t before = writers_.acknowledged();
  writers_.Start(port);
  EXPECT_TRUE(WaitUntil(30'000, [&] { return writers_.acknowledged() >= before + writes; }))
      << "only " << writers_.acknowledged() - before << " writes were acknowledged";
  node->Kill();
  writers_.Stop();
}

void CrashTest::Loop(Cluster* cluster, Server* entry, uint64_t writes) {
  const int loops = Loops(20, 3);
  for (int loop = 0; loop < loops; ++loop) {
    SCOPED_TRACE("kill " + std::to_string(loop + 1));
    Server* const node = cluster->node(static_cast<size_t>(loop) % cluster->node_count());
    WriteAndKill(entry->port(), node, writes);
    ASSERT_EQ(node->Start().ToString(), "ok");
    RespClient client = entry->Connect();
    ASSERT_TRUE(cluster->WaitServing(&client));
    int64_t existing = 0;
    ASSERT_EQ(writers_.CheckAll(&client, &existing), "");
    EXPECT_EQ(client.Do({"dbsize"})->integer, existing);
  }
}

TEST_F(CrashTest, ANodeKeepsWhatItAcknowledged) {
  Cluster cluster({.nodes = 1, .node_options = {}, .proxy_options = {}});
  ASSERT_EQ(cluster.Start().ToString(), "ok");
  Loop(&cluster, cluster.node(0), 5000);
}

TEST_F(CrashTest, ANodeThatSyncsAlwaysKeepsWhatItAcknowledged) {
  Cluster cluster({.nodes = 1, .node_options = {"--binlog-sync", "always"}, .proxy_options = {}});
  ASSERT_EQ(cluster.Start().ToString(), "ok");
  Loop(&cluster, cluster.node(0), 1000);
}

// Small memtables and segments: kills hit flushes, rotations and purges.
TEST_F(CrashTest, ANodeThatFlushesAllTheTimeKeepsWhatItAcknowledged) {
  Cluster cluster({.nodes = 1,
                   .node_options = {"--write-buffer-size", "64kb", "--binlog-segment-size", "1mb",
                                    "--binlog-max-replay", "4mb"},
                   .proxy_options = {}});
  ASSERT_EQ(cluster.Start().ToString(), "ok");
  Loop(&cluster, cluster.node(0), 8000);
}

TEST_F(CrashTest, WhatWasAcknowledgedThroughTheProxyIsKeptAndNothingIsSentTwice) {
  Cluster cluster({.nodes = 2, .node_options = {}, .proxy_options = {}});
  ASSERT_EQ(cluster.Start().ToString(), "ok");
  Loop(&cluster, cluster.proxy(), 5000);
}

TEST_F(CrashTest, AStopKeepsEverything) {
  Cluster cluster({.nodes = 1, .node_options = {}, .proxy_options = {}});
  ASSERT_EQ(cluster.Start().ToString(), "ok");
  RespClient client = cluster.node(0)->Connect();
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(client.Do({"set", "k" + std::to_string(i), "v", "ex", "10000"})->is_ok());
  }
  const Result<int> exit_code = cluster.node(0)->Stop();
  ASSERT_TRUE(exit_code.ok());
  EXPECT_EQ(*exit_code, 0);
  ASSERT_EQ(cluster.node(0)->Start().ToString(), "ok");
  client = cluster.node(0)->Connect();
  EXPECT_EQ(client.Do({"dbsize"})->integer, 1000);
  EXPECT_GT(client.Do({"ttl", "k999"})->integer, 9000);
}

// A bit that flipped in what was synced: what the engine has is served, but no write is taken,
// since the records behind the damage are lost.
TEST_F(CrashTest, ADamagedLogIsNamedAndServesReadsOnly) {
  Cluster cluster({.nodes = 1, .node_options = {"--binlog-sync", "always"}, .proxy_options = {}});
  ASSERT_EQ(cluster.Start().ToString(), "ok");
  RespClient client = cluster.node(0)->Connect();
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(client.Do({"set", "k" + std::to_string(i), std::string(100, 'v')})->is_ok());
  }
  cluster.node(0)->Kill();
  const std::string log_dir = cluster.dir().Join("node-1/binlog");
  std::string segment;
  const Result<std::vector<std::string>> names = ListDir(log_dir);
  ASSERT_TRUE(names.ok());
  for (const std::string& name : *names) {
    segment = name.ends_with(".log") ? log_dir + "/" + name : segment;
  }
  Result<std::string> bytes = ReadFile(segment);
  ASSERT_TRUE(bytes.ok()) << bytes.status().ToString();
  (*bytes)[bytes->find("k50") + 20] ^= 1;
  ASSERT_TRUE(WriteFileAtomic(segment, *bytes).ok());

  ASSERT_EQ(cluster.node(0)->Start().ToString(), "ok");

  client = cluster.node(0)->Connect();
  EXPECT_EQ(client.Do({"get", "k49"})->text, std::string(100, 'v'));
  const std::string refused = client.Ask({"set", "k49", "w"});
  EXPECT_NE(refused.find("MISCONF"), std::string::npos) << refused;
  EXPECT_NE(cluster.node(0)->process()->Output().find(segment), std::string::npos);
}

}  // namespace
}  // namespace kvs
