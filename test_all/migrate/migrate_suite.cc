// MIGRATE between nodes, proxies and redis-server: what arrives, what is answered, and who waits.

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/slowness.h"
#include "common/base/thread.h"
#include "test_all/harness/cluster.h"
#include "test_all/harness/fake_server.h"
#include "test_all/harness/settings.h"
#include "test_all/harness/wait.h"

namespace kvs {
namespace {

constexpr const char* kLongMs = "60000";
const std::string kTargetSays = "-ERR Target instance replied with error: ";

// Redis sends the keys all the same, and they may arrive.
bool GreetingWasRefused(const std::string& reply) {
  return reply.starts_with(kTargetSays + "ERR AUTH") ||
         reply.starts_with(kTargetSays + "WRONGPASS") || reply.starts_with(kTargetSays + "ERR DB");
}

// As Ask() shows a string.
std::string Quoted(const std::string& text) {
  return '"' + text + '"';
}

std::string Port(const Server& server) {
  return std::to_string(server.port());
}

constexpr int64_t kBackendTimeoutMillis = 300 * kSlownessFactor;

// A target that answers when it is told to.
class SlowTarget {
 public:
  uint16_t port() const { return server_.port(); }
  std::string port_text() const { return std::to_string(server_.port()); }
  // Waits until so many RESTOREs have come.
  bool WaitAsked(int count) {
    return WaitUntil(10'000, [&] { return asked_ >= count; });
  }
  // Answers each connection.
  void Say(const std::string& bytes, bool close = false) {
    server_.Run([&] {
      server_.ForEach([&](FakePeer* peer) {
        peer->Send(bytes);
        if (close) {
          peer->Close();
        }
      });
    });
  }

 private:
  std::atomic<int> asked_{0};
  FakeServer server_{[this](FakePeer* /*peer*/, const std::vector<std::string>& request) {
                       asked_ += request[0] == "RESTORE" ? 1 : 0;
                     },
                     /*greets=*/false};
};

class MigrateTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(cluster_.Start().ToString(), "ok");
    ASSERT_TRUE(cluster_.WaitServing());
    redis_ = MakeRedis(cluster_.dir(), "redis");
    ASSERT_EQ(redis_->Start().ToString(), "ok");
    client_ = std::make_unique<RespClient>(node()->Connect());
  }
  Server* node() { return cluster_.node(0); }
  Server* other() { return cluster_.node(1); }
  Server* proxy() { return cluster_.proxy(); }
  // Sends a MIGRATE of the key "k" that nobody answers yet.
  RespClient Begin(Server* server, SlowTarget* target, int count = 1) {
    RespClient migrates = server->Connect();
    EXPECT_TRUE(
        migrates.Send(EncodeWords({"migrate", "127.0.0.1", target->port_text(), "k", "0", kLongMs}))
            .ok());
    EXPECT_TRUE(target->WaitAsked(count));
    return migrates;
  }
  std::string Raw(RespClient* client, const Words& words) {
    const std::vector<std::string_view> views(words.begin(), words.end());
    const Result<std::string> frame = client->Exchange(views);
    return frame.ok() ? *frame : "<" + frame.status().ToString() + ">";
  }

  Cluster cluster_{{.nodes = 2,
                    .node_options = {"--io-threads", "2"},
                    .proxy_options = {"--backend-timeout", std::to_string(kBackendTimeoutMillis)}}};
  std::unique_ptr<Server> redis_;
  std::unique_ptr<RespClient> client_;
};

// One key of each type, and how it is read.
struct Content {
  Words write;
  Words read;
};

std::vector<Content> EveryType() {
  return {{{"set", "{t}string", std::string("a\0\r\nb", 5)}, {"get", "{t}string"}},
          {{"set", "{t}number", "-17"}, {"get", "{t}number"}},
          {{"set", "{t}large", std::string(3 << 20, 'x')}, {"get", "{t}large"}},
          {{"rpush", "{t}list", "a", "", "7"}, {"lrange", "{t}list", "0", "-1"}},
          {{"sadd", "{t}numbers", "1", "2", "3"}, {"sort", "{t}numbers"}},
          {{"sadd", "{t}set", "a", "b"}, {"sort", "{t}set", "alpha"}},
          {{"hset", "{t}hash", "f", "v"}, {"hgetall", "{t}hash"}},
          {{"zadd", "{t}zset", "1.5", "a", "-inf", "b"},
           {"zrange", "{t}zset", "0", "-1", "withscores"}},
          {{"xadd", "{t}stream", "5-1", "f", "v"}, {"xrange", "{t}stream", "-", "+"}}};
}

TEST_F(MigrateTest, EveryTypeArrivesWithItsTimeFromAnybodyToAnybody) {
  const std::pair<Server*, Server*> ways[] = {
      {node(), redis_.get()},  {redis_.get(), node()},  {node(), other()},
      {proxy(), redis_.get()}, {redis_.get(), proxy()},
  };
  for (const auto& [source, target] : ways) {
    SCOPED_TRACE(source->name() + " to " + target->name());
    RespClient from = source->Connect();
    RespClient to = target->Connect();
    ASSERT_EQ(from.Ask({"flushall"}), "OK");
    ASSERT_EQ(to.Ask({"flushall"}), "OK");
    for (const Content& content : EveryType()) {
      const std::string& key = content.write[1];
      SCOPED_TRACE(key);
      for (const bool expires : {false, true}) {
        ASSERT_FALSE(from.Do(content.write)->is_error());
        if (expires) {
          ASSERT_EQ(from.Ask({"pexpire", key, "500000"}), "1");
        }
        const std::string held = from.Ask(content.read);

        ASSERT_EQ(from.Ask({"migrate", "127.0.0.1", Port(*target), key, "0", "20000", "replace"}),
                  "OK");

        EXPECT_EQ(from.Ask({"exists", key}), "0");
        EXPECT_EQ(to.Ask(content.read), held);
        const int64_t left_ms = to.Do({"pttl", key})->integer;
        EXPECT_TRUE(expires ? left_ms > 0 && left_ms <= 500'000 : left_ms == -1) << left_ms;
      }
    }
  }
}

// A proxy's node moves a key to a proxy before other nodes, or to the other half of its own.
TEST_F(MigrateTest, ThroughAProxyToAProxy) {
  Cluster there({.nodes = 2, .node_options = {}, .proxy_options = {}});
  ASSERT_EQ(there.Start().ToString(), "ok");
  ASSERT_TRUE(there.WaitServing());
  RespClient from = proxy()->Connect();
  RespClient to = there.proxy()->Connect();
  ASSERT_EQ(from.Ask({"mset", "{a}1", "x", "{a}2", "y", "{b}1", "z"}), "OK");

  EXPECT_EQ(from.Ask({"migrate", "127.0.0.1", Port(*there.proxy()), "", "0", "20000", "keys",
                      "{a}1", "{a}no", "{a}2"}),
            "OK");
  EXPECT_EQ(from.Ask({"mget", "{a}1", "{a}2", "{b}1"}), "[null, null, \"z\"]");
  EXPECT_EQ(to.Ask({"mget", "{a}1", "{a}2"}), "[\"x\", \"y\"]");
  EXPECT_NE(from.Ask({"migrate", "127.0.0.1", Port(*there.proxy()), "", "0", "20000", "keys",
                      "{a}1", "{b}1"})
                .find("CROSSSLOT"),
            std::string::npos);
}

// What each case says is what redis-server says.
TEST_F(MigrateTest, RepliesAreThoseOfRedis) {
  std::unique_ptr<Server> source = MakeRedis(cluster_.dir(), "source");
  ASSERT_EQ(source->Start().ToString(), "ok");
  RespClient target = redis_->Connect();
  RespClient oracle = source->Connect();
  RespClient through = proxy()->Connect();
  const std::string port = Port(*redis_);
  const std::string nobody = std::to_string(FreePort());
  const std::string local = "127.0.0.1";
  const std::vector<Words> cases = {
      {"migrate", local, port, "k", "0", "5000"},
      {"migrate", local, port, "k", "3", "5000"},
      {"migrate", local, port, "k", "0", "-1"},
      {"migrate", "localhost", port, "k", "0", "5000"},
      {"migrate", local, port, "k", "0", "5000", "copy"},
      {"migrate", local, port, "{k}busy", "0", "5000"},
      {"migrate", local, port, "{k}busy", "0", "5000", "replace"},
      {"migrate", local, port, "{k}busy", "0", "5000", "COPY", "Replace"},
      {"migrate", local, port, "{k}none", "0", "5000"},
      {"migrate", local, port, "", "0", "5000"},
      {"migrate", local, port, "", "0", "5000", "keys"},
      {"migrate", local, port, "", "0", "5000", "keys", "{k}none", "{k}no"},
      {"migrate", local, port, "", "0", "5000", "keys", "k", "{k}none", "{k}2"},
      {"migrate", local, port, "", "0", "5000", "keys", "k", "{k}busy", "{k}2"},
      {"migrate", local, port, "", "0", "5000", "keys", "k", "k"},
      {"migrate", local, port, "", "0", "5000", "copy", "replace", "keys", "k", "k"},
      {"migrate", local, port, "k", "0", "5000", "keys", "k"},
      {"migrate", local, port, "k", "0", "5000", "nonsense"},
      {"migrate", local, port, "k", "0", "5000", "auth"},
      {"migrate", local, port, "k", "0", "5000", "auth2", "u"},
      {"migrate", local, port, "k", "0", "5000", "auth", "pw"},
      {"migrate", local, port, "k", "0", "5000", "auth2", "u", "pw"},
      {"migrate", local, port, "k", "0", "5000", "auth2", "default", "pw"},
      {"migrate", local, port, "k", "x", "5000"},
      {"migrate", local, port, "k", "0", "x"},
      {"migrate", local, port, "k", "-1", "5000"},
      {"migrate", local, port, "k", "99", "5000"},
      {"migrate", local, port, "k", "0"},
      {"migrate", local, nobody, "k", "0", "5000"},
      {"migrate", local, "0", "k", "0", "5000"},
      {"migrate", local, "x", "k", "0", "5000"},
      {"migrate", "nobody.invalid", port, "{k}none", "0", "5000"},
  };
  for (const Words& words : cases) {
    std::string shown;
    for (const std::string& word : words) {
      shown += word + " ";
    }
    SCOPED_TRACE(shown);
    std::string expected;
    for (RespClient* client : {&oracle, client_.get(), &through}) {
      ASSERT_EQ(target.Ask({"flushall"}), "OK");
      ASSERT_EQ(target.Ask({"set", "{k}busy", "old"}), "OK");
      ASSERT_EQ(client->Ask({"flushall"}), "OK");
      ASSERT_EQ(client->Ask({"mset", "k", "v", "{k}2", "w", "{k}busy", "new"}), "OK");

      std::string outcome = Raw(client, words);

      const bool refused = GreetingWasRefused(outcome);
      outcome += client->Ask({"mget", "k", "{k}2", "{k}busy"});
      const std::string arrived = target.Ask({"mget", "k", "{k}2", "{k}busy"});
      outcome += refused ? "" : arrived;
      if (client == &oracle) {
        expected = outcome;
      }
      EXPECT_EQ(outcome, expected);
    }
  }
}

TEST_F(MigrateTest, KeysAreFoundAsRedisFindsThem) {
  RespClient oracle = redis_->Connect();
  const std::vector<Words> cases = {
      {"command", "getkeys", "migrate", "h", "1", "k", "0", "1"},
      {"command", "getkeys", "migrate", "h", "1", "", "0", "1"},
      {"command", "getkeys", "migrate", "h", "1", "", "0", "1", "copy"},
      {"command", "getkeys", "migrate", "h", "1", "", "0", "1", "keys", "a", "b"},
      {"command", "getkeys", "migrate", "h", "1", "", "0", "1", "auth", "keys", "keys", "a"},
      {"command", "getkeys", "migrate", "h", "1", "", "0", "1", "auth2", "u", "keys", "keys", "a"},
      {"command", "info", "migrate"},
      {"command", "info", "restore-asking"},
  };
  for (const Words& words : cases) {
    EXPECT_EQ(client_->Ask(words), oracle.Ask(words));
  }
}

TEST_F(MigrateTest, APasswordIsShown) {
  RespClient target = redis_->Connect();
  ASSERT_EQ(target.Ask({"acl", "setuser", "mover", "on", ">secret", "~*", "+@all"}), "OK");
  ASSERT_EQ(target.Ask({"config", "set", "requirepass", "pw"}), "OK");
  const std::string port = Port(*redis_);
  ASSERT_EQ(client_->Ask({"mset", "a", "1", "b", "2"}), "OK");

  EXPECT_TRUE(Raw(client_.get(), {"migrate", "127.0.0.1", port, "a", "0", "5000"})
                  .starts_with(kTargetSays + "NOAUTH"));
  EXPECT_TRUE(Raw(client_.get(), {"migrate", "127.0.0.1", port, "a", "0", "5000", "auth", "no"})
                  .starts_with(kTargetSays + "WRONGPASS"));
  EXPECT_EQ(client_->Ask({"mget", "a", "b"}), "[\"1\", \"2\"]");
  EXPECT_EQ(client_->Ask({"migrate", "127.0.0.1", port, "a", "0", "5000", "auth", "pw"}), "OK");
  EXPECT_EQ(
      client_->Ask({"migrate", "127.0.0.1", port, "b", "0", "5000", "auth2", "mover", "secret"}),
      "OK");
  EXPECT_EQ(target.Ask({"mget", "a", "b"}), "[\"1\", \"2\"]");
  EXPECT_EQ(client_->Ask({"dbsize"}), "0");
}

TEST_F(MigrateTest, ASecretIsNotShownToOthers) {
  RespClient monitor = node()->Connect();
  ASSERT_EQ(monitor.Ask({"monitor"}), "OK");

  EXPECT_EQ(client_->Ask({"migrate", "h", "1", "none", "0", "10", "auth2", "who", "secret"}),
            "NOKEY");

  const Result<std::string> line = monitor.ReadFrame();
  ASSERT_TRUE(line.ok());
  EXPECT_NE(line->find("\"auth2\" \"(redacted)\" \"(redacted)\""), std::string::npos) << *line;
}

TEST_F(MigrateTest, OnlyTheKeyItselfWaits) {
  SlowTarget target;
  ASSERT_EQ(client_->Ask({"set", "k", "old"}), "OK");
  RespClient migrates = Begin(node(), &target);

  // It is read, others are changed, and who changes it comes behind the deletion.
  EXPECT_EQ(client_->Ask({"get", "k"}), Quoted("old"));
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(client_->Ask({"set", "other" + std::to_string(i % 3), "x"}), "OK");
  }
  RespClient writes = node()->Connect();
  ASSERT_EQ(writes.Ask({"client", "setname", "writer"}), "OK");
  ASSERT_TRUE(writes.Send(EncodeWords({"set", "k", "new"})).ok());
  ASSERT_TRUE(WaitUntil(5000, [&] {
    const std::string list = client_->Do({"client", "list"})->text;
    const size_t at = list.find("name=writer");
    return at != std::string::npos && list.find("cmd=set", at) < list.find('\n', at);
  }));
  target.Say("+OK\r\n");

  EXPECT_EQ(*migrates.ReadFrame(), "+OK\r\n");
  EXPECT_EQ(*writes.ReadFrame(), "+OK\r\n");
  EXPECT_EQ(client_->Ask({"get", "k"}), Quoted("new"));
}

// Whatever comes between, each increment is counted once: at the target, or still here.
TEST_F(MigrateTest, NothingIsLostOrDoubledWhileOthersWrite) {
  const int rounds = Loops(300, 60);
  for (Server* source : {node(), proxy()}) {
    std::atomic<bool> stop{false};
    std::atomic<int64_t> counted{0};
    std::vector<std::unique_ptr<Thread>> writers;
    for (int i = 0; i < 3; ++i) {
      writers.push_back(std::make_unique<Thread>("writer", [&, source] {
        RespClient client = source->Connect();
        while (!stop) {
          const Result<Reply> reply = client.Do({"incr", "k"});
          ASSERT_TRUE(reply.ok());
          // On a busy machine a MIGRATE takes longer than a proxy lets writers wait.
          EXPECT_TRUE(!reply->is_error() || reply->text.starts_with("BUSY")) << reply->text;
          counted += reply->is_error() ? 0 : 1;
        }
      }));
    }
    RespClient from = source->Connect();
    RespClient to = redis_->Connect();
    int64_t collected = 0;
    int moved = 0;
    for (int i = 0; i < rounds; ++i) {
      const std::string reply =
          from.Ask({"migrate", "127.0.0.1", Port(*redis_), "", "0", "5000", "keys", "k", "{k}no"});
      if (reply != "OK") {
        EXPECT_EQ(reply, "NOKEY");
      } else {
        ++moved;
        collected += std::stoll(to.Do({"getdel", "k"})->text);
      }
    }
    stop = true;
    for (const auto& writer : writers) {
      writer->Join();
    }
    const Result<Reply> rest = from.Do({"getdel", "k"});
    ASSERT_TRUE(rest.ok());
    EXPECT_EQ(collected + (rest->is_null() ? 0 : std::stoll(rest->text)), counted);
    EXPECT_GT(moved, 1);
  }
}

TEST_F(MigrateTest, ATargetThatNeverAnswersIsGivenUp) {
  SlowTarget target;
  ASSERT_EQ(client_->Ask({"set", "k", "v"}), "OK");

  EXPECT_EQ(Raw(client_.get(), {"migrate", "127.0.0.1", target.port_text(), "k", "0", "200"}),
            "-IOERR error or timeout reading to target instance\r\n");
  EXPECT_EQ(client_->Ask({"get", "k"}), Quoted("v"));
  EXPECT_EQ(client_->Ask({"append", "k", "w"}), "2");
}

TEST_F(MigrateTest, WhatATargetAcknowledgedBeforeItsEndIsGone) {
  SlowTarget target;
  ASSERT_EQ(client_->Ask({"mset", "k", "1", "b", "2", "c", "3"}), "OK");
  ASSERT_TRUE(client_
                  ->Send(EncodeWords({"migrate", "127.0.0.1", target.port_text(), "", "0", kLongMs,
                                      "keys", "k", "b", "c"}))
                  .ok());
  ASSERT_TRUE(target.WaitAsked(3));

  target.Say("+OK\r\n", /*close=*/true);

  EXPECT_EQ(*client_->ReadFrame(), "-IOERR error or timeout reading to target instance\r\n");
  EXPECT_EQ(client_->Ask({"mget", "k", "b", "c"}), "[null, \"2\", \"3\"]");
}

TEST_F(MigrateTest, WhoSpeaksOtherwiseGetsNoKeyDeleted) {
  ASSERT_EQ(client_->Ask({"set", "k", "v"}), "OK");
  for (const char* const reply : {"HTTP/1.1 400 Bad Request\r\n", ":1\r\n", "+QUEUED\r\n"}) {
    SlowTarget target;
    RespClient migrates = Begin(node(), &target);
    target.Say(reply);
    EXPECT_EQ(*migrates.ReadFrame(), "-IOERR error or timeout reading to target instance\r\n");
    EXPECT_EQ(client_->Ask({"get", "k"}), Quoted("v"));
  }
}

TEST_F(MigrateTest, ANodeThatStopsDoesNotWaitForATarget) {
  SlowTarget target;
  ASSERT_EQ(client_->Ask({"set", "k", "v"}), "OK");
  const RespClient migrates = Begin(node(), &target);

  const Result<int> stopped = node()->Stop();

  ASSERT_TRUE(stopped.ok()) << stopped.status().ToString();
  EXPECT_EQ(*stopped, 0);
  ASSERT_EQ(node()->Start().ToString(), "ok");
  EXPECT_EQ(node()->Connect().Ask({"get", "k"}), Quoted("v"));
}

// A script that runs beside the loops waits for the key, but not for ever, nor while the node
// stops.
TEST_F(MigrateTest, AScriptThatWaitsForAKeyGivesUp) {
  const std::string script =
      "local x = 0 for i = 1, 2e7 do x = x + 1 end return redis.call('incr', KEYS[1])";
  ASSERT_EQ(client_->Ask({"eval", script, "1", "other"}), "1");
  ASSERT_EQ(client_->Ask({"set", "k", "1"}), "OK");
  ASSERT_EQ(client_->Ask({"config", "set", "busy-reply-threshold", "200"}), "OK");
  SlowTarget target;
  RespClient migrates = Begin(node(), &target);
  EXPECT_NE(client_->Ask({"eval", script, "1", "k"}).find("BUSY"), std::string::npos);

  ASSERT_EQ(client_->Ask({"config", "set", "busy-reply-threshold", "0"}), "OK");
  RespClient waits = node()->Connect();
  ASSERT_TRUE(waits.Send(EncodeWords({"eval", script, "1", "k"})).ok());
  ASSERT_TRUE(WaitUntil(10'000, [&] { return client_->Ask({"script", "kill"}) == "OK"; }));
  EXPECT_NE(waits.ReadFrame()->find("BUSY"), std::string::npos);

  ASSERT_TRUE(waits.Send(EncodeWords({"eval", script, "1", "k"})).ok());
  const Result<int> stopped = node()->Stop();
  ASSERT_TRUE(stopped.ok()) << stopped.status().ToString();
  EXPECT_EQ(*stopped, 0);
  ASSERT_EQ(node()->Start().ToString(), "ok");
  EXPECT_EQ(node()->Connect().Ask({"get", "k"}), Quoted("1"));
}

// Of a string in chunks: the look locks it, which ends the turn of the write before it.
TEST_F(MigrateTest, AReadBehindAWriteIsAnsweredWholeWhenTheKeyIsFree) {
  ASSERT_EQ(client_->Ask({"setrange", "k", "100000", "v"}), "100001");
  SlowTarget target;
  RespClient migrates = Begin(node(), &target);
  RespClient reads = node()->Connect();
  ASSERT_TRUE(reads
                  .Send(EncodeWords({"set", "other", "1"}) + EncodeWords({"mget", "k"}) +
                        EncodeWords({"ping"}))
                  .ok());
  EXPECT_EQ(*reads.ReadFrame(), "+OK\r\n");
  target.Say("-ERR full\r\n");
  EXPECT_EQ(*migrates.ReadFrame(), "-ERR Target instance replied with error: ERR full\r\n");
  EXPECT_EQ(*reads.ReadFrame(), "*1\r\n$100001\r\n" + std::string(100'000, '\0') + "v\r\n");
  EXPECT_EQ(*reads.ReadFrame(), "+PONG\r\n");
}

TEST_F(MigrateTest, AKeyThatExpiresMeanwhileKeepsNobodyFromExpiring) {
  SlowTarget target;
  ASSERT_EQ(client_->Ask({"set", "k", "v", "px", "2000"}), "OK");
  RespClient migrates = Begin(node(), &target);
  ASSERT_TRUE(WaitUntil(10'000, [&] { return client_->Ask({"exists", "k"}) == "0"; }));
  const int64_t before = InfoNumber(client_.get(), "expired_keys");
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(client_->Ask({"set", "{expires}" + std::to_string(i), "v", "px", "1"}), "OK");
  }
  EXPECT_TRUE(WaitUntil(10'000, [&] {
    return InfoNumber(client_.get(), "expired_keys") >= before + 99;  // One may share its stripe.
  }));
  target.Say("+OK\r\n");
  EXPECT_EQ(*migrates.ReadFrame(), "+OK\r\n");
  EXPECT_TRUE(
      WaitUntil(10'000, [&] { return InfoNumber(client_.get(), "expired_keys") >= before + 100; }));
}

TEST_F(MigrateTest, AClientThatIsGoneHoldsNothing) {
  ASSERT_EQ(client_->Ask({"set", "k", "v"}), "OK");
  for (Server* server : {node(), proxy()}) {
    // The proxy's node is the one that has the key.
    RespClient writes = server->Connect();
    ASSERT_EQ(writes.Ask({"set", "k", "v"}), "OK");
    SlowTarget target;
    { const RespClient migrates = Begin(server, &target); }
    std::string reply;
    EXPECT_TRUE(WaitUntil(10'000, [&] {
      reply = writes.Ask({"append", "k", "w"});
      return reply.find("BUSY") == std::string::npos;
    }));
    EXPECT_EQ(reply, "2") << server->name();
  }
  SlowTarget target;
  RespClient migrates = node()->Connect();
  const std::string id = migrates.Ask({"client", "id"});
  ASSERT_TRUE(
      migrates.Send(EncodeWords({"migrate", "127.0.0.1", target.port_text(), "k", "0", kLongMs}))
          .ok());
  ASSERT_TRUE(target.WaitAsked(1));
  ASSERT_EQ(client_->Ask({"client", "kill", "id", id}), "1");
  EXPECT_EQ(client_->Ask({"set", "k", "w"}), "OK");
}

TEST_F(MigrateTest, AProxyIsAsPatientAsTheCommand) {
  SlowTarget target;
  RespClient client = proxy()->Connect();
  ASSERT_EQ(client.Ask({"set", "k", "v"}), "OK");
  RespClient migrates = Begin(proxy(), &target);
  const int64_t begun_ms = NowMillis();
  ASSERT_TRUE(WaitUntil(10'000, [&] {
    return client.Ask({"get", "k"}) == Quoted("v") &&
           NowMillis() - begun_ms > 3 * kBackendTimeoutMillis;
  }));

  target.Say("+OK\r\n");

  EXPECT_EQ(*migrates.ReadFrame(), "+OK\r\n");
  EXPECT_EQ(client.Ask({"exists", "k"}), "0");
  EXPECT_EQ(Raw(&client, {"migrate", "127.0.0.1", target.port_text(), "k", "0", "100"}),
            "+NOKEY\r\n");
}

TEST_F(MigrateTest, OnlySomeRunAtATimeAndOthersWaitTheirTimeout) {
  SlowTarget target;
  std::vector<RespClient> running;
  for (int i = 0; i < 4; ++i) {
    const std::string key = "busy" + std::to_string(i);
    ASSERT_EQ(client_->Ask({"set", key, "v"}), "OK");
    running.push_back(node()->Connect());
    ASSERT_TRUE(
        running.back()
            .Send(EncodeWords({"migrate", "127.0.0.1", target.port_text(), key, "0", kLongMs}))
            .ok());
    ASSERT_TRUE(target.WaitAsked(i + 1));
  }
  ASSERT_EQ(client_->Ask({"set", "k", "v"}), "OK");

  EXPECT_EQ(Raw(client_.get(), {"migrate", "127.0.0.1", Port(*redis_), "k", "0", "50"}),
            "-IOERR timeout waiting for other MIGRATE commands of this node\r\n");
  RespClient waits = node()->Connect();
  ASSERT_TRUE(
      waits.Send(EncodeWords({"migrate", "127.0.0.1", Port(*redis_), "k", "0", kLongMs})).ok());
  target.Say("+OK\r\n");

  for (RespClient& client : running) {
    EXPECT_EQ(*client.ReadFrame(), "+OK\r\n");
  }
  EXPECT_EQ(*waits.ReadFrame(), "+OK\r\n");
  EXPECT_EQ(client_->Ask({"dbsize"}), "0");
}

TEST_F(MigrateTest, TwoOfOneKeyComeOneBehindTheOther) {
  SlowTarget target;
  ASSERT_EQ(client_->Ask({"set", "k", "v"}), "OK");
  RespClient first = Begin(node(), &target);
  RespClient second = node()->Connect();
  ASSERT_TRUE(
      second.Send(EncodeWords({"migrate", "127.0.0.1", Port(*redis_), "k", "0", kLongMs})).ok());

  target.Say("+OK\r\n");

  EXPECT_EQ(*first.ReadFrame(), "+OK\r\n");
  EXPECT_EQ(*second.ReadFrame(), "+NOKEY\r\n");
}

TEST_F(MigrateTest, TheDeletionIsToldAndLasts) {
  ASSERT_EQ(client_->Ask({"config", "set", "notify-keyspace-events", "Eg"}), "OK");
  ASSERT_EQ(client_->Ask({"mset", "k", "v", "b", "w"}), "OK");
  RespClient listens = node()->Connect();
  ASSERT_NE(listens.Ask({"subscribe", "__keyevent@0__:del"}).find("subscribe"), std::string::npos);
  RespClient tracks = node()->Connect();
  ASSERT_TRUE(tracks.Do({"hello", "3"}).ok());
  ASSERT_EQ(tracks.Ask({"client", "tracking", "on"}), "OK");
  ASSERT_EQ(tracks.Ask({"get", "k"}), Quoted("v"));
  RespClient watches = node()->Connect();
  ASSERT_EQ(watches.Ask({"watch", "k"}), "OK");

  ASSERT_EQ(client_->Ask({"migrate", "127.0.0.1", Port(*redis_), "k", "0", "5000"}), "OK");

  const Result<std::string> event = listens.ReadFrame();
  ASSERT_TRUE(event.ok());
  EXPECT_NE(event->find("\r\nk\r\n"), std::string::npos) << *event;
  const Result<std::string> invalidation = tracks.ReadFrame();
  ASSERT_TRUE(invalidation.ok());
  EXPECT_NE(invalidation->find("invalidate"), std::string::npos) << *invalidation;
  EXPECT_EQ(watches.Ask({"multi"}), "OK");
  EXPECT_EQ(watches.Ask({"get", "b"}), "QUEUED");
  EXPECT_EQ(watches.Ask({"exec"}), "null");
  node()->Kill();
  ASSERT_EQ(node()->Start().ToString(), "ok");
  EXPECT_EQ(node()->Connect().Ask({"mget", "k", "b"}), "[null, \"w\"]");
}

TEST_F(MigrateTest, WhoWaitsForAGroupHearsThatItIsGone) {
  ASSERT_EQ(client_->Ask({"xgroup", "create", "k", "g", "$", "mkstream"}), "OK");
  RespClient waits = node()->Connect();
  ASSERT_TRUE(
      waits.Send(EncodeWords({"xreadgroup", "group", "g", "c", "block", "0", "streams", "k", ">"}))
          .ok());
  ASSERT_TRUE(WaitUntil(5000, [&] { return InfoNumber(client_.get(), "blocked_clients") == 1; }));

  ASSERT_EQ(client_->Ask({"migrate", "127.0.0.1", Port(*redis_), "k", "0", "5000"}), "OK");

  const Result<std::string> told = waits.ReadFrame();
  ASSERT_TRUE(told.ok());
  EXPECT_EQ((*told)[0], '-') << *told;
}

TEST_F(MigrateTest, ItIsNoPartOfATransactionOrAScript) {
  for (Server* server : {node(), proxy()}) {
    RespClient client = server->Connect();
    ASSERT_EQ(client.Ask({"set", "k", "v"}), "OK");
    EXPECT_EQ(client.Ask({"multi"}), "OK");
    EXPECT_NE(client.Ask({"migrate", "127.0.0.1", Port(*redis_), "k", "0", "5000"})
                  .find("not allowed inside a transaction"),
              std::string::npos);
    EXPECT_NE(client.Ask({"exec"}).find("EXECABORT"), std::string::npos);
    EXPECT_NE(client
                  .Ask({"eval", "return redis.call('migrate', '127.0.0.1', '1', KEYS[1], '0', '1')",
                        "1", "k"})
                  .find("not allowed from script"),
              std::string::npos);
    EXPECT_EQ(client.Ask({"get", "k"}), Quoted("v"));
  }
}

TEST_F(MigrateTest, RightsAreAsked) {
  for (Server* server : {node(), proxy()}) {
    RespClient admin = server->Connect();
    ASSERT_EQ(admin.Ask({"acl", "setuser", "u", "reset", "on", ">pw", "~a*", "%R~r*", "+@all"}),
              "OK");
    RespClient client = server->Connect();
    ASSERT_EQ(client.Ask({"auth", "u", "pw"}), "OK");
    const std::string port = Port(*redis_);
    EXPECT_EQ(client.Ask({"migrate", "127.0.0.1", port, "a", "0", "100"}), "NOKEY");
    for (const Words& words :
         {Words{"migrate", "127.0.0.1", port, "b", "0", "100"},
          Words{"migrate", "127.0.0.1", port, "r", "0", "100"},
          Words{"migrate", "127.0.0.1", port, "", "0", "100", "keys", "{a}", "b{a}"},
          Words{"migrate", "127.0.0.1", port, "", "0", "100", "auth", "keys", "keys", "b"}}) {
      EXPECT_NE(client.Ask(words).find("NOPERM"), std::string::npos);
    }
    ASSERT_EQ(admin.Ask({"acl", "setuser", "u", "-@dangerous"}), "OK");
    EXPECT_NE(client.Ask({"migrate", "127.0.0.1", port, "a", "0", "100"}).find("NOPERM"),
              std::string::npos);
  }
}

TEST_F(MigrateTest, WhatHasExpiredIsNotSent) {
  ASSERT_EQ(client_->Ask({"set", "k", "v", "px", "1"}), "OK");
  ASSERT_TRUE(WaitUntil(5000, [&] { return client_->Ask({"exists", "k"}) == "0"; }));
  EXPECT_EQ(client_->Ask({"migrate", "127.0.0.1", Port(*redis_), "k", "0", "1000"}), "NOKEY");
}

TEST_F(MigrateTest, ARedisOfAClusterMayRestoreHere) {
  RespClient redis = redis_->Connect();
  ASSERT_EQ(redis.Ask({"set", "k", "v"}), "OK");
  const Result<Reply> payload = redis.Do({"dump", "k"});
  ASSERT_TRUE(payload.ok());
  for (Server* server : {node(), proxy()}) {
    RespClient client = server->Connect();
    EXPECT_EQ(client.Ask({"restore-asking", "k", "0", payload->text, "replace"}), "OK");
    EXPECT_EQ(client.Ask({"get", "k"}), Quoted("v"));
  }
}

}  // namespace
}  // namespace kvs
