// Unions, intersections and differences of keys on several nodes, against one redis-server.

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "common/base/random.h"
#include "test_all/harness/cluster.h"
#include "test_all/harness/settings.h"

namespace kvs {
namespace {

class JoinTest : public testing::Test {
 protected:
  JoinTest()
      : cluster_(
            {.nodes = 3, .node_options = {}, .proxy_options = {"--session-memory-limit", "1mb"}}),
        redis_(MakeRedis(cluster_.dir(), "redis")) {}
  void SetUp() override {
    ASSERT_EQ(cluster_.Start().ToString(), "ok");
    ASSERT_EQ(redis_->Start().ToString(), "ok");
    for (const int protocol : {2, 3}) {
      proxy_clients_.push_back(Open(*cluster_.proxy(), protocol));
      redis_clients_.push_back(Open(*redis_, protocol));
    }
  }
  static RespClient Open(const Server& server, int protocol) {
    RespClient client = server.Connect();
    const Result<Reply> hello = client.Do({"hello", std::to_string(protocol)});
    EXPECT_TRUE(hello.ok() && !hello->is_error());
    return client;
  }

  Reply Do(const Words& words, size_t client = 0) {
    Result<Reply> reply = proxy_clients_[client].Do(words);
    EXPECT_TRUE(reply.ok()) << words[0] << ": " << reply.status().ToString();
    return reply.ok() ? *std::move(reply) : Reply();
  }
  // Asks both; sets have no order.
  void Compare(const Words& words, size_t client) {
    Reply proxy = Do(words, client);
    Result<Reply> redis = redis_clients_[client].Do(words);
    ASSERT_TRUE(redis.ok());
    if (words[0][0] == 's') {
      for (Reply* reply : {&proxy, &*redis}) {
        std::sort(reply->elements.begin(), reply->elements.end(),
                  [](const Reply& a, const Reply& b) { return a.text < b.text; });
      }
    }
    std::string line;
    for (const std::string& word : words) {
      line += word + " ";
    }
    ASSERT_EQ(proxy.ToString(), redis->ToString()) << line;
  }
  void Both(const Words& words) {
    ASSERT_FALSE(Do(words).is_error()) << words[0];
    ASSERT_TRUE(redis_clients_[0].Do(words).ok());
  }

  Cluster cluster_;
  std::unique_ptr<Server> redis_;
  std::vector<RespClient> proxy_clients_;
  std::vector<RespClient> redis_clients_;
};

std::string Score(Random* random) {
  static const std::vector<std::string> scores = {"0.1", "0.2", "0.3",  "1e17",  "-7",
                                                  "3",   "inf", "-inf", "2.5e-8"};
  return scores[random->Uniform(scores.size())];
}

TEST_F(JoinTest, KeysOnSeveralNodesAreJoinedAsIfThereWereOneServer) {
  const uint64_t seed = Random::FromKernel().Next();
  SCOPED_TRACE("seed " + std::to_string(seed));
  Random random(seed);
  for (int i = 0; i < 12; ++i) {
    for (uint64_t n = random.Uniform(30); n > 0; --n) {
      const std::string member = "m" + std::to_string(random.Uniform(30));
      Both({"sadd", "s" + std::to_string(i), member});
      Both({"zadd", "z" + std::to_string(i), Score(&random), member});
    }
  }
  const std::vector<std::string> names = {"sinter", "sunion", "sdiff", "sintercard",
                                          "zunion", "zinter", "zdiff", "zintercard"};
  const int rounds = Loops(4000, 400);
  for (int round = 0; round < rounds; ++round) {
    const std::string& name = names[random.Uniform(names.size())];
    const bool counted = name[0] == 'z' || name == "sintercard";
    const uint64_t count = 1 + random.Uniform(4);
    Words words = {name};
    if (counted) {
      words.push_back(std::to_string(count));
    }
    for (uint64_t i = 0; i < count; ++i) {
      const bool is_set = name[0] == 's' || random.OneIn(4);
      words.push_back((is_set ? "s" : "z") + std::to_string(random.Uniform(13)));
    }
    if (name.ends_with("card")) {
      words.insert(words.end(), {"limit", std::to_string(random.Uniform(5))});
    } else if (counted) {
      if (name != "zdiff" && random.OneIn(2)) {
        words.push_back("weights");
        for (uint64_t i = 0; i < count; ++i) {
          words.push_back(Score(&random));
        }
      }
      if (name != "zdiff" && random.OneIn(2)) {
        words.insert(words.end(), {"aggregate", random.OneIn(2) ? "min" : "max"});
      }
      words.push_back("withscores");
    }
    ASSERT_NO_FATAL_FAILURE(Compare(words, random.Uniform(2)));
  }
}

TEST_F(JoinTest, WhatCannotBeReadMakesTheAnswerAnError) {
  const std::string a = cluster_.KeyOn(0, "a");
  const std::string b = cluster_.KeyOn(1, "b");
  const std::string c = cluster_.KeyOn(2, "c");
  Both({"sadd", a, "1", "2"});
  Both({"sadd", b, "2", "3"});
  Both({"set", c, "text"});
  for (const char* name : {"sinter", "sunion", "sdiff"}) {
    ASSERT_NO_FATAL_FAILURE(Compare({name, a, b, c}, 0));
  }
  for (const char* name : {"sintercard", "zunion", "zinter", "zdiff", "zintercard"}) {
    ASSERT_NO_FATAL_FAILURE(Compare({name, "3", a, b, c}, 1));
    ASSERT_NO_FATAL_FAILURE(Compare({name, "2", a, b, "bogus"}, 0));
  }
  for (const char* name : {"sinterstore", "sunionstore", "sdiffstore"}) {
    EXPECT_EQ(Do({name, a, b}).text, "CROSSSLOT Keys in request don't hash to the same slot");
  }
  EXPECT_EQ(Do({"smove", a, b, "1"}).text, "CROSSSLOT Keys in request don't hash to the same slot");

  cluster_.node(1)->Kill();
  for (int i = 0; i < 20; ++i) {
    const Reply reply = Do({i % 2 == 0 ? "sunion" : "sdiff", a, b});
    ASSERT_TRUE(reply.is_error()) << reply.ToString();
    ASSERT_NE(reply.text.find(cluster_.node(1)->address()), std::string::npos) << reply.text;
  }
  EXPECT_EQ(Do({"smembers", a}).elements.size(), 2U);
}

TEST_F(JoinTest, ElementsOnSeveralNodesAreCountedOnce) {
  Words keys = {"pfcount"};
  for (int i = 0; i < 9; ++i) {
    const std::string key = "hll" + std::to_string(i);
    Words words = {"pfadd", key};
    for (int n = 0; n < 50 * i * i; ++n) {  // The largest ones are dense.
      words.push_back(std::to_string(n % 7 == 0 ? n : 10'000 * i + n));
    }
    Both(words);
    keys.push_back(key);
    ASSERT_NO_FATAL_FAILURE(Compare(keys, 0));
  }
  keys.push_back("none");
  ASSERT_NO_FATAL_FAILURE(Compare(keys, 1));
  const std::string a = cluster_.KeyOn(0, "a");
  const std::string b = cluster_.KeyOn(1, "b");
  EXPECT_EQ(Do({"pfmerge", a, b}).text, "CROSSSLOT Keys in request don't hash to the same slot");
  Both({"set", a, "no such thing"});
  Both({"sadd", b, "1"});
  ASSERT_NO_FATAL_FAILURE(Compare({"pfcount", "hll3", a, "hll4"}, 0));
  ASSERT_NO_FATAL_FAILURE(Compare({"pfcount", "hll3", b, "hll4"}, 0));
  Both({"set", a, "HYLL" + std::string("\1\0\0\0\0\0\0\0\0\0\0\0\x7f", 13)});
  ASSERT_NO_FATAL_FAILURE(Compare({"pfcount", "hll3", a, "hll4"}, 0));
  cluster_.node(2)->Kill();
  EXPECT_TRUE(Do(keys).is_error());
}

// A transaction runs at one node, so what it joins has to be there.
TEST_F(JoinTest, ATransactionJoinsKeysOfOneSlotAlone) {
  const std::string a = cluster_.KeyOn(0, "a");
  const std::string b = cluster_.KeyOn(1, "b");
  Both({"sadd", "{t}a", "1", "2"});
  Both({"sadd", "{t}b", "2"});
  for (const size_t client : {size_t{0}, size_t{1}}) {
    ASSERT_NO_FATAL_FAILURE(Compare({"multi"}, client));
    ASSERT_NO_FATAL_FAILURE(Compare({"sinter", "{t}a", "{t}b"}, client));
    ASSERT_NO_FATAL_FAILURE(Compare({"zunion", "2", "{t}a", "{t}b", "withscores"}, client));
    ASSERT_NO_FATAL_FAILURE(Compare({"pfcount", "{t}none"}, client));
    ASSERT_NO_FATAL_FAILURE(Compare({"exec"}, client));
  }
  EXPECT_TRUE(Do({"multi"}).is_ok());
  EXPECT_EQ(Do({"sinter", a, b}).text, "QUEUED");
  EXPECT_EQ(Do({"exec"}).text, "CROSSSLOT Keys in request don't hash to the same slot");
  EXPECT_TRUE(Do({"sinter", a, b}).elements.empty());
}

TEST_F(JoinTest, WhatTheSessionHasNoMemoryForIsRefusedAndTheSessionGoesOn) {
  const std::string a = cluster_.KeyOn(0, "a");
  const std::string b = cluster_.KeyOn(1, "b");
  for (const std::string& key : {a, b}) {
    Words words = {"sadd", key};
    for (int i = 0; i < 6000; ++i) {
      words.push_back(key + std::to_string(i));
    }
    ASSERT_EQ(Do(words).integer, 6000);
  }
  const Reply reply = Do({"sunion", a, b});
  ASSERT_TRUE(reply.is_error());
  EXPECT_NE(reply.text.find("session-memory-limit"), std::string::npos) << reply.text;
  EXPECT_EQ(Do({"scard", a}).integer, 6000);
  EXPECT_EQ(Do({"srem", a, a + "1"}).integer, 1);
}

}  // namespace
}  // namespace kvs
