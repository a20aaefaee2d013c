#include "proxy/hash/server_ring.h"

#include <map>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace kvs {
namespace {

std::vector<PoolServer> Servers(const std::vector<std::string>& entries) {
  std::vector<PoolServer> servers;
  for (const std::string& entry : entries) {
    servers.push_back(*ParsePoolServer(entry));
  }
  return servers;
}

ServerRing Ring(const std::vector<PoolServer>& servers, ServerRing::Options options = {}) {
  return ServerRing(std::move(options), servers, std::vector<bool>(servers.size(), true));
}

TEST(PoolServerTest, EntriesAreThoseOfTwemproxy) {
  const PoolServer plain = *ParsePoolServer("10.0.0.1:6379");
  EXPECT_EQ(plain.address, (NodeAddress{"10.0.0.1", 6379}));
  EXPECT_EQ(plain.weight, 1U);
  EXPECT_EQ(plain.name, "10.0.0.1:6379");
  const PoolServer named = *ParsePoolServer("cache.example:6379:7 alpha");
  EXPECT_EQ(named.address, (NodeAddress{"cache.example", 6379}));
  EXPECT_EQ(named.weight, 7U);
  EXPECT_EQ(named.name, "alpha");
  EXPECT_EQ(ParsePoolServer("10.0.0.1:6379:2")->name, "10.0.0.1:6379");
  EXPECT_EQ(ParsePoolServer("10.0.0.1:11211:2")->name, "10.0.0.1");
  EXPECT_EQ(ParsePoolServer("[::1]:6379:3 b")->address, (NodeAddress{"::1", 6379}));
  EXPECT_EQ(ParsePoolServer("[::1]:6379")->name, "[::1]:6379");
}

TEST(PoolServerTest, MistakesAreRefused) {
  for (const char* text : {"", "host", "host:0", "host:x:1", "host:1:0", "host:1:-1", "host:1:x",
                           "host:1:65537", "host:1:1:1", "host:1: name", ":1:1", "host:99999:1"}) {
    EXPECT_EQ(ParsePoolServer(text).status().code(), Code::kInvalidArgument) << text;
  }
  const std::string long_name(kMaxServerName + 1, 'x');
  EXPECT_FALSE(ParsePoolServer("host:1:1 " + long_name).ok());
  EXPECT_TRUE(ParsePoolServer("host:1:1 " + long_name.substr(1)).ok());
}

// 160 points each by equal weights; by others in proportion, and four at a time.
TEST(ServerRingTest, PointsFollowTheWeights) {
  EXPECT_EQ(Ring(Servers({"a:1", "b:1", "c:1"})).point_count(), 480U);
  EXPECT_EQ(Ring(Servers({"a:1:1", "b:1:3"})).point_count(), 320U);
  EXPECT_EQ(Ring(Servers({"a:1:1", "b:1:1", "c:1:5"})).point_count(), 68U + 68U + 340U);
  EXPECT_EQ(Ring(Servers({"a:1:1", "b:1:3"}),
                 {.kind = ServerRing::Kind::kModula, .hash = KeyHash::kCrc16, .hash_tag = ""})
                .point_count(),
            4U);
}

TEST(ServerRingTest, KeysSpreadAndStayWhenAServerGoes) {
  const std::vector<PoolServer> servers = Servers({"a:1", "b:1", "c:1", "d:1"});
  const ServerRing whole = Ring(servers);
  const ServerRing without({}, servers, {true, false, true, true});
  std::map<int, int> counts;
  int moved = 0;
  for (int i = 0; i < 10'000; ++i) {
    const std::string key = "key:" + std::to_string(i);
    const int server = whole.Find(key);
    ++counts[server];
    EXPECT_NE(without.Find(key), 1);
    moved += server != 1 && without.Find(key) != server ? 1 : 0;
  }
  EXPECT_EQ(counts.size(), 4U);
  for (const auto& [server, count] : counts) {
    EXPECT_GT(count, 1500) << server;
  }
  EXPECT_EQ(moved, 0);
}

TEST(ServerRingTest, ATagDecidesAlone) {
  const std::vector<PoolServer> servers = Servers({"a:1", "b:1", "c:1", "d:1", "e:1"});
  const ServerRing tagged =
      Ring(servers, {.kind = ServerRing::Kind::kKetama, .hash = KeyHash::kMd5, .hash_tag = "{}"});
  const ServerRing untagged =
      Ring(servers, {.kind = ServerRing::Kind::kKetama, .hash = KeyHash::kMd5, .hash_tag = ""});
  int differ = 0;
  for (int i = 0; i < 200; ++i) {
    const std::string tag = std::to_string(i);
    EXPECT_EQ(tagged.Find("a{" + tag + "}b"), untagged.Find(tag));
    EXPECT_EQ(tagged.Find("{" + tag + "}{x}"), untagged.Find(tag));
    for (const std::string& whole : {"{}" + tag, "{" + tag, tag + "}", "{}{" + tag + "}"}) {
      EXPECT_EQ(tagged.Find(whole), untagged.Find(whole)) << whole;
    }
    differ += untagged.Find("a{" + tag + "}b") != untagged.Find(tag) ? 1 : 0;
  }
  EXPECT_GT(differ, 100);
}

TEST(ServerRingTest, WithoutLiveServersThereIsNone) {
  const std::vector<PoolServer> servers = Servers({"a:1", "b:1"});
  EXPECT_EQ(ServerRing({}, servers, {false, false}).Find("k"), -1);
  EXPECT_EQ(ServerRing({}, servers, {false, true}).Find("k"), 1);
  EXPECT_EQ(Ring(Servers({"a:1"})).Find(""), 0);
}

}  // namespace
}  // namespace kvs
