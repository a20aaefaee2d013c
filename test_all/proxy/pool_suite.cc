// Static pools by consistent hashing: twemproxy and the proxy find each other's keys, key by key.

#include <gtest/gtest.h>

#include <optional>

#include "common/base/file.h"
#include "common/base/random.h"
#include "common/base/strings.h"
#include "test_all/harness/cluster.h"
#include "test_all/harness/settings.h"
#include "test_all/harness/wait.h"

namespace kvs {
namespace {

constexpr int kServers = 5;

// Five redis-servers, made once.
class PoolTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    dir_ = new TempDir;
    servers_ = new std::vector<std::unique_ptr<Server>>;
    for (int i = 0; i < kServers; ++i) {
      servers_->push_back(MakeRedis(*dir_, "redis-" + std::to_string(i)));
      ASSERT_EQ(servers_->back()->Start().ToString(), "ok");
    }
  }
  static void TearDownTestSuite() {
    delete servers_;
    delete dir_;
  }
  void SetUp() override {
    for (const auto& server : *servers_) {
      ASSERT_TRUE(server->Connect().Do({"flushall"})->is_ok());
    }
  }

  // The entries of a pool; the names must not depend on the ports, which differ in each run.
  static Words Entries(const std::vector<int>& weights) {
    Words entries;
    for (size_t i = 0; i < weights.size(); ++i) {
      entries.push_back((*servers_)[i]->address() + ":" + std::to_string(weights[i]) + " server" +
                        std::to_string(i));
    }
    return entries;
  }

  static std::unique_ptr<Server> StartProxy(const std::string& name, const Words& entries,
                                            const Words& options) {
    std::string servers;
    for (const std::string& entry : entries) {
      servers += (servers.empty() ? "" : ",") + entry;
    }
    Words words = {"--servers", servers};
    words.insert(words.end(), options.begin(), options.end());
    auto proxy = MakeProxy(*dir_, name, words);
    EXPECT_EQ(proxy->Start().ToString(), "ok");
    return proxy;
  }

  static std::unique_ptr<Server> StartTwemproxy(const std::string& name, const Words& entries,
                                                const std::string& options) {
    const uint16_t port = FreePort();
    std::string text = "pool:\n  listen: 127.0.0.1:" + std::to_string(port) + "\n  redis: true\n" +
                       options + "  servers:\n";
    for (const std::string& entry : entries) {
      text += "   - " + entry + "\n";
    }
    const std::string file = dir_->Join(name + ".yml");
    EXPECT_TRUE(WriteFileAtomic(file, text).ok());
    auto server = std::make_unique<Server>(
        name, port,
        Words{"nutcracker", "-c", file, "-s", std::to_string(FreePort()), "-a", "127.0.0.1"},
        dir_->path());
    EXPECT_EQ(server->Start().ToString(), "ok");
    return server;
  }

  static TempDir* dir_;
  static std::vector<std::unique_ptr<Server>>* servers_;
};

TempDir* PoolTest::dir_;
std::vector<std::unique_ptr<Server>>* PoolTest::servers_;

// Keys of all lengths and bytes, with braces here and there.
Words RandomKeys(Random* random, int count) {
  Words keys;
  for (int i = 0; i < count; ++i) {
    std::string key;
    const bool binary = random->OneIn(2);
    for (uint64_t size = 1 + random->Uniform(40); size > 0; --size) {
      key.push_back(static_cast<char>(binary ? random->Uniform(256) : 'a' + random->Uniform(26)));
    }
    if (random->OneIn(3)) {
      key.insert(random->Uniform(key.size() + 1), "{" + std::to_string(random->Uniform(50)) + "}");
    } else if (random->OneIn(5)) {
      key.insert(random->Uniform(key.size() + 1), random->OneIn(2) ? "{" : "{}");
    }
    keys.push_back(key + "#" + std::to_string(i));
  }
  return keys;
}

// Writes each key with its own name through `writer` and reads it through `reader`.  Returns how
// many were not found.
int CountLost(Server* writer, Server* reader, const Words& keys) {
  std::string sets;
  std::string gets;
  for (const std::string& key : keys) {
    sets += EncodeWords({"set", key, key});
    gets += EncodeWords({"get", key});
  }
  const auto whole = [] { return size_t{16384}; };
  const auto set = writer->Connect().Pipeline(sets, keys.size(), whole);
  const auto got = reader->Connect().Pipeline(gets, keys.size(), whole);
  if (!set.ok() || !got.ok()) {
    ADD_FAILURE() << set.status().ToString() << ", " << got.status().ToString();
    return -1;
  }
  int lost = 0;
  for (size_t i = 0; i < keys.size(); ++i) {
    const std::string& key = keys[i];
    EXPECT_EQ((*set)[i], "+OK\r\n");
    lost += (*got)[i] != "$" + std::to_string(key.size()) + "\r\n" + key + "\r\n" ? 1 : 0;
  }
  return lost;
}

TEST_F(PoolTest, ADeploymentOfTwemproxyCanSwitchWithoutMovingAKey) {
  struct Setup {
    const char* distribution;
    const char* hash;
    const char* tag;
    std::vector<int> weights;
  };
  const std::vector<int> equal = {1, 1, 1, 1, 1};
  const std::vector<int> mixed = {1, 2, 3, 7, 50};
  std::vector<Setup> setups = {
      {"ketama", "fnv1a_64", "", equal},   {"ketama", "fnv1a_64", "{}", mixed},
      {"ketama", "md5", "", {3, 1}},       {"ketama", "murmur", "$$", {100, 1, 33}},
      {"modula", "fnv1a_64", "{}", mixed}, {"modula", "md5", "", equal},
  };
  for (const std::string_view hash : {"one_at_a_time", "md5", "crc16", "crc32", "crc32a", "fnv1_64",
                                      "fnv1_32", "fnv1a_32", "hsieh", "murmur", "jenkins"}) {
    setups.push_back({"modula", hash.data(), "", mixed});
  }
  Random random = Random::FromKernel();
  int number = 0;
  for (const Setup& setup : setups) {
    const std::string name = std::to_string(number++) + "-" + setup.distribution + "-" + setup.hash;
    SCOPED_TRACE(name + " tag " + setup.tag);
    const std::string tag = setup.tag;
    const Words entries = Entries(setup.weights);
    const auto twemproxy = StartTwemproxy("twemproxy-" + name, entries,
                                          std::string("  distribution: ") + setup.distribution +
                                              "\n  hash: " + setup.hash + "\n" +
                                              (tag.empty() ? "" : "  hash_tag: \"" + tag + "\"\n"));
    const auto proxy =
        StartProxy("proxy-" + name, entries,
                   {"--distribution", setup.distribution, "--hash", setup.hash, "--hash-tag", tag});
    const Words keys = RandomKeys(&random, Loops(5000, 1000));
    EXPECT_EQ(CountLost(twemproxy.get(), proxy.get(), keys), 0);
  }
}

// Without names twemproxy places a server by its address.
TEST_F(PoolTest, ServersWithoutNamesAreWhereTwemproxyPutsThem) {
  Words entries;
  for (const auto& server : *servers_) {
    entries.push_back(server->address() + ":1");
  }
  const auto twemproxy = StartTwemproxy("twemproxy-plain", entries, "  distribution: ketama\n");
  const auto proxy = StartProxy("proxy-plain", entries, {"--distribution", "ketama"});
  Random random = Random::FromKernel();
  EXPECT_EQ(CountLost(twemproxy.get(), proxy.get(), RandomKeys(&random, 2000)), 0);
  EXPECT_EQ(CountLost(proxy.get(), twemproxy.get(), RandomKeys(&random, 2000)), 0);
}

TEST_F(PoolTest, CommandsOverManyKeysWorkOverARing) {
  const auto proxy =
      StartProxy("proxy-many", Entries({1, 2, 3, 4, 5}), {"--distribution", "ketama"});
  RespClient client = proxy->Connect();
  Words set = {"mset"};
  Words get = {"mget"};
  for (int i = 0; i < 200; ++i) {
    set.insert(set.end(), {"many:" + std::to_string(i), std::to_string(i)});
    get.push_back("many:" + std::to_string(i));
  }
  ASSERT_TRUE(client.Do(set)->is_ok());
  const Reply values = *client.Do(get);
  ASSERT_EQ(values.elements.size(), 200U);
  for (size_t i = 0; i < 200; ++i) {
    EXPECT_EQ(values.elements[i].text, std::to_string(i));
  }
  EXPECT_EQ(client.Do({"dbsize"})->integer, 200);
  get[0] = "del";
  EXPECT_EQ(client.Do(get)->integer, 200);
}

TEST_F(PoolTest, AServerThatFailsIsReplacedByTheOthersUntilItIsBack) {
  const auto extra = MakeRedis(*dir_, "redis-extra");
  ASSERT_EQ(extra->Start().ToString(), "ok");
  Words entries = Entries({1, 1});
  entries.push_back(extra->address() + ":1 extra");
  const auto proxy = StartProxy("proxy-remove", entries,
                                {"--distribution", "ketama", "--server-failure", "remove",
                                 "--server-retry-timeout", "500ms", "--backend-timeout", "500ms"});
  RespClient client = proxy->Connect();
  const auto set_all = [&] {
    for (int i = 0; i < 50; ++i) {
      const Result<Reply> reply = client.Do({"set", "k" + std::to_string(i), "v"});
      if (!reply.ok() || !reply->is_ok()) {
        return false;
      }
    }
    return true;
  };
  const auto live = [&](const char* flag) {
    const std::string line = "address=" + extra->address() + ",live=" + flag;
    return client.Do({"info", "kvstore"})->text.find(line) != std::string::npos;
  };
  ASSERT_TRUE(WaitUntil(10'000, set_all));
  EXPECT_TRUE(live("1"));
  ASSERT_GT(extra->Connect().Do({"dbsize"})->integer, 0);

  extra->Kill();
  EXPECT_TRUE(WaitUntil(10'000, [&] {
    set_all();
    return live("0");
  }));
  EXPECT_TRUE(WaitUntil(10'000, set_all)) << "the others take its keys";
  EXPECT_TRUE(client.Do({"dbsize"})->is_error()) << "a server's keys are not counted as none";

  ASSERT_EQ(extra->Start().ToString(), "ok");
  EXPECT_TRUE(WaitUntil(10'000, [&] { return live("1"); }));
  EXPECT_TRUE(WaitUntil(10'000, set_all));
  EXPECT_GT(extra->Connect().Do({"dbsize"})->integer, 0);
}

TEST_F(PoolTest, WithoutRemovalAFailedServersKeysGetErrors) {
  const auto extra = MakeRedis(*dir_, "redis-error");
  ASSERT_EQ(extra->Start().ToString(), "ok");
  Words entries = Entries({1, 1});
  entries.push_back(extra->address() + ":1 extra");
  const auto proxy =
      StartProxy("proxy-error", entries, {"--distribution", "modula", "--hash", "crc32a"});
  RespClient client = proxy->Connect();
  extra->Kill();
  int failed = 0;
  for (int i = 0; i < 100; ++i) {
    failed += client.Do({"set", "k" + std::to_string(i), "v"})->is_error() ? 1 : 0;
  }
  EXPECT_GT(failed, 10);
  EXPECT_LT(failed, 60);
}

}  // namespace
}  // namespace kvs
