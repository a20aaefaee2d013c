#include "storage_node/keys/list_codec.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "common/base/random.h"

namespace kvs {
namespace {

const std::string kFive = std::string(7, '\0') + '\x05';

TEST(ListCodecTest, AHeaderHasTheBytesOfTheDocument) {
  const ListHeader header = {.root = {.levels = 2, .top_nodes = 3},
                             .is_dense = false,
                             .first = kListOrigin - 1,
                             .last = kListOrigin + 0x1234,
                             .listpack_bytes = 0x56789};

  const std::string bytes = EncodeListHeader(header);

  EXPECT_EQ(bytes, std::string("\x02\x03\x00\x00\x00"
                               "\x00"
                               "\xff\xff\xff\xff\xff\xff\xff\x7f"
                               "\x34\x12\x00\x00\x00\x00\x00\x80"
                               "\x89\x67\x05\x00\x00\x00\x00\x00",
                               kListHeaderSize));
  EXPECT_EQ(DecodeListHeader(bytes), header);
  const std::string dense = EncodeListHeader({.is_dense = true});
  EXPECT_EQ(dense[5], '\x01');
  EXPECT_TRUE(DecodeListHeader(dense).is_dense);
}

TEST(ListCodecTest, OrdersSortAsPositions) {
  EXPECT_EQ(ListOrder(5), kFive);
  EXPECT_LT(ListOrder(5), ListOrder(6));
  EXPECT_LT(ListOrder(255), ListOrder(256));
  EXPECT_LT(ListOrder(kListOrigin - 1), ListOrder(kListOrigin));
  EXPECT_EQ(PositionOfOrder(ListOrder(kListOrigin) + "x"), kListOrigin);
}

TEST(ListCodecTest, AGapOfPositionsIsFilledBeforeAFractionIsMade) {
  EXPECT_EQ(ListOrderBetween(ListOrder(5), ListOrder(9)), ListOrder(7));
  EXPECT_EQ(ListOrderBetween(ListOrder(5), ListOrder(6)), kFive + "\x80");
  EXPECT_EQ(ListOrderBetween(ListOrder(255), ListOrder(256)), ListOrder(255) + "\x80");
  EXPECT_EQ(ListOrderBetween(kFive, kFive + "\x80"), kFive + "\x40");
  EXPECT_EQ(ListOrderBetween(kFive, kFive + "\x01"), kFive + std::string("\x00\x80", 2));
  EXPECT_EQ(ListOrderBetween(kFive + "\x80", kFive + "\x81"), kFive + "\x80\x80");
  EXPECT_EQ(ListOrderBetween(kFive + "\xff", ListOrder(6)), kFive + "\xff\x80");
}

// Between any two orders that were made like this there is another one.
TEST(ListCodecTest, AnOrderLiesBetweenItsNeighbours) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Random random(seed);
    std::vector<std::string> orders = {ListOrder(255), ListOrder(256)};
    for (int i = 0; i < 300; ++i) {
      // The same place again and again, now and then another one.
      const size_t at = random.OneIn(5) ? random.Uniform(orders.size() - 1) : orders.size() / 2 - 1;
      const std::string between = ListOrderBetween(orders[at], orders[at + 1]);
      ASSERT_LT(orders[at], between);
      ASSERT_LT(between, orders[at + 1]);
      ASSERT_TRUE(between.size() == kListPositionSize || between.back() != '\0');
      orders.insert(orders.begin() + static_cast<std::ptrdiff_t>(at) + 1, between);
    }
  }
}

TEST(ListCodecTest, SpreadOrdersAreSortedAndFarFromEachOther) {
  for (const size_t digits : {1, 2, 5, 24}) {
    for (size_t count = 1; count <= std::min<size_t>(size_t{1} << digits, 5000); count += 7) {
      const std::vector<std::string> orders = SpreadListOrders(kFive, count, digits);
      ASSERT_EQ(orders.size(), count);
      std::string last = kFive;
      for (const std::string& order : orders) {
        ASSERT_LT(last, order);
        ASSERT_TRUE(order.starts_with(kFive));
        ASSERT_LE(order.size(), kFive.size() + digits);
        ASSERT_NE(order.back(), '\0');
        ASSERT_LE(ListOrderBetween(last, order).size(), kFive.size() + 7);
        last = order;
      }
    }
  }
}

TEST(ListCodecTest, SizesAreThoseOfAListpack) {
  EXPECT_EQ(ListpackEntrySize(""), 2U);
  EXPECT_EQ(ListpackEntrySize("a"), 3U);
  EXPECT_EQ(ListpackEntrySize("0"), 2U);
  EXPECT_EQ(ListpackEntrySize("127"), 2U);
  EXPECT_EQ(ListpackEntrySize("128"), 3U);
  EXPECT_EQ(ListpackEntrySize("-4096"), 3U);
  EXPECT_EQ(ListpackEntrySize("4096"), 4U);
  EXPECT_EQ(ListpackEntrySize("32768"), 5U);
  EXPECT_EQ(ListpackEntrySize("8388608"), 6U);
  EXPECT_EQ(ListpackEntrySize("2147483648"), 10U);
  EXPECT_EQ(ListpackEntrySize("01"), 4U);
  EXPECT_EQ(ListpackEntrySize(std::string(63, 'x')), 65U);
  EXPECT_EQ(ListpackEntrySize(std::string(64, 'x')), 67U);
  EXPECT_EQ(ListpackEntrySize(std::string(126, 'x')), 130U);
  EXPECT_EQ(ListpackEntrySize(std::string(4096, 'x')), 4103U);
}

}  // namespace
}  // namespace kvs
