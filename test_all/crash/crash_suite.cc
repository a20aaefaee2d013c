// kill -9 of a node under pipelined writes: nothing that was acknowledged may be missing, nothing
// may be there twice, and the counts are exact.

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <vector>

#include "common/base/file.h"
#include "common/base/random.h"
#include "common/base/thread.h"
#include "test_all/check/ledger.h"
#include "test_all/harness/cluster.h"
#include "test_all/harness/settings.h"
#include "test_all/harness/wait.h"

namespace kvs {
namespace {

constexpr int kWriters = 4;
constexpr int kPipelineDepth = 64;
constexpr uint64_t kKeysOfAKind = 24;
// An appended value starts anew, under another key, after this many writes.
constexpr uint64_t kAppendsOfAKey = 400;

// One client that writes its own keys in pipelines until it is stopped or cut off.
class Writer {
 public:
  Writer(std::string prefix, uint64_t seed) : prefix_(std::move(prefix)), random_(seed) {}

  void Start(uint16_t port) {
    stop_ = false;
    thread_ = Thread("writer", [this, port] { Run(port); });
  }
  void Stop() {
    stop_ = true;
    thread_.Join();
  }
  uint64_t acknowledged() const { return acknowledged_; }
  Ledger* ledger() { return &ledger_; }

 private:
  void Run(uint16_t port);
  bool RunBatch(RespClient* client);
  Ledger::Write Next(std::string* bytes);

  const std::string prefix_;
  Random random_;
  Ledger ledger_;  // The thread's while it runs, then the test's.
  uint64_t sent_ = 0;
  std::atomic<uint64_t> acknowledged_{0};
  std::atomic<bool> stop_{false};
  Thread thread_;
};

Ledger::Write Writer::Next(std::string* bytes) {
  const uint64_t n = random_.Uniform(kKeysOfAKind);
  ++sent_;
  Ledger::Write write;
  switch (random_.Uniform(4)) {
    case 0:
      write = ledger_.Send(prefix_ + "count:" + std::to_string(n), LedgerKind::kCount);
      *bytes += EncodeWords({"incr", write.key});
      break;
    case 1:
      write = ledger_.Send(prefix_ + "append:" + std::to_string(sent_ / kAppendsOfAKey),
                           LedgerKind::kAppend);
      *bytes += EncodeWords({"append", write.key, LedgerToken(write.number)});
      break;
    case 2:
      write = ledger_.Send(prefix_ + "set:" + std::to_string(n), LedgerKind::kSet);
      *bytes += EncodeWords({"set", write.key, LedgerToken(write.number)});
      break;
    default:
      write = ledger_.Send(prefix_ + "new:" + std::to_string(sent_), LedgerKind::kSet);
      *bytes += EncodeWords({"set", write.key, LedgerToken(write.number)});
      break;
  }
  return write;
}

// Returns false if the connection is gone.  An error reply is no acknowledgement.
bool Writer::RunBatch(RespClient* client) {
  std::string bytes;
  std::vector<Ledger::Write> writes;
  for (int i = 0; i < kPipelineDepth; ++i) {
    writes.push_back(Next(&bytes));
  }
  if (!client->Send(bytes).ok()) {
    return false;
  }
  for (const Ledger::Write& write : writes) {
    const Result<std::string> reply = client->ReadFrame();
    if (!reply.ok()) {
      return false;
    }
    if (!reply->starts_with("-")) {
      ledger_.Acknowledge(write);
      ++acknowledged_;
    }
  }
  return true;
}

void Writer::Run(uint16_t port) {
  Result<RespClient> client = RespClient::Connect(port);
  while (!stop_ && client.ok() && RunBatch(&*client)) {
  }
}

class CrashTest : public testing::Test {
 protected:
  CrashTest() {
    for (int i = 0; i < kWriters; ++i) {
      writers_.push_back(
          std::make_unique<Writer>("w" + std::to_string(i) + ":", static_cast<uint64_t>(i) + 1));
    }
  }

  uint64_t Acknowledged() const {
    uint64_t sum = 0;
    for (const auto& writer : writers_) {
      sum += writer->acknowledged();
    }
    return sum;
  }
  // Lets the writers run until they got `writes` acknowledgements more, kills `node` and stops
  // them.
  void WriteAndKill(uint16_t port, Server* node, uint64_t writes);
  // Reads every key, compares and counts.
  void CheckAll(RespClient* client, int64_t* existing);
  void Loop(Cluster* cluster, Server* entry, uint64_t writes);

  std::vector<std::unique_ptr<Writer>> writers_;
};

void CrashTest::WriteAndKill(uint16_t port, Server* node, uint64_t writes) {
  const uint64_t before = Acknowledged();
  for (const auto& writer : writers_) {
    writer->Start(port);
  }
  EXPECT_TRUE(WaitUntil(30'000, [&] { return Acknowledged() >= before + writes; }))
      << "only " << Acknowledged() - before << " writes were acknowledged";
  node->Kill();
  for (const auto& writer : writers_) {
    writer->Stop();
  }
}

void CrashTest::CheckAll(RespClient* client, int64_t* existing) {
  for (const auto& writer : writers_) {
    const std::vector<std::string> keys = writer->ledger()->Keys();
    std::string bytes;
    for (const std::string& key : keys) {
      bytes += EncodeWords({"get", key});
    }
    const auto frames = client->Pipeline(bytes, keys.size());
    ASSERT_TRUE(frames.ok()) << frames.status().ToString();
    for (size_t i = 0; i < keys.size(); ++i) {
      const Result<Reply> reply = ParseReply((*frames)[i]);
      ASSERT_TRUE(reply.ok() && !reply->is_error()) << (*frames)[i];
      const auto value = reply->is_null() ? std::nullopt : std::optional(reply->text);
      const std::string error = writer->ledger()->Check(keys[i], value);
      ASSERT_EQ(error, "");
      writer->ledger()->Adopt(keys[i], value);
      *existing += value.has_value() ? 1 : 0;
    }
  }
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
    ASSERT_NO_FATAL_FAILURE(CheckAll(&client, &existing));
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
