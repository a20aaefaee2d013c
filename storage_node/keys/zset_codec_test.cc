#include "storage_node/keys/zset_codec.h"

#include <limits>
#include <string>

#include "gtest/gtest.h"

#include "common/base/random.h"

namespace kvs {
namespace {

TEST(ZSetCodecTest, ScoresSortAsNumbers) {
  const double inf = std::numeric_limits<double>::infinity();
  const double tiny = std::numeric_limits<double>::denorm_min();
  const double huge = std::numeric_limits<double>::max();
  const double scores[] = {-inf, -huge, -1.5, -1, -tiny, 0, tiny, 0.1, 1, 1.5, 1e20, huge, inf};
  std::string last;
  for (const double score : scores) {
    const std::string order = EncodeScoreOrder(score);
    ASSERT_EQ(order.size(), kScoreSize);
    EXPECT_LT(last, order) << score;
    EXPECT_EQ(DecodeScoreOrder(order + "member"), score);
    EXPECT_EQ(*DecodeScoreValue(EncodeScoreValue(score)), score);
    last = order;
  }
  EXPECT_EQ(EncodeScoreOrder(-0.0), EncodeScoreOrder(0.0));
  EXPECT_EQ(EncodeScoreValue(-0.0), EncodeScoreValue(0.0));
}

TEST(ZSetCodecTest, RandomScoresSortAsNumbers) {
  Random random(3);
  for (int i = 0; i < 100'000; ++i) {
    const auto some = [&random] {
      return (static_cast<double>(random.Uniform(2001)) - 1000) /
             static_cast<double>(1 + random.Uniform(1000));
    };
    const double a = some();
    const double b = some();
    ASSERT_EQ(a < b, EncodeScoreOrder(a) < EncodeScoreOrder(b)) << a << " " << b;
    ASSERT_EQ(DecodeScoreOrder(EncodeScoreOrder(a)), a);
  }
}

// doc/formats/keys.md
TEST(ZSetCodecTest, BytesAreThoseOfTheDocument) {
  EXPECT_EQ("s" + ZSetOrder(1.5, "bar"), std::string("s\xbf\xf8\0\0\0\0\0\0bar", 12));
  EXPECT_EQ("s" + ZSetOrder(-1.5, "bar"), std::string("s\x40\x07\xff\xff\xff\xff\xff\xff"
                                                      "bar"));
  EXPECT_EQ(EncodeScoreValue(1.5), std::string("\0\0\0\0\0\0\xf8\x3f", 8));
  EXPECT_EQ(EncodeRankNode({.count = 300, .children = 2}), "\xac\x02\x02");
  EXPECT_EQ(EncodeRankRoot({.levels = 2, .top_nodes = 258}), std::string("\x02\x02\x01\0\0", 5));
}

TEST(ZSetCodecTest, WhatIsNoValueIsRefused) {
  EXPECT_FALSE(DecodeScoreValue("").ok());
  EXPECT_FALSE(DecodeScoreValue("1234567").ok());
  EXPECT_FALSE(DecodeScoreValue("123456789").ok());
  EXPECT_FALSE(DecodeRankNode("").ok());
  EXPECT_FALSE(DecodeRankNode("\x01").ok());
  EXPECT_FALSE(DecodeRankNode("\x01\x80").ok());
  EXPECT_FALSE(DecodeRankNode("\x01\x02\x03").ok());
  EXPECT_EQ(*DecodeRankNode("\x01\x02"), (RankNode{1, 2}));
  EXPECT_EQ(DecodeRankRoot(EncodeRankRoot({3, 70000})), (RankRoot{3, 70000}));
}

}  // namespace
}  // namespace kvs
