// Messages: on a node with several io threads, and through a proxy with several in front of two
// nodes.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/base/strings.h"
#include "common/base/thread.h"
#include "test_all/harness/cluster.h"
#include "test_all/harness/settings.h"
#include "test_all/harness/wait.h"

namespace kvs {
namespace {

// The parameter says whether clients go through the proxy.
class PubSubTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    ASSERT_EQ(cluster_.Start().ToString(), "ok");
    server_ = GetParam() ? cluster_.proxy() : cluster_.node(0);
  }
  RespClient Connect() const { return server_->Connect(); }
  RespClient ConnectResp3() const {
    RespClient client = Connect();
    EXPECT_TRUE(client.Do({"hello", "3"}).ok());
    return client;
  }
  // Sends the request and returns the `frames` that come for it.
  static std::string Frames(RespClient* client, const std::string& request, int frames) {
    EXPECT_EQ(client->Send(request + "\r\n").ToString(), "ok");
    std::string all;
    for (int i = 0; i < frames; ++i) {
      const Result<std::string> frame = client->ReadFrame();
      all += frame.ok() ? *frame : "<" + std::string(frame.status().message()) + ">";
    }
    return all;
  }
  // Waits until nobody has subscribed to the channel any more, at any node.
  bool WaitUnsubscribed(const std::string& channel) {
    return WaitUntil(5000, [&] {
      for (size_t i = 0; i < cluster_.node_count(); ++i) {
        RespClient client = cluster_.node(i)->Connect();
        if (client.Ask({"pubsub", "numsub", channel}) != "[\"" + channel + "\", 0]" ||
            client.Ask({"pubsub", "numpat"}) != "0") {
          return false;
        }
      }
      return true;
    });
  }

  const Words limit_ = {"--io-threads", "3", "--pubsub-output-limit", "256kb"};
  Cluster cluster_{{.nodes = 2, .node_options = limit_, .proxy_options = limit_}};
  Server* server_ = nullptr;
};

INSTANTIATE_TEST_SUITE_P(All, PubSubTest, testing::Bool(),
                         [](const auto& param) { return param.param ? "proxy" : "node"; });

TEST_P(PubSubTest, ConfirmationsAndMessagesAreWordedAsRedisDoes) {
  RespClient listener = Connect();
  RespClient speaker = Connect();
  EXPECT_EQ(Frames(&listener, "SUBSCRIBE a b a", 3),
            "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n"
            "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:2\r\n");
  EXPECT_EQ(Frames(&listener, "PSUBSCRIBE a*", 1), "*3\r\n$10\r\npsubscribe\r\n$2\r\na*\r\n:3\r\n");
  EXPECT_EQ(Frames(&listener, "SSUBSCRIBE a", 1), "*3\r\n$10\r\nssubscribe\r\n$1\r\na\r\n:1\r\n");
  EXPECT_EQ(speaker.Ask({"publish", "a", "hi"}), "2");
  EXPECT_EQ(Frames(&listener, "", 2),
            "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n"
            "*4\r\n$8\r\npmessage\r\n$2\r\na*\r\n$1\r\na\r\n$2\r\nhi\r\n");
  EXPECT_EQ(speaker.Ask({"spublish", "a", ""}), "1");
  EXPECT_EQ(Frames(&listener, "", 1), "*3\r\n$8\r\nsmessage\r\n$1\r\na\r\n$0\r\n\r\n");
  EXPECT_EQ(Frames(&listener, "PING x", 1), "*2\r\n$4\r\npong\r\n$1\r\nx\r\n");
  EXPECT_EQ(
      Frames(&listener, "GET k", 1),
      "-ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET "
      "are allowed in this context\r\n");
  EXPECT_EQ(Frames(&listener, "UNSUBSCRIBE", 2),
            "*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:2\r\n"
            "*3\r\n$11\r\nunsubscribe\r\n$1\r\nb\r\n:1\r\n");
  EXPECT_EQ(Frames(&listener, "UNSUBSCRIBE", 1), "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:1\r\n");
  EXPECT_EQ(Frames(&listener, "PUNSUBSCRIBE none a*", 2),
            "*3\r\n$12\r\npunsubscribe\r\n$4\r\nnone\r\n:1\r\n"
            "*3\r\n$12\r\npunsubscribe\r\n$2\r\na*\r\n:0\r\n");
  EXPECT_EQ(Frames(&listener, "SUNSUBSCRIBE", 1), "*3\r\n$12\r\nsunsubscribe\r\n$1\r\na\r\n:0\r\n");
  EXPECT_EQ(Frames(&listener, "GET k", 1), "$-1\r\n") << "it is as any other again";
  EXPECT_EQ(speaker.Ask({"publish", "a", "hi"}), "0");
  EXPECT_TRUE(WaitUnsubscribed("a"));
}

TEST_P(PubSubTest, InResp3CommandsAndMessagesGoTogether) {
  RespClient client = ConnectResp3();
  EXPECT_EQ(Frames(&client, "SUBSCRIBE a", 1), ">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n");
  EXPECT_EQ(Frames(&client, "SET k v", 1), "+OK\r\n");
  EXPECT_EQ(Frames(&client, "PING", 1), "+PONG\r\n");
  // One's own message comes behind the reply.
  EXPECT_EQ(Frames(&client, "PUBLISH a x", 2),
            ":1\r\n>3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n");
  EXPECT_EQ(Frames(&client, "RESET", 1), "+RESET\r\n");
  EXPECT_TRUE(WaitUnsubscribed("a"));
  EXPECT_EQ(client.Ask({"publish", "a", "x"}), "0");
}

TEST_P(PubSubTest, ItIsToldWhoHasSubscribed) {
  RespClient listener = Connect();
  RespClient speaker = Connect();
  Frames(&listener, "SUBSCRIBE ca cb cc", 3);
  Frames(&listener, "PSUBSCRIBE p* q*", 2);
  Frames(&listener, "SSUBSCRIBE {s}1 {s}2", 2);
  EXPECT_EQ(speaker.Ask({"pubsub", "channels", "c[ab]"}), "[\"ca\", \"cb\"]");
  EXPECT_EQ(speaker.Ask({"pubsub", "channels"}), "[\"ca\", \"cb\", \"cc\"]");
  EXPECT_EQ(speaker.Ask({"pubsub", "shardchannels"}), "[\"{s}1\", \"{s}2\"]");
  EXPECT_EQ(speaker.Ask({"pubsub", "numsub", "ca", "none", "cc"}),
            "[\"ca\", 1, \"none\", 0, \"cc\", 1]");
  EXPECT_EQ(speaker.Ask({"pubsub", "shardnumsub", "{s}2", "ca"}), "[\"{s}2\", 1, \"ca\", 0]");
  EXPECT_EQ(speaker.Ask({"pubsub", "numpat"}), "2");
  const std::string list = speaker.Ask({"client", "list", "type", "pubsub"});
  EXPECT_NE(list.find("sub=3 psub=2 ssub=2"), std::string::npos) << list;
  EXPECT_NE(list.find("flags=P"), std::string::npos) << list;
  EXPECT_EQ(speaker.Ask({"client", "kill", "type", "pubsub"}), "1");
  EXPECT_TRUE(WaitUnsubscribed("ca"));
}

TEST_P(PubSubTest, ATransactionPublishesAndDoesNotSubscribe) {
  RespClient listener = Connect();
  RespClient client = Connect();
  Frames(&listener, "SUBSCRIBE {t}c", 1);
  EXPECT_EQ(client.Ask({"multi"}), "OK");
  EXPECT_EQ(client.Ask({"set", "{t}k", "v"}), "QUEUED");
  EXPECT_EQ(client.Ask({"publish", "{t}c", "m"}), "QUEUED");
  EXPECT_EQ(client.Ask({"exec"}), "[OK, 1]");
  EXPECT_EQ(Frames(&listener, "", 1), "*3\r\n$7\r\nmessage\r\n$4\r\n{t}c\r\n$1\r\nm\r\n");
  EXPECT_EQ(client.Ask({"multi"}), "OK");
  EXPECT_EQ(client.Ask({"subscribe", "{t}c"}),
            "(error) \"ERR Command not allowed inside a transaction\"");
  EXPECT_EQ(client.Ask({"exec"}),
            "(error) \"EXECABORT Transaction discarded because of previous errors.\"");
}

// Several speakers, and listeners by channel and by pattern on all loops.
TEST_P(PubSubTest, EveryListenerGetsEveryMessageOnceAndInOrder) {
  constexpr int kSpeakers = 3;
  constexpr int kListeners = 8;
  const int messages = Loops(2000, 200);
  std::vector<RespClient> listeners;
  for (int i = 0; i < kListeners; ++i) {
    listeners.push_back(i % 2 == 0 ? Connect() : ConnectResp3());
    Frames(&listeners.back(), i % 4 < 2 ? "SUBSCRIBE c0 c1 c2" : "PSUBSCRIBE c?",
           i % 4 < 2 ? 3 : 1);
  }
  std::vector<std::unique_ptr<Thread>> threads;
  for (int s = 0; s < kSpeakers; ++s) {
    threads.push_back(std::make_unique<Thread>("speaker", [this, s, messages] {
      RespClient speaker = Connect();
      for (int i = 0; i < messages; ++i) {
        const Result<Reply> reply = speaker.Do(
            {"publish", "c" + std::to_string(s), std::to_string(s) + " " + std::to_string(i)});
        ASSERT_TRUE(reply.ok());
        ASSERT_GT(reply->integer, 0);
      }
    }));
  }
  for (RespClient& listener : listeners) {
    std::map<std::string, int> next;
    for (int i = 0; i < kSpeakers * messages; ++i) {
      const Result<std::string> frame = listener.ReadFrame();
      ASSERT_TRUE(frame.ok()) << frame.status().message();
      const Result<Reply> message = ParseReply(*frame);
      ASSERT_TRUE(message.ok());
      const std::string text = message->elements.back().text;
      const std::string speaker = text.substr(0, 1);
      ASSERT_EQ(text, speaker + " " + std::to_string(next[speaker]++));
      ASSERT_EQ(message->elements[message->elements.size() - 2].text, "c" + speaker);
    }
  }
  for (const auto& thread : threads) {
    thread->Join();
  }
  bool closed = false;
  for (RespClient& listener : listeners) {
    EXPECT_EQ(listener.ReadUntilQuiet(20, &closed), "");
    EXPECT_FALSE(closed);
  }
  listeners.clear();
  EXPECT_TRUE(WaitUnsubscribed("c0"));
}

TEST_P(PubSubTest, WhoDoesNotReadIsClosedAndHurtsNobody) {
  RespClient sleeper = Connect();
  RespClient listener = Connect();
  RespClient speaker = Connect();
  Frames(&sleeper, "SUBSCRIBE c", 1);
  Frames(&listener, "SUBSCRIBE c", 1);
  const std::string payload(64 * 1024, 'x');
  // The kernel takes some megabytes for the sleeper, then its limit counts.
  EXPECT_TRUE(WaitUntil(20'000, [&] {
    speaker.Ask({"publish", "c", payload});
    const Result<std::string> frame = listener.ReadFrame();
    EXPECT_TRUE(frame.ok() && frame->ends_with(payload + "\r\n"));
    const std::string list = speaker.Ask({"client", "list", "type", "pubsub"});
    return list.find(" sub=1") == list.rfind(" sub=1");
  }));
  EXPECT_EQ(speaker.Ask({"client", "kill", "type", "pubsub"}), "1") << "the listener alone is left";
}

TEST_P(PubSubTest, SubscriptionsEndWithTheConnectionsAmongMessages) {
  const int rounds = Loops(200, 30);
  std::atomic<bool> stop{false};
  Thread speaking("speaker", [&] {
    RespClient speaker = Connect();
    while (!stop.load()) {
      speaker.Ask({"publish", "c", "m"});
      speaker.Ask({"spublish", "c", "m"});
    }
  });
  for (int i = 0; i < rounds; ++i) {
    RespClient one = Connect();
    RespClient two = ConnectResp3();
    // Closed at different moments: confirmed or not, ended or not.
    EXPECT_EQ(one.Send("SUBSCRIBE c d\r\nPSUBSCRIBE *\r\n").ToString(), "ok");
    EXPECT_EQ(two.Send("SUBSCRIBE c\r\nSSUBSCRIBE c\r\nUNSUBSCRIBE c\r\n").ToString(), "ok");
    if (i % 3 > 0) {
      EXPECT_TRUE(one.ReadFrame().ok());
    }
    if (i % 3 > 1) {
      EXPECT_TRUE(two.ReadFrame().ok());
    }
  }
  stop.store(true);
  speaking.Join();
  EXPECT_TRUE(WaitUnsubscribed("c"));
  EXPECT_TRUE(WaitUnsubscribed("d"));
}

// Through the proxy.
class PubSubProxyTest : public PubSubTest {};
INSTANTIATE_TEST_SUITE_P(All, PubSubProxyTest, testing::Values(true),
                         [](const auto& /*param*/) { return "proxy"; });

TEST_P(PubSubProxyTest, ShardChannelsShareASlot) {
  RespClient client = Connect();
  EXPECT_EQ(client.Ask({"ssubscribe", "a", "b"}),
            "(error) \"CROSSSLOT Keys in request don't hash to the same slot\"");
  EXPECT_EQ(client.Ask({"get", "k"}), "null");
}

// A client hears that it may have missed something: its connection ends.
TEST_P(PubSubProxyTest, ADeadNodeCostsItsOwnListenersTheirConnections) {
  const std::string lost = cluster_.KeyOn(0, "lost");
  const std::string kept = cluster_.KeyOn(1, "kept");
  RespClient loser = Connect();
  RespClient keeper = Connect();
  RespClient all = Connect();
  RespClient speaker = Connect();
  Frames(&loser, "SUBSCRIBE " + lost, 1);
  Frames(&keeper, "SUBSCRIBE " + kept, 1);
  Frames(&all, "PSUBSCRIBE *", 1);
  cluster_.node(0)->Kill();
  bool closed = false;
  loser.ReadUntilQuiet(5000, &closed);
  EXPECT_TRUE(closed);
  all.ReadUntilQuiet(5000, &closed);
  EXPECT_TRUE(closed);
  EXPECT_EQ(speaker.Ask({"publish", kept, "m"}), "1");
  EXPECT_TRUE(keeper.ReadFrame().ok());
  RespClient late = Connect();
  EXPECT_TRUE(late.Ask({"subscribe", lost}).starts_with("(error) \"CLUSTERDOWN node 127.0.0.1:"));
  EXPECT_EQ(late.Ask({"get", cluster_.KeyOn(1, "k")}), "null") << "it has not subscribed";

  ASSERT_EQ(cluster_.node(0)->Start().ToString(), "ok");
  EXPECT_TRUE(WaitUntil(5000, [&] {
    return late.Ask({"subscribe", lost}) == "[\"subscribe\", \"" + lost + "\", 1]";
  }));
  EXPECT_TRUE(WaitUntil(5000, [&] { return speaker.Ask({"publish", lost, "m"}) == "1"; }));
  EXPECT_TRUE(late.ReadFrame().ok());
  EXPECT_EQ(speaker.Ask({"publish", kept, "m"}), "1");
  EXPECT_TRUE(keeper.ReadFrame().ok());
}

TEST_P(PubSubProxyTest, ANodeThatStandsStillCostsASubscriberOneTimeout) {
  const std::string channel = cluster_.KeyOn(0, "still");
  RespClient client = Connect();
  Frames(&client, "SUBSCRIBE " + cluster_.KeyOn(0, "warm"), 1);
  Frames(&client, "UNSUBSCRIBE", 1);
  ASSERT_EQ(cluster_.node(0)->process()->Pause().ToString(), "ok");
  const int64_t start = NowMillis();
  const std::string reply = client.Ask({"subscribe", channel});
  EXPECT_TRUE(reply.starts_with("(error) ")) << reply;
  EXPECT_LT(NowMillis() - start, 1500 * kSlownessFactor);
  cluster_.node(0)->process()->Signal(SIGCONT);
  EXPECT_TRUE(WaitUntil(10'000, [&] {
    return client.Ask({"subscribe", channel}).starts_with("[\"subscribe\"");
  }));
}

// Alone, in a pipeline behind the write, and in a transaction.
TEST_P(PubSubTest, WhoGetsAMessageFindsWhatWasWrittenBeforeIt) {
  std::vector<RespClient> listeners;
  std::vector<RespClient> readers;
  for (int i = 0; i < 6; ++i) {
    listeners.push_back(Connect());
    readers.push_back(Connect());
    Frames(&listeners.back(), "SUBSCRIBE {r}c", 1);
  }
  RespClient writer = Connect();
  for (int n = 1; n <= Loops(150, 40); ++n) {
    const std::string number = std::to_string(n);
    const std::string set = "SET {r}k " + number + "\r\n";
    const std::string publish = "PUBLISH {r}c " + number + "\r\n";
    const bool together = n % 2 == 0;
    ASSERT_EQ(writer
                  .Send(together ? "MULTI\r\n" + set + publish + "EXEC\r\nSET {r}x 1\r\n"
                                 : set + publish + "SET {r}x 1\r\n")
                  .ToString(),
              "ok");
    for (size_t i = 0; i < listeners.size(); ++i) {
      ASSERT_TRUE(listeners[i].ReadFrame().ok());
      ASSERT_EQ(readers[i].Do({"get", "{r}k"})->text, number);
    }
    for (int i = 0; i < (together ? 5 : 3); ++i) {
      ASSERT_TRUE(writer.ReadFrame().ok());
    }
  }
}

TEST_P(PubSubProxyTest, MessagesComeToWhoWaitsForKeys) {
  RespClient client = ConnectResp3();
  RespClient speaker = Connect();
  Frames(&client, "SUBSCRIBE c", 1);
  ASSERT_EQ(client.Send("BLPOP nothing 0\r\n").ToString(), "ok");
  ASSERT_TRUE(WaitUntil(5000, [&] {
    return speaker.Ask({"client", "list"}).find("cmd=blpop") != std::string::npos;
  }));
  EXPECT_EQ(speaker.Ask({"publish", "c", "m"}), "1");
  EXPECT_EQ(Frames(&client, "", 1), ">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n");
  EXPECT_EQ(speaker.Ask({"rpush", "nothing", "e"}), "1");
  EXPECT_EQ(Frames(&client, "", 1), "*2\r\n$7\r\nnothing\r\n$1\r\ne\r\n");
}

TEST_P(PubSubProxyTest, AMessageThatIsTooLargeIsNotMissedUnnoticed) {
  RespClient admin = Connect();
  ASSERT_EQ(admin.Ask({"config", "set", "session-memory-limit", "1mb"}), "OK");
  RespClient listener = Connect();
  Frames(&listener, "SUBSCRIBE c", 1);
  // Past the proxy: it would not take the request.
  RespClient speaker = cluster_.node(cluster_.OwnerOf("c"))->Connect();
  EXPECT_EQ(speaker.Ask({"publish", "c", std::string(3 << 20, 'x')}), "1");
  bool closed = false;
  listener.ReadUntilQuiet(5000, &closed);
  EXPECT_TRUE(closed);
}

TEST_P(PubSubProxyTest, ManySubscriptionsAtOnceDoNotHoldUpOthers) {
  constexpr int kNames = 50'000 / kSlownessFactor;
  RespClient client = Connect();
  RespClient other = Connect();
  std::string request = "*" + std::to_string(kNames + 1) + "\r\n$9\r\nSUBSCRIBE\r\n";
  for (int i = 0; i < kNames; ++i) {
    const std::string name = "channel:" + std::to_string(i);
    request += "$" + std::to_string(name.size()) + "\r\n" + name + "\r\n";
  }
  ASSERT_EQ(client.Send(request).ToString(), "ok");
  int64_t longest = 0;
  for (int i = 0; i < 50; ++i) {
    const int64_t start = NowMillis();
    ASSERT_EQ(other.Ask({"ping"}), "PONG");
    longest = std::max(longest, NowMillis() - start);
  }
  EXPECT_LT(longest, 2000 * kSlownessFactor);
  std::string last;
  for (int i = 0; i < kNames; ++i) {
    const Result<std::string> frame = client.ReadFrame();
    ASSERT_TRUE(frame.ok()) << i;
    last = *frame;
  }
  EXPECT_TRUE(last.ends_with(":" + std::to_string(kNames) + "\r\n")) << last;
}

}  // namespace
}  // namespace kvs
