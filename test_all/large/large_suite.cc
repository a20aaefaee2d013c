// Collections of hundreds of thousands of elements beside small ones: what concerns one element
// costs about the same, what ends a collection costs no more than one of its elements does, and
// memory is bounded.
//
// All bounds are ratios of times or sizes that were measured in the same run.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/base/slowness.h"
#include "common/base/strings.h"
#include "test_all/harness/cluster.h"
#include "test_all/harness/settings.h"
#include "test_all/harness/wait.h"

namespace kvs {
namespace {

constexpr uint64_t kSmall = 1000;
constexpr uint64_t kPerCommand = 500;
// They have a few more levels of everything than a thousand, and are in fewer caches.  What looks
// at all of them takes hundreds of times as long.
constexpr int64_t kMostTimes = 25;

using Command = std::function<Words(const std::string& key, uint64_t i)>;

// A type of value.
struct Kind {
  std::string name;
  Words add;  // The command before its key, and what appends element i to it.
  std::function<void(uint64_t i, Words* words)> append;
  std::string count;
  std::vector<Command> commands;  // About element i, or a few from there on.  The count stays.
};

std::string Name(uint64_t i) {
  return "element:" + std::to_string(i);
}

Command Fixed(const std::string& name, const Words& rest = {}) {
  return [=](const std::string& key, uint64_t) {
    Words words = {name, key};
    words.insert(words.end(), rest.begin(), rest.end());
    return words;
  };
}

// In turns, as when something is added and removed again.
Command InTurns(const Words& one, const Words& other) {
  return [=, turn = 0](const std::string& key, uint64_t /*i*/) mutable {
    Words words = turn++ % 2 == 0 ? one : other;
    words.insert(words.begin() + 1, key);
    return words;
  };
}

// NAME key element REST
Command OfElement(const std::string& name, const Words& rest = {}) {
  return [=](const std::string& key, uint64_t i) {
    Words words = {name, key, Name(i)};
    words.insert(words.end(), rest.begin(), rest.end());
    return words;
  };
}

// NAME key i i+9 REST
Command OfTen(const std::string& name, const Words& rest = {}) {
  return [=](const std::string& key, uint64_t i) {
    Words words = {name, key, std::to_string(i), std::to_string(i + 9)};
    words.insert(words.end(), rest.begin(), rest.end());
    return words;
  };
}

Kind Hash() {
  return {.name = "hash",
          .add = {"hset"},
          .append =
              [](uint64_t i, Words* words) {
                words->insert(words->end(), {Name(i), "value"});
              },
          .count = "hlen",
          .commands = {OfElement("hget"), OfElement("hset", {"another"}), OfElement("hexists"),
                       OfElement("hstrlen"), OfElement("hsetnx", {"x"}), Fixed("hlen"),
                       Fixed("hrandfield"), Fixed("hrandfield", {"10", "withvalues"}),
                       Fixed("hincrby", {"number", "1"}), Fixed("hdel", {"number"}),
                       Fixed("hscan", {"0", "count", "10"})}};
}

Kind Set() {
  return {.name = "set",
          .add = {"sadd"},
          .append = [](uint64_t i, Words* words) { words->push_back(Name(i)); },
          .count = "scard",
          .commands = {OfElement("sismember"), OfElement("sadd"), OfElement("smismember", {"x"}),
                       Fixed("scard"), Fixed("srandmember"), Fixed("srandmember", {"10"}),
                       Fixed("sadd", {"new"}), Fixed("srem", {"new"}),
                       Fixed("sscan", {"0", "count", "10"})}};
}

Kind List() {
  return {.name = "list",
          .add = {"rpush"},
          .append = [](uint64_t i, Words* words) { words->push_back(Name(i)); },
          .count = "llen",
          .commands = {[](const std::string& key, uint64_t i) {
                         return Words{"lindex", key, std::to_string(i)};
                       },
                       [](const std::string& key, uint64_t i) {
                         return Words{"lset", key, std::to_string(i), "another"};
                       },
                       OfTen("lrange"), Fixed("llen"), Fixed("rpush", {"new"}), Fixed("rpop"),
                       Fixed("lpush", {"new"}), Fixed("lpop"),
                       Fixed("linsert", {"before", Name(0), "new"}), Fixed("lrem", {"1", "new"}),
                       Fixed("lpos", {Name(1)}),
                       [](const std::string& key, uint64_t) {
                         return Words{"lmove", key, key, "right", "left"};
                       },
                       // Sees to it that the next round begins with the same list.
                       [](const std::string& key, uint64_t) {
                         return Words{"lmove", key, key, "left", "right"};
                       }}};
}

Kind ZSet() {
  return {.name = "zset",
          .add = {"zadd"},
          .append =
              [](uint64_t i, Words* words) {
                words->insert(words->end(), {std::to_string(i), Name(i)});
              },
          .count = "zcard",
          .commands = {OfElement("zscore"), OfElement("zrank"), OfElement("zrevrank"),
                       OfTen("zrange"), OfTen("zrange", {"withscores"}), OfTen("zrevrange"),
                       OfTen("zrangebyscore"), OfTen("zrange", {"byscore", "limit", "0", "5"}),
                       Fixed("zcard"), Fixed("zcount", {"100", "+inf"}),
                       Fixed("zrange", {"-inf", "+inf", "byscore", "limit", "500", "10"}),
                       Fixed("zrandmember"), Fixed("zrandmember", {"10", "withscores"}),
                       Fixed("zincrby", {"1", "number"}), Fixed("zrem", {"number"}),
                       InTurns({"zadd", "-1", "first"}, {"zpopmin"}),
                       InTurns({"zadd", "inf", "last"}, {"zremrangebyrank", "-1", "-1"}),
                       Fixed("zremrangebyscore", {"(0.2", "(0.8"}),
                       Fixed("zscan", {"0", "count", "10"})}};
}

Kind Stream() {
  return {.name = "stream",
          .add = {"xadd"},
          .append =
              [](uint64_t i, Words* words) {
                words->insert(words->end(), {std::to_string(i + 1) + "-0", "field", Name(i)});
              },
          .count = "xlen",
          .commands = {OfTen("xrange"), OfTen("xrange", {"count", "5"}), Fixed("xlen"),
                       Fixed("xrevrange", {"+", "-", "count", "10"}),
                       [](const std::string& key, uint64_t i) {
                         return Words{"xread", "count", "10", "streams", key, std::to_string(i)};
                       }}};
}

std::vector<Kind> Kinds() {
  return {Hash(), Set(), List(), ZSet(), Stream()};
}

std::string FirstError(const std::vector<std::string>& replies) {
  for (const std::string& reply : replies) {
    if (reply[0] == '-') {
      return reply;
    }
  }
  return "";
}

class LargeTest : public testing::Test {
 protected:
  void Start(const Words& options) {
    node_ = MakeNode(dir_, "node", options);
    node_->set_env(node_env_);
    ASSERT_EQ(node_->Start().ToString(), "ok");
    Connect();
  }
  void Connect() {
    client_ = node_->Connect();
    client_.set_timeout_ms(120'000);
  }
  // Makes a value of elements from `first` to `end`.
  void Fill(const Kind& kind, const std::string& key, uint64_t first, uint64_t end) {
    const uint64_t per_command = kind.name == "stream" ? 1 : kPerCommand;
    std::string bytes;
    size_t count = 0;
    for (uint64_t i = first; i < end;) {
      Words words = kind.add;
      words.push_back(key);
      for (const uint64_t last = std::min(end, i + per_command); i < last; ++i) {
        kind.append(i, &words);
      }
      bytes += EncodeWords(words);
      ++count;
      if (bytes.size() > 1 << 20 || i == end) {
        const auto replies = client_.Pipeline(bytes, count);
        ASSERT_TRUE(replies.ok()) << replies.status().ToString();
        ASSERT_EQ(FirstError(*replies), "");
        bytes.clear();
        count = 0;
      }
    }
  }
  int64_t Count(const Kind& kind, const std::string& key) {
    return client_.Do({kind.count, key})->integer;
  }
  // How long the server takes for the command about `count` of the elements below `size`.
  int64_t Micros(const Command& command, const std::string& key, uint64_t size, uint64_t count) {
    std::string bytes;
    for (uint64_t n = 0; n < count; ++n) {
      bytes += EncodeWords(command(key, size / 2 + n * 7919 % (size / 2 - 10)));
    }
    const int64_t start = clock_->MonotonicMicros();
    const auto replies = client_.Pipeline(bytes, count);
    const int64_t end = clock_->MonotonicMicros();
    EXPECT_TRUE(replies.ok()) << replies.status().ToString();
    if (replies.ok()) {
      EXPECT_EQ(FirstError(*replies), "") << command(key, 0)[0];
    }
    return end - start;
  }
  // The time of a round in which nothing else had the processor.
  static int64_t Least(const std::vector<int64_t>& times) {
    return *std::min_element(times.begin(), times.end());
  }
  void CompareCommands(const Words& options);
  void CheckFiles() {
    const Result<ToolResult> check =
        RunTool({BinaryPath("kv_node"), "--check", dir_.Join("node")}, 120'000);
    ASSERT_TRUE(check.ok()) << check.status().ToString();
    EXPECT_EQ(check->exit_code, 0) << check->output;
    checked_ = check->output;
  }

  Clock* const clock_ = Clock::System();
  TempDir dir_;
  Words node_env_;
  std::unique_ptr<Server> node_;
  RespClient client_;
  std::string checked_;
};

void LargeTest::CompareCommands(const Words& options) {
  const auto small = static_cast<uint64_t>(Loops(kSmall, 300));
  const auto large = static_cast<uint64_t>(Loops(400'000, 12'000));
  const auto at_once = static_cast<uint64_t>(Loops(50, 20));
  const int rounds = Loops(7, 5);
  Start(options);
  for (const Kind& kind : Kinds()) {
    SCOPED_TRACE(kind.name);
    Fill(kind, "large", 0, large);
    Fill(kind, "small", 0, small);
    for (const Command& command : kind.commands) {
      std::vector<int64_t> times[2];
      for (int round = 0; round < rounds; ++round) {
        times[0].push_back(Micros(command, "small", small, at_once));
        times[1].push_back(Micros(command, "large", large, at_once));
      }
      const int64_t small_time = std::max<int64_t>(Least(times[0]), 1);
      const int64_t large_time = Least(times[1]);
      std::string name;
      for (const std::string& word : command("", 1)) {
        name += word + " ";
      }
      EXPECT_LE(large_time, kMostTimes * small_time) << name;
      std::printf("%-40s %6.1f us of %4llu, %6.1f us of %llu\n", name.c_str(),
                  static_cast<double>(small_time) / static_cast<double>(at_once),
                  static_cast<unsigned long long>(small),
                  static_cast<double>(large_time) / static_cast<double>(at_once),
                  static_cast<unsigned long long>(large));
    }
    EXPECT_EQ(Count(kind, "large"), static_cast<int64_t>(large));
    EXPECT_EQ(client_.Do({"del", "large", "small"})->integer, 2);
  }
}

TEST_F(LargeTest, OneElementOfManyCostsWhatOneOfAThousandDoes) {
  CompareCommands({});
}

// Nothing is found in a cache of ours, and little in LevelDB's.
TEST_F(LargeTest, OneElementOfManyIsFoundInTheFilesByFewReads) {
  CompareCommands({"--record-cache-size", "0", "--write-behind-size", "1mb", "--write-buffer-size",
                   "1mb", "--block-cache-size", "4mb"});
}

// Deleted, overwritten, renamed over, expired: at once, and what is left is swept while all counts
// are exact, also if the node is killed in between.
TEST_F(LargeTest, ALargeCollectionGoesAtOnceAndIsSweptLater) {
  const auto large = static_cast<uint64_t>(Loops(200'000, 5'000));
  const std::vector<std::pair<std::string, std::vector<Words>>> ways = {
      {"del", {{"del", "large"}}},
      {"unlink", {{"unlink", "large"}}},
      {"set", {{"set", "large", "v"}}},
      {"rename", {{"rename", "other", "large"}}},
      {"pexpireat", {{"pexpireat", "large", "1"}}},
      {"copy", {{"copy", "other", "large", "replace"}}},
  };
  Start({});
  std::vector<int64_t> small_times;
  std::map<std::string, std::vector<int64_t>> times;
  int64_t collections = 0;
  for (const Kind& kind : Kinds()) {
    for (const auto& [way, commands] : ways) {
      SCOPED_TRACE(kind.name + ", " + way);
      Fill(kind, "large", 0, large);
      Fill(kind, "tiny", 0, 3);
      ASSERT_TRUE(client_.Do({"set", "other", "o"})->is_ok());
      ASSERT_EQ(Count(kind, "large"), static_cast<int64_t>(large));
      int64_t start = clock_->MonotonicMicros();
      EXPECT_EQ(client_.Do({"del", "tiny"})->integer, 1);
      int64_t end = clock_->MonotonicMicros();
      small_times.push_back(end - start);
      start = clock_->MonotonicMicros();
      for (const Words& words : commands) {
        const Result<Reply> reply = client_.Do(words);
        ASSERT_TRUE(reply.ok() && !reply->is_error()) << (reply.ok() ? reply->text : "");
      }
      end = clock_->MonotonicMicros();
      times[way].push_back(end - start);
      ++collections;
      const bool is_gone = way == "del" || way == "unlink" || way == "pexpireat";
      EXPECT_EQ(client_.Do({"exists", "large"})->integer, is_gone ? 0 : 1);
      (void)client_.Do({"del", "large", "other"});
      EXPECT_EQ(client_.Do({"dbsize"})->integer, 0);
    }
    // In the middle of it.
    node_->Kill();
    ASSERT_NO_FATAL_FAILURE(CheckFiles());
    ASSERT_EQ(node_->Start().ToString(), "ok");
    Connect();
    EXPECT_EQ(client_.Do({"dbsize"})->integer, 0);
  }
  const int64_t small_time = std::max<int64_t>(Least(small_times), 1);
  for (const auto& [way, way_times] : times) {
    EXPECT_LE(Least(way_times), kMostTimes * small_time) << way;
    std::printf("%-20s %lld us, of a small one %lld us\n", way.c_str(),
                static_cast<long long>(Least(way_times)), static_cast<long long>(small_time));
  }
  // Whatever is left belongs to nobody, and goes, but for the ends of some of it.
  const bool is_clean = WaitUntil(120'000, [&] {
    const int64_t before = InfoNumber(&client_, "swept_records");
    return !WaitUntil(3000, [&] { return InfoNumber(&client_, "swept_records") > before; });
  });
  EXPECT_TRUE(is_clean);
  const Result<int> stopped = node_->Stop();
  ASSERT_TRUE(stopped.ok()) << stopped.status().ToString();
  ASSERT_NO_FATAL_FAILURE(CheckFiles());
  EXPECT_NE(checked_.find("keys: 0,"), std::string::npos) << checked_;
  int64_t left = -1;
  const size_t end = checked_.find(" records to be swept");
  const size_t begin = checked_.rfind(' ', end - 1) + 1;
  ASSERT_TRUE(end != std::string::npos &&
              ParseInt64(std::string_view(checked_).substr(begin, end - begin), &left))
      << checked_;
  EXPECT_LE(left, 3 * collections) << checked_;
}

// Something that is added to at one end and taken from at the other, or anywhere, for a long time:
// what has been taken lies in the store until it is compacted, and in nobody's way.
struct Queue {
  std::string name;
  Kind kind;
  // What makes element i come, and another one go, with i - kSmall the oldest one.
  std::function<std::vector<Words>(uint64_t i)> turn;
  std::vector<Words> probes;
};

std::vector<Queue> Queues() {
  const auto number = [](uint64_t i) { return std::to_string(i); };
  return {
      {"list",
       List(),
       [](uint64_t i) {
         return std::vector<Words>{{"rpush", "q", Name(i)}, {"lpop", "q"}};
       },
       {{"lrange", "q", "0", "0"}, {"lindex", "q", "-1"}}},
      {"members by score, popped",
       ZSet(),
       [=](uint64_t i) {
         return std::vector<Words>{{"zadd", "q", number(i), Name(i)}, {"zpopmin", "q"}};
       },
       {{"zrange", "q", "0", "0"}, {"zcount", "q", "-inf", "+inf"}, {"zrevrange", "q", "0", "0"}}},
      {"members by score, popped at the other end",
       ZSet(),
       [=](uint64_t i) {
         return std::vector<Words>{{"zadd", "q", "-" + number(i), Name(i)}, {"zpopmax", "q"}};
       },
       {{"zrange", "q", "0", "0"}, {"zcount", "q", "-inf", "+inf"}, {"zrevrange", "q", "0", "0"}}},
      {"a window of time",
       ZSet(),
       [=](uint64_t i) {
         return std::vector<Words>{{"zadd", "q", number(i), Name(i)},
                                   {"zremrangebyscore", "q", "-inf", "(" + number(i - kSmall)},
                                   {"zcard", "q"}};
       },
       {{"zrange", "q", "0", "0"}, {"zcount", "q", "-inf", "+inf"}}},
      {"members taken by name",
       ZSet(),
       [=](uint64_t i) {
         return std::vector<Words>{{"zadd", "q", number(i), Name(i)},
                                   {"zrem", "q", Name(i - kSmall)}};
       },
       {{"zrange", "q", "0", "0"}, {"zcount", "q", "-inf", "+inf"}}},
      {"members of one score",
       ZSet(),
       [=](uint64_t i) {
         return std::vector<Words>{{"zadd", "q", "0", Name(10'000'000 + i)}, {"zpopmin", "q"}};
       },
       {{"zrange", "q", "0", "0"}, {"zrevrange", "q", "0", "0"}}},
      {"entries of a stream",
       Stream(),
       [=](uint64_t i) {
         return std::vector<Words>{
             {"xadd", "q", "maxlen", number(kSmall), number(i + 1) + "-0", "field", "value"}};
       },
       {{"xrange", "q", "-", "+", "count", "1"}, {"xrevrange", "q", "+", "-", "count", "1"}}},
  };
}

TEST_F(LargeTest, AQueueStaysAsFastAsItWas) {
  const auto turns = static_cast<uint64_t>(Loops(30'000, 5'000));
  constexpr int kRounds = 7;
  constexpr uint64_t kAtOnce = 20;
  // Those before have left gaps beside it.
  Start({});
  for (const Queue& queue : Queues()) {
    SCOPED_TRACE(queue.name);
    Fill(queue.kind, "q", 0, kSmall);
    const auto probe = [&](const Words& words) {
      std::vector<int64_t> times;
      for (int round = 0; round < kRounds; ++round) {
        times.push_back(
            Micros([&](const std::string&, uint64_t) { return words; }, "q", kSmall, kAtOnce));
      }
      return std::max<int64_t>(Least(times), 1);
    };
    std::vector<int64_t> before;
    for (const Words& words : queue.probes) {
      before.push_back(probe(words));
    }
    for (uint64_t i = kSmall; i < kSmall + turns;) {
      std::string bytes;
      size_t count = 0;
      for (uint64_t n = 0; n < 500; ++n, ++i) {
        for (const Words& words : queue.turn(i)) {
          bytes += EncodeWords(words);
          ++count;
        }
      }
      const auto replies = client_.Pipeline(bytes, count);
      ASSERT_TRUE(replies.ok()) << replies.status().ToString();
      ASSERT_EQ(FirstError(*replies), "");
    }
    for (size_t i = 0; i < queue.probes.size(); ++i) {
      const int64_t after = probe(queue.probes[i]);
      std::printf("%s: %s %.1f us before, %.1f us after\n", queue.name.c_str(),
                  queue.probes[i][0].c_str(), static_cast<double>(before[i]) / kAtOnce,
                  static_cast<double>(after) / kAtOnce);
      EXPECT_LE(after, kMostTimes * before[i]) << queue.probes[i][0];
    }
    EXPECT_NEAR(static_cast<double>(Count(queue.kind, "q")), static_cast<double>(kSmall), 2);
    ASSERT_TRUE(client_.Do({"flushall"})->is_ok());
  }
}

// Ten times as much data takes about the same memory.
TEST_F(LargeTest, ManyElementsAreHeldAndReadInBoundedMemory) {
  node_env_ = {"ASAN_OPTIONS=quarantine_size_mb=1"};  // Else it keeps what was freed.
  const auto large = static_cast<uint64_t>(Loops(400'000, 30'000));
  Start({"--record-cache-size", "4mb", "--write-behind-size", "4mb", "--write-buffer-size", "1mb",
         "--block-cache-size", "4mb"});
  Fill(Hash(), "first", 0, large);  // So that all caches have what they may have.
  for (const Kind& kind : Kinds()) {
    SCOPED_TRACE(kind.name);
    Fill(kind, kind.name, 0, large / 10);
    const int64_t before = InfoNumber(&client_, "used_memory_rss");
    Fill(kind, kind.name, large / 10, large);
    const int64_t after = InfoNumber(&client_, "used_memory_rss");
    std::printf("%s: %lld MiB after a tenth, %lld MiB after all\n", kind.name.c_str(),
                static_cast<long long>(before >> 20), static_cast<long long>(after >> 20));
    EXPECT_LE(after, before + before / 2);
  }
  // The reply is made once, and goes as it is made or is kept once.
  const int64_t before = InfoNumber(&client_, "used_memory_peak");
  const Result<std::string> all =
      client_.Exchange(std::vector<std::string_view>{"hgetall", "hash"});
  ASSERT_TRUE(all.ok()) << all.status().ToString();
  const int64_t peak = InfoNumber(&client_, "used_memory_peak");
  std::printf("hgetall: %zu MiB of reply, peak %lld MiB before, %lld MiB after\n",
              all->size() >> 20, static_cast<long long>(before >> 20),
              static_cast<long long>(peak >> 20));
  EXPECT_LE(peak, before + 2 * static_cast<int64_t>(all->size()) + (16 << 20));
}

// Keys of one slot, changed by several loops at the same time.
TEST_F(LargeTest, CollectionsThatBecomeLargeAtOnceShareNothing) {
  constexpr size_t kClients = 8;
  Start({"--io-threads", "4"});
  std::vector<RespClient> clients;
  for (size_t i = 0; i < kClients; ++i) {
    clients.push_back(node_->Connect());
  }
  const auto key_of = [](int round, size_t client) {
    return "{t}" + std::to_string(round) + ":" + std::to_string(client);
  };
  const int rounds = Loops(500, 60);
  for (int round = 0; round < rounds; ++round) {
    for (size_t i = 0; i < kClients; ++i) {
      Words words = {"hset", key_of(round, i)};
      for (int field = 0; field < 40; ++field) {
        words.push_back("field:" + std::to_string(field));
        words.push_back("a value that is long enough, of " + key_of(round, i));
      }
      ASSERT_TRUE(clients[i].Send(EncodeWords(words)).ok());
    }
    for (size_t i = 0; i < kClients; ++i) {
      ASSERT_EQ(*clients[i].ReadFrame(), ":40\r\n");
    }
    for (size_t i = 0; i < kClients; ++i) {
      const Result<Reply> values = client_.Do({"hvals", key_of(round, i)});
      ASSERT_TRUE(values.ok()) << values.status().ToString();
      ASSERT_EQ(values->elements.size(), 40U);
      for (const Reply& value : values->elements) {
        ASSERT_EQ(value.text, "a value that is long enough, of " + key_of(round, i));
      }
    }
  }
  ASSERT_TRUE(node_->Stop().ok());
  CheckFiles();
}

}  // namespace
}  // namespace kvs
