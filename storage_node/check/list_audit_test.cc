#include "storage_node/check/list_audit.h"

#include <map>
#include <string>

#include "gtest/gtest.h"

#include "common/base/coding.h"

namespace kvs {
namespace {

using Elements = std::map<std::string, std::string>;

constexpr uint64_t kCount = 6;

// Six elements, one of them put between two others, in two runs under two levels.
Elements Good() {
  Elements elements;
  for (uint64_t i = 0; i + 1 < kCount; ++i) {
    elements["s" + ListOrder(10 + i)] = "v" + std::to_string(i);
  }
  elements["s" + ListOrder(12) + "\x80"] = "v";
  elements["f\x01"] = EncodeRankNode({4, 4});
  elements["f\x01" + ListOrder(13)] = EncodeRankNode({2, 2});
  elements["f\x02"] = EncodeRankNode({6, 2});
  return elements;
}

ListHeader GoodHeader() {
  return {.root = {2, 1}, .is_dense = false, .first = 10, .last = 14, .listpack_bytes = 23};
}

std::string VerdictOf(const Elements& elements, uint64_t count = kCount,
                      const ListHeader& header = GoodHeader()) {
  ListAudit audit;
  for (const auto& [name, value] : elements) {
    audit.Add(name, value);
  }
  return audit.Verdict(count, header);
}

TEST(ListAuditTest, WhatAgreesPasses) {
  EXPECT_EQ(VerdictOf(Good()), "");
}

TEST(ListAuditTest, EveryMissingElementIsFound) {
  for (const auto& [name, value] : Good()) {
    Elements elements = Good();
    elements.erase(name);
    EXPECT_NE(VerdictOf(elements), "") << name;
  }
}

TEST(ListAuditTest, AHeaderThatDoesNotFitIsFound) {
  EXPECT_NE(VerdictOf(Good(), kCount + 1), "");
  EXPECT_NE(VerdictOf({}, 0, {}), "");
  for (const auto change :
       {+[](ListHeader* header) { ++header->root.levels; },
        +[](ListHeader* header) { ++header->root.top_nodes; },
        +[](ListHeader* header) { header->is_dense = true; },
        +[](ListHeader* header) { --header->first; }, +[](ListHeader* header) { --header->last; },
        +[](ListHeader* header) { ++header->listpack_bytes; }}) {
    ListHeader header = GoodHeader();
    change(&header);
    EXPECT_NE(VerdictOf(Good(), kCount, header), "");
  }
}

TEST(ListAuditTest, AnElementThatDoesNotFitIsFound) {
  const std::pair<std::string, std::string> changes[] = {{"s" + ListOrder(12), "longer"},
                                                         {"s" + ListOrder(12).substr(1), "v"},
                                                         {"f\x01", EncodeRankNode({3, 3})},
                                                         {"f\x02", EncodeRankNode({6, 3})},
                                                         {"f\x03", EncodeRankNode({6, 1})},
                                                         {"m" + ListOrder(12), "v"},
                                                         {"", "v"}};
  for (const auto& [name, value] : changes) {
    Elements elements = Good();
    elements[name] = value;
    EXPECT_NE(VerdictOf(elements), "") << name;
  }
}

TEST(ListAuditTest, APackedListIsReadElementByElement) {
  std::string packed;
  for (uint64_t i = 0; i < 2; ++i) {
    PutLengthPrefixed(&packed, "s" + ListOrder(10 + i));
    PutLengthPrefixed(&packed, "v");
  }
  const ListHeader header = {.first = 10, .last = 11, .listpack_bytes = 6};
  EXPECT_EQ(ListAudit::VerdictOfPacked(packed, 2, header), "");
  EXPECT_NE(ListAudit::VerdictOfPacked(packed, 3, header), "");
  EXPECT_NE(ListAudit::VerdictOfPacked(packed + "s", 2, header), "");
  EXPECT_NE(ListAudit::VerdictOfPacked(packed + packed, 4, header), "");
}

}  // namespace
}  // namespace kvs
