#include "storage_node/check/zset_audit.h"

#include <map>
#include <string>

#include "gtest/gtest.h"

#include "common/base/coding.h"

namespace kvs {
namespace {

using Elements = std::map<std::string, std::string>;

constexpr uint64_t kCount = 6;

// Six members, in two runs under two levels.
Elements Good() {
  Elements elements;
  for (uint64_t i = 0; i < kCount; ++i) {
    const std::string member = "m" + std::to_string(i);
    const auto score = static_cast<double>(i);
    elements["s" + ZSetOrder(score, member)] = "";
    elements["m" + std::string(kZSetHashSize, 'h') + member] = EncodeScoreValue(score);
  }
  elements["f\x01"] = EncodeRankNode({4, 4});
  elements["f\x01" + EncodeScoreOrder(4)] = EncodeRankNode({2, 2});
  elements["f\x02"] = EncodeRankNode({6, 2});
  return elements;
}

std::string VerdictOf(const Elements& elements, uint64_t count = kCount, RankRoot root = {2, 1},
                      const OrderBounds& bounds = {}) {
  ZSetAudit audit;
  for (const auto& [name, value] : elements) {
    audit.Add(name, value);
  }
  return audit.Verdict(count, {root, bounds});
}

TEST(ZSetAuditTest, WhatAgreesPasses) {
  EXPECT_EQ(VerdictOf(Good()), "");
  EXPECT_EQ(VerdictOf({}, 0, {}), "");
}

TEST(ZSetAuditTest, MembersOutsideTheBoundsAreFound) {
  const std::string first = ZSetOrder(0, "m0");
  const std::string last = ZSetOrder(5, "m5");
  EXPECT_EQ(VerdictOf(Good(), kCount, {2, 1}, {first, last}), "");
  EXPECT_EQ(VerdictOf(Good(), kCount, {2, 1}, {first.substr(0, 9), last.substr(0, 9)}), "");
  EXPECT_NE(VerdictOf(Good(), kCount, {2, 1}, {first + "x", last}), "");
  EXPECT_NE(VerdictOf(Good(), kCount, {2, 1}, {first, ZSetOrder(5, "m4")}), "");
  EXPECT_NE(VerdictOf(Good(), kCount, {2, 1}, {first, ZSetOrder(4, "")}), "");
}

TEST(ZSetAuditTest, EveryMissingElementIsFound) {
  for (const auto& [name, value] : Good()) {
    Elements elements = Good();
    elements.erase(name);
    EXPECT_NE(VerdictOf(elements), "") << name;
  }
}

TEST(ZSetAuditTest, WhatDoesNotFitIsFound) {
  EXPECT_NE(VerdictOf(Good(), kCount + 1), "");
  EXPECT_NE(VerdictOf(Good(), kCount, {1, 2}), "");
  EXPECT_NE(VerdictOf(Good(), kCount, {2, 2}), "");
  const std::pair<std::string, std::string> changes[] = {
      {"m" + std::string(kZSetHashSize, 'h') + "m1", EncodeScoreValue(7)},
      {"m" + std::string(kZSetHashSize, 'h') + "m1", "short"},
      {"f\x01", EncodeRankNode({3, 3})},
      {"f\x02", EncodeRankNode({6, 3})},
      {"f\x02", "x"},
      {"f\x05", EncodeRankNode({1, 1})},
      {"s" + ZSetOrder(1, "m1"), "a value"},
      {"s" + ZSetOrder(1, "stray"), ""},
      {"stray", ""},
      {"", ""}};
  for (const auto& [name, value] : changes) {
    Elements elements = Good();
    elements[name] = value;
    EXPECT_NE(VerdictOf(elements), "") << name;
  }
}

std::string Packed(std::initializer_list<std::string> names) {
  std::string packed;
  for (const std::string& name : names) {
    PutLengthPrefixed(&packed, name);
    PutLengthPrefixed(&packed, "");
  }
  return packed;
}

TEST(ZSetAuditTest, PackedOnesAreInOrderAndAsManyAsCounted) {
  const std::string a = "s" + ZSetOrder(1, "a");
  const std::string b = "s" + ZSetOrder(2, "b");
  EXPECT_EQ(ZSetAudit::VerdictOfPacked(Packed({a, b}), 2), "");
  EXPECT_NE(ZSetAudit::VerdictOfPacked(Packed({a, b}), 1), "");
  EXPECT_NE(ZSetAudit::VerdictOfPacked(Packed({b, a}), 2), "");
  EXPECT_NE(ZSetAudit::VerdictOfPacked(Packed({a, a}), 2), "");
  EXPECT_NE(ZSetAudit::VerdictOfPacked(Packed({"short"}), 1), "");
  EXPECT_NE(ZSetAudit::VerdictOfPacked(Packed({"x23456789abc"}), 1), "");
  EXPECT_NE(ZSetAudit::VerdictOfPacked("\x09", 1), "");
}

}  // namespace
}  // namespace kvs
