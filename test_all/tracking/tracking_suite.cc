// CLIENT TRACKING: clients of a node, and of a proxy, are told of the keys that redis-server tells
// them of; and whatever happens, nobody keeps a value that is out of date.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/base/random.h"
#include "common/base/strings.h"
#include "common/resp/resp_writer.h"
#include "test_all/harness/cluster.h"
#include "test_all/harness/settings.h"
#include "test_all/harness/wait.h"

namespace kvs {
namespace {

// A client of RESP3 that sets apart what comes unasked.
class Tracker {
 public:
  explicit Tracker(RespClient client) : client_(std::move(client)) { (void)Ask({"hello", "3"}); }

  // Returns the reply as it was sent.
  std::string Ask(const std::vector<std::string>& words) {
    EXPECT_TRUE(client_.Send(EncodeWords(words)).ok());
    return NextReply();
  }
  bool Send(const std::string& bytes) { return client_.Send(bytes).ok(); }
  std::string NextReply() {
    while (true) {
      const Result<std::string> frame = client_.ReadFrame();
      if (!frame.ok()) {
        return "<" + std::string(frame.status().message()) + ">";
      }
      if ((*frame)[0] != '>') {
        return *frame;
      }
      pushes_.push_back(*frame);
    }
  }
  // Returns the pushes since the last call, up to the one that names the key; without it.
  std::vector<std::string> PushesUntil(const std::string& key) {
    while (pushes_.empty() || pushes_.back().find(key) == std::string::npos) {
      const Result<std::string> frame = client_.ReadFrame();
      if (!frame.ok()) {
        pushes_.push_back("<" + std::string(frame.status().message()) + ">");
        break;
      }
      pushes_.push_back(*frame);
    }
    std::vector<std::string> pushes = std::exchange(pushes_, {});
    pushes.pop_back();
    return pushes;
  }
  std::vector<std::string> TakePushes() { return std::exchange(pushes_, {}); }

 private:
  RespClient client_;
  std::vector<std::string> pushes_;
};

// Hears of a change behind all those that were made before.
class Witness {
 public:
  explicit Witness(const Server& server) : tracker_(server.Connect()), other_(server.Connect()) {
    EXPECT_EQ(tracker_.Ask({"client", "tracking", "on", "bcast", "prefix", "witness:"}), "+OK\r\n");
    WaitUntilComplete(server);
  }

  static void WaitUntilComplete(const Server& server) {
    RespClient admin = server.Connect();
    EXPECT_TRUE(WaitUntil(5000, [&] { return InfoNumber(&admin, "tracking_complete") != 0; }));
  }
  void WaitForAll() {
    const std::string key = "witness:" + std::to_string(++last_);
    EXPECT_EQ(other_.Ask({"set", key, ""}), "OK");
    (void)tracker_.PushesUntil(key);
  }

 private:
  Tracker tracker_;
  RespClient other_;
  int last_ = 0;
};

// What the client that tracks and another one do, "<" before what the other one does.
struct Scenario {
  const char* name;
  const char* tracking;  // The words behind CLIENT TRACKING ON.
  std::vector<std::string> steps;
  bool proxy = true;  // Whether a proxy does the same.
};

const std::vector<Scenario>& Scenarios() {
  static const std::vector<Scenario> scenarios = {
      {"a key that was read is told once", "", {"get k", "<set k 1", "<set k 2"}},
      {"a key that is not there", "", {"get none", "<incr none"}},
      {"own writes", "", {"get k", "set k 1", "get k"}},
      {"own writes are left out", "noloop", {"get k", "set k 1", "get j", "<set j 1"}, false},
      {"several keys",
       "",
       {"mget {a}1 {a}2 {a}3", "<mset {a}1 x {a}3 y", "<del {a}2", "<del {a}2"}},
      {"writes that change nothing", "", {"<set k v", "get k", "<setnx k w", "<expire none 10"}},
      {"collections",
       "",
       {"<hset h f 1", "hget h f", "<hset h g 1", "llen l", "<rpush l a", "smembers s", "<sadd s a",
        "zscore z a", "<zadd z 1 a", "xlen x", "<xadd x 1-1 f v", "hgetall h", "<hdel h f g"}},
      {"a name for another", "", {"<set {r}a 1", "get {r}a", "get {r}b", "<rename {r}a {r}b"}},
      {"an expiry", "", {"<set k 1", "get k", "<expire k 100", "ttl k", "<persist k"}},
      {"everything", "", {"<set k 1", "get k", "<flushall", "get k", "<set k 2"}},
      {"a transaction",
       "",
       {"multi", "get {m}a", "set {m}b 1", "get {m}c", "exec", "<mset {m}a 1 {m}b 2 {m}c 3"}},
      {"a transaction of others",
       "",
       {"get {m}a", "<multi", "<set {m}a 1", "<set {m}a 2", "<exec"}},
      {"opt in",
       "optin",
       {"get a", "client caching yes", "get b", "get c", "<set a 1", "<set b 1", "<set c 1"}},
      {"opt in of a transaction",
       "optin",
       {"client caching yes", "multi", "get {m}a", "get {m}b", "exec", "get {m}c",
        "<mset {m}a 1 {m}b 2 {m}c 3"}},
      {"opt out",
       "optout",
       {"get a", "client caching no", "get b", "get c", "<set a 1", "<set b 1", "<set c 1"}},
      {"prefixes",
       "bcast prefix u: prefix v:",
       {"<set u:1 1", "<mset {u}x 1 {u}y 2", "<set w 1", "set v:1 1", "<del u:1", "<del u:none"}},
      {"all keys", "bcast", {"<set u:1 1", "<mset {u}x 1 {u}y 2", "set v:1 1", "<flushall"}},
      {"a script of one's own",
       "",
       {"eval \"return{redis.call('get',KEYS[1])}\" 1 k", "<set k 1", "get k",
        "eval \"return{redis.call('set',KEYS[1],2)}\" 1 k"}},
      {"a script of others", "", {"get k", "<eval \"return{redis.call('set',KEYS[1],2)}\" 1 k"}},
      {"a list that somebody waits for", "", {"llen l", "<rpush l a", "llen l", "<blpop l 0"}},
      {"no tracking any more",
       "",
       {"get k", "client tracking off", "<set k 1", "client tracking on", "get k", "<set k 2"}},
  };
  return scenarios;
}

// The parameter says whether clients go through the proxy.
class TrackingTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override { ASSERT_EQ(cluster_.Start().ToString(), "ok"); }

  const Server& server() { return GetParam() ? *cluster_.proxy() : *cluster_.node(0); }

  // Turns tracking on and waits until every write is heard of.
  static void TurnOn(const Server& server, Tracker* tracker, const std::string& words) {
    std::vector<std::string> request = {"client", "tracking", "on"};
    EXPECT_TRUE(SplitArguments("client tracking on " + words, &request));
    EXPECT_EQ(tracker->Ask(request), "+OK\r\n");
    Witness::WaitUntilComplete(server);
  }

  // Returns what the client was told, in the order of the texts.
  static std::string Run(const Server& server, const Scenario& scenario) {
    Witness witness(server);
    RespClient other = server.Connect();
    EXPECT_EQ(other.Ask({"flushall"}), "OK");
    witness.WaitForAll();
    Tracker tracker(server.Connect());
    TurnOn(server, &tracker, scenario.tracking);
    const std::string mode = scenario.tracking;
    for (const std::string& step : scenario.steps) {
      std::vector<std::string> words;
      const bool others = step[0] == '<';
      EXPECT_TRUE(SplitArguments(others ? step.substr(1) : step, &words));
      const std::string reply = others ? other.Ask(words) : tracker.Ask(words);
      EXPECT_EQ(reply.find("CROSSSLOT"), std::string::npos) << step;
      witness.WaitForAll();
    }
    std::string told;
    for (const std::string& push : Pushes(&tracker, &other, mode)) {
      told += push;
    }
    return told;
  }
  // Lets something change whose change is told behind all that is due.
  static std::vector<std::string> Pushes(Tracker* tracker, RespClient* other,
                                         const std::string& mode) {
    const std::string marker = "u:marker";
    if (mode == "optin") {
      EXPECT_EQ(tracker->Ask({"client", "caching", "yes"}), "+OK\r\n");
    }
    (void)tracker->Ask({"get", marker});
    EXPECT_EQ(other->Ask({"set", marker, "x"}), "OK");
    std::vector<std::string> pushes = tracker->PushesUntil(marker);
    std::sort(pushes.begin(), pushes.end());
    return pushes;
  }

  Cluster cluster_{{.nodes = 1, .node_options = {}, .proxy_options = {}}};
  TempDir dir_;
};

INSTANTIATE_TEST_SUITE_P(All, TrackingTest, testing::Bool(),
                         [](const auto& param) { return param.param ? "proxy" : "node"; });

TEST_P(TrackingTest, ClientsAreToldWhatRedisTells) {
  const std::unique_ptr<Server> redis = MakeRedis(dir_, "redis");
  ASSERT_EQ(redis->Start().ToString(), "ok");
  for (const Scenario& scenario : Scenarios()) {
    if (scenario.proxy || !GetParam()) {
      EXPECT_EQ(Run(server(), scenario), Run(*redis, scenario)) << scenario.name;
    }
  }
}

TEST_P(TrackingTest, AKeyThatExpiresIsTold) {
  Tracker tracker(server().Connect());
  RespClient other = server().Connect();
  TurnOn(server(), &tracker, "");
  EXPECT_EQ(other.Ask({"set", "short", "v", "px", "50"}), "OK");
  EXPECT_EQ(tracker.Ask({"get", "short"}), "$1\r\nv\r\n");
  // Nobody looks at it: the node finds out by itself.
  EXPECT_EQ(tracker.PushesUntil("short"), std::vector<std::string>());
}

TEST_P(TrackingTest, MessagesAreRedirectedToASubscriber) {
  RespClient listener = server().Connect();
  const std::string id = listener.Ask({"client", "id"});
  EXPECT_TRUE(listener.Do({"subscribe", "__redis__:invalidate"}).ok());
  Tracker tracker(server().Connect());
  TurnOn(server(), &tracker, "redirect " + id);
  RespClient other = server().Connect();
  (void)tracker.Ask({"get", "k"});
  EXPECT_EQ(other.Ask({"set", "k", "1"}), "OK");
  const Result<std::string> message = listener.ReadFrame();
  ASSERT_TRUE(message.ok());
  EXPECT_EQ(*message, "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*1\r\n$1\r\nk\r\n");
  (void)tracker.Ask({"get", "k"});
  listener = RespClient();
  // Until the server has noticed that nobody is there, messages go nowhere.
  EXPECT_TRUE(WaitUntil(5000, [&] {
    (void)tracker.Ask({"get", "k"});
    EXPECT_EQ(other.Ask({"incr", "k"})[0] == '<', false);
    (void)tracker.Ask({"ping"});
    const std::vector<std::string> pushes = tracker.TakePushes();
    return !pushes.empty() && pushes[0].find("tracking-redir-broken") != std::string::npos;
  }));
  EXPECT_NE(tracker.Ask({"client", "trackinginfo"}).find("broken_redirect"), std::string::npos);
}

TEST_P(TrackingTest, TheTableIsBoundedAndItsReadersHearOfWhatIsGivenUp) {
  RespClient admin = server().Connect();
  EXPECT_EQ(admin.Ask({"config", "set", "tracking-table-max-keys", "100"}), "OK");
  Tracker tracker(server().Connect());
  TurnOn(server(), &tracker, "");
  for (int i = 0; i < 2000; ++i) {
    EXPECT_EQ(tracker.Ask({"get", "key:" + std::to_string(i)}), "_\r\n");
  }
  const int64_t kept = InfoNumber(&admin, "tracking_total_keys");
  EXPECT_GT(kept, 0);
  EXPECT_LE(kept, 2 * 100);
  size_t told = 0;
  EXPECT_TRUE(WaitUntil(5000, [&] {
    (void)tracker.Ask({"ping"});
    told += tracker.TakePushes().size();
    return told >= static_cast<size_t>(2000 - kept);
  }));
  EXPECT_EQ(told, static_cast<size_t>(2000 - kept));
  EXPECT_EQ(tracker.Ask({"reset"}), "+RESET\r\n");
  EXPECT_EQ(InfoNumber(&admin, "tracking_clients"), 0);
  EXPECT_EQ(InfoNumber(&admin, "tracking_total_keys"), 0);
}

// Keeps what it reads, as a client with a cache does.
class Cache {
 public:
  Cache(const Server& server, uint64_t seed) : tracker_(server.Connect()), random_(seed) {
    EXPECT_EQ(tracker_.Ask({"client", "tracking", "on"}), "+OK\r\n");
  }

  // Reads some keys that are not known, all at once.  Returns false if the connection is lost.
  bool Read(int keys) {
    std::vector<std::string> names;
    std::string bytes;
    for (int i = 0; i < 8; ++i) {
      const std::string name = "key:" + std::to_string(random_.Uniform(keys));
      if (!values_.contains(name)) {
        names.push_back(name);
        bytes += EncodeWords({"get", name});
      }
    }
    bytes += EncodeWords({"ping"});
    if (!tracker_.Send(bytes)) {
      return false;
    }
    for (const std::string& name : names) {
      const std::string reply = tracker_.NextReply();
      Forget();  // What came before the value.
      if (reply[0] == '$' || reply[0] == '_') {
        values_[name] = reply;
        ++reads_;
      } else if (reply[0] == '<') {
        return false;
      }
    }
    const bool answered = tracker_.NextReply()[0] != '<';
    Forget();
    return answered;
  }
  void Forget() {
    for (const std::string& push : tracker_.TakePushes()) {
      const Result<Reply> reply = ParseReply(push);
      ASSERT_TRUE(reply.ok());
      if (reply->elements[1].type != Reply::Type::kArray) {
        values_.clear();
        continue;
      }
      for (const Reply& key : reply->elements[1].elements) {
        values_.erase(key.text);
      }
    }
  }
  const std::map<std::string, std::string>& values() const { return values_; }
  int64_t reads() const { return reads_; }

 private:
  Tracker tracker_;
  Random random_;
  std::map<std::string, std::string> values_;
  int64_t reads_ = 0;
};

// Whether what is kept is what there is.
bool IsUpToDate(const Cache& cache, RespClient* admin) {
  for (const auto& [key, value] : cache.values()) {
    const Result<std::string> now = admin->Exchange(std::vector<std::string_view>{"get", key});
    if (!now.ok() || *now != (value == "_\r\n" ? "$-1\r\n" : value)) {
      return false;
    }
  }
  return true;
}

TEST_P(TrackingTest, NobodyKeepsAnOldValue) {
  constexpr int kKeys = 40;
  const int rounds = Loops(1500, 300);
  std::atomic<bool> stop{false};
  std::vector<std::thread> writers;
  for (uint64_t seed = 1; seed <= 2; ++seed) {
    writers.emplace_back([&, seed] {
      RespClient client = server().Connect();
      Random random(seed);
      while (!stop) {
        const std::string key = "key:" + std::to_string(random.Uniform(kKeys));
        const uint64_t what = random.Uniform(10);
        (void)client.Ask(what == 0   ? std::vector<std::string>{"del", key}
                         : what == 1 ? std::vector<std::string>{"set", key, "v", "px", "2"}
                                     : std::vector<std::string>{"incrbyfloat", key, "1"});
        if (!client.connected()) {
          client = server().Connect();
        }
      }
    });
  }
  Cache cache(server(), 7);
  for (int round = 0; round < rounds; ++round) {
    ASSERT_TRUE(cache.Read(kKeys));
    if (GetParam() && round == rounds / 2) {
      cluster_.node(0)->Kill();
      EXPECT_TRUE(cluster_.node(0)->Start().ok());
    }
  }
  stop = true;
  for (std::thread& writer : writers) {
    writer.join();
  }
  EXPECT_GT(cache.reads(), 100);
  RespClient admin = server().Connect();
  EXPECT_TRUE(WaitUntil(5000, [&] { return cache.Read(kKeys) && IsUpToDate(cache, &admin); }));
  // And what is kept now is told when it changes.
  for (int i = 0; i < kKeys; ++i) {
    // A loop of the proxy may still think that the node is away.
    EXPECT_TRUE(WaitUntil(5000, [&] {
      return admin.Ask({"set", "key:" + std::to_string(i), "last"}) == "OK";
    }));
  }
  EXPECT_TRUE(WaitUntil(5000, [&] {
    return cache.Read(kKeys) && !cache.values().empty() && IsUpToDate(cache, &admin);
  }));
}

}  // namespace
}  // namespace kvs
