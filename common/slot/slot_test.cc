#include "common/slot/slot.h"

#include <cstdint>
#include <string>

#include "gtest/gtest.h"

namespace kvs {
namespace {

// The definition, bit by bit.
uint16_t SlowCrc16(std::string_view bytes) {
  uint32_t crc = 0;
  for (const char c : bytes) {
    crc ^= static_cast<uint32_t>(static_cast<uint8_t>(c)) << 8;
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc & 0x8000) != 0 ? (crc << 1) ^ 0x1021 : crc << 1;
    }
    crc &= 0xffff;
  }
  return static_cast<uint16_t>(crc);
}

TEST(SlotTest, CrcHasTheCheckValueOfXmodem) {
  EXPECT_EQ(Crc16("123456789"), 0x31c3);
  EXPECT_EQ(Crc16(""), 0);
}

TEST(SlotTest, FastCrcIsTheDefinitionAtEveryLength) {
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    SCOPED_TRACE(i);
    EXPECT_EQ(Crc16(bytes), SlowCrc16(bytes));
    bytes.push_back(static_cast<char>(i * 151 + 7));
  }
}

// What CLUSTER KEYSLOT of Redis answers.
TEST(SlotTest, SlotsAreThoseOfRedisCluster) {
  EXPECT_EQ(SlotOf("foo"), 12182);
  EXPECT_EQ(SlotOf("somekey"), 11058);
  EXPECT_EQ(SlotOf("foo{hash_tag}"), 2515);
  EXPECT_EQ(SlotOf("bar{hash_tag}"), 2515);
  EXPECT_EQ(SlotOf(""), 0);
}

TEST(SlotTest, OnlyTheFirstNonEmptyTagCounts) {
  EXPECT_EQ(HashTag("{user1000}.following"), "user1000");
  EXPECT_EQ(HashTag("foo{}{bar}"), "foo{}{bar}");
  EXPECT_EQ(HashTag("foo{{bar}}zap"), "{bar");
  EXPECT_EQ(HashTag("foo{bar}{zap}"), "bar");
  EXPECT_EQ(HashTag("}foo{"), "}foo{");
  EXPECT_EQ(HashTag("a}b{c}d"), "c");
}

}  // namespace
}  // namespace kvs
