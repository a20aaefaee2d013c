// SLOWLOG STAGES of a proxy: the time of a request is shown where it was spent, and nowhere else.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/slot/slot.h"
#include "test_all/harness/cluster.h"
#include "test_all/harness/fake_server.h"
#include "test_all/harness/settings.h"
#include "test_all/harness/wait.h"

namespace kvs {
namespace {

constexpr int64_t kDelayMillis = 300;
constexpr int64_t kDelayMicros = kDelayMillis * 1000;

using Stages = std::map<std::string, int64_t>;

std::string BulkOf(const std::string& text) {
  return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
}

// A proxy before two nodes that answer GET by the name of the key.  The first answers late what a
// test wants to be late, and what comes behind it not before.
class StagesTest : public testing::Test {
 protected:
  void SetUp() override {
    proxy_ = MakeProxy(dir_, "proxy",
                       {"--servers", slow_.address() + "," + quick_.address(), "--io-threads", "1",
                        "--backend-timeout", "30s"});
    ASSERT_EQ(proxy_->Start().ToString(), "ok");
    client_ = proxy_->Connect();
    admin_ = proxy_->Connect();
    // Links are dialled, and a greeting takes its time, when the first request comes.
    ASSERT_EQ(client_.Do({"get", KeyOn(0, "warm")})->text, KeyOn(0, "warm"));
    ASSERT_EQ(client_.Do({"get", KeyOn(1, "warm")})->text, KeyOn(1, "warm"));
    ASSERT_EQ(admin_.Ask({"config", "set", "slowlog-log-slower-than", "0"}), "OK");
  }

  // A key of the first node or of the second.
  static std::string KeyOn(int node, const std::string& prefix) {
    for (int n = 0;; ++n) {
      std::string key = prefix + std::to_string(n);
      if (SlotOf(key) / (kSlotCount / 2) == node) {
        return key;
      }
    }
  }
  static std::string ReplyTo(const Words& request) {
    if (request[0] != "mget") {
      return request[0] == "set" ? "+OK\r\n" : BulkOf(request[1]);
    }
    std::string reply = "*" + std::to_string(request.size() - 1) + "\r\n";
    for (size_t i = 1; i < request.size(); ++i) {
      reply += BulkOf(request[i]);
    }
    return reply;
  }
  // "late..." is answered after the delay, and "first..." so long after something came behind it
  // that is not called "probe...".  While "stall..." is answered, the node reads nothing.
  void AnswerSlowly(FakePeer* peer, const Words& request) {
    const std::string& key = request[1];
    if (key.starts_with("stall")) {
      const int64_t until = NowMillis() + kDelayMillis;
      stalled_ = true;
      EXPECT_TRUE(WaitUntil(10'000, [until] { return NowMillis() >= until; }));
    }
    const bool first = key.starts_with("first");
    const bool behind = !due_.empty();
    if (!first && !behind && !key.starts_with("late")) {
      return peer->Send(ReplyTo(request));
    }
    due_ += ReplyTo(request);
    if (!first && !key.starts_with("probe")) {
      slow_.loop()->After(kDelayMillis, [this, id = peer->id()] {
        if (FakePeer* found = slow_.Find(id)) {
          found->Send(std::exchange(due_, {}));
        }
      });
    }
  }

  bool SlowNodeOwes(const std::string& key) {
    bool owes = false;
    slow_.Run([&] { owes = due_.find(BulkOf(key)) != std::string::npos; });
    return owes;
  }

  // Returns the stages of the latest entry of the slow log whose command is about `key`.
  Stages StagesOf(const std::string& key) {
    const Result<Reply> entries = admin_.Do({"slowlog", "get", "-1"});
    const Result<Reply> stages = admin_.Do({"slowlog", "stages", "-1"});
    Stages found;
    for (const Reply& entry : entries->elements) {
      const std::vector<Reply>& words = entry.elements[3].elements;
      if (words.size() < 2 || words[1].text != key) {
        continue;
      }
      for (const Reply& candidate : stages->elements) {
        if (candidate.elements[0].integer != entry.elements[0].integer) {
          continue;
        }
        const std::vector<Reply>& pairs = candidate.elements[1].elements;
        int64_t sum = 0;
        for (size_t i = 0; i + 1 < pairs.size(); i += 2) {
          found[pairs[i].text] = pairs[i + 1].integer;
          sum += pairs[i + 1].integer;
        }
        EXPECT_EQ(sum, entry.elements[2].integer) << "stages and duration of " << key;
        return found;
      }
    }
    ADD_FAILURE() << "no entry about " << key;
    return found;
  }
  // Only these stages may have taken time.
  static void ExpectOnly(const Words& names, const Stages& stages) {
    for (const auto& [name, micros] : stages) {
      if (std::find(names.begin(), names.end(), name) == names.end()) {
        EXPECT_EQ(micros, 0) << name;
      }
    }
  }

  TempDir dir_;
  std::string due_;  // What the slow node has not answered yet; belongs to its thread.
  std::atomic<bool> stalled_{false};
  FakeServer slow_{[this](FakePeer* peer, const Words& request) { AnswerSlowly(peer, request); }};
  FakeServer quick_{[](FakePeer* peer, const Words& request) { peer->Send(ReplyTo(request)); }};
  std::unique_ptr<Server> proxy_;
  RespClient client_;
  RespClient admin_;
};

TEST_F(StagesTest, ANodeThatAnswersLateIsNode) {
  const std::string late = KeyOn(0, "late");
  ASSERT_EQ(client_.Do({"get", late})->text, late);
  Stages stages = StagesOf(late);
  EXPECT_GE(stages["node"], kDelayMicros);
  ExpectOnly({"node"}, stages);
}

TEST_F(StagesTest, TheSlowestPartOfASplitCommandIsNode) {
  const std::string late = KeyOn(0, "late");
  ASSERT_EQ(client_.Do({"mget", late, KeyOn(1, "other")})->elements.size(), 2U);
  Stages stages = StagesOf(late);
  EXPECT_GE(stages["node"], kDelayMicros);
  ExpectOnly({"node"}, stages);
}

TEST_F(StagesTest, ARequestBehindASlowOneOfAnotherClientIsLink) {
  const std::string first = KeyOn(0, "first");
  const std::string second = KeyOn(0, "second");
  RespClient other = proxy_->Connect();
  ASSERT_TRUE(other.Send(EncodeWords({"get", first})).ok());
  ASSERT_TRUE(WaitUntil(10'000, [&] { return SlowNodeOwes(first); }));
  ASSERT_EQ(client_.Do({"get", second})->text, second);
  ASSERT_EQ(*other.ReadFrame(), BulkOf(first));
  Stages stages = StagesOf(second);
  EXPECT_GE(stages["link"], kDelayMicros);
  ExpectOnly({"link", "node"}, stages);
  ExpectOnly({"node"}, StagesOf(first));
}

TEST_F(StagesTest, AReplyThatWaitsForAnEarlierOneOfItsClientIsMerge) {
  const std::string late = KeyOn(0, "late");
  const std::string other = KeyOn(1, "other");
  ASSERT_TRUE(client_.Send(EncodeWords({"get", late}) + EncodeWords({"get", other})).ok());
  ASSERT_EQ(*client_.ReadFrame(), BulkOf(late));
  ASSERT_EQ(*client_.ReadFrame(), BulkOf(other));
  Stages stages = StagesOf(other);
  EXPECT_GE(stages["merge"], kDelayMicros / 2);
  ExpectOnly({"node", "merge"}, stages);
}

TEST_F(StagesTest, ARequestThatThePauseHoldsIsClient) {
  const std::string key = KeyOn(1, "paused");
  ASSERT_EQ(admin_.Ask({"client", "pause", std::to_string(kDelayMillis)}), "OK");
  ASSERT_EQ(client_.Do({"get", key})->text, key);
  Stages stages = StagesOf(key);
  EXPECT_GE(stages["client"], kDelayMicros / 2);
  ExpectOnly({"client", "node"}, stages);
}

TEST_F(StagesTest, ARequestForWhichTheSessionHasNoRoomIsClient) {
  ASSERT_EQ(admin_.Ask({"config", "set", "max-pipeline", "1"}), "OK");
  const std::string late = KeyOn(0, "late");
  const std::string other = KeyOn(1, "other");
  ASSERT_EQ(client_.Do({"get", other})->text, other);
  ASSERT_TRUE(client_.Send(EncodeWords({"get", late}) + EncodeWords({"get", other})).ok());
  ASSERT_EQ(*client_.ReadFrame(), BulkOf(late));
  ASSERT_EQ(*client_.ReadFrame(), BulkOf(other));
  Stages stages = StagesOf(other);
  EXPECT_GE(stages["client"], kDelayMicros);
  ExpectOnly({"client", "node"}, stages);
}

// The client's later request for the slot has to wait until the former owner has answered.
TEST_F(StagesTest, ARequestForASlotThatChangesItsOwnerIsClient) {
  const std::string first = KeyOn(0, "first");
  const std::string same_slot = "{" + first + "}";
  ASSERT_TRUE(client_.Send(EncodeWords({"get", first})).ok());
  ASSERT_TRUE(WaitUntil(10'000, [&] { return SlowNodeOwes(first); }));
  ASSERT_EQ(admin_.Ask({"config", "set", "server-slots", "8192-16383,0-8191"}), "OK");
  // The proxy has the new map when keys of the other half go to the slow node.
  const std::string probe = KeyOn(1, "probe");
  RespClient prober = proxy_->Connect();
  ASSERT_TRUE(WaitUntil(10'000, [&] {
    return prober.Send(EncodeWords({"get", probe})).ok() && SlowNodeOwes(probe);
  }));
  ASSERT_TRUE(client_.Send(EncodeWords({"get", same_slot})).ok());
  const std::string moved = KeyOn(1, "moved");
  RespClient other = proxy_->Connect();
  ASSERT_EQ(other.Do({"get", moved})->text, moved);
  ASSERT_EQ(*client_.ReadFrame(), BulkOf(first));
  ASSERT_EQ(*client_.ReadFrame(), BulkOf(same_slot));
  Stages stages = StagesOf(same_slot);
  EXPECT_GE(stages["client"], kDelayMicros / 2);
  ExpectOnly({"client", "node"}, stages);
}

TEST_F(StagesTest, WhatTheSocketOfTheNodeDoesNotTakeIsQueue) {
  const std::string stall = KeyOn(0, "stall");
  const std::string large = KeyOn(0, "large");
  const std::string value(size_t{32} << 20, 'v');
  RespClient other = proxy_->Connect();
  ASSERT_TRUE(other.Send(EncodeWords({"get", stall})).ok());
  ASSERT_TRUE(WaitUntil(10'000, [&] { return stalled_.load(); }));
  ASSERT_TRUE(client_.Do({"set", large, value})->is_ok());
  ASSERT_EQ(*other.ReadFrame(), BulkOf(stall));
  Stages stages = StagesOf(large);
  EXPECT_GT(stages["queue"], 0);
  ExpectOnly({"queue", "link", "node"}, stages);
}

}  // namespace
}  // namespace kvs
