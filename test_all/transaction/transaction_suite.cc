// Transactions of several clients at once: of a node with several io threads and of a proxy before
// two nodes.

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "common/base/random.h"
#include "common/base/strings.h"
#include "common/base/thread.h"
#include "test_all/harness/cluster.h"
#include "test_all/harness/settings.h"
#include "test_all/harness/wait.h"

namespace kvs {
namespace {

constexpr int kClients = 4;

int64_t NumberAt(const Reply& reply) {
  int64_t number = 0;
  return ParseInt64(reply.text, &number) ? number : -1;
}

// The parameter says whether clients go through the proxy.
class TransactionTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    ASSERT_EQ(cluster_.Start().ToString(), "ok");
    server_ = GetParam() ? cluster_.proxy() : cluster_.node(0);
  }
  RespClient Connect() const { return server_->Connect(); }
  // A node alone has all slots; the proxy's keys are on one of two.
  static std::string Key(const std::string& name) { return "{tx}" + name; }

  // Runs `body(client, i)` in as many threads as there are clients.
  template <typename Body>
  void InParallel(int clients, Body body) {
    std::vector<std::unique_ptr<Thread>> threads;
    for (int i = 0; i < clients; ++i) {
      threads.push_back(std::make_unique<Thread>("client", [this, i, body] {
        RespClient client = Connect();
        body(&client, i);
      }));
    }
    for (const auto& thread : threads) {
      thread->Join();
    }
  }

  Cluster cluster_{{.nodes = 2, .node_options = {"--io-threads", "4"}, .proxy_options = {}}};
  Server* server_ = nullptr;
};

INSTANTIATE_TEST_SUITE_P(All, TransactionTest, testing::Bool(),
                         [](const auto& param) { return param.param ? "proxy" : "node"; });

TEST_P(TransactionTest, WatchedCountersLoseNoStep) {
  const std::string key = Key("counter");
  const int steps = Loops(500, 60);
  std::atomic<int> refused{0};
  InParallel(kClients, [&](RespClient* client, int /*i*/) {
    for (int done = 0; done < steps;) {
      ASSERT_EQ(client->Ask({"watch", key}), "OK");
      const Result<Reply> value = client->Do({"get", key});
      ASSERT_TRUE(value.ok());
      const int64_t next = (value->is_null() ? 0 : NumberAt(*value)) + 1;
      ASSERT_EQ(client->Ask({"multi"}), "OK");
      ASSERT_EQ(client->Ask({"set", key, std::to_string(next)}), "QUEUED");
      const Result<Reply> result = client->Do({"exec"});
      ASSERT_TRUE(result.ok() && !result->is_error()) << result->ToString();
      if (result->is_null()) {
        ++refused;
      } else {
        ++done;
      }
    }
  });
  RespClient client = Connect();
  EXPECT_EQ(client.Do({"get", key})->text, std::to_string(kClients * steps));
  EXPECT_GT(refused, 0) << "the clients have never met";
}

// Whoever sees a part of a transaction sees all of it, without any lock of its own.
TEST_P(TransactionTest, NobodySeesAPartOfATransaction) {
  const std::string first = Key("first");
  const std::string second = Key("second");
  const std::string third = Key("third");
  const int rounds = Loops(3000, 300);
  std::atomic<bool> stop{false};
  RespClient setup = Connect();
  ASSERT_EQ(setup.Ask({"mset", first, "0", second, "0", third, "0"}), "OK");
  Thread writer("writer", [&] {
    RespClient client = Connect();
    for (int n = 1; n <= rounds; ++n) {
      const std::string value = std::to_string(n);
      ASSERT_EQ(client.Ask({"multi"}), "OK");
      ASSERT_EQ(client.Ask({"set", first, value}), "QUEUED");
      ASSERT_EQ(client.Ask({"hset", Key("between"), value, std::string(300, 'x')}), "QUEUED");
      ASSERT_EQ(client.Ask({"set", second, value}), "QUEUED");
      ASSERT_EQ(client.Ask({"set", third, value}), "QUEUED");
      ASSERT_FALSE(client.Do({"exec"})->is_error());
    }
    stop = true;
  });
  InParallel(2, [&](RespClient* client, int i) {
    while (!stop) {
      if (i == 0) {
        const Result<Reply> all = client->Do({"mget", first, second, third});
        ASSERT_EQ(all->elements.size(), 3U);
        EXPECT_EQ(all->elements[0].text, all->elements[1].text);
        EXPECT_EQ(all->elements[0].text, all->elements[2].text);
        continue;
      }
      // One after the other: a later one is never older.
      const int64_t one = NumberAt(*client->Do({"get", first}));
      const int64_t two = NumberAt(*client->Do({"get", second}));
      const int64_t three = NumberAt(*client->Do({"get", third}));
      EXPECT_LE(one, two);
      EXPECT_LE(two, three);
      const Result<std::vector<std::string>> pipeline = client->Pipeline(
          EncodeWords({"get", third}) + EncodeWords({"get", second}) + EncodeWords({"get", first}),
          3);
      ASSERT_TRUE(pipeline.ok());
      const auto number = [&](size_t at) {
        int64_t value = -1;
        EXPECT_TRUE(ParseInt64(TrimSpaces(Split((*pipeline)[at], '\n')[1]), &value));
        return value;
      };
      EXPECT_LE(number(0), number(1));
      EXPECT_LE(number(1), number(2));
    }
  });
  writer.Join();
}

TEST_P(TransactionTest, AnotherClientsWriteEndsAWatch) {
  RespClient watcher = Connect();
  RespClient other = Connect();
  const std::string key = Key("watched");
  ASSERT_EQ(watcher.Ask({"watch", key}), "OK");
  ASSERT_EQ(other.Ask({"set", key, "1"}), "OK");
  ASSERT_EQ(watcher.Ask({"multi"}), "OK");
  ASSERT_EQ(watcher.Ask({"set", key, "2"}), "QUEUED");
  EXPECT_TRUE(watcher.Do({"exec"})->is_null());
  EXPECT_EQ(other.Do({"get", key})->text, "1");
  // A write of a key that is not watched is none of its business.
  ASSERT_EQ(watcher.Ask({"watch", key}), "OK");
  ASSERT_EQ(other.Ask({"set", Key("another"), "1"}), "OK");
  ASSERT_EQ(watcher.Ask({"multi"}), "OK");
  ASSERT_EQ(watcher.Ask({"set", key, "2"}), "QUEUED");
  EXPECT_EQ(watcher.Do({"exec"})->elements.size(), 1U);
}

TEST_P(TransactionTest, AFlushIsAChangeOfWhatWasThere) {
  RespClient watcher = Connect();
  RespClient other = Connect();
  ASSERT_EQ(other.Ask({"set", Key("there"), "1"}), "OK");
  ASSERT_EQ(watcher.Ask({"watch", Key("there")}), "OK");
  ASSERT_EQ(other.Ask({"flushall"}), "OK");
  ASSERT_EQ(watcher.Ask({"multi"}), "OK");
  EXPECT_TRUE(watcher.Do({"exec"})->is_null());
  ASSERT_EQ(watcher.Ask({"watch", Key("there")}), "OK");
  ASSERT_EQ(other.Ask({"flushall"}), "OK");
  ASSERT_EQ(watcher.Ask({"multi"}), "OK");
  EXPECT_FALSE(watcher.Do({"exec"})->is_null()) << "it was missing before, too";
}

TEST_P(TransactionTest, AKeyWhoseTimeComesHasChanged) {
  RespClient client = Connect();
  const std::string key = Key("short");
  ASSERT_EQ(client.Ask({"set", key, "1", "px", "30"}), "OK");
  ASSERT_EQ(client.Ask({"watch", key}), "OK");
  RespClient other = Connect();
  ASSERT_TRUE(WaitUntil(5000, [&] { return other.Do({"exists", key})->integer == 0; }));
  ASSERT_EQ(client.Ask({"multi"}), "OK");
  EXPECT_TRUE(client.Do({"exec"})->is_null());
}

TEST_P(TransactionTest, WhatAClientLeavesBehindDoesNotMatter) {
  for (int i = 0; i < 20; ++i) {
    RespClient client = Connect();
    ASSERT_EQ(client.Ask({"watch", Key("left")}), "OK");
    ASSERT_EQ(client.Ask({"multi"}), "OK");
    ASSERT_EQ(client.Ask({"set", Key("left"), "1"}), "QUEUED");
  }
  RespClient client = Connect();
  EXPECT_TRUE(client.Do({"get", Key("left")})->is_null());
  EXPECT_EQ(client.Ask({"exec"}), "(error) \"ERR EXEC without MULTI\"");
}

TEST_P(TransactionTest, AWholeTransactionInOneWrite) {
  RespClient client = Connect();
  std::string bytes;
  const int rounds = Loops(200, 20);
  for (int i = 0; i < rounds; ++i) {
    bytes += EncodeWords({"set", Key("p"), std::to_string(i)}) + EncodeWords({"watch", Key("p")}) +
             EncodeWords({"get", Key("p")}) + EncodeWords({"multi"}) +
             EncodeWords({"incr", Key("p")}) + EncodeWords({"ping"}) + EncodeWords({"exec"}) +
             EncodeWords({"get", Key("p")});
  }
  const Result<std::vector<std::string>> replies =
      client.Pipeline(bytes, static_cast<size_t>(rounds) * 8);
  ASSERT_TRUE(replies.ok()) << replies.status().ToString();
  for (int i = 0; i < rounds; ++i) {
    const auto at = static_cast<size_t>(i) * 8;
    const std::string next = std::to_string(i + 1);
    EXPECT_EQ((*replies)[at + 6], "*2\r\n:" + next + "\r\n+PONG\r\n");
    EXPECT_EQ((*replies)[at + 7], "$" + std::to_string(next.size()) + "\r\n" + next + "\r\n");
  }
}

TEST_P(TransactionTest, AFlushInATransactionIsAPartOfIt) {
  if (GetParam()) {
    RespClient client = Connect();
    ASSERT_EQ(client.Ask({"multi"}), "OK");
    EXPECT_EQ(client.Ask({"flushall"}),
              "(error) \"ERR flushall inside a transaction may need another node, but a "
              "transaction runs at one\"");
    EXPECT_EQ(client.Ask({"exec"}),
              "(error) \"EXECABORT Transaction discarded because of previous errors.\"");
    return;
  }
  RespClient client = Connect();
  ASSERT_EQ(client.Ask({"set", "old", "1"}), "OK");
  ASSERT_EQ(client.Ask({"multi"}), "OK");
  ASSERT_EQ(client.Ask({"set", "a", "1"}), "QUEUED");
  ASSERT_EQ(client.Ask({"flushall"}), "QUEUED");
  ASSERT_EQ(client.Ask({"set", "b", "1"}), "QUEUED");
  ASSERT_EQ(client.Ask({"keys", "*"}), "QUEUED");
  ASSERT_EQ(client.Ask({"dbsize"}), "QUEUED");
  EXPECT_EQ(client.Ask({"exec"}), "[OK, OK, OK, [\"b\"], 1]");
}

TEST_P(TransactionTest, AKilledNodeHasAllOfATransactionOrNothing) {
  const int rounds = Loops(10, 3);
  Server* const node = cluster_.node(GetParam() ? cluster_.OwnerOf(Key("")) : 0);
  for (int round = 0; round < rounds; ++round) {
    std::atomic<int64_t> acknowledged{0};
    std::atomic<bool> stop{false};
    Thread writer("writer", [&] {
      RespClient client = Connect();
      while (!stop && client.connected()) {
        (void)client.Do({"multi"});
        (void)client.Do({"incr", Key("a")});
        (void)client.Do({"hincrby", Key("h"), "f", "1"});
        (void)client.Do({"incr", Key("b")});
        const Result<Reply> result = client.Do({"exec"});
        // The proxy's loop of this connection may still have to find the node again.
        if (result.ok() && result->elements.size() == 3) {
          acknowledged = result->elements[0].integer;
        }
      }
    });
    const int64_t before = acknowledged;
    EXPECT_TRUE(WaitUntil(20'000, [&] { return acknowledged > before + 100; }));
    node->Kill();
    stop = true;
    writer.Join();
    ASSERT_EQ(node->Start().ToString(), "ok");
    RespClient client = Connect();
    if (GetParam()) {
      ASSERT_TRUE(cluster_.WaitServing(&client));
    }
    const std::string a = client.Do({"get", Key("a")})->text;
    EXPECT_EQ(client.Do({"get", Key("b")})->text, a);
    EXPECT_EQ(client.Do({"hget", Key("h"), "f"})->text, a);
    int64_t counted = 0;
    ASSERT_TRUE(ParseInt64(a, &counted));
    EXPECT_GE(counted, acknowledged);
  }
}

class ProxyTransactionTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(cluster_.Start().ToString(), "ok"); }
  Cluster cluster_{{.nodes = 2, .node_options = {}, .proxy_options = {}}};
};

TEST_F(ProxyTransactionTest, KeysOfSeveralSlotsAreRefusedBeforeAnythingIsSent) {
  RespClient client = cluster_.proxy()->Connect();
  const std::string here = cluster_.KeyOn(0, "here");
  const std::string there = cluster_.KeyOn(1, "there");
  ASSERT_EQ(client.Ask({"multi"}), "OK");
  ASSERT_EQ(client.Ask({"set", here, "1"}), "QUEUED");
  ASSERT_EQ(client.Ask({"set", there, "1"}), "QUEUED");
  EXPECT_EQ(client.Ask({"exec"}),
            "(error) \"CROSSSLOT Keys in request don't hash to the same slot\"");
  EXPECT_EQ(client.Do({"exists", here, there})->integer, 0);
  EXPECT_EQ(client.Ask({"exec"}), "(error) \"ERR EXEC without MULTI\"");
  EXPECT_EQ(client.Ask({"watch", here, there}),
            "(error) \"CROSSSLOT Keys in request don't hash to the same slot\"");
  ASSERT_EQ(client.Ask({"watch", here}), "OK");
  EXPECT_EQ(client.Ask({"watch", there}),
            "(error) \"CROSSSLOT Keys in request don't hash to the same slot\"");
  ASSERT_EQ(client.Ask({"multi"}), "OK");
  ASSERT_EQ(client.Ask({"set", there, "1"}), "QUEUED");
  EXPECT_EQ(client.Ask({"exec"}),
            "(error) \"CROSSSLOT Keys in request don't hash to the same slot\"");
}

TEST_F(ProxyTransactionTest, ANodeThatWasAwayMeansThatAWatchedKeyMayHaveChanged) {
  RespClient client = cluster_.proxy()->Connect();
  const std::string key = cluster_.KeyOn(0, "watched");
  ASSERT_EQ(client.Ask({"watch", key}), "OK");
  cluster_.node(0)->Kill();
  ASSERT_EQ(cluster_.node(0)->Start().ToString(), "ok");
  ASSERT_TRUE(cluster_.WaitServing(&client));
  ASSERT_EQ(client.Ask({"multi"}), "OK");
  ASSERT_EQ(client.Ask({"set", key, "1"}), "QUEUED");
  EXPECT_TRUE(client.Do({"exec"})->is_null());
  EXPECT_TRUE(client.Do({"get", key})->is_null());
}

TEST_F(ProxyTransactionTest, ATransactionWithoutKeysNeedsNoNode) {
  RespClient client = cluster_.proxy()->Connect();
  cluster_.node(0)->Kill();
  cluster_.node(1)->Kill();
  ASSERT_EQ(client.Ask({"multi"}), "OK");
  ASSERT_EQ(client.Ask({"ping"}), "QUEUED");
  EXPECT_EQ(client.Ask({"exec"}), "[PONG]");
  ASSERT_EQ(client.Ask({"multi"}), "OK");
  ASSERT_EQ(client.Ask({"set", "a", "1"}), "QUEUED");
  EXPECT_TRUE(client.Do({"exec"})->is_error());
  EXPECT_EQ(client.Ask({"ping"}), "PONG");
}

TEST_F(ProxyTransactionTest, AWaitAtAnotherNodeEndsAWatch) {
  RespClient client = cluster_.proxy()->Connect();
  RespClient other = cluster_.proxy()->Connect();
  const std::string key = cluster_.KeyOn(0, "watched");
  const std::string list = cluster_.KeyOn(1, "list");
  ASSERT_EQ(client.Ask({"watch", key}), "OK");
  ASSERT_EQ(other.Ask({"rpush", list, "e"}), "1");
  ASSERT_EQ(client.Ask({"blpop", list, "0"}), "[\"" + list + "\", \"e\"]");
  ASSERT_EQ(other.Ask({"set", key, "theirs"}), "OK");
  ASSERT_EQ(client.Ask({"multi"}), "OK");
  ASSERT_EQ(client.Ask({"set", key, "mine"}), "QUEUED");
  EXPECT_TRUE(client.Do({"exec"})->is_null());
  EXPECT_EQ(client.Do({"get", key})->text, "theirs");
}

// The error is the waiting command's own: the watch stays, and stays with its client.
TEST_F(ProxyTransactionTest, AWaitThatFailsIsNoChangeOfWhatIsWatched) {
  RespClient other = cluster_.proxy()->Connect();
  ASSERT_EQ(other.Ask({"set", "{a}text", "v"}), "OK");
  for (int i = 0; i < 5; ++i) {
    RespClient client = cluster_.proxy()->Connect();
    ASSERT_EQ(client.Ask({"watch", "{a}k"}), "OK");
    ASSERT_TRUE(client.Do({"blpop", "{a}text", "1"})->is_error());
    ASSERT_EQ(client.Ask({"multi"}), "OK");
    ASSERT_EQ(client.Ask({"incr", "{a}n"}), "QUEUED");
    EXPECT_EQ(client.Ask({"exec"}), "[" + std::to_string(i + 1) + "]");
  }
  ASSERT_EQ(other.Ask({"set", "{a}k", "v"}), "OK");
  for (int i = 0; i < 20; ++i) {
    RespClient client = cluster_.proxy()->Connect();
    ASSERT_EQ(client.Ask({"watch", "{a}untouched"}), "OK");
    ASSERT_EQ(client.Ask({"multi"}), "OK");
    ASSERT_EQ(client.Ask({"exec"}), "[]") << i;
  }
}

// A sum of what SORT reads by a pattern never shows half of a transaction, inside one or alone.
TEST_P(TransactionTest, SortReadsByAPatternAtOneMoment) {
  RespClient setup = Connect();
  ASSERT_EQ(setup.Ask({"rpush", Key("list"), "a", "b", "c"}), "3");
  ASSERT_EQ(setup.Ask({"mset", Key("w_a"), "100", Key("w_b"), "0", Key("w_c"), "0"}), "OK");
  std::atomic<int> sorted{0};
  InParallel(kClients, [&](RespClient* client, int i) {
    const std::vector<std::string> sort = {"sort", Key("list"), "by", "nosort", "get", Key("w_*")};
    for (int round = 0; round < 200; ++round) {
      if (i < 2) {
        const std::string from = Key(i == 0 ? "w_a" : "w_b");
        EXPECT_EQ(client->Ask({"multi"}), "OK");
        EXPECT_EQ(client->Ask({"decrby", from, "1"}), "QUEUED");
        EXPECT_EQ(client->Ask({"incrby", Key("w_c"), "1"}), "QUEUED");
        EXPECT_TRUE(client->Do({"exec"}).ok());
        continue;
      }
      const bool inside = i == 2;
      if (inside) {
        EXPECT_EQ(client->Ask({"multi"}), "OK");
        EXPECT_EQ(client->Ask(sort), "QUEUED");
      }
      Result<Reply> reply = inside ? client->Do({"exec"}) : client->Do(sort);
      ASSERT_TRUE(reply.ok());
      const Reply& values = inside ? reply->elements.at(0) : *reply;
      ASSERT_EQ(values.elements.size(), 3U) << values.ToString();
      int64_t sum = 0;
      for (const Reply& value : values.elements) {
        int64_t number = 0;
        EXPECT_TRUE(ParseInt64(value.text, &number)) << values.ToString();
        sum += number;
      }
      EXPECT_EQ(sum, 100) << values.ToString();
      ++sorted;
    }
  });
  EXPECT_EQ(sorted, 400);
}

TEST_P(TransactionTest, SortOfOtherSlotsIsRefusedWhereTheyMayBeElsewhere) {
  RespClient client = Connect();
  ASSERT_EQ(client.Ask({"multi"}), "OK");
  const std::string answer = client.Ask({"sort", Key("list"), "by", "w_*"});
  EXPECT_EQ(answer == "QUEUED", !GetParam()) << answer;
  EXPECT_EQ(client.Do({"exec"}).ok() && client.Ask({"ping"}) == "PONG", true);
}

}  // namespace
}  // namespace kvs
