#include "storage_node/pubsub/pubsub_hub.h"

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "common/base/slowness.h"
#include "common/base/thread.h"

namespace kvs {
namespace {

Message Published(const std::string& channel, std::string payload = "m") {
  return {.kind = ChannelKind::kChannel, .channel = channel, .payload = std::move(payload)};
}

struct Loop {
  int woken = 0;
  PubSubOutlet outlet{[this] { ++woken; }};
  std::vector<MessagePtr> Take() {
    bool overflown = false;
    std::vector<MessagePtr> messages = outlet.Take(&overflown);
    EXPECT_FALSE(overflown);
    return messages;
  }
};

TEST(PubSubHubTest, AMessageGoesOnceToEachLoopThatHasSubscribers) {
  PubSubHub hub;
  Loop one;
  Loop two;
  EXPECT_FALSE(hub.active());
  EXPECT_EQ(hub.Publish(Published("a")), 0);
  hub.Add(ChannelKind::kChannel, "a", &one.outlet);
  hub.Add(ChannelKind::kChannel, "a", &one.outlet);
  hub.Add(ChannelKind::kPattern, "*", &one.outlet);
  hub.Add(ChannelKind::kPattern, "b*", &two.outlet);
  EXPECT_TRUE(hub.active());
  EXPECT_EQ(hub.Publish(Published("a")), 3);
  EXPECT_EQ(hub.Publish(Published("a")), 3);
  EXPECT_EQ(one.woken, 1) << "it has not looked yet";
  EXPECT_EQ(one.Take().size(), 2U);
  EXPECT_EQ(two.woken, 0);
  EXPECT_EQ(hub.Publish(Published("b")), 2);
  EXPECT_EQ(one.woken, 2);
  EXPECT_EQ(one.Take().front()->channel, "b");
  EXPECT_EQ(two.Take().size(), 1U);
  hub.Remove(ChannelKind::kChannel, "a", &one.outlet);
  EXPECT_EQ(hub.SubscriberCount(ChannelKind::kChannel, "a"), 1);
  hub.Remove(ChannelKind::kChannel, "a", &one.outlet);
  hub.Remove(ChannelKind::kPattern, "*", &one.outlet);
  hub.Remove(ChannelKind::kPattern, "b*", &two.outlet);
  EXPECT_FALSE(hub.active());
}

TEST(PubSubHubTest, ShardChannelsAreAWorldOfTheirOwn) {
  PubSubHub hub;
  Loop loop;
  hub.Add(ChannelKind::kShard, "a", &loop.outlet);
  hub.Add(ChannelKind::kPattern, "*", &loop.outlet);
  hub.Add(ChannelKind::kChannel, "b", &loop.outlet);
  EXPECT_EQ(hub.Publish({.kind = ChannelKind::kShard, .channel = "a", .payload = ""}), 1);
  EXPECT_EQ(hub.Publish({.kind = ChannelKind::kShard, .channel = "b", .payload = ""}), 0);
  EXPECT_EQ(hub.Publish(Published("a")), 1);
  EXPECT_EQ(hub.Names(ChannelKind::kShard, "*"), std::vector<std::string>{"a"});
  EXPECT_EQ(hub.Names(ChannelKind::kChannel, "?"), std::vector<std::string>{"b"});
  EXPECT_EQ(hub.Names(ChannelKind::kChannel, "x*"), std::vector<std::string>{});
  EXPECT_EQ(hub.NameCount(ChannelKind::kPattern), 1U);
  EXPECT_EQ(hub.SubscriberCount(ChannelKind::kShard, "a"), 1);
  EXPECT_EQ(hub.SubscriberCount(ChannelKind::kShard, "b"), 0);
}

TEST(PubSubHubTest, ALoopThatDoesNotLookLosesMessagesAndIsTold) {
  PubSubHub hub;
  Loop loop;
  hub.Add(ChannelKind::kChannel, "a", &loop.outlet);
  const std::string large(PubSubOutlet::kMaxWaitingBytes / 2, 'x');
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(hub.Publish(Published("a", large)), 1);
  }
  bool overflown = false;
  EXPECT_EQ(loop.outlet.Take(&overflown).size(), 1U);
  EXPECT_TRUE(overflown);
  // One message of any size has room.
  EXPECT_EQ(hub.Publish(Published("a", std::string(PubSubOutlet::kMaxWaitingBytes + 1, 'x'))), 1);
  EXPECT_EQ(loop.Take().size(), 1U);
}

TEST(PubSubHubTest, AllLoopsGetTheMessagesOfManyThreadsInOneOrder) {
  constexpr int kThreads = 3;
  constexpr int kMessages = 4000 / kSlownessFactor;
  PubSubHub hub;
  Loop one;
  Loop two;
  hub.Add(ChannelKind::kChannel, "a", &one.outlet);
  hub.Add(ChannelKind::kPattern, "a*", &two.outlet);
  std::vector<std::unique_ptr<Thread>> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.push_back(std::make_unique<Thread>("publisher", [&hub, t] {
      for (int i = 0; i < kMessages; ++i) {
        hub.Publish(Published("a", std::to_string(t) + ":" + std::to_string(i)));
        hub.Add(ChannelKind::kChannel, "other", nullptr);
        hub.Remove(ChannelKind::kChannel, "other", nullptr);
      }
    }));
  }
  for (const auto& thread : threads) {
    thread->Join();
  }
  const std::vector<MessagePtr> got = one.Take();
  EXPECT_EQ(got, two.Take());
  EXPECT_EQ(got.size(), size_t{kThreads} * kMessages);
  std::vector<int> next(kThreads);
  for (const MessagePtr& message : got) {
    const auto t = static_cast<size_t>(message->payload[0] - '0');
    EXPECT_EQ(message->payload, std::to_string(t) + ":" + std::to_string(next[t]++));
  }
}

}  // namespace
}  // namespace kvs
