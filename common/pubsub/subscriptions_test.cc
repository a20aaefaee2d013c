#include "common/pubsub/subscriptions.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "common/base/random.h"
#include "common/base/strings.h"

namespace kvs {
namespace {

class Listener : public Subscriber {
 public:
  explicit Listener(int protocol = 3) : protocol_(protocol) {}
  void OnMessage(const Delivery& delivery) override { got.push_back(delivery.Text(protocol_)); }
  std::vector<std::string> got;

 private:
  const int protocol_;
};

Message Published(std::string channel, std::string payload) {
  return {
      .kind = ChannelKind::kChannel, .channel = std::move(channel), .payload = std::move(payload)};
}

TEST(SubscriptionsTest, CountsChannelsAndPatternsTogetherAndShardChannelsAlone) {
  Subscriptions mine;
  EXPECT_TRUE(mine.empty());
  EXPECT_TRUE(mine.Add(ChannelKind::kChannel, "a"));
  EXPECT_FALSE(mine.Add(ChannelKind::kChannel, "a"));
  EXPECT_TRUE(mine.Add(ChannelKind::kPattern, "a"));
  EXPECT_TRUE(mine.Add(ChannelKind::kShard, "abc"));
  EXPECT_EQ(mine.CountFor(ChannelKind::kChannel), 2U);
  EXPECT_EQ(mine.CountFor(ChannelKind::kPattern), 2U);
  EXPECT_EQ(mine.CountFor(ChannelKind::kShard), 1U);
  EXPECT_EQ(mine.bytes(), 5U);
  EXPECT_TRUE(mine.Remove(ChannelKind::kShard, "abc"));
  EXPECT_FALSE(mine.Remove(ChannelKind::kShard, "abc"));
  EXPECT_TRUE(mine.Remove(ChannelKind::kChannel, "a"));
  EXPECT_TRUE(mine.Remove(ChannelKind::kPattern, "a"));
  EXPECT_TRUE(mine.empty());
  EXPECT_EQ(mine.bytes(), 0U);
}

TEST(SubscriptionTableTest, AMessageIsWordedForTheChannelTheShardAndThePattern) {
  SubscriptionTable table;
  Listener two(2);
  Listener three(3);
  for (Listener* listener : {&two, &three}) {
    table.Add(ChannelKind::kChannel, "news", listener);
    table.Add(ChannelKind::kPattern, "n*", listener);
    table.Add(ChannelKind::kShard, "news", listener);
  }
  table.Deliver(Published("news", "hi"));
  EXPECT_EQ(two.got, (std::vector<std::string>{
                         "*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$2\r\nhi\r\n",
                         "*4\r\n$8\r\npmessage\r\n$2\r\nn*\r\n$4\r\nnews\r\n$2\r\nhi\r\n"}));
  EXPECT_EQ(three.got, (std::vector<std::string>{
                           ">3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$2\r\nhi\r\n",
                           ">4\r\n$8\r\npmessage\r\n$2\r\nn*\r\n$4\r\nnews\r\n$2\r\nhi\r\n"}));
  three.got.clear();
  table.Deliver({.kind = ChannelKind::kShard, .channel = "news", .payload = ""});
  EXPECT_EQ(three.got,
            std::vector<std::string>{">3\r\n$8\r\nsmessage\r\n$4\r\nnews\r\n$0\r\n\r\n"});
}

TEST(SubscriptionTableTest, AnEmptyPatternIsAPattern) {
  SubscriptionTable table;
  Listener listener(3);
  table.Add(ChannelKind::kPattern, "", &listener);
  table.Deliver(Published("", "x"));
  table.Deliver(Published("a", "x"));
  EXPECT_EQ(listener.got,
            std::vector<std::string>{">4\r\n$8\r\npmessage\r\n$0\r\n\r\n$0\r\n\r\n$1\r\nx\r\n"});
}

// Beside a list of who has subscribed to what.
TEST(SubscriptionTableTest, EachSubscriptionThatMatchesGetsEachMessageOnce) {
  Random random(7);
  const std::vector<std::string> names = {"a", "b", "ab", "a*", "*b", "*", "[ab]", "?b"};
  std::vector<Listener> listeners(5);
  std::map<std::pair<size_t, std::pair<ChannelKind, std::string>>, bool> model;
  SubscriptionTable table;
  for (int step = 0; step < 4000; ++step) {
    const size_t who = random.Uniform(listeners.size());
    const auto kind = static_cast<ChannelKind>(random.Uniform(kChannelKinds));
    const std::string& name = names[random.Uniform(names.size())];
    bool& has = model[{who, {kind, name}}];
    if (!std::exchange(has, !has)) {
      table.Add(kind, name, &listeners[who]);
    } else {
      table.Remove(kind, name, &listeners[who]);
    }
    const Message message = {.kind = random.OneIn(3) ? ChannelKind::kShard : ChannelKind::kChannel,
                             .channel = names[random.Uniform(3)],
                             .payload = std::to_string(step)};
    std::vector<size_t> expected(listeners.size());
    bool any = false;
    for (const auto& [subscription, on] : model) {
      const auto& [of_kind, of_name] = subscription.second;
      const bool matches =
          of_kind == ChannelKind::kPattern
              ? message.kind == ChannelKind::kChannel && GlobMatch(of_name, message.channel)
              : of_kind == message.kind && of_name == message.channel;
      expected[subscription.first] += on && matches ? 1 : 0;
      any = any || on;
    }
    ASSERT_EQ(table.empty(), !any);
    table.Deliver(message);
    for (size_t i = 0; i < listeners.size(); ++i) {
      ASSERT_EQ(std::exchange(listeners[i].got, {}).size(), expected[i]) << "step " << step;
    }
  }
}

TEST(SubscriptionTableTest, ConfirmationsArePushesInResp3) {
  std::string out;
  AppendConfirmation("subscribe", "a", 1, 2, &out);
  AppendConfirmation("psubscribe", "", 2, 3, &out);
  AppendNothingToEnd("unsubscribe", 0, 2, &out);
  AppendNothingToEnd("unsubscribe", 0, 3, &out);
  EXPECT_EQ(out,
            "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n"
            ">3\r\n$10\r\npsubscribe\r\n$0\r\n\r\n:2\r\n"
            "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n"
            ">3\r\n$11\r\nunsubscribe\r\n_\r\n:0\r\n");
}

}  // namespace
}  // namespace kvs
