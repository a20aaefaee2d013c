// Scripts of several clients at once, scripts that take long, and scripts that use what they did
// not name: at a node with several io threads and through a proxy before two nodes.

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "common/base/thread.h"
#include "common/resp/resp_writer.h"
#include "test_all/harness/cluster.h"
#include "test_all/harness/settings.h"
#include "test_all/harness/wait.h"

namespace kvs {
namespace {

constexpr int kClients = 4;
constexpr const char* kEndless = "redis.call('set', KEYS[1], 'half') while true do end";
constexpr const char* kTransfer =
    "local n = math.min(tonumber(redis.call('get', KEYS[1])), tonumber(ARGV[1])) "
    "redis.call('decrby', KEYS[1], n) redis.call('incrby', KEYS[2], n) return n";
constexpr const char* kCountHidden =
    "local v = tonumber(redis.call('get', ARGV[1]) or 0) redis.call('set', ARGV[1], v + 1) return "
    "v";
constexpr const char* kPublishToNobody =
    "local s = string.rep('x', 1e6) for i = 1, 100 do redis.call('publish', KEYS[1], s) end "
    "return 'done'";
constexpr const char* kSetAndPublish =
    "redis.call('set', KEYS[1], 'new') redis.call('publish', KEYS[1], 'm') "
    "return redis.call('get', KEYS[1])";
// Some tenths of a second: more than a loop runs a script.
constexpr const char* kSlow =
    "local x = 0 for i = 1, 2e6 do x = x + 1 end return redis.call('incr', KEYS[1])";

class ScriptTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    ASSERT_EQ(cluster_.Start().ToString(), "ok");
    server_ = GetParam() ? cluster_.proxy() : cluster_.node(0);
  }
  RespClient Connect() const { return server_->Connect(); }
  static std::string Key(const std::string& name) { return "{sc}" + name; }

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
  // Sends SCRIPT KILL until a script was killed.
  bool Kill() {
    RespClient client = Connect();
    return WaitUntil(20'000, [&] {
      const Result<Reply> reply = client.Do({"script", "kill"});
      return reply.ok() && reply->text == "OK";
    });
  }

  Cluster cluster_{{.nodes = 2,
                    .node_options = {"--io-threads", "4", "--busy-reply-threshold", "300",
                                     "--proto-max-bulk-len", "8mb"},
                    .proxy_options = {}}};
  Server* server_ = nullptr;
};

INSTANTIATE_TEST_SUITE_P(All, ScriptTest, testing::Bool(),
                         [](const auto& param) { return param.param ? "proxy" : "node"; });

TEST_P(ScriptTest, NobodySeesAPartOfAScript) {
  const std::string a = Key("a");
  const std::string b = Key("b");
  ASSERT_EQ(Connect().Ask({"mset", a, "1000", b, "1000"}), "OK");
  const int steps = Loops(1000, 100);
  std::atomic<int> wrong{0};
  InParallel(kClients, [&](RespClient* client, int i) {
    for (int step = 0; step < steps; ++step) {
      const bool back = (step + i) % 2 == 0;
      const Result<Reply> moved =
          client->Do({"eval", kTransfer, "2", back ? b : a, back ? a : b, "7"});
      ASSERT_TRUE(moved.ok() && !moved->is_error()) << moved->ToString();
      const Result<Reply> sum = client->Do(
          {"eval", "return redis.call('get', KEYS[1]) + redis.call('get', KEYS[2])", "2", a, b});
      ASSERT_TRUE(sum.ok() && !sum->is_error()) << sum->ToString();
      wrong += sum->integer == 2000 ? 0 : 1;
    }
  });
  EXPECT_EQ(wrong, 0);
}

TEST_P(ScriptTest, ScriptsThatTakeLongLoseNothing) {
  const std::string key = Key("slow");
  const int steps = Loops(10, 3);
  std::atomic<bool> done{false};
  Thread reader("reader", [&] {
    RespClient client = Connect();
    while (!done) {
      // Those who need other keys are not held up for as long as a script takes.
      ASSERT_EQ(client.Ask({"set", Key("other"), "x"}), "OK");
      ASSERT_FALSE(client.Do({"get", key})->is_error());
    }
  });
  InParallel(kClients, [&](RespClient* client, int /*i*/) {
    for (int step = 0; step < steps; ++step) {
      const Result<Reply> reply = client->Do({"eval", kSlow, "1", key});
      ASSERT_TRUE(reply.ok()) << reply.status().ToString();
      if (reply->is_error()) {
        ASSERT_TRUE(reply->text.starts_with("BUSY ")) << reply->text;
        --step;
      }
    }
  });
  done = true;
  reader.Join();
  EXPECT_EQ(Connect().Do({"get", key})->text, std::to_string(kClients * steps));
}

TEST_P(ScriptTest, AnEndlessScriptIsKilledAndLeavesNothing) {
  const std::string key = Key("endless");
  Thread victim("victim", [&] {
    RespClient client = Connect();
    const Result<Reply> reply = client.Do({"eval", kEndless, "1", key});
    ASSERT_TRUE(reply.ok()) << reply.status().ToString();
    EXPECT_TRUE(reply->text.find("killed by user") != std::string::npos) << reply->text;
  });
  RespClient client = Connect();
  EXPECT_TRUE(WaitUntil(20'000, [&] {
    return client.Do({"set", key, "mine"})->text.starts_with("BUSY ");
  }));
  EXPECT_NE(client.Do({"get", key})->text, "half");
  EXPECT_EQ(client.Ask({"set", Key("free"), "1"}), "OK");
  EXPECT_EQ(client.Ask({"ping"}), "PONG");
  EXPECT_TRUE(Kill());
  victim.Join();
  EXPECT_NE(client.Do({"get", key})->text, "half");
  EXPECT_EQ(client.Ask({"set", key, "mine"}), "OK");
  EXPECT_TRUE(client.Do({"script", "kill"})->text.starts_with("NOTBUSY "));
}

TEST_P(ScriptTest, AKeyThatAScriptDidNotNameIsLockedAllTheSame) {
  const std::string named = Key("named");
  const std::string hidden = Key("hidden");
  const int steps = Loops(300, 50);
  InParallel(kClients, [&](RespClient* client, int i) {
    for (int step = 0; step < steps; ++step) {
      const Result<Reply> reply = i % 2 == 0
                                      ? client->Do({"eval", kCountHidden, "1", named, hidden})
                                      : client->Do({"incr", hidden});
      ASSERT_TRUE(reply.ok() && !reply->is_error()) << reply->ToString();
    }
  });
  EXPECT_EQ(Connect().Do({"get", hidden})->text, std::to_string(kClients * steps));
}

TEST_P(ScriptTest, WhoWaitsGetsWhatAScriptBrings) {
  const std::string list = Key("list");
  for (const std::string body : {"", "for i = 1, 2e6 do end "}) {
    Thread waiter("waiter", [&] {
      RespClient client = Connect();
      const Result<Reply> reply = client.Do({"blpop", list, "20"});
      ASSERT_TRUE(reply.ok() && reply->elements.size() == 2) << reply->ToString();
      EXPECT_EQ(reply->elements[1].text, "x");
    });
    RespClient client = Connect();
    const std::string code =
        body + "redis.call('rpush', KEYS[1], 'x') return redis.call('llen', KEYS[1])";
    EXPECT_EQ(client.Do({"eval", code, "1", list})->integer, 1);
    waiter.Join();
    EXPECT_EQ(client.Do({"llen", list})->integer, 0);
  }
}

TEST_P(ScriptTest, AScriptInATransactionThatTakesTooLongIsTakenBackAlone) {
  const std::string key = Key("t");
  RespClient client = Connect();
  ASSERT_EQ(client.Ask({"multi"}), "OK");
  ASSERT_EQ(client.Ask({"set", key, "1"}), "QUEUED");
  ASSERT_EQ(client.Ask({"eval", kEndless, "1", key}), "QUEUED");
  ASSERT_EQ(client.Ask({"incr", key}), "QUEUED");
  const Result<Reply> reply = client.Do({"exec"});
  ASSERT_TRUE(reply.ok() && reply->elements.size() == 3) << reply->ToString();
  EXPECT_NE(reply->elements[1].text.find("busy-reply-threshold"), std::string::npos)
      << reply->elements[1].text;
  EXPECT_EQ(reply->elements[2].integer, 2);
}

TEST_P(ScriptTest, ScriptsAreKnownAtEveryNode) {
  RespClient client = Connect();
  const std::string sha = client.Do({"script", "load", "return KEYS[1]"})->text;
  ASSERT_EQ(sha.size(), 40U);
  for (int i = 0; i < 50; ++i) {
    const std::string key = "k" + std::to_string(i);
    EXPECT_EQ(client.Do({"evalsha", sha, "1", key})->text, key);
  }
  const Result<Reply> known = client.Do({"script", "exists", sha, std::string(40, '0')});
  ASSERT_EQ(known->elements.size(), 2U);
  EXPECT_EQ(known->elements[0].integer, 1);
  EXPECT_EQ(known->elements[1].integer, 0);
  if (GetParam()) {
    ASSERT_EQ(cluster_.node(0)->Connect().Ask({"script", "flush"}), "OK");
    EXPECT_EQ(client.Do({"script", "exists", sha})->elements[0].integer, 0);
  }
  EXPECT_EQ(client.Ask({"script", "flush"}), "OK");
  EXPECT_TRUE(client.Do({"evalsha", sha, "1", "k"})->text.starts_with("NOSCRIPT "));
  const Result<Reply> crossing = client.Do({"eval", "return 1", "2", "a", "b"});
  EXPECT_EQ(crossing->is_error() ? crossing->text.substr(0, 9) : "runs",
            GetParam() ? "CROSSSLOT" : "runs");
}

TEST_P(ScriptTest, AMessageOfAScriptComesWhenItsWritesAreThere) {
  RespClient listener = Connect();
  RespClient client = Connect();
  const std::string key = Key("m");
  ASSERT_TRUE(listener.Do({"subscribe", key}).ok());
  EXPECT_EQ(client.Do({"eval", kSetAndPublish, "1", key})->text, "new");
  const Result<std::string> message = listener.ReadFrame();
  ASSERT_TRUE(message.ok()) << message.status().ToString();
  EXPECT_TRUE(message->ends_with("\r\n$1\r\nm\r\n")) << *message;
}

TEST_P(ScriptTest, AScriptThatHasAskedForAllKeysIsKilledAsOthersAre) {
  const std::string code =
      GetParam() ? "redis.call('incr', KEYS[1]) redis.call('get', 'hidden') while true do end"
                 : "redis.call('dbsize') redis.call('keys', '*') while true do end";
  Thread victim("victim", [&] {
    const Result<Reply> reply = Connect().Do({"eval", code, "1", Key("k")});
    ASSERT_TRUE(reply.ok()) << reply.status().ToString();
    EXPECT_NE(reply->text.find("killed by user"), std::string::npos) << reply->text;
  });
  RespClient client = Connect();
  EXPECT_TRUE(WaitUntil(20'000, [&] {
    return client.Do({"set", Key("other"), "x"})->text.starts_with("BUSY ");
  }));
  EXPECT_EQ(client.Ask({"ping"}), "PONG");
  EXPECT_TRUE(Kill());
  victim.Join();
  EXPECT_TRUE(client.Do({"get", Key("k")})->is_null());
  EXPECT_EQ(client.Ask({"set", Key("other"), "x"}), "OK");
}

TEST_P(ScriptTest, WhatAScriptPublishesIsBounded) {
  const std::string channel = Key("c");
  RespClient listener = Connect();
  ASSERT_TRUE(listener.Do({"subscribe", channel}).ok());
  RespClient client = Connect();
  const Result<Reply> reply = client.Do(
      {"eval",
       "local s = string.rep('x', 1e6) for i = 1, 1e6 do redis.call('publish', KEYS[1], s) end",
       "1", channel});
  ASSERT_TRUE(reply.ok()) << reply.status().ToString();
  EXPECT_NE(reply->text.find("twice proto-max-bulk-len"), std::string::npos) << reply->text;
  // Nobody hears this, so nothing is kept.
  EXPECT_EQ(client.Do({"eval", kPublishToNobody, "1", Key("nobody")})->text, "done");
}

TEST_P(ScriptTest, AWatchOutlivesAScript) {
  const std::string key = Key("w");
  RespClient client = Connect();
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(client.Ask({"watch", key}), "OK");
    ASSERT_TRUE(client.Do({"eval", "return redis.call('get', KEYS[1])", "1", key}).ok());
    ASSERT_TRUE(client.Do({"evalsha", std::string(40, '0'), "1", key})->is_error());
    ASSERT_EQ(client.Ask({"multi"}), "OK");
    ASSERT_EQ(client.Ask({"incr", key}), "QUEUED");
    const Result<Reply> reply = client.Do({"exec"});
    ASSERT_TRUE(reply.ok() && reply->elements.size() == 1) << reply->ToString();
    EXPECT_EQ(reply->elements[0].integer, i + 1);
  }
  ASSERT_EQ(client.Ask({"watch", key}), "OK");
  ASSERT_TRUE(client.Do({"eval", "return redis.call('incr', KEYS[1])", "1", key}).ok());
  ASSERT_EQ(client.Ask({"multi"}), "OK");
  ASSERT_EQ(client.Ask({"incr", key}), "QUEUED");
  EXPECT_TRUE(client.Do({"exec"})->is_null());
}

TEST_P(ScriptTest, WhoWaitsIsServedWhenAScriptGivesTheOtherKeyBack) {
  const std::string from = Key("from");
  const std::string to = Key("to");
  std::vector<std::unique_ptr<Thread>> waiters;
  for (int i = 0; i < 8; ++i) {
    waiters.push_back(std::make_unique<Thread>("waiter", [&] {
      const Result<Reply> reply = Connect().Do({"blmove", from, to, "left", "right", "30"});
      ASSERT_TRUE(reply.ok()) << reply.status().ToString();
      EXPECT_EQ(reply->text, "x");
    }));
  }
  RespClient client = Connect();
  ASSERT_TRUE(WaitUntil(20'000, [&] {
    return client.Do({"client", "list"})->text.find("cmd=blmove") != std::string::npos;
  }));
  Thread script("script", [&] {
    EXPECT_TRUE(Connect().Do({"eval", "for i = 1, 1e7 do end return 1", "1", to}).ok());
  });
  for (int i = 0; i < 8; ++i) {
    ASSERT_EQ(client.Do({"rpush", from, "x"})->is_error(), false);
  }
  script.Join();
  for (const auto& waiter : waiters) {
    waiter->Join();
  }
  EXPECT_EQ(client.Do({"llen", to})->integer, 8);
}

// A node that is stopped does not wait for a script: for one that has written, with another that
// waits for the worker, nor for one that has committed something on its way and goes on calling.
TEST(ScriptStopTest, AnEndlessScriptDoesNotKeepANodeFromStopping) {
  struct Endless {
    Words request;
    std::string last_seen;  // The command that shows that it runs.
  };
  const Endless writes = {{"eval", kEndless, "1", "k"}, "cmdstat_set:"};
  const Endless commits = {
      {"eval", "redis.call('flushall') while true do redis.pcall('get', 'x') end", "0"},
      "cmdstat_get:"};
  Cluster cluster{{.nodes = 1, .node_options = {}, .proxy_options = {}}};
  ASSERT_EQ(cluster.Start().ToString(), "ok");
  for (const bool writes_first : {true, false}) {
    const Endless& first = writes_first ? writes : commits;
    const Endless& second = writes_first ? commits : writes;
    RespClient client = cluster.node(0)->Connect();
    ASSERT_TRUE(client.Send(EncodeWords(first.request)).ok());
    RespClient other = cluster.node(0)->Connect();
    ASSERT_TRUE(WaitUntil(20'000, [&] {
      return other.Do({"info", "commandstats"})->text.find(first.last_seen) != std::string::npos;
    })) << first.last_seen;
    RespClient waits = cluster.node(0)->Connect();
    ASSERT_TRUE(waits.Send(EncodeWords(second.request)).ok());
    const Result<int> stopped = cluster.node(0)->Stop();
    ASSERT_TRUE(stopped.ok()) << stopped.status().ToString();
    EXPECT_EQ(*stopped, 0);
    ASSERT_EQ(cluster.node(0)->Start().ToString(), "ok");
    EXPECT_TRUE(cluster.node(0)->Connect().Do({"get", "k"})->is_null());
  }
}

constexpr const char* kLibrary =
    "#!lua name=suite\n"
    "redis.register_function('suite_set', function(keys, args) "
    "return redis.call('set', keys[1], args[1]) end) "
    "redis.register_function('suite_endless', function(keys) "
    "redis.call('set', keys[1], 'half') while true do end end) "
    "redis.register_function('suite_slow', function(keys) local x = 0 for i = 1, 2e6 do x = x + 1 "
    "end return redis.call('incr', keys[1]) end)";

TEST_P(ScriptTest, FunctionsRunOnEveryLoop) {
  ASSERT_EQ(Connect().Do({"function", "load", "replace", kLibrary})->text, "suite");
  const int steps = Loops(5, 2);
  InParallel(2 * kClients, [&](RespClient* client, int i) {
    for (int step = 0; step < steps; ++step) {
      const std::string key = Key("f" + std::to_string(i));
      ASSERT_EQ(client->Ask({"fcall", "suite_set", "1", key, "v"}), "OK");
      ASSERT_EQ(client->Do({"get", key})->text, "v");
    }
  });
  InParallel(kClients, [&](RespClient* client, int /*i*/) {
    for (int step = 0; step < steps; ++step) {
      const Result<Reply> reply = client->Do({"fcall", "suite_slow", "1", Key("slow")});
      ASSERT_TRUE(reply.ok()) << reply.status().ToString();
      if (reply->is_error()) {
        ASSERT_TRUE(reply->text.starts_with("BUSY ")) << reply->text;
        --step;
      }
    }
  });
  EXPECT_EQ(Connect().Do({"get", Key("slow")})->text, std::to_string(kClients * steps));
}

// Each loop looks for a newer library before it calls one.
TEST_P(ScriptTest, AReplacedLibraryIsNotCalledAnyMore) {
  const int steps = Loops(50, 10);
  std::vector<std::unique_ptr<RespClient>> clients;
  for (int i = 0; i < 2 * kClients; ++i) {
    clients.push_back(std::make_unique<RespClient>(Connect()));
  }
  for (int step = 0; step < steps; ++step) {
    const std::string code =
        "#!lua name=suite\nredis.register_function('suite_which', function() "
        "return " +
        std::to_string(step) + " end)";
    ASSERT_EQ(clients[0]->Do({"function", "load", "replace", code})->text, "suite");
    for (const auto& client : clients) {
      ASSERT_EQ(client->Do({"fcall", "suite_which", "1", Key("k")})->integer, step);
    }
  }
  ASSERT_EQ(clients[0]->Ask({"function", "delete", "suite"}), "OK");
  for (const auto& client : clients) {
    EXPECT_EQ(client->Do({"fcall", "suite_which", "1", Key("k")})->text, "ERR Function not found");
  }
}

TEST_P(ScriptTest, AnEndlessFunctionIsKilledByItsOwnCommand) {
  const std::string key = Key("endless");
  ASSERT_EQ(Connect().Do({"function", "load", "replace", kLibrary})->text, "suite");
  Thread victim("victim", [&] {
    RespClient client = Connect();
    const Result<Reply> reply = client.Do({"fcall", "suite_endless", "1", key});
    ASSERT_TRUE(reply.ok()) << reply.status().ToString();
    EXPECT_TRUE(reply->text.find("killed by user") != std::string::npos) << reply->text;
  });
  RespClient client = Connect();
  EXPECT_TRUE(WaitUntil(20'000, [&] {
    return client.Do({"set", key, "mine"})->text.find("FUNCTION KILL") != std::string::npos;
  }));
  EXPECT_TRUE(WaitUntil(20'000, [&] {
    return client.Do({"function", "stats"})->ToString().find("suite_endless") != std::string::npos;
  }));
  EXPECT_NE(client.Do({"script", "kill"})->text, "OK");
  EXPECT_EQ(client.Do({"function", "kill"})->text, "OK");
  victim.Join();
  EXPECT_NE(client.Do({"get", key})->text, "half");
}

TEST_P(ScriptTest, FlushedKeysLeaveFunctionsAlone) {
  RespClient client = Connect();
  ASSERT_EQ(client.Do({"function", "load", "replace", kLibrary})->text, "suite");
  ASSERT_EQ(client.Ask({"flushall"}), "OK");
  EXPECT_EQ(client.Do({"dbsize"})->integer, 0);
  EXPECT_EQ(client.Do({"scan", "0"})->elements[1].elements.size(), 0U);
  EXPECT_EQ(client.Ask({"fcall", "suite_set", "1", Key("k"), "v"}), "OK");
  const std::string dump = client.Do({"function", "dump"})->text;
  ASSERT_EQ(client.Ask({"function", "flush"}), "OK");
  EXPECT_EQ(client.Do({"fcall", "suite_set", "1", Key("k"), "v"})->text, "ERR Function not found");
  EXPECT_EQ(client.Ask({"function", "restore", dump}), "OK");
  EXPECT_EQ(client.Ask({"fcall", "suite_set", "1", Key("k"), "v"}), "OK");
}

TEST(FunctionCrashTest, LibrariesSurviveAKillAndARestart) {
  Cluster cluster{{.nodes = 1, .node_options = {}, .proxy_options = {}}};
  ASSERT_EQ(cluster.Start().ToString(), "ok");
  const auto library = [](const std::string& name) {
    return "#!lua name=" + name + "\nredis.register_function('f_" + name +
           "', function() return '" + name + "' end)";
  };
  RespClient client = cluster.node(0)->Connect();
  for (const std::string name : {"a", "b", "c"}) {
    ASSERT_EQ(client.Do({"function", "load", library(name)})->text, name);
  }
  ASSERT_EQ(client.Ask({"function", "delete", "b"}), "OK");
  cluster.node(0)->Kill();
  ASSERT_EQ(cluster.node(0)->Start().ToString(), "ok");
  client = cluster.node(0)->Connect();
  EXPECT_EQ(client.Do({"fcall", "f_a", "0"})->text, "a");
  EXPECT_EQ(client.Do({"fcall", "f_b", "0"})->text, "ERR Function not found");
  EXPECT_EQ(client.Do({"fcall", "f_c", "0"})->text, "c");
  EXPECT_EQ(client.Do({"dbsize"})->integer, 0);
  ASSERT_EQ(client.Ask({"function", "flush"}), "OK");
  ASSERT_EQ(client.Do({"function", "load", library("d")})->text, "d");
  ASSERT_TRUE(cluster.node(0)->Stop().ok());
  ASSERT_EQ(cluster.node(0)->Start().ToString(), "ok");
  client = cluster.node(0)->Connect();
  EXPECT_EQ(client.Do({"function", "list"})->elements.size(), 1U);
  EXPECT_EQ(client.Do({"fcall", "f_d", "0"})->text, "d");
}

// One that cannot be loaded is not there, and costs nothing else.
TEST(FunctionCrashTest, ANodeStartsWithoutALibraryThatCannotBeLoaded) {
  TempDir dir;
  std::unique_ptr<Server> node = MakeNode(dir, "node", {});
  ASSERT_EQ(node->Start().ToString(), "ok");
  RespClient client = node->Connect();
  ASSERT_EQ(client
                .Do({"function", "load",
                     "#!lua name=large\nlocal t = {} for i = 1, 270000 do t[i] = i end "
                     "redis.register_function('f_large', function() return t[1] end)"})
                ->text,
            "large");
  ASSERT_EQ(client
                .Do({"function", "load",
                     "#!lua name=small\nredis.register_function('f_small', function() return 1 "
                     "end)"})
                ->text,
            "small");
  node->Kill();

  node = MakeNode(dir, "node", {"--script-memory-limit", "8mb"});
  ASSERT_EQ(node->Start().ToString(), "ok");
  client = node->Connect();
  EXPECT_EQ(client.Do({"fcall", "f_large", "0"})->text, "ERR Function not found");
  EXPECT_EQ(client.Do({"fcall", "f_small", "0"})->integer, 1);
  EXPECT_EQ(client.Ask({"function", "flush"}), "OK");
  node->Kill();

  // Its record has gone as well.
  node = MakeNode(dir, "node", {});
  ASSERT_EQ(node->Start().ToString(), "ok");
  EXPECT_EQ(node->Connect().Do({"function", "list"})->elements.size(), 0U);
}

}  // namespace
}  // namespace kvs
