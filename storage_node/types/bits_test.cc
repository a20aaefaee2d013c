#include "storage_node/types/bits.h"

#include <string>

#include "gtest/gtest.h"

#include "common/base/random.h"

namespace kvs {
namespace {

std::string RandomBytes(size_t size, Random* random) {
  std::string bytes;
  for (size_t i = 0; i < size; ++i) {
    const uint64_t kind = random->Uniform(4);
    bytes.push_back(static_cast<char>(kind == 0 ? 0 : kind == 1 ? 0xff : random->Next()));
  }
  return bytes;
}

TEST(BitsTest, CountAndSearchAgreeWithALookAtEachBit) {
  Random random(7);
  for (int round = 0; round < 5000; ++round) {
    const std::string bytes = RandomBytes(1 + random.Uniform(40), &random);
    const uint64_t first = random.Uniform(bytes.size() * 8);
    const uint64_t last = first + random.Uniform(bytes.size() * 8 - first);
    const bool wanted = random.OneIn(2);
    uint64_t count = 0;
    std::optional<uint64_t> found;
    for (uint64_t offset = first; offset <= last; ++offset) {
      count += BitAt(bytes, offset) ? 1 : 0;
      if (!found.has_value() && BitAt(bytes, offset) == wanted) {
        found = offset;
      }
    }
    ASSERT_EQ(CountBits(bytes, {first, last}), count);
    ASSERT_EQ(FindBit(bytes, {first, last}, wanted), found);
  }
}

TEST(BitsTest, BitsAreCountedFromTheHighestOfTheFirstByte) {
  std::string bytes(2, '\0');
  SetBitAt(0, true, &bytes);
  SetBitAt(15, true, &bytes);
  EXPECT_EQ(bytes, "\x80\x01");
  SetBitAt(0, false, &bytes);
  EXPECT_FALSE(BitAt(bytes, 0));
  EXPECT_TRUE(BitAt(bytes, 15));
  EXPECT_FALSE(BitAt(bytes, 16));
}

TEST(BitsTest, AFieldReadsBackAsItWasWrittenAndTouchesNothingElse) {
  Random random(9);
  for (int round = 0; round < 5000; ++round) {
    const bool is_signed = random.OneIn(2);
    const BitFieldType type = {is_signed,
                               1 + static_cast<int>(random.Uniform(is_signed ? 64 : 63))};
    std::string bytes = RandomBytes(20, &random);
    const std::string before = bytes;
    const uint64_t offset = random.Uniform(20 * 8 - 64);
    const std::optional<int64_t> value =
        AddToBitField(static_cast<int64_t>(random.Next()), 0, type, BitOverflow::kWrap);
    ASSERT_TRUE(value.has_value());
    WriteBitField(offset, type, *value, &bytes);
    ASSERT_EQ(ReadBitField(bytes, offset, type), *value);
    for (uint64_t i = 0; i < 20 * 8; ++i) {
      if (i < offset || i >= offset + static_cast<uint64_t>(type.bits)) {
        ASSERT_EQ(BitAt(bytes, i), BitAt(before, i));
      }
    }
  }
}

TEST(BitsTest, AFieldThatIsFullWrapsSaturatesOrFails) {
  const BitFieldType i8 = {true, 8};
  const BitFieldType u8 = {false, 8};
  const BitFieldType i64 = {true, 64};
  const BitFieldType u63 = {false, 63};
  EXPECT_EQ(AddToBitField(127, 1, i8, BitOverflow::kWrap), -128);
  EXPECT_EQ(AddToBitField(127, 1, i8, BitOverflow::kSaturate), 127);
  EXPECT_EQ(AddToBitField(127, 1, i8, BitOverflow::kFail), std::nullopt);
  EXPECT_EQ(AddToBitField(-128, -1, i8, BitOverflow::kWrap), 127);
  EXPECT_EQ(AddToBitField(-128, -1, i8, BitOverflow::kSaturate), -128);
  EXPECT_EQ(AddToBitField(255, 1, u8, BitOverflow::kWrap), 0);
  EXPECT_EQ(AddToBitField(0, -1, u8, BitOverflow::kWrap), 255);
  EXPECT_EQ(AddToBitField(0, -1, u8, BitOverflow::kSaturate), 0);
  EXPECT_EQ(AddToBitField(-1, 0, u8, BitOverflow::kSaturate), 255);
  EXPECT_EQ(AddToBitField(-1, 0, u8, BitOverflow::kWrap), 255);
  EXPECT_EQ(AddToBitField(INT64_MAX, INT64_MAX, i64, BitOverflow::kWrap), -2);
  EXPECT_EQ(AddToBitField(INT64_MIN, INT64_MIN, i64, BitOverflow::kSaturate), INT64_MIN);
  EXPECT_EQ(AddToBitField(INT64_MAX, 1, u63, BitOverflow::kWrap), 0);
  EXPECT_EQ(AddToBitField(INT64_MAX, 1, u63, BitOverflow::kFail), std::nullopt);
  EXPECT_EQ(AddToBitField(100, 27, i8, BitOverflow::kFail), 127);
}

}  // namespace
}  // namespace kvs
