#include "common/tracking/invalidation.h"

#include "gtest/gtest.h"

namespace kvs {
namespace {

using std::string_literals::operator""s;

TEST(InvalidationTest, TellsKeysAsPushOrAsMessage) {
  const Invalidation keys{.keys = {"a", std::string("b\0\r", 3)}};
  std::string push;
  AppendInvalidationPush(keys, &push);
  EXPECT_EQ(push, ">2\r\n$10\r\ninvalidate\r\n*2\r\n$1\r\na\r\n$3\r\nb\0\r\r\n"s);
  std::string message;
  AppendInvalidationMessage(keys, &message);
  EXPECT_EQ(message,
            "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n"
            "*2\r\n$1\r\na\r\n$3\r\nb\0\r\r\n"s);
}

TEST(InvalidationTest, TellsThatEverythingMayHaveChanged) {
  const Invalidation everything{.kind = Invalidation::Kind::kEverything};
  std::string push;
  AppendInvalidationPush(everything, &push);
  EXPECT_EQ(push, ">2\r\n$10\r\ninvalidate\r\n_\r\n");
  std::string message;
  AppendInvalidationMessage(everything, &message);
  EXPECT_EQ(message, "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n$-1\r\n");
}

TEST(InvalidationTest, TellsOfABrokenRedirectionInRespThreeOnly) {
  const Invalidation broken{.kind = Invalidation::Kind::kRedirectBroken, .redirect = 17};
  std::string push;
  AppendInvalidationPush(broken, &push);
  EXPECT_EQ(push, ">2\r\n$21\r\ntracking-redir-broken\r\n:17\r\n");
  std::string message;
  AppendInvalidationMessage(broken, &message);
  EXPECT_EQ(message, "");
}

TEST(InvalidationTest, AnOutletWakesItsLoopOnceAndSaysWhatIsLost) {
  int wakes = 0;
  InvalidationOutlet outlet([&wakes] { ++wakes; });
  const auto small = std::make_shared<const Invalidation>(Invalidation{.keys = {"k"}});
  outlet.Push({.client = 1, .invalidation = small});
  outlet.Push({.client = 2, .invalidation = small, .redirected = true});
  EXPECT_EQ(wakes, 1);
  std::set<uint64_t> losers;
  const std::vector<InvalidationOrder> orders = outlet.Take(&losers);
  ASSERT_EQ(orders.size(), 2u);
  EXPECT_EQ(orders[0].client, 1u);
  EXPECT_TRUE(orders[1].redirected);
  EXPECT_TRUE(losers.empty());

  const auto large = std::make_shared<const Invalidation>(
      Invalidation{.keys = {std::string(InvalidationOutlet::kMaxWaitingBytes / 2, 'x')}});
  for (uint64_t client = 1; client <= 3; ++client) {
    outlet.Push({.client = client, .invalidation = large});  // It is there once.
  }
  EXPECT_EQ(wakes, 2);
  EXPECT_EQ(outlet.Take(&losers).size(), 3u);
  EXPECT_TRUE(losers.empty());
  for (uint64_t client = 1; client <= 3; ++client) {
    outlet.Push({.client = client, .invalidation = std::make_shared<const Invalidation>(*large)});
  }
  EXPECT_EQ(outlet.Take(&losers).size(), 1u);
  EXPECT_EQ(losers, (std::set<uint64_t>{2, 3}));
  losers.clear();
  EXPECT_TRUE(outlet.Take(&losers).empty());
  EXPECT_TRUE(losers.empty());
}

}  // namespace
}  // namespace kvs
