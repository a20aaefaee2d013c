// Commands that wait for their keys: at a node with several io threads, and through a proxy before
// two nodes.

#include <gtest/gtest.h>

#include <csignal>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/strings.h"
#include "common/base/thread.h"
#include "common/resp/resp_writer.h"
#include "test_all/harness/cluster.h"
#include "test_all/harness/settings.h"
#include "test_all/harness/wait.h"

namespace kvs {
namespace {

constexpr int64_t kPatienceMs = 10'000;
constexpr std::string_view kNull = "*-1\r\n";

std::string Encoded(const std::vector<std::string>& words) {
  std::string request;
  EncodeRequest(std::vector<std::string_view>(words.begin(), words.end()), &request);
  return request;
}

void SendWords(RespClient* client, const std::vector<std::string>& words) {
  ASSERT_TRUE(client->Send(Encoded(words)).ok());
}

std::string Frame(RespClient* client) {
  const Result<std::string> frame = client->ReadFrame();
  return frame.ok() ? *frame : "<" + frame.status().ToString() + ">";
}

std::string Pair(const std::string& key, const std::string& element) {
  std::string reply;
  RespWriter writer(2, &reply);
  writer.Array(2);
  writer.Bulk(key);
  writer.Bulk(element);
  return reply;
}

std::string Bulk(std::string_view text) {
  std::string reply;
  RespWriter(2, &reply).Bulk(text);
  return reply;
}

// The parameter says whether clients go through the proxy.
class BlockingTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    ASSERT_EQ(cluster_.Start().ToString(), "ok");
    server_ = GetParam() ? cluster_.proxy() : cluster_.node(0);
    writer_ = Connect();
    for (size_t i = 0; i < cluster_.node_count(); ++i) {
      nodes_.push_back(cluster_.node(i)->Connect());
    }
  }
  RespClient Connect() const { return server_->Connect(); }
  static std::string Key(const std::string& name) { return "{wait}" + name; }
  int64_t BlockedClients() {
    int64_t blocked = 0;
    for (RespClient& node : nodes_) {
      blocked += std::max<int64_t>(InfoNumber(&node, "blocked_clients"), 0);
    }
    return blocked;
  }
  bool WaitBlocked(int64_t count) {
    return WaitUntil(kPatienceMs, [&] { return BlockedClients() == count; });
  }
  // Returns clients that have sent the request one after the other, each when the one before it was
  // known to wait.
  std::vector<RespClient> Waiting(int count, const std::vector<std::string>& words) {
    std::vector<RespClient> clients;
    const int64_t before = BlockedClients();
    for (int i = 0; i < count; ++i) {
      clients.push_back(Connect());
      SendWords(&clients.back(), words);
      EXPECT_TRUE(WaitBlocked(before + i + 1));
    }
    return clients;
  }

  Cluster cluster_{{.nodes = 2, .node_options = {"--io-threads", "4"}, .proxy_options = {}}};
  Server* server_ = nullptr;
  RespClient writer_;
  std::vector<RespClient> nodes_;
};

INSTANTIATE_TEST_SUITE_P(All, BlockingTest, testing::Bool(),
                         [](const auto& param) { return param.param ? "proxy" : "node"; });

TEST_P(BlockingTest, WhoWaitedFirstIsServedFirst) {
  std::vector<RespClient> clients = Waiting(6, {"blpop", Key("a"), Key("b"), "0"});

  EXPECT_EQ(writer_.Ask({"rpush", Key("b"), "1", "2", "3"}), "3");
  // Nobody sees what has been taken.
  EXPECT_EQ(writer_.Ask({"exists", Key("b")}), "0");
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(Frame(&clients[static_cast<size_t>(i)]), Pair(Key("b"), std::to_string(i + 1)));
  }
  EXPECT_EQ(writer_.Ask({"lpush", Key("a"), "4", "5", "6", "7"}), "4");
  for (int i = 3; i < 6; ++i) {
    EXPECT_EQ(Frame(&clients[static_cast<size_t>(i)]), Pair(Key("a"), std::to_string(10 - i)));
  }
  EXPECT_EQ(writer_.Ask({"llen", Key("a")}), "1");
  EXPECT_TRUE(WaitBlocked(0));
}

TEST_P(BlockingTest, WhatEverMakesTheKeyServesThem) {
  std::vector<RespClient> lists = Waiting(3, {"brpop", Key("l"), "0"});
  std::vector<RespClient> sets = Waiting(2, {"bzpopmin", Key("z"), "0"});

  // Behind the transaction, not within.
  EXPECT_EQ(writer_.Ask({"multi"}), "OK");
  EXPECT_EQ(writer_.Ask({"rpush", Key("l"), "x"}), "QUEUED");
  EXPECT_EQ(writer_.Ask({"llen", Key("l")}), "QUEUED");
  SendWords(&writer_, {"exec"});
  EXPECT_EQ(Frame(&writer_), "*2\r\n:1\r\n:1\r\n");
  EXPECT_EQ(Frame(&lists[0]), Pair(Key("l"), "x"));

  EXPECT_EQ(writer_.Ask({"rpush", Key("other"), "y"}), "1");
  EXPECT_EQ(writer_.Ask({"copy", Key("other"), Key("l")}), "1");
  EXPECT_EQ(Frame(&lists[1]), Pair(Key("l"), "y"));
  EXPECT_EQ(writer_.Ask({"rename", Key("other"), Key("l")}), "OK");
  EXPECT_EQ(Frame(&lists[2]), Pair(Key("l"), "y"));

  EXPECT_EQ(writer_.Ask({"zadd", Key("z"), "2.5", "m"}), "1");
  EXPECT_EQ(Frame(&sets[0]), "*3\r\n" + Bulk(Key("z")) + Bulk("m") + Bulk("2.5"));
  EXPECT_EQ(writer_.Ask({"zadd", Key("y"), "1", "n"}), "1");
  EXPECT_EQ(writer_.Ask({"zunionstore", Key("z"), "1", Key("y")}), "1");
  EXPECT_EQ(Frame(&sets[1]), "*3\r\n" + Bulk(Key("z")) + Bulk("n") + Bulk("1"));
  EXPECT_EQ(writer_.Ask({"exists", Key("l"), Key("z")}), "0");
}

TEST_P(BlockingTest, AKeyOfAnotherTypeServesNobody) {
  std::vector<RespClient> clients = Waiting(1, {"blpop", Key("k"), "0"});
  EXPECT_EQ(writer_.Ask({"set", Key("k"), "string"}), "OK");
  EXPECT_EQ(writer_.Ask({"zadd", Key("z"), "1", "m"}), "1");
  EXPECT_EQ(writer_.Ask({"rename", Key("z"), Key("k")}), "OK");
  EXPECT_EQ(BlockedClients(), 1);
  EXPECT_EQ(writer_.Ask({"del", Key("k")}), "1");
  EXPECT_EQ(writer_.Ask({"rpush", Key("k"), "v"}), "1");
  EXPECT_EQ(Frame(&clients[0]), Pair(Key("k"), "v"));
}

TEST_P(BlockingTest, WhoWaitsForAnotherTypeIsPassedBy) {
  std::vector<RespClient> lists = Waiting(1, {"blpop", Key("k"), "0"});
  std::vector<RespClient> sets = Waiting(1, {"bzpopmin", Key("k"), "0"});

  EXPECT_EQ(writer_.Ask({"zadd", Key("k"), "1", "x"}), "1");
  EXPECT_TRUE(sets[0].ReadFrame().ok());
  EXPECT_EQ(writer_.Ask({"rpush", Key("k"), "e"}), "1");
  EXPECT_EQ(Frame(&lists[0]), Pair(Key("k"), "e"));
}

TEST_P(BlockingTest, OneMoveServesTheNext) {
  std::vector<RespClient> moves = Waiting(1, {"blmove", Key("a"), Key("b"), "left", "right", "0"});
  std::vector<RespClient> old_moves = Waiting(1, {"brpoplpush", Key("b"), Key("c"), "0"});
  std::vector<RespClient> pops = Waiting(1, {"blmpop", "0", "2", Key("x"), Key("c"), "left"});
  EXPECT_EQ(writer_.Ask({"rpush", Key("a"), "v"}), "1");
  EXPECT_EQ(Frame(&moves[0]), Bulk("v"));
  EXPECT_EQ(Frame(&old_moves[0]), Bulk("v"));
  EXPECT_EQ(Frame(&pops[0]), "*2\r\n" + Bulk(Key("c")) + "*1\r\n" + Bulk("v"));
  EXPECT_EQ(writer_.Ask({"exists", Key("a"), Key("b"), Key("c")}), "0");
}

// The element stays, and the next one that waits gets it.
TEST_P(BlockingTest, AMoveThatCannotEndFailsAndTakesNothing) {
  EXPECT_EQ(writer_.Ask({"set", Key("target"), "string"}), "OK");
  std::vector<RespClient> moves =
      Waiting(1, {"blmove", Key("source"), Key("target"), "left", "right", "0"});
  std::vector<RespClient> pops = Waiting(1, {"blpop", Key("source"), "0"});
  EXPECT_EQ(writer_.Ask({"rpush", Key("source"), "v"}), "1");
  EXPECT_EQ(Frame(&moves[0]),
            "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n");
  EXPECT_EQ(Frame(&pops[0]), Pair(Key("source"), "v"));
}

TEST_P(BlockingTest, ATimeOutEndsTheWait) {
  RespClient client = Connect();
  const int64_t start = NowMillis();
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"blpop", Key("k"), "0.03"},
        {"brpop", Key("k"), Key("l"), "0.001"},
        {"blmove", Key("k"), Key("l"), "left", "left", "0.01"},
        {"brpoplpush", Key("k"), Key("l"), "0.01"},
        {"blmpop", "0.01", "1", Key("k"), "left"},
        {"bzpopmin", Key("k"), "0.01"},
        {"bzpopmax", Key("k"), "0.01"},
        {"bzmpop", "0.01", "1", Key("k"), "min"}}) {
    SendWords(&client, words);
    EXPECT_EQ(Frame(&client), kNull) << words[0];
  }
  EXPECT_GE(NowMillis() - start, 30 + 1 + 6 * 10);
  EXPECT_EQ(client.Ask({"rpush", Key("k"), "still here"}), "1");
  EXPECT_TRUE(WaitBlocked(0));
}

// Longer than any other request may take: the proxy waits with its client.
TEST_P(BlockingTest, AWaitMayBeLongerThanOtherRequests) {
  std::vector<RespClient> clients = Waiting(1, {"blpop", Key("k"), "2.5"});
  RespClient forever = Connect();
  SendWords(&forever, {"blpop", Key("f"), "0"});
  EXPECT_EQ(Frame(&clients[0]), kNull);
  EXPECT_EQ(writer_.Ask({"rpush", Key("f"), "v"}), "1");
  EXPECT_EQ(Frame(&forever), Pair(Key("f"), "v"));
}

TEST_P(BlockingTest, InsideATransactionNobodyWaits) {
  RespClient client = Connect();
  EXPECT_EQ(client.Ask({"multi"}), "OK");
  EXPECT_EQ(client.Ask({"blpop", Key("k"), "0"}), "QUEUED");
  EXPECT_EQ(client.Ask({"blmove", Key("k"), Key("l"), "left", "left", "0"}), "QUEUED");
  EXPECT_EQ(client.Ask({"bzmpop", "0", "1", Key("k"), "min"}), "QUEUED");
  EXPECT_EQ(client.Ask({"rpush", Key("k"), "v"}), "QUEUED");
  EXPECT_EQ(client.Ask({"brpop", Key("k"), "0"}), "QUEUED");
  SendWords(&client, {"exec"});
  EXPECT_EQ(Frame(&client), "*5\r\n*-1\r\n$-1\r\n*-1\r\n:1\r\n" + Pair(Key("k"), "v"));
}

TEST_P(BlockingTest, WhatFollowsWaitsToo) {
  RespClient client = Connect();
  ASSERT_TRUE(client
                  .Send(Encoded({"set", Key("before"), "1"}) + Encoded({"blpop", Key("k"), "0"}) +
                        Encoded({"incr", Key("before")}))
                  .ok());
  EXPECT_EQ(Frame(&client), "+OK\r\n");
  ASSERT_TRUE(WaitBlocked(1));
  SendWords(&client, {"get", Key("before")});
  EXPECT_EQ(writer_.Ask({"get", Key("before")}), "\"1\"");
  EXPECT_EQ(writer_.Ask({"rpush", Key("k"), "v"}), "1");
  EXPECT_EQ(Frame(&client), Pair(Key("k"), "v"));
  EXPECT_EQ(Frame(&client), ":2\r\n");
  EXPECT_EQ(Frame(&client), "$1\r\n2\r\n");
}

TEST_P(BlockingTest, AClientIsUnblocked) {
  RespClient client = Connect();
  const std::string id = client.Ask({"client", "id"});
  EXPECT_EQ(writer_.Ask({"client", "unblock", id}), "0");
  for (const std::string reason : {"", "timeout", "error"}) {
    SendWords(&client, {"blpop", Key("k"), "0"});
    ASSERT_TRUE(WaitBlocked(1));
    std::vector<std::string> words = {"client", "unblock", id};
    if (!reason.empty()) {
      words.push_back(reason);
    }
    EXPECT_EQ(writer_.Ask(words), "1");
    EXPECT_EQ(Frame(&client),
              reason == "error" ? "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n" : kNull);
  }
  EXPECT_EQ(writer_.Ask({"client", "unblock", id}), "0");
  EXPECT_EQ(writer_.Ask({"client", "unblock", "1000000"}), "0");
  EXPECT_EQ(client.Ask({"ping"}), "PONG");
}

TEST_P(BlockingTest, WhoIsGoneTakesNothing) {
  {
    std::vector<RespClient> clients = Waiting(3, {"blpop", Key("k"), "0"});
    // One has sent more, one has only closed its side.
    SendWords(&clients[1], {"ping"});
    clients[2].FinishSending();
    EXPECT_TRUE(WaitBlocked(2));
  }
  EXPECT_TRUE(WaitBlocked(0));
  EXPECT_EQ(writer_.Ask({"rpush", Key("k"), "v"}), "1");
  EXPECT_EQ(writer_.Ask({"llen", Key("k")}), "1");
}

TEST_P(BlockingTest, AKilledClientWaitsNoMore) {
  std::vector<RespClient> clients = Waiting(1, {"blpop", Key("k"), "0"});
  SendWords(&writer_, {"client", "list"});
  const Result<std::string> list = writer_.ReadFrame();
  ASSERT_TRUE(list.ok());
  EXPECT_NE(list->find(" flags=b "), std::string::npos) << *list;
  EXPECT_EQ(InfoNumber(&writer_, "blocked_clients"), 1);
  EXPECT_EQ(writer_.Ask({"client", "kill", "type", "normal", "skipme", "yes"}).substr(0, 1) == "0",
            false);
  EXPECT_TRUE(WaitUntil(kPatienceMs, [&] {
    RespClient node = cluster_.node(cluster_.OwnerOf(Key("k")))->Connect();
    RespClient other = cluster_.node(0)->Connect();
    return InfoNumber(&node, "blocked_clients") + InfoNumber(&other, "blocked_clients") == 0;
  }));
}

// Producers and consumers on all loops: each element is taken once, and by somebody.
TEST_P(BlockingTest, NothingIsLostAndNothingTakenTwice) {
  constexpr int kProducers = 3;
  constexpr int kConsumers = 8;
  const int count = Loops(1500, 150);
  Mutex mu;
  std::multiset<std::string> taken;
  std::vector<std::unique_ptr<Thread>> threads;
  for (int i = 0; i < kConsumers; ++i) {
    threads.push_back(std::make_unique<Thread>("consumer", [&, i] {
      RespClient client = Connect();
      client.set_timeout_ms(60'000);
      const std::string mine = Key("done" + std::to_string(i));
      while (true) {
        const Result<Reply> reply =
            i % 2 == 0 ? client.Do({"blpop", Key("a"), Key("b"), Key("end"), "0"})
                       : client.Do({"blmpop", "0", "3", Key("b"), Key("a"), Key("end"), "right"});
        ASSERT_TRUE(reply.ok() && reply->elements.size() == 2) << reply->ToString();
        if (reply->elements[0].text == Key("end")) {
          return;
        }
        const Reply& element = reply->elements[1];
        const MutexLock lock(&mu);
        taken.insert(i % 2 == 0 ? element.text : element.elements[0].text);
      }
    }));
  }
  std::vector<std::unique_ptr<Thread>> producers;
  for (int p = 0; p < kProducers; ++p) {
    producers.push_back(std::make_unique<Thread>("producer", [&, p] {
      RespClient client = Connect();
      for (int i = 0; i < count; ++i) {
        const std::string element = std::to_string(p) + ":" + std::to_string(i);
        const std::string key = Key(i % 3 == 0 ? "a" : "b");
        ASSERT_TRUE(client.Do({i % 2 == 0 ? "rpush" : "lpush", key, element}).ok());
      }
    }));
  }
  for (const auto& thread : producers) {
    thread->Join();
  }
  EXPECT_TRUE(WaitBlocked(kConsumers));
  for (int i = 0; i < kConsumers; ++i) {
    EXPECT_NE(writer_.Ask({"rpush", Key("end"), "x"}), "");
  }
  for (const auto& thread : threads) {
    thread->Join();
  }
  EXPECT_EQ(taken.size(), static_cast<size_t>(kProducers * count));
  EXPECT_EQ(std::set<std::string>(taken.begin(), taken.end()).size(), taken.size());
  EXPECT_EQ(writer_.Ask({"exists", Key("a"), Key("b"), Key("end")}), "0");
}

// Nothing is taken: all that wait get what is new.
TEST_P(BlockingTest, AnEntryServesAllThatWaitForTheStream) {
  EXPECT_EQ(writer_.Ask({"xadd", Key("s"), "1", "f", "old"}), "\"1-0\"");
  std::vector<RespClient> latest =
      Waiting(2, {"xread", "block", "0", "streams", Key("other"), Key("s"), "$", "$"});
  std::vector<RespClient> later =
      Waiting(1, {"xread", "count", "1", "BLOCK", "0", "streams", Key("s"), "2-0"});
  EXPECT_EQ(writer_.Ask({"xadd", Key("s"), "2", "f", "v"}), "\"2-0\"");
  const auto reply = [](const std::string& id, const std::string& value) {
    return "*1\r\n*2\r\n" + Bulk(Key("s")) + "*1\r\n*2\r\n" + Bulk(id) + "*2\r\n" + Bulk("f") +
           Bulk(value);
  };
  EXPECT_EQ(Frame(&latest[0]), reply("2-0", "v"));
  EXPECT_EQ(Frame(&latest[1]), reply("2-0", "v"));
  EXPECT_TRUE(WaitBlocked(1));
  EXPECT_EQ(writer_.Ask({"xadd", Key("s"), "3", "f", "w"}), "\"3-0\"");
  EXPECT_EQ(Frame(&later[0]), reply("3-0", "w"));
  SendWords(&later[0], {"xread", "block", "10", "streams", Key("s"), "$"});
  EXPECT_EQ(Frame(&later[0]), kNull);
}

std::string EntryOf(const std::string& key, const std::string& id, const std::string& value) {
  return "*1\r\n*2\r\n" + Bulk(key) + "*1\r\n*2\r\n" + Bulk(id) + "*2\r\n" + Bulk("f") +
         Bulk(value);
}

TEST_P(BlockingTest, ClientsOfAGroupGetDifferentEntriesInTurn) {
  const std::string s = Key("s");
  EXPECT_EQ(writer_.Ask({"xgroup", "create", s, "g", "0", "mkstream"}), "OK");
  EXPECT_EQ(writer_.Ask({"xgroup", "create", s, "h", "$"}), "OK");
  std::vector<RespClient> crew = Waiting(
      3, {"xreadgroup", "group", "g", "ann", "count", "1", "block", "0", "streams", s, ">"});
  std::vector<RespClient> other = Waiting(
      1, {"xreadgroup", "group", "h", "bob", "BLOCK", "0", "noack", "streams", Key("s"), ">"});
  for (size_t i = 0; i < crew.size(); ++i) {
    const std::string id = std::to_string(i + 1);
    EXPECT_EQ(writer_.Ask({"xadd", s, id, "f", "v" + id}), "\"" + id + "-0\"");
    EXPECT_EQ(Frame(&crew[i]), EntryOf(s, id + "-0", "v" + id));
  }
  EXPECT_EQ(Frame(&other[0]), EntryOf(s, "1-0", "v1"));
  EXPECT_TRUE(WaitBlocked(0));
  EXPECT_EQ(writer_.Ask({"xack", s, "g", "1", "2", "3"}), "3");
  EXPECT_EQ(writer_.Ask({"xack", s, "h", "1"}), "0");
  // One transaction adds two: each goes to one of those that wait.
  crew = Waiting(
      2, {"xreadgroup", "group", "g", "ann", "count", "1", "block", "0", "streams", s, ">"});
  EXPECT_EQ(writer_.Ask({"multi"}), "OK");
  EXPECT_EQ(writer_.Ask({"xadd", s, "4", "f", "v4"}), "QUEUED");
  EXPECT_EQ(writer_.Ask({"xadd", s, "5", "f", "v5"}), "QUEUED");
  EXPECT_NE(writer_.Ask({"exec"}), "");
  EXPECT_EQ(Frame(&crew[0]), EntryOf(s, "4-0", "v4"));
  EXPECT_EQ(Frame(&crew[1]), EntryOf(s, "5-0", "v5"));
  SendWords(&crew[0], {"xreadgroup", "group", "g", "cid", "block", "10", "streams", s, ">"});
  EXPECT_EQ(Frame(&crew[0]), kNull);
}

TEST_P(BlockingTest, WhoeverWaitsForAGroupHearsOfItsEnd) {
  const std::string s = Key("s");
  const std::string no_group =
      "-NOGROUP No such key '" + s + "' or consumer group 'g' in XREADGROUP with GROUP option\r\n";
  const std::string wrong_type =
      "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
  const std::vector<std::pair<std::vector<std::string>, std::string>> ends = {
      {{"xgroup", "destroy", s, "g"}, no_group},
      {{"del", s}, no_group},
      {{"rename", s, Key("other")}, no_group},
      {{"set", s, "x"}, wrong_type},
      {{"pexpire", s, "-1"}, no_group},
      {{"pexpire", s, "30"}, no_group},
      {{"flushall"}, no_group}};
  for (const auto& [words, error] : ends) {
    writer_.Ask({"del", s});
    std::vector<RespClient> list = Waiting(1, {"blpop", s, "0"});
    EXPECT_EQ(writer_.Ask({"xgroup", "create", s, "g", "0", "mkstream"}), "OK");
    EXPECT_EQ(writer_.Ask({"xgroup", "create", s, "stays", "0"}), "OK");
    std::vector<RespClient> crew =
        Waiting(2, {"xreadgroup", "group", "g", "ann", "block", "0", "streams", s, ">"});
    writer_.Ask(words);
    EXPECT_EQ(Frame(&crew[0]), error) << words[0];
    EXPECT_EQ(Frame(&crew[1]), error) << words[0];
    EXPECT_TRUE(WaitBlocked(1));
    writer_.Ask({"del", s});
    EXPECT_EQ(writer_.Ask({"rpush", s, "1"}), "1");
    EXPECT_EQ(Frame(&list[0]), Pair(s, "1"));
    EXPECT_TRUE(WaitBlocked(0));
  }
}

TEST_P(BlockingTest, AGroupOfSeveralStreamsWaitsForAny) {
  for (const char* name : {"a", "b"}) {
    EXPECT_EQ(writer_.Ask({"xgroup", "create", Key(name), "g", "0", "mkstream"}), "OK");
  }
  std::vector<RespClient> crew = Waiting(3, {"xreadgroup", "group", "g", "ann", "block", "0",
                                             "streams", Key("a"), Key("b"), ">", ">"});
  EXPECT_EQ(writer_.Ask({"xadd", Key("b"), "1", "f", "v"}), "\"1-0\"");
  EXPECT_EQ(Frame(&crew[0]), EntryOf(Key("b"), "1-0", "v"));
  EXPECT_EQ(writer_.Ask({"xadd", Key("a"), "2", "f", "w"}), "\"2-0\"");
  EXPECT_EQ(Frame(&crew[1]), EntryOf(Key("a"), "2-0", "w"));
  EXPECT_TRUE(WaitBlocked(1));
  EXPECT_EQ(writer_.Ask({"xgroup", "delconsumer", Key("a"), "g", "ann"}), "1");
  EXPECT_EQ(writer_.Ask({"del", Key("b")}), "1");
  EXPECT_EQ(Frame(&crew[2]).substr(0, 8), "-NOGROUP");
}

class ProxyBlockingTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(cluster_.Start().ToString(), "ok"); }
  bool WaitBlocked(size_t node, int64_t count) {
    RespClient client = cluster_.node(node)->Connect();
    return WaitUntil(kPatienceMs, [&] { return InfoNumber(&client, "blocked_clients") == count; });
  }

  Cluster cluster_{
      {.nodes = 2, .node_options = {"--io-threads", "2"}, .proxy_options = {"--io-threads", "1"}}};
};

TEST_F(ProxyBlockingTest, KeysMustShareASlot) {
  RespClient client = cluster_.proxy()->Connect();
  const std::string error = "-CROSSSLOT Keys in request don't hash to the same slot\r\n";
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"blpop", "a", "b", "0"},
        {"blmove", "a", "b", "left", "left", "0"},
        {"xreadgroup", "group", "g", "c", "block", "0", "streams", "a", "b", ">", ">"},
        {"bzmpop", "0", "2", "a", "b", "min"}}) {
    SendWords(&client, words);
    EXPECT_EQ(Frame(&client), error) << words[0];
  }
  EXPECT_EQ(client.Ask({"ping"}), "PONG");
}

TEST_F(ProxyBlockingTest, ANodeThatDiesEndsTheWaitWithAnError) {
  const std::string key = cluster_.KeyOn(1, "k");
  RespClient client = cluster_.proxy()->Connect();
  SendWords(&client, {"blpop", key, "0"});
  ASSERT_TRUE(WaitBlocked(1, 1));
  cluster_.node(1)->Kill();
  EXPECT_EQ(Frame(&client).substr(0, 1), "-");
  EXPECT_EQ(client.Ask({"ping"}), "PONG");
}

// It is known to be late only when the wait should be over.
TEST_F(ProxyBlockingTest, AHungNodeEndsTheWaitWhenItsTimeIsUp) {
  const std::string key = cluster_.KeyOn(1, "k");
  RespClient client = cluster_.proxy()->Connect();
  SendWords(&client, {"blpop", key, "1.5"});
  ASSERT_TRUE(WaitBlocked(1, 1));
  ASSERT_TRUE(cluster_.node(1)->process()->Pause().ok());
  const int64_t start = NowMillis();
  EXPECT_EQ(Frame(&client).substr(0, 12), "-ERR timeout");
  EXPECT_GE(NowMillis() - start, 1000);
  EXPECT_EQ(client.Ask({"ping"}), "PONG");
  cluster_.node(1)->process()->Signal(SIGCONT);
}

// One link does for many commands, one after the other, and is fit for them whatever they got.
TEST_F(ProxyBlockingTest, ALinkIsGivenBack) {
  const std::string key = cluster_.KeyOn(1, "k");
  RespClient node = cluster_.node(1)->Connect();
  RespClient client = cluster_.proxy()->Connect();
  SendWords(&client, {"blpop", key, "0.01"});
  EXPECT_EQ(Frame(&client), kNull);
  const int64_t before = InfoNumber(&node, "total_connections_received");
  for (int i = 0; i < 20; ++i) {
    SendWords(&client, {"blpop", key, "0.001"});
    EXPECT_EQ(Frame(&client), kNull);
    RespClient other = cluster_.proxy()->Connect();
    EXPECT_EQ(other.Ask({"rpush", key, "v"}), "1");
    SendWords(&other, {"brpop", key, "0"});
    EXPECT_EQ(Frame(&other), Pair(key, "v"));
    SendWords(&other, {"brpop", key, "x"});
    EXPECT_EQ(Frame(&other), "-ERR timeout is not a float or out of range\r\n");
  }
  EXPECT_EQ(InfoNumber(&node, "total_connections_received"), before);
}

// Commands that wait take nothing away from what is watched.
TEST_F(ProxyBlockingTest, AWaitBetweenWatchAndExec) {
  const std::string key = cluster_.KeyOn(1, "k");
  RespClient client = cluster_.proxy()->Connect();
  for (const bool changes : {false, true}) {
    EXPECT_EQ(client.Ask({"watch", key}), "OK");
    SendWords(&client, {"blpop", "{" + key + "}none", "0.01"});
    EXPECT_EQ(Frame(&client), kNull);
    if (changes) {
      RespClient other = cluster_.proxy()->Connect();
      EXPECT_EQ(other.Ask({"set", key, "1"}), "OK");
    }
    EXPECT_EQ(client.Ask({"multi"}), "OK");
    EXPECT_EQ(client.Ask({"exists", key}), "QUEUED");
    SendWords(&client, {"exec"});
    EXPECT_EQ(Frame(&client), changes ? "*-1\r\n" : "*1\r\n:0\r\n");
  }
}

}  // namespace
}  // namespace kvs
