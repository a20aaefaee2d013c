// Values of random content, dumped by one server and restored by the other: a node, or a proxy
// before two, and redis-server.

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "common/base/random.h"
#include "test_all/harness/cluster.h"
#include "test_all/harness/settings.h"

namespace kvs {
namespace {

class DumpTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    ASSERT_EQ(cluster_.Start().ToString(), "ok");
    redis_ = MakeRedis(cluster_.dir(), "redis");
    ASSERT_EQ(redis_->Start().ToString(), "ok");
  }

  std::string Text() {
    switch (random_.Uniform(6)) {
      case 0:
        return std::to_string(static_cast<int64_t>(random_.Uniform(400)) - 200);
      case 1:
        return std::to_string(static_cast<int64_t>(random_.Next()));
      case 2: {
        std::string bytes;
        for (uint64_t i = random_.Uniform(40); i > 0; --i) {
          bytes.push_back(static_cast<char>(random_.Uniform(256)));
        }
        return bytes;
      }
      case 3:
        return std::string(random_.Uniform(600), 'a') + "b";
      case 4:
        return std::string(random_.Uniform(70), 'x');
      default:
        return std::to_string(static_cast<double>(random_.Uniform(1'000'000)) / 1024);
    }
  }
  std::string StreamId() {
    return std::to_string(1 + random_.Uniform(60)) + "-" + std::to_string(random_.Uniform(3));
  }
  // Some are refused, as ids only grow and groups may be missing.
  Words StreamCommand() {
    const std::string group = random_.OneIn(2) ? "g" : Text();
    const std::string consumer = random_.OneIn(2) ? "c" : std::to_string(random_.Uniform(3));
    switch (random_.Uniform(12)) {
      case 0:
        return {"xdel", "k", StreamId()};
      case 1:
        return {"xtrim", "k", "maxlen", std::to_string(random_.Uniform(200))};
      case 2:
        return {"xgroup", "create", "k", group, random_.OneIn(2) ? "$" : StreamId(), "mkstream"};
      case 3:
        return {"xreadgroup", "group", "g",
                consumer,     "count", std::to_string(random_.Uniform(9)),
                "streams",    "k",     random_.OneIn(3) ? "0" : ">"};
      case 4:
        return {"xack", "k", "g", StreamId(), StreamId()};
      case 5:
        return {"xautoclaim", "k", "g", consumer, "0", StreamId(), "count", "3"};
      case 6:
        return {"xadd", "k", random_.OneIn(2) ? "*" : StreamId(), Text(), Text(), Text(), Text()};
      default:
        return {"xadd", "k", random_.OneIn(9) ? "*" : std::to_string(next_id_++) + "-*",
                random_.OneIn(2) ? "field" : Text(), Text()};
    }
  }
  static std::string StreamContent(RespClient* client) {
    std::string all = client->Ask({"xrange", "k", "-", "+"});
    const Result<Reply> info = client->Do({"xinfo", "stream", "k"});
    for (const size_t i : {1u, 7u, 9u, 11u, 13u, 15u}) {  // But for the sizes of the tree.
      all += " " + info->elements.at(i).ToString();
    }
    const Result<Reply> groups = client->Do({"xinfo", "groups", "k"});
    for (const Reply& group : groups->elements) {
      const std::string& name = group.elements.at(1).text;
      all += " " + group.ToString() + client->Ask({"xpending", "k", name});
      const Result<Reply> pending = client->Do({"xpending", "k", name, "-", "+", "1000"});
      for (const Reply& one : pending->elements) {  // But for how long.
        all +=
            " " + one.elements.at(0).text + one.elements.at(1).text + one.elements.at(3).ToString();
      }
    }
    return all;
  }

  // Adds to what the key holds.
  Words Command(uint64_t kind) {
    switch (kind) {
      case 0:
        return {"set", "k", Text()};
      case 1:
        return {"rpush", "k", Text(), Text()};
      case 2:
        return {"sadd", "k", random_.OneIn(2) ? Text() : std::to_string(random_.Uniform(100'000))};
      case 3:
        return {"hset", "k", Text(), Text()};
      case 4:
        return StreamCommand();
      default:
        return {"zadd", "k", random_.OneIn(5) ? "-inf" : std::to_string(random_.Uniform(50)),
                Text()};
    }
  }
  static std::string Content(RespClient* client) {
    const std::string type = client->Ask({"type", "k"});
    if (type == "string") {
      return client->Ask({"get", "k"});
    }
    if (type == "list") {
      return client->Ask({"lrange", "k", "0", "-1"});
    }
    if (type == "zset") {
      return client->Ask({"zrange", "k", "0", "-1", "withscores"});
    }
    if (type == "stream") {
      return StreamContent(client);
    }
    const bool is_set = type == "set";
    std::vector<std::string> parts;
    const Result<Reply> reply = client->Do({is_set ? "smembers" : "hgetall", "k"});
    for (size_t i = 0; reply.ok() && i < reply->elements.size(); i += is_set ? 1 : 2) {
      parts.push_back(reply->elements[i].ToString() +
                      (is_set ? "" : " " + reply->elements[i + 1].ToString()));
    }
    std::sort(parts.begin(), parts.end());
    std::string all = type;
    for (const std::string& part : parts) {
      all += " " + part;
    }
    return all;
  }

  Random random_{20261};
  uint64_t next_id_ = 1;
  Cluster cluster_{{.nodes = 2, .node_options = {}, .proxy_options = {}}};
  std::unique_ptr<Server> redis_;
};

INSTANTIATE_TEST_SUITE_P(All, DumpTest, testing::Bool(),
                         [](const auto& param) { return param.param ? "proxy" : "node"; });

TEST_P(DumpTest, WhatOneServerDumpsTheOtherRestores) {
  RespClient ours = (GetParam() ? cluster_.proxy() : cluster_.node(0))->Connect();
  RespClient redis = redis_->Connect();
  ASSERT_EQ(redis.Ask({"config", "set", "sanitize-dump-payload", "yes"}), "OK");
  const int rounds = Loops(400, 60);
  for (int round = 0; round < rounds; ++round) {
    RespClient* const from = round % 2 == 0 ? &ours : &redis;
    RespClient* const to = round % 2 == 0 ? &redis : &ours;
    ASSERT_TRUE(from->Do({"del", "k"}).ok());
    const uint64_t kind = random_.Uniform(6);
    next_id_ = 1;
    for (uint64_t i = 1 + random_.Uniform(random_.OneIn(4) ? 900 : 20); i > 0; --i) {
      ASSERT_TRUE(!from->Do(Command(kind))->is_error() || kind == 4);
    }
    if (from->Ask({"exists", "k"}) != "1") {
      continue;  // No command of a stream has made it.
    }
    if (random_.OneIn(2)) {
      ASSERT_TRUE(to->Do({"set", "k", "old"}).ok());
    }
    const Result<Reply> payload = from->Do({"dump", "k"});
    ASSERT_TRUE(payload.ok() && payload->is_string());
    const char* const ttl = random_.OneIn(2) ? "0" : "100000";
    ASSERT_EQ(to->Ask({"restore", "k", ttl, payload->text, "replace"}), "OK") << "round " << round;
    ASSERT_EQ(Content(from), Content(to)) << "round " << round;
    ASSERT_EQ(to->Ask({"ttl", "k"}) == "-1", std::string_view(ttl) == "0");
  }
}

}  // namespace
}  // namespace kvs
