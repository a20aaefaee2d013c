#include "common/hyperloglog/hyperloglog.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "common/base/crc32c.h"
#include "common/base/random.h"

namespace kvs {
namespace {

template <size_t N>
std::string Literal(const char (&bytes)[N]) {
  return std::string(bytes, N - 1);
}

const std::string kHeader = Literal("HYLL\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80");

std::string Added(const std::vector<std::string>& elements) {
  std::string value = EmptyHyperLogLog();
  for (const std::string& element : elements) {
    EXPECT_NE(AddToHyperLogLog(element, kHyperLogLogSparseBytes, &value),
              HyperLogLogChange::kDamaged);
  }
  ForgetHyperLogLogCount(&value);
  return value;
}

std::string Numbered(const std::string& prefix, int count) {
  std::vector<std::string> elements;
  for (int i = 0; i < count; ++i) {
    elements.push_back(prefix + std::to_string(i));
  }
  return Added(elements);
}

uint64_t CountOf(const std::string& value) {
  HyperLogLogRegisters registers;
  EXPECT_TRUE(registers.Merge(value));
  EXPECT_EQ(CountHyperLogLog(value), registers.Count());
  return registers.Count();
}

// The worked examples of doc/formats/hyperloglog.md, which redis-server 7.0 has made.
TEST(HyperLogLogTest, StringsAreThoseOfTheDocument) {
  EXPECT_EQ(Added({}), kHeader + "\x7f\xff");
  EXPECT_EQ(Added({"a"}), kHeader + Literal("\x71\xa6\x84\x4e\x57"));
  EXPECT_EQ(Added({"a", "b", "c"}),
            kHeader + Literal("\x60\xf3\x80\x50\xb1\x84\x4b\xfb\x80\x42\x5a"));
  EXPECT_EQ(Added({"foo", "bar", "zap", ""}),
            kHeader + Literal("\x57\x31\x84\x45\x80\x90\x42\x07\x84\x48\x58\x80\x58\xe7"));
}

// Sizes, checksums and counts are those of redis-server 7.0 for the same elements.
TEST(HyperLogLogTest, StringsAreRedissByteForByteAndCountAlike) {
  const struct {
    int elements;
    size_t size;
    uint32_t checksum;
    uint64_t count;
  } rows[] = {
      {1, 21, 0xe3003a3b, 1},
      {10, 48, 0x5f8f42e1, 10},
      {100, 285, 0x219d5744, 99},
      {300, 687, 0x2a943303, 301},
      {600, 1229, 0x91fa6f0f, 602},
      {1000, 1897, 0x1fd4aa61, 997},
      {1500, 2722, 0x25c2ecf7, 1500},
      {2000, 12304, 0x0cb2c64d, 2004},
      {3000, 12304, 0xbdee5034, 3002},
      {10000, 12304, 0xaca92d78, 10017},
      {100000, 12304, 0x812165dc, 100039},
  };
  for (const auto& row : rows) {
    const std::string value = Numbered("element:", row.elements);
    EXPECT_EQ(value.size(), row.size) << row.elements;
    EXPECT_EQ(Crc32c(value), row.checksum) << row.elements;
    EXPECT_EQ(CountOf(value), row.count) << row.elements;
  }
}

TEST(HyperLogLogTest, MergedStringsAreRedissToo) {
  HyperLogLogRegisters registers;
  ASSERT_TRUE(registers.Merge(Numbered("a", 200)));
  ASSERT_TRUE(registers.Merge(Numbered("b", 200)));
  std::string value = EmptyHyperLogLog();
  ASSERT_TRUE(registers.StoreTo(/*dense=*/false, kHyperLogLogSparseBytes, &value));
  const struct {
    size_t size;
    uint32_t checksum;
    uint64_t count;
  } merged = {867, 0x0895b9df, 401};
  EXPECT_EQ(value.size(), merged.size);
  EXPECT_EQ(Crc32c(value), merged.checksum);
  EXPECT_EQ(CountOf(value), merged.count);
  ASSERT_TRUE(registers.StoreTo(/*dense=*/true, kHyperLogLogSparseBytes, &value));
  EXPECT_TRUE(IsDenseHyperLogLog(value));
  EXPECT_EQ(CountOf(value), merged.count);
}

TEST(HyperLogLogTest, SparseAndDenseHoldTheSameRegisters) {
  std::string sparse = EmptyHyperLogLog();
  std::string dense = EmptyHyperLogLog();
  for (int i = 0; i < 2000; ++i) {
    const std::string element = "e" + std::to_string(i % 1500);
    const auto change = AddToHyperLogLog(element, 20'000, &sparse);
    ASSERT_EQ(AddToHyperLogLog(element, 0, &dense), change);
    ASSERT_TRUE(i < 1500 || change == HyperLogLogChange::kNone);
  }
  EXPECT_FALSE(IsDenseHyperLogLog(sparse));
  EXPECT_TRUE(IsDenseHyperLogLog(dense));
  EXPECT_EQ(CountOf(sparse), CountOf(dense));
}

TEST(HyperLogLogTest, TheStoredCountHoldsUntilAChange) {
  std::string value = EmptyHyperLogLog();
  EXPECT_EQ(StoredHyperLogLogCount(value), 0U);
  value[8] = 17;
  EXPECT_EQ(StoredHyperLogLogCount(value), 17U);
  ForgetHyperLogLogCount(&value);
  EXPECT_FALSE(StoredHyperLogLogCount(value).has_value());
}

TEST(HyperLogLogTest, OtherStringsAreNone) {
  const std::string empty = EmptyHyperLogLog();
  EXPECT_TRUE(IsHyperLogLog(empty));
  for (size_t size = 0; size < 16; ++size) {
    EXPECT_FALSE(IsHyperLogLog(empty.substr(0, size))) << size;
  }
  std::string other = empty;
  other[4] = 2;
  EXPECT_FALSE(IsHyperLogLog(other));
  other[4] = 0;
  EXPECT_FALSE(IsHyperLogLog(other));
  other.resize(12'304);
  EXPECT_TRUE(IsHyperLogLog(other));
  other.push_back('x');
  EXPECT_FALSE(IsHyperLogLog(other));
  other = empty;
  other[0] = 'h';
  EXPECT_FALSE(IsHyperLogLog(other));
}

TEST(HyperLogLogTest, RunsOfMoreOrLessThanAllRegistersAreDamage) {
  for (const std::string& runs : {std::string(), Literal("\x7f\xfe"), Literal("\x7f\xff\x00"),
                                  Literal("\x7f"), Literal("\x80"), Literal("\x7f\xfd\x87")}) {
    HyperLogLogRegisters registers;
    EXPECT_FALSE(registers.Merge(kHeader + runs)) << runs.size();
    std::string value = kHeader + runs;
    EXPECT_FALSE(registers.StoreTo(/*dense=*/true, 3000, &value)) << runs.size();
  }
}

// A client may set a string to anything; under a sanitizer this finds what is read beyond its end.
TEST(HyperLogLogTest, NoBytesLeadBeyondTheString) {
  Random random(3);
  for (int round = 0; round < 20'000; ++round) {
    std::string value = kHeader;
    for (uint64_t i = random.Uniform(40); i > 0; --i) {
      value.push_back(static_cast<char>(random.Next()));
    }
    if (random.OneIn(4)) {
      value[4] = 0;
      value.resize(12'304, static_cast<char>(random.Next()));
    }
    ASSERT_TRUE(IsHyperLogLog(value));
    HyperLogLogRegisters registers;
    const bool whole = registers.Merge(value);
    EXPECT_EQ(CountHyperLogLog(value), whole ? std::optional(registers.Count()) : std::nullopt);
    (void)AddToHyperLogLog(std::to_string(round), random.Uniform(100), &value);
    (void)registers.StoreTo(random.OneIn(2), 50, &value);
  }
}

}  // namespace
}  // namespace kvs
