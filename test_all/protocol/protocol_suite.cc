// Pipelines cut anywhere, and bytes that are no request, against node, proxy and redis-server.

#include <gtest/gtest.h>

#include "common/base/random.h"
#include "test_all/command/malformed.h"
#include "test_all/command/mixed_commands.h"
#include "test_all/harness/cluster.h"
#include "test_all/harness/settings.h"

namespace kvs {
namespace {

class ProtocolTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    cluster_ = new Cluster({.nodes = 3, .node_options = {}, .proxy_options = {}});
    dir_ = new TempDir;
    redis_ = MakeRedis(*dir_, "redis").release();
    ASSERT_EQ(cluster_->Start().ToString(), "ok");
    ASSERT_EQ(redis_->Start().ToString(), "ok");
  }
  static void TearDownTestSuite() {
    delete redis_;
    delete dir_;
    delete cluster_;
  }

  static Target At(const Server& server) {
    return {.host = "127.0.0.1", .port = server.port(), .password = {}};
  }

  static Cluster* cluster_;
  static TempDir* dir_;
  static Server* redis_;
};

Cluster* ProtocolTest::cluster_;
TempDir* ProtocolTest::dir_;
Server* ProtocolTest::redis_;

enum class Pieces { kWhole, kRandom, kBytes };

void CheckPipeline(const Target& target, int protocol, Pieces pieces, int count) {
  const uint64_t seed = Random::FromKernel().Next();
  SCOPED_TRACE("seed " + std::to_string(seed));
  MixedCommands commands(seed, protocol, RandomHex(4) + ":");
  commands.Add(count);
  Result<RespClient> client = OpenClient(target, protocol);
  ASSERT_TRUE(client.ok()) << client.status().ToString();
  Random random(seed);
  const auto next_size = [&]() -> size_t {
    switch (pieces) {
      case Pieces::kWhole:
        return size_t{1} << 20;
      case Pieces::kBytes:
        return 1;
      case Pieces::kRandom:
        break;
    }
    return 1 + random.Uniform(uint64_t{1} << random.Uniform(14));
  };

  const auto replies = client->Pipeline(commands.bytes(), commands.replies().size(), next_size);

  ASSERT_TRUE(replies.ok()) << replies.status().ToString();
  for (size_t i = 0; i < replies->size(); ++i) {
    ASSERT_EQ(OnOneLine((*replies)[i]).substr(0, 300),
              OnOneLine(commands.replies()[i]).substr(0, 300))
        << "reply " << i;
    ASSERT_EQ((*replies)[i], commands.replies()[i]) << "reply " << i;
  }
}

// The model itself is held against redis-server, so that it cannot share a mistake with us.
TEST_F(ProtocolTest, TheModelOfThePipelinesIsRedis) {
  for (const int protocol : {2, 3}) {
    CheckPipeline(At(*redis_), protocol, Pieces::kWhole, 10'000);
  }
}

TEST_F(ProtocolTest, PipelinesOfANodeAreAnsweredInOrderHoweverTheyAreCut) {
  for (const int protocol : {2, 3}) {
    CheckPipeline(At(*cluster_->node(0)), protocol, Pieces::kWhole, 10'000);
    CheckPipeline(At(*cluster_->node(0)), protocol, Pieces::kRandom, Loops(10'000, 3000));
    CheckPipeline(At(*cluster_->node(0)), protocol, Pieces::kBytes, Loops(500, 100));
  }
}

TEST_F(ProtocolTest, PipelinesThroughTheProxyAreAnsweredInOrderHoweverTheyAreCut) {
  for (const int protocol : {2, 3}) {
    CheckPipeline(At(*cluster_->proxy()), protocol, Pieces::kWhole, 10'000);
    CheckPipeline(At(*cluster_->proxy()), protocol, Pieces::kRandom, Loops(10'000, 3000));
    CheckPipeline(At(*cluster_->proxy()), protocol, Pieces::kBytes, Loops(500, 100));
  }
}

// Clients that speak different protocols share the proxy's links to the nodes.
TEST_F(ProtocolTest, ManyClientsOfBothProtocolsGetTheirOwnReplies) {
  std::vector<RespClient> clients;
  std::vector<MixedCommands> streams;
  const int count = Loops(40, 10);
  for (int i = 0; i < count; ++i) {
    const int protocol = 2 + i % 2;
    Result<RespClient> client = OpenClient(At(*cluster_->proxy()), protocol);
    ASSERT_TRUE(client.ok());
    clients.push_back(*std::move(client));
    streams.emplace_back(static_cast<uint64_t>(i), protocol, "many:" + RandomHex(4) + ":");
    streams.back().Add(300);
    ASSERT_TRUE(clients.back().Send(streams.back().bytes()).ok());
  }
  for (int i = 0; i < count; ++i) {
    const auto at = static_cast<size_t>(i);
    for (const std::string& expected : streams[at].replies()) {
      const Result<std::string> reply = clients[at].ReadFrame();
      ASSERT_TRUE(reply.ok()) << reply.status().ToString();
      ASSERT_EQ(*reply, expected) << "client " << i;
    }
  }
}

TEST_F(ProtocolTest, MalformedRequestsAreTreatedAsRedisDoes) {
  EXPECT_GT(MalformedCases().size(), 50U);
  for (const MalformedCase& test : MalformedCases()) {
    EXPECT_EQ(TryMalformed(At(*redis_), test), test.outcome) << "redis-server: " << test.shown;
    EXPECT_EQ(TryMalformed(At(*cluster_->node(0)), test), test.outcome) << "node: " << test.shown;
    EXPECT_EQ(TryMalformed(At(*cluster_->proxy()), test), test.outcome) << "proxy: " << test.shown;
  }
}

// More replies than a connection may hold back: the rest of the pipeline waits for the reader, and
// goes on although nothing more arrives, even when the client has ended its side.
TEST_F(ProtocolTest, APipelineWithMoreRepliesThanTheBuffersHoldIsAnsweredWhole) {
  constexpr size_t kRequests = 4000;
  const std::string value(4000, 'v');
  const std::string get = EncodeWords({"get", "pipeline:big"});
  std::string pipeline;
  for (size_t i = 0; i < kRequests; ++i) {
    pipeline += get;
  }
  for (Server* server : {cluster_->node(0), cluster_->proxy()}) {
    ASSERT_TRUE(server->Connect().Do({"set", "pipeline:big", value})->is_ok());
    for (const bool finish : {false, true}) {
      SCOPED_TRACE(server->name() + (finish ? ", half closed" : ""));
      RespClient client = server->Connect();
      ASSERT_TRUE(client.Send(pipeline).ok());
      if (finish) {
        client.FinishSending();
      }
      for (size_t i = 0; i < kRequests; ++i) {
        const Result<std::string> frame = client.ReadFrame();
        ASSERT_TRUE(frame.ok()) << i << ": " << frame.status().ToString();
        ASSERT_EQ(frame->size(), value.size() + 9) << i;
      }
      bool closed = false;
      EXPECT_EQ(client.ReadUntilQuiet(finish ? 5000 : 20, &closed), "");
      EXPECT_EQ(closed, finish);
    }
  }
}

// A connection that is cut in the turn in which it wrote gives back what its write had locked.
TEST_F(ProtocolTest, AConnectionCutOffBehindAWriteLeavesNothingLocked) {
  for (int i = 0; i < 20; ++i) {
    RespClient client = cluster_->node(0)->Connect();
    ASSERT_TRUE(client.Send("DEL cut:off\r\nPOST / HTTP/1.1\r\n").ok());
  }
  // Each io thread, whichever gets the connection, can write the key.
  for (int i = 0; i < 8; ++i) {
    EXPECT_EQ(cluster_->node(0)->Connect().Ask({"set", "cut:off", "1"}), "OK");
  }
}

}  // namespace
}  // namespace kvs
