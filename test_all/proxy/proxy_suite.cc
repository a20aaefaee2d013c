// The proxy before several nodes: parts and wholes, and a node that is dead or silent.

#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <map>
#include <set>

#include "common/base/random.h"
#include "common/base/strings.h"
#include "test_all/harness/cluster.h"
#include "test_all/harness/settings.h"
#include "test_all/harness/wait.h"

namespace kvs {
namespace {

constexpr int kBackendTimeoutMillis = 300;

class ProxyTest : public testing::Test {
 protected:
  ProxyTest()
      : cluster_(
            {.nodes = 3,
             .node_options = {},
             .proxy_options = {"--backend-timeout",
                               std::to_string(kBackendTimeoutMillis * kSlownessFactor) + "ms"}}) {}
  void SetUp() override {
    ASSERT_EQ(cluster_.Start().ToString(), "ok");
    client_ = cluster_.proxy()->Connect();
  }

  Reply Do(const std::vector<std::string>& words) {
    Result<Reply> reply = client_.Do(words);
    EXPECT_TRUE(reply.ok()) << words[0] << ": " << reply.status().ToString();
    return reply.ok() ? *std::move(reply) : Reply();
  }

  Cluster cluster_;
  RespClient client_;
};

std::vector<std::string> Request(const std::string& command, const std::vector<std::string>& keys) {
  std::vector<std::string> words = {command};
  words.insert(words.end(), keys.begin(), keys.end());
  return words;
}

// Sizes from 1 to 1000, keys twice and missing, against a map.
TEST_F(ProxyTest, CommandsOverManyKeysAreSplitAndMergedAsIfThereWereOneServer) {
  const uint64_t seed = Random::FromKernel().Next();
  SCOPED_TRACE("seed " + std::to_string(seed));
  Random random(seed);
  std::map<std::string, std::string> model;
  const int rounds = Loops(200, 40);
  for (int round = 0; round < rounds; ++round) {
    std::vector<std::string> keys;
    const uint64_t limit = round % 10 == 0 ? 1000 : 20;
    for (uint64_t n = 1 + random.Uniform(limit); n > 0; --n) {
      keys.push_back("key:" + std::to_string(random.Uniform(1500)));
    }
    std::vector<std::string> set = {"mset"};
    for (const std::string& key : keys) {
      if (random.OneIn(2)) {
        const std::string value = std::to_string(random.Next());
        set.insert(set.end(), {key, value});
        model[key] = value;
      }
    }
    if (set.size() > 1) {
      ASSERT_TRUE(Do(set).is_ok());
    }

    const Reply values = Do(Request("mget", keys));
    ASSERT_EQ(values.elements.size(), keys.size());
    int64_t existing = 0;
    for (size_t i = 0; i < keys.size(); ++i) {
      const auto it = model.find(keys[i]);
      ASSERT_EQ(values.elements[i].is_null(), it == model.end()) << keys[i];
      if (it != model.end()) {
        ASSERT_EQ(values.elements[i].text, it->second);
        ++existing;
      }
    }
    ASSERT_EQ(Do(Request("exists", keys)).integer, existing);
    ASSERT_EQ(Do(Request("touch", keys)).integer, existing);
    if (random.OneIn(3)) {
      int64_t removed = 0;
      for (const std::string& key : keys) {
        removed += static_cast<int64_t>(model.erase(key));
      }
      ASSERT_EQ(Do(Request(random.OneIn(2) ? "del" : "unlink", keys)).integer, removed);
    }
    ASSERT_EQ(Do({"dbsize"}).integer, static_cast<int64_t>(model.size()));
  }
}

TEST_F(ProxyTest, KeysThatMustShareASlotAndDoNotAreRefused) {
  const std::string a = cluster_.KeyOn(0, "a");
  const std::string b = cluster_.KeyOn(2, "b");
  const Reply reply = Do({"msetnx", a, "1", b, "2"});
  EXPECT_TRUE(reply.is_error());
  EXPECT_EQ(reply.text, "CROSSSLOT Keys in request don't hash to the same slot");
  EXPECT_EQ(Do({"exists", a, b}).integer, 0);
  EXPECT_EQ(Do({"msetnx", "{t}a", "1", "{t}b", "2"}).integer, 1);
  ASSERT_TRUE(Do({"set", a, "1"}).is_ok());
  for (const char* name : {"rename", "renamenx", "copy", "lcs"}) {
    EXPECT_EQ(Do({name, a, b}).text, "CROSSSLOT Keys in request don't hash to the same slot");
  }
  EXPECT_EQ(Do({"exists", a, b}).integer, 1);
}

TEST_F(ProxyTest, ScanAndKeysShowTheKeysOfAllNodesOnce) {
  std::set<std::string> keys;
  std::vector<std::string> set = {"mset"};
  for (int i = 0; i < 5000; ++i) {
    set.insert(set.end(), {"scan:" + std::to_string(i), "v"});
    keys.insert("scan:" + std::to_string(i));
  }
  ASSERT_TRUE(Do(set).is_ok());

  std::multiset<std::string> seen;
  std::string cursor = "0";
  int calls = 0;
  do {
    const Reply page = Do({"scan", cursor, "count", "100"});
    ASSERT_EQ(page.elements.size(), 2U) << page.ToString();
    cursor = page.elements[0].text;
    for (const Reply& key : page.elements[1].elements) {
      seen.insert(key.text);
    }
    ASSERT_LT(++calls, 5000);
  } while (cursor != "0");

  EXPECT_EQ(seen.size(), keys.size());
  EXPECT_EQ(std::set<std::string>(seen.begin(), seen.end()), keys);
  EXPECT_EQ(Do({"keys", "scan:*"}).elements.size(), keys.size());
  EXPECT_EQ(Do({"dbsize"}).integer, 5000);
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(keys.contains(Do({"randomkey"}).text));
  }
  EXPECT_TRUE(Do({"flushall"}).is_ok());
  EXPECT_EQ(Do({"dbsize"}).integer, 0);
  EXPECT_TRUE(Do({"randomkey"}).is_null());
}

TEST_F(ProxyTest, KeysOfADeadNodeGetErrorsAndOnlyThose) {
  const std::string dead = cluster_.KeyOn(1, "dead");
  const std::string alive = cluster_.KeyOn(0, "alive");
  ASSERT_TRUE(Do({"mset", dead, "1", alive, "2"}).is_ok());
  cluster_.node(1)->Kill();

  for (int i = 0; i < 50; ++i) {
    for (const std::vector<std::string>& request :
         std::vector<std::vector<std::string>>{{"get", dead},
                                               {"set", dead, "3"},
                                               {"mset", dead, "3", cluster_.KeyOn(2, "other"), "3"},
                                               {"exists", alive, dead},
                                               {"del", dead, "missing"},
                                               {"dbsize"},
                                               {"keys", "*"}}) {
      const Reply reply = Do(request);
      ASSERT_TRUE(reply.is_error()) << request[0] << ": " << reply.ToString();
      ASSERT_TRUE(reply.text.starts_with("CLUSTERDOWN ") || reply.text.starts_with("ERR "))
          << reply.text;
    }
    // Values in the order of the keys; the dead node's place holds its error.
    const Reply values = Do({"mget", alive, dead});
    ASSERT_EQ(values.elements.size(), 2U);
    ASSERT_EQ(values.elements[0].text, "2");
    ASSERT_TRUE(values.elements[1].is_error());
    ASSERT_EQ(Do({"get", alive}).text, "2");
    ASSERT_TRUE(Do({"ping"}).is_string());
  }
}

// One error for the whole that says how much was done and by whom the rest was not; MGET has an
// error in the place of each key of the dead nodes, also of keys that are named twice.
TEST_F(ProxyTest, CommandsOverManyKeysSayHowMuchOfThemWasDone) {
  Words keys;
  for (int i = 0; i < 4; ++i) {
    for (size_t node = 0; node < 3; ++node) {
      keys.push_back(cluster_.KeyOn(node, "k" + std::to_string(i) + ":"));
    }
  }
  keys.push_back(keys[1]);
  keys.push_back(keys[0]);
  Words set = {"mset"};
  for (const std::string& key : keys) {
    set.insert(set.end(), {key, "v"});
  }
  ASSERT_TRUE(Do(set).is_ok());
  for (const std::vector<size_t>& dead : std::vector<std::vector<size_t>>{{1}, {1, 2}}) {
    std::set<size_t> gone;
    std::string names;
    int done = static_cast<int>(keys.size());
    for (const size_t node : dead) {
      cluster_.node(node)->Kill();
      gone.insert(node);
    }
    for (const std::string& key : keys) {  // In the order in which they are first named.
      const size_t owner = cluster_.OwnerOf(key);
      done -= gone.contains(owner) ? 1 : 0;
      const std::string& address = cluster_.node(owner)->address();
      if (gone.contains(owner) && names.find(address) == std::string::npos) {
        names += (names.empty() ? "" : ", ") + address;
      }
    }
    const std::string tail = " (" + std::to_string(done) + " of " + std::to_string(keys.size()) +
                             " keys done; failed at node " + names + ")";
    for (const char* name : {"exists", "touch", "mset", "unlink", "del"}) {
      const Reply reply = Do(std::string(name) == "mset" ? set : Request(name, keys));
      ASSERT_TRUE(reply.is_error()) << name << ": " << reply.ToString();
      EXPECT_TRUE(reply.text.starts_with("CLUSTERDOWN ")) << reply.text;
      EXPECT_TRUE(reply.text.ends_with(tail)) << name << ": " << reply.text << tail;
    }
    const Reply values = Do(Request("mget", keys));
    ASSERT_EQ(values.elements.size(), keys.size());
    for (size_t i = 0; i < keys.size(); ++i) {
      EXPECT_EQ(values.elements[i].is_error(), gone.contains(cluster_.OwnerOf(keys[i])));
      EXPECT_EQ(values.elements[i].is_null(), !gone.contains(cluster_.OwnerOf(keys[i])));
    }
  }
}

TEST_F(ProxyTest, ANodeThatIsStartedAgainServesWithinThreeSeconds) {
  const std::string key = cluster_.KeyOn(1, "k");
  ASSERT_TRUE(Do({"set", key, "v"}).is_ok());
  for (int i = 0; i < Loops(5, 2); ++i) {
    cluster_.node(1)->Kill();
    ASSERT_TRUE(Do({"get", key}).is_error());
    ASSERT_EQ(cluster_.node(1)->Start().ToString(), "ok");
    EXPECT_TRUE(WaitUntil(3000, [&] { return Do({"get", key}).text == "v"; }));
  }
}

TEST_F(ProxyTest, KeysOfASilentNodeFailInTimeAndOthersAreServedMeanwhile) {
  const std::string silent = cluster_.KeyOn(1, "silent");
  const std::string alive = cluster_.KeyOn(2, "alive");
  ASSERT_TRUE(Do({"mset", silent, "1", alive, "2"}).is_ok());
  RespClient other = cluster_.proxy()->Connect();

  ASSERT_EQ(cluster_.node(1)->process()->Pause().ToString(), "ok");
  const int64_t begin = NowMillis();
  ASSERT_TRUE(client_.Send(EncodeWords({"get", silent}) + EncodeWords({"incr", silent})).ok());
  const Result<Reply> meanwhile = other.Do({"get", alive});
  const int64_t alive_ms = NowMillis() - begin;
  const Result<std::string> read = client_.ReadFrame();
  const Result<std::string> write = client_.ReadFrame();
  const int64_t silent_ms = NowMillis() - begin;
  // A request on the heels of those that failed does not wait for an answer of its own.
  const int64_t later_begin = NowMillis();
  const Reply later = Do({"get", silent});
  const int64_t later_ms = NowMillis() - later_begin;
  cluster_.node(1)->process()->Signal(SIGCONT);

  ASSERT_TRUE(meanwhile.ok());
  EXPECT_EQ(meanwhile->text, "2");
  EXPECT_LT(alive_ms, kBackendTimeoutMillis * kSlownessFactor);
  ASSERT_TRUE(read.ok() && write.ok());
  EXPECT_TRUE(read->starts_with("-")) << *read;
  EXPECT_TRUE(write->starts_with("-")) << *write;
  EXPECT_NE(write->find("may have been applied"), std::string::npos) << *write;
  EXPECT_LE(silent_ms, (kBackendTimeoutMillis + 100) * kSlownessFactor);
  EXPECT_TRUE(later.is_error());
  EXPECT_LT(later_ms, kBackendTimeoutMillis * kSlownessFactor / 2);
  EXPECT_TRUE(WaitUntil(5000, [&] { return !Do({"get", silent}).is_error(); }));
}

// Acknowledged <= found <= acknowledged + unknown, while the node comes and goes.
TEST_F(ProxyTest, AWriteWithoutAnswerIsNotSentAgain) {
  const std::string key = cluster_.KeyOn(1, "count");
  int64_t acknowledged = 0;
  int64_t unknown = 0;
  for (int round = 0; round < Loops(10, 3); ++round) {
    constexpr int kDepth = 500;
    std::string bytes;
    for (int i = 0; i < kDepth; ++i) {
      bytes += EncodeWords({"incr", key});
    }
    ASSERT_TRUE(client_.Send(bytes).ok());
    for (int i = 0; i < kDepth; ++i) {
      if (i == 20) {
        cluster_.node(1)->Kill();
      }
      const Result<std::string> reply = client_.ReadFrame();
      ASSERT_TRUE(reply.ok()) << reply.status().ToString();
      ++(reply->starts_with(":") ? acknowledged : unknown);
    }
    ASSERT_EQ(cluster_.node(1)->Start().ToString(), "ok");
    ASSERT_TRUE(cluster_.WaitServing(&client_));
    int64_t found = 0;
    ASSERT_TRUE(ParseInt64(Do({"get", key}).text, &found));
    EXPECT_GE(found, acknowledged);
    EXPECT_LE(found, acknowledged + unknown);
  }
  EXPECT_GT(acknowledged, 0);
}

TEST(StaticServersTest, TheProxyServesPlainRedisServers) {
  const TempDir dir;
  const auto first = MakeRedis(dir, "redis-1", {"--requirepass", "secret"});
  const auto second = MakeRedis(dir, "redis-2", {"--requirepass", "secret"});
  const auto proxy = MakeProxy(
      dir, "proxy",
      {"--servers", first->address() + "," + second->address(), "--backend-auth", "secret"});
  ASSERT_EQ(first->Start().ToString(), "ok");
  ASSERT_EQ(second->Start().ToString(), "ok");
  ASSERT_EQ(proxy->Start().ToString(), "ok");
  RespClient client = proxy->Connect();

  std::vector<std::string> set = {"mset"};
  std::vector<std::string> get = {"mget"};
  for (int i = 0; i < 200; ++i) {
    set.insert(set.end(), {"k" + std::to_string(i), std::to_string(i)});
    get.push_back("k" + std::to_string(i));
  }
  ASSERT_TRUE(WaitUntil(5000, [&] { return client.Do(set)->is_ok(); }));
  const Result<Reply> values = client.Do(get);
  ASSERT_TRUE(values.ok());
  for (size_t i = 0; i < 200; ++i) {
    ASSERT_EQ(values->elements[i].text, std::to_string(i));
  }
  EXPECT_EQ(client.Do({"dbsize"})->integer, 200);

  int64_t sum = 0;
  for (const Server* server : {first.get(), second.get()}) {
    RespClient direct = server->Connect();
    ASSERT_TRUE(direct.Do({"auth", "secret"})->is_ok());
    const int64_t keys = direct.Do({"dbsize"})->integer;
    EXPECT_GT(keys, 60);
    sum += keys;
  }
  EXPECT_EQ(sum, 200);
}

// INFO adds up what the nodes count; one that does not answer is left out, and that is told.
TEST_F(ProxyTest, InfoAddsUpTheNodes) {
  const auto has = [this](const std::string& section, const std::vector<std::string>& lines) {
    const std::string info = Do({"info", section}).text;
    return std::all_of(lines.begin(), lines.end(), [&info](const std::string& line) {
      return info.find(line + "\r\n") != std::string::npos;
    });
  };
  EXPECT_EQ(Do({"info", "keyspace"}).text, "# Keyspace\r\n");
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(Do({"set", "key" + std::to_string(i), "v"}).is_ok());
    ASSERT_EQ(Do({"get", "key" + std::to_string(i)}).text, "v");
  }
  for (int i = 0; i < 30; ++i) {
    Do({"get", "none" + std::to_string(i)});
    ASSERT_EQ(Do({"expire", "key" + std::to_string(i), "1000"}).integer, 1);
  }
  int64_t misses = 0;  // Those of the harness included, which looked whether the nodes serve.
  for (size_t i = 0; i < 3; ++i) {
    RespClient direct = cluster_.node(i)->Connect();
    misses += InfoNumber(&direct, "keyspace_misses");
  }
  EXPECT_GE(misses, 30);
  EXPECT_TRUE(WaitUntil(10'000, [&] {
    return has("keyspace", {"db0:keys=100,expires=30,avg_ttl=0"}) &&
           has("stats", {"keyspace_hits:100", "keyspace_misses:" + std::to_string(misses)}) &&
           has("kvstore", {"nodes_answering:3", "nodes_silent:0"});
  })) << Do({"info"}).text;

  ASSERT_EQ(cluster_.node(1)->process()->Pause().ToString(), "ok");
  EXPECT_TRUE(WaitUntil(20'000, [&] {
    return has("kvstore", {"nodes_answering:2", "nodes_silent:1"}) &&
           !has("keyspace", {"db0:keys=100,expires=30,avg_ttl=0"});
  })) << Do({"info", "everything"}).text;
  cluster_.node(1)->process()->Signal(SIGCONT);
  EXPECT_TRUE(WaitUntil(20'000, [&] {
    return has("keyspace", {"db0:keys=100,expires=30,avg_ttl=0"});
  })) << Do({"info", "everything"}).text;
}

}  // namespace
}  // namespace kvs
