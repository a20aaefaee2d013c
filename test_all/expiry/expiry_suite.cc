// Keys whose time has come: nobody sees them, nobody waits for them, and nothing of them stays.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "test_all/harness/cluster.h"
#include "test_all/harness/settings.h"
#include "test_all/harness/wait.h"

namespace kvs {
namespace {

// How late a key may still be seen.
constexpr int64_t kLateMillis = 10;
// How long a request may take while keys expire.  The bar of the product is 10 ms on a machine of
// its own; here the sweeper, the engines and this test share two processors with whatever else
// runs.
constexpr int64_t kMostStallMicros = 250'000;
constexpr int64_t kMostUsualMicros = 10'000;  // Of 999 requests in 1000.

int64_t WallMillis() {
  return Clock::System()->WallMillis();
}

struct Latencies {
  std::vector<int64_t> micros;

  int64_t Max() const {
    return micros.empty() ? 0 : *std::max_element(micros.begin(), micros.end());
  }
  int64_t Percentile(double part) {
    std::sort(micros.begin(), micros.end());
    return micros[static_cast<size_t>(part * static_cast<double>(micros.size() - 1))];
  }
};

class ExpiryTest : public testing::Test {
 protected:
  void Start(const Words& options = {}) {
    node_ = MakeNode(dir_, "node", options);
    ASSERT_EQ(node_->Start().ToString(), "ok");
    client_ = node_->Connect();
    client_.set_timeout_ms(30'000);
  }
  std::string Info(const std::string& section) { return client_.Do({"info", section})->text; }
  bool IsEmpty() {
    return client_.Do({"dbsize"})->integer == 0 && Info("keyspace") == "# Keyspace\r\n";
  }
  // Makes `count` keys that expire at `at_ms`.
  void MakeKeys(int count, int64_t at_ms);
  // Asks in turns until `done`, which is asked now and then.
  Latencies Measure(const std::function<bool()>& done);
  // What can be seen of keys that must be gone; empty if it is nothing.
  std::string Visible(const std::vector<std::string>& keys);

  TempDir dir_;
  std::unique_ptr<Server> node_;
  RespClient client_;
};

void ExpiryTest::MakeKeys(int count, int64_t at_ms) {
  constexpr int kBatch = 5000;
  for (int from = 0; from < count; from += kBatch) {
    std::string bytes;
    const int batch = std::min(kBatch, count - from);
    for (int i = from; i < from + batch; ++i) {
      bytes +=
          EncodeWords({"set", "k:" + std::to_string(i), "value", "pxat", std::to_string(at_ms)});
    }
    const auto replies = client_.Pipeline(bytes, static_cast<size_t>(batch));
    ASSERT_TRUE(replies.ok()) << replies.status().ToString();
    ASSERT_EQ(static_cast<int>(std::count(replies->begin(), replies->end(), "+OK\r\n")), batch);
  }
}

Latencies ExpiryTest::Measure(const std::function<bool()>& done) {
  constexpr size_t kRequestsBetween = 100;
  RespClient client = node_->Connect();
  Latencies latencies;
  while (latencies.micros.size() % kRequestsBetween != 0 || !done()) {
    const bool ping = latencies.micros.size() % 2 == 0;
    const int64_t begin = Clock::System()->MonotonicMicros();
    const Result<Reply> reply = ping ? client.Do({"ping"}) : client.Do({"get", "staying"});
    latencies.micros.push_back(Clock::System()->MonotonicMicros() - begin);
    EXPECT_EQ(reply->text, ping ? "PONG" : "here");
    if (!reply.ok()) {
      break;
    }
  }
  return latencies;
}

TEST_F(ExpiryTest, KeysThatExpireAllAtOnceDoNotHoldUpOthers) {
  const int count = Loops(1'000'000, 100'000);
  Start();
  ASSERT_TRUE(client_.Do({"set", "staying", "here"})->is_ok());
  const int64_t at_ms = WallMillis() + Loops(30'000, 4000) * kSlownessFactor;
  MakeKeys(count, at_ms);
  const int64_t loaded_ms = WallMillis();
  ASSERT_LT(loaded_ms, at_ms - 1000) << "the machine is too slow for this test";
  EXPECT_EQ(client_.Do({"dbsize"})->integer, count + 1);

  Latencies before = Measure([at_ms] { return WallMillis() > at_ms - 200; });
  const int64_t deadline_ms = at_ms + 120'000 * kSlownessFactor;
  Latencies meanwhile = Measure([this, deadline_ms] {
    return Info("keyspace").find("keys=1,") != std::string::npos || WallMillis() > deadline_ms;
  });

  std::printf(
      "%d keys were gone %lld ms after their time; %zu requests meanwhile: max %lld us, "
      "p99.9 %lld us (before: %zu, %lld us, %lld us)\n",
      count, static_cast<long long>(WallMillis() - at_ms), meanwhile.micros.size(),
      static_cast<long long>(meanwhile.Max()), static_cast<long long>(meanwhile.Percentile(0.999)),
      before.micros.size(), static_cast<long long>(before.Max()),
      static_cast<long long>(before.Percentile(0.999)));
  EXPECT_LE(meanwhile.Max(), kMostStallMicros * kSlownessFactor);
  EXPECT_LE(meanwhile.Percentile(0.999), kMostUsualMicros * kSlownessFactor);
  EXPECT_EQ(client_.Do({"dbsize"})->integer, 1);
  EXPECT_NE(Info("keyspace").find("keys=1,expires=0,"), std::string::npos) << Info("keyspace");
  EXPECT_NE(Info("stats").find("expired_keys:" + std::to_string(count) + "\r\n"),
            std::string::npos);
  ASSERT_EQ(client_.Do({"del", "staying"})->integer, 1);
  EXPECT_TRUE(IsEmpty());
}

std::string ExpiryTest::Visible(const std::vector<std::string>& keys) {
  std::vector<std::string> get = {"mget"};
  std::vector<std::string> exists = {"exists"};
  get.insert(get.end(), keys.begin(), keys.end());
  exists.insert(exists.end(), keys.begin(), keys.end());
  const Result<Reply> values = client_.Do(get);
  for (const Reply& value : values->elements) {
    if (!value.is_null()) {
      return "mget: " + value.ToString();
    }
  }
  const std::string& key = keys.front();
  const std::vector<std::pair<std::vector<std::string>, std::string>> questions = {
      {exists, "0"},           {{"get", key}, "null"},  {{"ttl", key}, "-2"},
      {{"strlen", key}, "0"},  {{"type", key}, "none"}, {{"keys", "*"}, "[]"},
      {{"randomkey"}, "null"}, {{"persist", key}, "0"}};
  for (const auto& [question, nothing] : questions) {
    const std::string reply = client_.Ask(question);
    if (reply != nothing) {
      return question[0] + ": " + reply;
    }
  }
  std::string cursor = "0";
  do {
    const Result<Reply> page = client_.Do({"scan", cursor, "count", "1000"});
    if (!page.ok() || page->elements.size() != 2 || !page->elements[1].elements.empty()) {
      return "scan: " + (page.ok() ? page->ToString() : page.status().ToString());
    }
    cursor = page->elements[0].text;
  } while (cursor != "0");
  return "";
}

// Without the sweeper, so that it is the readers who must not see the key.
TEST_F(ExpiryTest, AKeyIsNotSeenAfterItsTime) {
  Start({"--enable-debug-command", "local"});
  for (const char* sweeps : {"0", "1"}) {
    ASSERT_TRUE(client_.Do({"debug", "set-active-expire", sweeps})->is_ok());
    for (int round = 0; round < Loops(30, 5); ++round) {
      const int64_t at_ms = WallMillis() + 50 * kSlownessFactor;
      std::vector<std::string> keys;
      for (int i = 0; i < 20; ++i) {
        keys.push_back("k:" + std::to_string(round) + ":" + std::to_string(i));
        ASSERT_TRUE(client_.Do({"set", keys.back(), "v", "pxat", std::to_string(at_ms)})->is_ok());
      }
      int64_t seen_ms = 0;  // When it was asked for the last time that it was still there.
      while (true) {
        const int64_t asked_ms = WallMillis();
        if (client_.Do({"get", keys.back()})->is_null()) {
          break;
        }
        seen_ms = asked_ms;
        ASSERT_LT(asked_ms, at_ms + kLateMillis);
      }
      ASSERT_GE(WallMillis(), at_ms) << "it was gone before its time; last seen " << seen_ms;
      ASSERT_TRUE(WaitUntil(1000, [at_ms] { return WallMillis() >= at_ms + kLateMillis; }));
      ASSERT_EQ(Visible(keys), "") << "sweeping " << sweeps;
    }
  }
  EXPECT_TRUE(WaitUntil(5000, [this] { return IsEmpty(); }));
}

// A time that comes while the node is down, and one that comes soon after.
TEST_F(ExpiryTest, AKeyIsNotSeenAfterItsTimeThroughARestart) {
  Start({"--enable-debug-command", "local"});
  for (int round = 0; round < Loops(10, 2); ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    const int64_t now_ms = WallMillis();
    const std::string soon = std::to_string(now_ms + 300 * kSlownessFactor);
    const int64_t later_ms = now_ms + 3000 * kSlownessFactor;
    std::vector<std::string> soon_keys;
    std::vector<std::string> later_keys;
    for (int i = 0; i < 100; ++i) {
      soon_keys.push_back("soon:" + std::to_string(i));
      later_keys.push_back("later:" + std::to_string(i));
      ASSERT_TRUE(client_.Do({"set", soon_keys.back(), "v", "pxat", soon})->is_ok());
      ASSERT_TRUE(client_.Do({"set", later_keys.back(), "v"})->is_ok());
      ASSERT_EQ(client_.Do({"pexpireat", later_keys.back(), std::to_string(later_ms)})->integer, 1);
    }
    if (round % 2 == 0) {
      node_->Kill();
    } else {
      ASSERT_EQ(*node_->Stop(), 0);
    }
    ASSERT_TRUE(WaitUntil(5000, [&] { return WallMillis() > now_ms + 310 * kSlownessFactor; }));
    ASSERT_EQ(node_->Start().ToString(), "ok");
    client_ = node_->Connect();
    const Result<Reply> gone = client_.Do({"exists", "soon:0", "soon:50", "soon:99"});
    EXPECT_EQ(gone->integer, 0);
    const int64_t asked_ms = WallMillis();
    const Result<Reply> still = client_.Do({"exists", "later:0", "later:50", "later:99"});
    EXPECT_TRUE(still->integer == 3 || WallMillis() >= later_ms) << still->integer;
    EXPECT_LT(asked_ms, later_ms) << "the start took so long that this test shows nothing";
    ASSERT_TRUE(client_.Do({"debug", "set-active-expire", "0"})->is_ok());
    ASSERT_TRUE(WaitUntil(10'000, [&] { return WallMillis() >= later_ms + kLateMillis; }));
    soon_keys.insert(soon_keys.end(), later_keys.begin(), later_keys.end());
    ASSERT_EQ(Visible(soon_keys), "");
    ASSERT_TRUE(client_.Do({"debug", "set-active-expire", "1"})->is_ok());
    EXPECT_TRUE(WaitUntil(5000, [this] { return IsEmpty(); })) << Info("keyspace");
  }
}

}  // namespace
}  // namespace kvs
