// What a client may cost a proxy: replies that nobody takes, that wait for a slow node, or that are
// too large are bounded, and the memory comes back.

#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "common/base/strings.h"
#include "test_all/harness/cluster.h"
#include "test_all/harness/settings.h"
#include "test_all/harness/wait.h"

namespace kvs {
namespace {

constexpr int64_t kMiB = 1 << 20;

// Under a sanitizer a byte costs some thirty times as much: fewer will do there.
constexpr bool kSlowBuild = kSlownessFactor > 1;

class ProxyLimitsTest : public testing::Test {
 protected:
  void Start(const Words& proxy_options) {
    Words options = {"--backend-timeout", "30s"};
    options.insert(options.end(), proxy_options.begin(), proxy_options.end());
    cluster_ = std::make_unique<Cluster>(
        ClusterOptions{.nodes = 2, .node_options = {}, .proxy_options = options});
    ASSERT_EQ(cluster_->Start().ToString(), "ok");
    client_ = cluster_->proxy()->Connect();
    client_.set_timeout_ms(60'000);
    ASSERT_TRUE(cluster_->WaitServing(&client_));
  }
  int64_t Info(const std::string& field) {
    const Result<Reply> text = client_.Do({"info", "everything"});
    const std::string name = field + ":";
    const size_t at = text->text.find("\n" + name);
    int64_t value = -1;
    if (at != std::string::npos) {
      const size_t begin = at + 1 + name.size();
      EXPECT_TRUE(
          ParseInt64(text->text.substr(begin, text->text.find('\r', begin) - begin), &value));
    }
    return value;
  }
  bool BuffersAreEmpty() {
    return WaitUntil(30'000, [this] { return Info("buffer_bytes") < kMiB; });
  }

  std::unique_ptr<Cluster> cluster_;
  RespClient client_;
};

std::string Repeated(const std::string& piece, int count) {
  std::string bytes;
  for (int i = 0; i < count; ++i) {
    bytes += piece;
  }
  return bytes;
}

TEST_F(ProxyLimitsTest, ClientsThatDoNotReadCostTheirLimitAndTheMemoryComesBack) {
  constexpr int kClients = kSlowBuild ? 4 : 20;
  const int requests_each = Loops(500, 300);
  Start({"--client-output-soft-limit", "1mb"});
  const std::string key = cluster_->KeyOn(0, "k");
  ASSERT_TRUE(client_.Do({"set", key, std::string(100 * 1024, 'v')})->is_ok());
  const int64_t resident = Info("used_memory_rss");
  const std::string requests = Repeated(EncodeWords({"get", key}), requests_each);
  std::vector<RespClient> readers;
  for (int i = 0; i < kClients; ++i) {
    readers.push_back(cluster_->proxy()->Connect());
    ASSERT_TRUE(readers.back().Send(requests).ok());
  }
  int64_t asked = -1;
  ASSERT_TRUE(WaitUntil(20'000, [&] {  // No more is asked for.
    const int64_t last = std::exchange(asked, Info("backend_requests"));
    return last == asked && asked >= kClients * 10 && Info("requests_in_flight") < 3 * kClients;
  }));
  // The first requests are sent before it is known how large the replies are.
  EXPECT_LT(Info("buffer_bytes"), kClients * 28 * kMiB)
      << "of " << kClients * requests_each / 10 << " MiB";
  EXPECT_EQ(client_.Do({"strlen", key})->integer, 100 * 1024);
  // Half of them read at last, the others go.
  for (int i = 0; i < kClients / 2; ++i) {
    for (int j = 0; j < requests_each; ++j) {
      const Result<std::string> reply = readers[static_cast<size_t>(i)].ReadFrame();
      ASSERT_TRUE(reply.ok()) << reply.status().ToString();
      ASSERT_EQ(reply->size(), 100 * 1024 + std::string("$102400\r\n\r\n").size());
    }
  }
  readers.clear();
  EXPECT_TRUE(BuffersAreEmpty()) << Info("buffer_bytes");
  EXPECT_EQ(Info("dropped_replies"), 0);
  if (kSlownessFactor == 1) {  // A sanitizer's allocator keeps what was freed.
    EXPECT_TRUE(WaitUntil(30'000, [&] { return Info("used_memory_rss") - resident < 64 * kMiB; }))
        << Info("used_memory_rss") - resident;
  }
}

TEST_F(ProxyLimitsTest, AClientThatNeverReadsIsDroppedByOption) {
  Start({"--client-output-timeout", "1"});
  const std::string key = cluster_->KeyOn(1, "k");
  ASSERT_TRUE(client_.Do({"set", key, std::string(kMiB, 'v')})->is_ok());
  RespClient stuck = cluster_->proxy()->Connect();
  ASSERT_TRUE(stuck.Send(Repeated(EncodeWords({"get", key}), 100)).ok());
  ASSERT_TRUE(WaitUntil(5000, [this] { return Info("connected_clients") == 2; }));
  EXPECT_TRUE(WaitUntil(15'000, [this] { return Info("connected_clients") == 1; }));
  EXPECT_TRUE(BuffersAreEmpty());
}

// While node 0 stands still, what node 1 has sent for later requests waits.
TEST_F(ProxyLimitsTest, RepliesThatWaitForASlowNodeAreBoundedAndKeepTheirOrder) {
  Start({"--client-output-soft-limit", "1mb"});
  const std::string slow = cluster_->KeyOn(0, "slow");
  const std::string fast = cluster_->KeyOn(1, "fast");
  ASSERT_TRUE(client_.Do({"mset", slow, "s", fast, std::string(100 * 1024, 'f')})->is_ok());
  RespClient reader = cluster_->proxy()->Connect();
  ASSERT_TRUE(cluster_->node(0)->process()->Pause().ok());
  constexpr int kGets = kSlowBuild ? 400 : 1000;
  ASSERT_TRUE(
      reader.Send(EncodeWords({"get", slow}) + Repeated(EncodeWords({"get", fast}), kGets)).ok());
  int64_t asked = -1;
  ASSERT_TRUE(WaitUntil(20'000, [&] {
    const int64_t last = std::exchange(asked, Info("backend_requests"));
    return last == asked && Info("buffer_bytes") > kMiB;
  }));
  EXPECT_LT(Info("buffer_bytes"), 30 * kMiB) << "of " << kGets / 10 << " MiB";
  cluster_->node(0)->process()->Signal(SIGCONT);
  EXPECT_EQ(*reader.ReadFrame(), "$1\r\ns\r\n");
  for (int i = 0; i < kGets; ++i) {
    const Result<std::string> reply = reader.ReadFrame();
    ASSERT_TRUE(reply.ok()) << reply.status().ToString();
    ASSERT_TRUE(reply->starts_with("$102400\r\nfff")) << i;
  }
  EXPECT_TRUE(BuffersAreEmpty());
}

// The largest reply that a session may have is an error, for its client alone.
TEST_F(ProxyLimitsTest, AReplyThatIsTooLargeIsAnErrorAndNobodyElseNotices) {
  Start({"--session-memory-limit", "16mb"});
  const std::string here = cluster_->KeyOn(0, "here");
  const std::string there = cluster_->KeyOn(1, "there");
  ASSERT_TRUE(
      client_.Do({"mset", here, std::string(kMiB, 'h'), there, std::string(kMiB, 't')})->is_ok());
  RespClient other = cluster_->proxy()->Connect();
  Words one_node = {"mget"};
  Words two_nodes = {"mget"};
  for (int i = 0; i < Loops(kSlowBuild ? 60 : 2000, kSlowBuild ? 60 : 300); ++i) {
    one_node.push_back(here);
    two_nodes.push_back(i % 3 == 0 ? there : here);
  }
  constexpr int kRounds = kSlowBuild ? 1 : 3;
  for (int round = 0; round < kRounds; ++round) {
    ASSERT_TRUE(
        client_
            .Send(EncodeWords(one_node) + EncodeWords({"get", there}) + EncodeWords({"get", here}))
            .ok());
    const Result<std::string> error = client_.ReadFrame();
    ASSERT_TRUE(error.ok()) << error.status().ToString();
    EXPECT_TRUE(error->starts_with("-ERR the reply of node")) << error->substr(0, 200);
    EXPECT_EQ(client_.ReadFrame()->size(), kMiB + std::string("$1048576\r\n\r\n").size());
    EXPECT_EQ(client_.ReadFrame()->size(), kMiB + std::string("$1048576\r\n\r\n").size());
    const Result<Reply> parts = client_.Do(two_nodes);
    ASSERT_TRUE(parts.ok()) << parts.status().ToString();
    ASSERT_EQ(parts->elements.size(), two_nodes.size() - 1);
    EXPECT_TRUE(std::all_of(parts->elements.begin(), parts->elements.end(), [](const Reply& part) {
      return part.is_error() && part.text.starts_with("ERR the reply of node");
    }));
    EXPECT_EQ(other.Do({"mget", here, there})->elements.at(1).text.size(),
              static_cast<size_t>(kMiB));
  }
  EXPECT_TRUE(WaitUntil(5000, [this] { return Info("dropped_replies") >= 3 * kRounds; }));
  EXPECT_EQ(Info("backend_failures"), 0);
  EXPECT_TRUE(BuffersAreEmpty());
}

// At the limit of the whole proxy large replies are errors; who asks for little is served.
TEST_F(ProxyLimitsTest, TheProxyAsAWholeIsBoundedAndServesOthersMeanwhile) {
  Start({"--buffer-memory-limit", "48mb", "--client-output-soft-limit", "64mb"});
  const std::string key = cluster_->KeyOn(0, "k");
  ASSERT_TRUE(client_.Do({"set", key, std::string(kMiB, 'v')})->is_ok());
  ASSERT_TRUE(client_.Do({"set", "small", "s"})->is_ok());
  constexpr int kGets = kSlowBuild ? 20 : 100;
  std::vector<RespClient> hogs;
  for (int i = 0; i < 10; ++i) {
    hogs.push_back(cluster_->proxy()->Connect());
    ASSERT_TRUE(hogs.back().Send(Repeated(EncodeWords({"get", key}), kGets)).ok());
  }
  ASSERT_TRUE(WaitUntil(20'000, [this] { return Info("buffer_bytes") > 36 * kMiB; }));
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(client_.Do({"get", "small"})->text, "s");
    EXPECT_LT(Info("buffer_bytes"), 64 * kMiB);
  }
  // Each of their requests has one answer: the value, or an error that says why not.
  for (RespClient& hog : hogs) {
    hog.set_timeout_ms(30'000);
    for (int i = 0; i < kGets; ++i) {
      const Result<std::string> reply = hog.ReadFrame();
      ASSERT_TRUE(reply.ok()) << reply.status().ToString();
      ASSERT_TRUE(reply->starts_with("$1048576\r\nv") ||
                  reply->find("buffer-memory-limit") != std::string::npos)
          << reply->substr(0, 200);
    }
  }
  EXPECT_TRUE(BuffersAreEmpty());
  EXPECT_EQ(client_.Do({"get", key})->text.size(), static_cast<size_t>(kMiB));
}

}  // namespace
}  // namespace kvs
