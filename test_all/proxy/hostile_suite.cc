// Nodes that answer late, too much, garbage or half: their keys get errors, each request one reply,
// and no client ever sees what belongs to another.

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "common/base/random.h"
#include "common/slot/slot.h"
#include "test_all/harness/cluster.h"
#include "test_all/harness/fake_server.h"
#include "test_all/harness/settings.h"
#include "test_all/harness/wait.h"

namespace kvs {
namespace {

std::string BulkOf(const std::string& text) {
  return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
}

// A proxy before two nodes: one answers as a test says, the other as if each key held its name.
class HostileTest : public testing::Test {
 protected:
  static constexpr int kTimeoutMillis = 300;
  using Script = FakeServer::Handler;

  // Slots 0-8191 belong to a fake node with this script, the others to one that is honest.
  void Start(Script script, const Words& options = {}) {
    hostile_ = std::make_unique<FakeServer>(std::move(script));
    Words words = {"--servers",         hostile_->address() + "," + honest_.address(),
                   "--io-threads",      "1",
                   "--backend-timeout", std::to_string(kTimeoutMillis * kSlownessFactor) + "ms"};
    words.insert(words.end(), options.begin(), options.end());
    proxy_ = MakeProxy(dir_, "proxy", words);
    ASSERT_EQ(proxy_->Start().ToString(), "ok");
    client_ = proxy_->Connect();
  }

  // A key of the hostile node (0) or of the honest one (1).
  static std::string KeyOn(int node, const std::string& prefix) {
    for (int n = 0;; ++n) {
      std::string key = prefix + std::to_string(n);
      if (SlotOf(key) / (kSlotCount / 2) == node) {
        return key;
      }
    }
  }
  static void AnswerHonestly(FakePeer* peer, const Words& request) {
    if (request[0] == "mget") {
      std::string reply = "*" + std::to_string(request.size() - 1) + "\r\n";
      for (size_t i = 1; i < request.size(); ++i) {
        reply += BulkOf(request[i]);
      }
      return peer->Send(reply);
    }
    if (request[0] == "mset") {
      return peer->Send("+OK\r\n");
    }
    if (request[0] == "del" || request[0] == "exists") {
      return peer->Send(":" + std::to_string(request.size() - 1) + "\r\n");
    }
    peer->Send(request.size() > 1 ? BulkOf(request[1]) : "+OK\r\n");
  }
  // Whether a GET of `key` is answered with its own name, soon.
  bool ServesAgain(const std::string& key) {
    return WaitUntil(10'000, [&] { return client_.Do({"get", key})->text == key; });
  }

  TempDir dir_;
  // The connection that owes a late reply, and what came on it since: replies keep the order.
  std::atomic<uint64_t> late_peer_{0};
  std::vector<Words> behind_;
  FakeServer honest_{AnswerHonestly};
  std::unique_ptr<FakeServer> hostile_;
  std::unique_ptr<Server> proxy_;
  RespClient client_;
};

TEST_F(HostileTest, ALateReplyIsNobodysReply) {
  Start([&](FakePeer* peer, const Words& request) {
    if (request[1].starts_with("late")) {
      late_peer_ = peer->id();  // Answered later, by the test.
      behind_.clear();
    } else if (peer->id() == late_peer_) {
      behind_.push_back(request);
    } else {
      AnswerHonestly(peer, request);
    }
  });
  const std::string late = KeyOn(0, "late");
  const std::string quick = KeyOn(0, "quick");
  ASSERT_TRUE(ServesAgain(quick));
  for (int round = 0; round < Loops(5, 2); ++round) {
    const Result<Reply> given_up = client_.Do({"get", late});
    EXPECT_TRUE(given_up->is_error()) << "round " << round << ": " << given_up->text;
    ASSERT_NE(late_peer_, 0U);
    hostile_->Run([&] {
      if (FakePeer* peer = hostile_->Find(late_peer_)) {
        peer->Send(BulkOf("the late one"));
        for (const Words& request : behind_) {
          AnswerHonestly(peer, request);
        }
      }
      late_peer_ = 0;
    });
    const bool again = WaitUntil(10'000, [&] {
      const Result<Reply> reply = client_.Do({"get", quick});
      EXPECT_NE(reply->text, "the late one");
      return reply->text == quick;
    });
    ASSERT_TRUE(again);
  }
}

// One request among many in a pipeline meets `evil`; each must have one reply, which is its own or
// an error.
class HostileReplyTest : public HostileTest {
 protected:
  void ExpectErrorsAndNoStrangers(const std::string& evil, bool hang_up) {
    SCOPED_TRACE(evil.substr(0, 60));
    Start([&evil, hang_up](FakePeer* peer, const Words& request) {
      if (!request[1].starts_with("evil")) {
        return AnswerHonestly(peer, request);
      }
      peer->Send(evil);
      if (hang_up) {
        peer->Close();
      }
    });
    const std::string good = KeyOn(0, "good");
    const std::string other = KeyOn(1, "other");
    const std::string bad = KeyOn(0, "evil");
    ASSERT_TRUE(ServesAgain(good));
    for (int round = 0; round < Loops(10, 3); ++round) {
      const Words keys = {good, other, bad, other, good, bad, other, good};
      std::string bytes;
      for (const std::string& key : keys) {
        bytes += EncodeWords({"get", key});
      }
      ASSERT_TRUE(client_.Send(bytes).ok());
      for (const std::string& key : keys) {
        const Result<std::string> reply = client_.ReadFrame();
        ASSERT_TRUE(reply.ok()) << reply.status().ToString();
        if (key == other) {
          EXPECT_EQ(*reply, BulkOf(other));
        } else if (key == bad) {
          EXPECT_TRUE(reply->starts_with("-")) << *reply;
        } else {
          EXPECT_TRUE(*reply == BulkOf(good) || reply->starts_with("-")) << *reply;
        }
      }
      ASSERT_TRUE(ServesAgain(good));
    }
  }
};

TEST_F(HostileReplyTest, AnUnknownTypeCostsErrors) {
  ExpectErrorsAndNoStrangers("?what\r\n", false);
}
TEST_F(HostileReplyTest, HttpCostsErrors) {
  ExpectErrorsAndNoStrangers("HTTP/1.1 400 Bad Request\r\n\r\n", false);
}
TEST_F(HostileReplyTest, AnImpossibleLengthCostsErrors) {
  ExpectErrorsAndNoStrangers("$-7\r\n", false);
}
TEST_F(HostileReplyTest, HalfAReplyAndThenTheEndCostsErrors) {
  ExpectErrorsAndNoStrangers("$100\r\nhalf of what was", true);
}
TEST_F(HostileReplyTest, HalfAnArrayAndThenTheEndCostsErrors) {
  ExpectErrorsAndNoStrangers("*3\r\n$1\r\na\r\n", true);
}
TEST_F(HostileReplyTest, TheEndInsteadOfAReplyCostsErrors) {
  ExpectErrorsAndNoStrangers("", true);
}
TEST_F(HostileReplyTest, NestingWithoutEndCostsErrors) {
  std::string nested;
  for (int i = 0; i < 100'000; ++i) {
    nested += "*1\r\n";
  }
  ExpectErrorsAndNoStrangers(nested, false);
}

// Random bytes must not take the proxy down nor reach the honest node's keys.
TEST_F(HostileTest, RandomBytesHarmNobodyElse) {
  const uint64_t seed = Random::FromKernel().Next();
  SCOPED_TRACE("seed " + std::to_string(seed));
  Random random(seed);
  Start([&random](FakePeer* peer, const Words& /*request*/) {
    static constexpr std::string_view kBytes = "$*+-:_#,(!=%~>|0123456789\r\n\r\n\r\nabc";
    std::string bytes;
    for (uint64_t n = 1 + random.Uniform(60); n > 0; --n) {
      bytes += kBytes[random.Uniform(kBytes.size())];
    }
    peer->Send(bytes);
    if (random.OneIn(4)) {
      peer->Close();
    }
  });
  const std::string evil = KeyOn(0, "evil");
  const std::string other = KeyOn(1, "other");
  for (int round = 0; round < Loops(300, 60); ++round) {
    ASSERT_TRUE(client_.Send(EncodeWords({"get", evil}) + EncodeWords({"get", other})).ok());
    ASSERT_TRUE(client_.ReadFrame().ok());  // Anything, but one.
    ASSERT_EQ(*client_.ReadFrame(), BulkOf(other));
  }
}

// What nobody asked for breaks the link; it must not be taken for the next request's reply.
TEST_F(HostileTest, AnExtraReplyIsNotGivenToTheNextRequest) {
  Start([](FakePeer* peer, const Words& request) {
    if (request[1].starts_with("twice")) {
      return peer->Send(BulkOf(request[1]) + BulkOf("stranger"));
    }
    AnswerHonestly(peer, request);
  });
  const std::string twice = KeyOn(0, "twice");
  const std::string good = KeyOn(0, "good");
  ASSERT_TRUE(ServesAgain(good));
  for (int round = 0; round < Loops(20, 5); ++round) {
    const int accepted = hostile_->accepted();
    EXPECT_EQ(client_.Do({"get", twice})->text, twice);
    const bool again = WaitUntil(10'000, [&] {
      const Result<Reply> reply = client_.Do({"get", good});
      EXPECT_NE(reply->text, "stranger");
      return reply->text == good;
    });
    ASSERT_TRUE(again);
    EXPECT_GT(hostile_->accepted(), accepted) << "the link is a new one";
  }
}

// Elements that are missing, or one too many, are errors and never values of other keys.
TEST_F(HostileTest, PartsOfTheWrongShapeAreErrorsOfTheirKeys) {
  std::atomic<int> variant{0};
  Start([&variant](FakePeer* peer, const Words& request) {
    static const std::vector<std::string> replies = {
        "*1\r\n$1\r\nx\r\n", "*3\r\n:1\r\n:2\r\n:3\r\n", "+OK\r\n", ":7\r\n", "*-1\r\n", "_\r\n",
        "-ERR broken\r\n",   "%1\r\n+a\r\n+b\r\n"};
    if (request[0] != "get") {
      return peer->Send(replies[static_cast<size_t>(variant) % replies.size()]);
    }
    AnswerHonestly(peer, request);
  });
  const std::string here = KeyOn(0, "here");
  const std::string there = KeyOn(1, "there");
  const std::string here_too = KeyOn(0, "too");
  ASSERT_TRUE(ServesAgain(here));
  for (variant = 0; variant < 7; ++variant) {
    SCOPED_TRACE(variant);
    const Result<Reply> values = client_.Do({"mget", here, there, here_too});
    ASSERT_TRUE(values.ok());
    ASSERT_EQ(values->elements.size(), 3U) << values->ToString();
    EXPECT_TRUE(values->elements[0].is_error()) << values->ToString();
    EXPECT_EQ(values->elements[1].text, there);
    EXPECT_TRUE(values->elements[2].is_error());
    if (variant != 3) {  // A number is what it should say.
      const Result<Reply> sum = client_.Do({"del", here, there, here_too});
      EXPECT_TRUE(sum->is_error()) << sum->ToString();
      EXPECT_NE(sum->text.find("(1 of 3 keys done; failed at node " + hostile_->address() + ")"),
                std::string::npos)
          << sum->text;
    }
    if (variant != 2) {  // +OK is what it should say.
      const Result<Reply> all = client_.Do({"mset", here, "1", there, "2", here_too, "3"});
      EXPECT_TRUE(all->is_error()) << all->ToString();
    }
  }
}

}  // namespace
}  // namespace kvs
