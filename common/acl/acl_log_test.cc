#include "common/acl/acl_log.h"

#include <gtest/gtest.h>

#include <utility>

namespace kvs {
namespace {

AclLogEntry Entry(std::string object, int64_t now_ms) {
  AclLogEntry entry;
  entry.reason = AclDenial::kKey;
  entry.object = std::move(object);
  entry.username = "u";
  entry.client = "id=" + std::to_string(now_ms);
  entry.created_ms = now_ms;
  entry.updated_ms = now_ms;
  return entry;
}

TEST(AclLogTest, TheLatestComesFirst) {
  AclLog log;
  log.Add(Entry("a", 1));
  log.Add(Entry("b", 2));

  const auto entries = log.Latest(10);

  ASSERT_EQ(entries.size(), 2U);
  EXPECT_EQ(entries[0].object, "b");
  EXPECT_EQ(entries[1].object, "a");
  EXPECT_GT(entries[0].id, entries[1].id);
  EXPECT_EQ(log.Latest(1).size(), 1U);
  log.Reset();
  EXPECT_TRUE(log.Latest(10).empty());
}

TEST(AclLogTest, TheSameWithinAMinuteIsCounted) {
  AclLog log;
  log.Add(Entry("a", 1000));
  log.Add(Entry("b", 2000));
  log.Add(Entry("a", 3000));

  const auto entries = log.Latest(10);

  ASSERT_EQ(entries.size(), 2U);
  EXPECT_EQ(entries[0].object, "a");
  EXPECT_EQ(entries[0].count, 2);
  EXPECT_EQ(entries[0].id, 0);
  EXPECT_EQ(entries[0].created_ms, 1000);
  EXPECT_EQ(entries[0].updated_ms, 3000);
  EXPECT_EQ(entries[0].client, "id=3000");
  log.Add(Entry("a", 63'001));
  EXPECT_EQ(log.Latest(10).size(), 3U);
}

TEST(AclLogTest, AnotherUserReasonOrContextIsAnotherEntry) {
  AclLog log;
  log.Add(Entry("a", 1));
  AclLogEntry other = Entry("a", 1);
  other.username = "v";
  log.Add(other);
  other = Entry("a", 1);
  other.context = AclContext::kLua;
  log.Add(other);
  other = Entry("a", 1);
  other.reason = AclDenial::kChannel;
  log.Add(other);
  EXPECT_EQ(log.Latest(10).size(), 4U);
}

TEST(AclLogTest, ItIsBounded) {
  AclLog log;
  log.Configure(3);
  for (int i = 0; i < 10; ++i) {
    log.Add(Entry("k" + std::to_string(i), i));
  }
  EXPECT_EQ(log.Latest(100).size(), 3U);
  log.Configure(1);
  EXPECT_EQ(log.Latest(100).size(), 1U);
  EXPECT_EQ(log.Latest(100)[0].object, "k9");
  log.Configure(0);
  log.Add(Entry("x", 1));
  EXPECT_TRUE(log.Latest(100).empty());
}

TEST(AclLogTest, WhatClientsSendIsCut) {
  AclLog log;
  log.Add(Entry(std::string(100'000, 'a'), 1));
  EXPECT_EQ(log.Latest(1)[0].object.size(), 1024U);
}

}  // namespace
}  // namespace kvs
