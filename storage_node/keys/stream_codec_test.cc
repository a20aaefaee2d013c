#include "storage_node/keys/stream_codec.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace kvs {
namespace {

TEST(StreamCodecTest, BytesAreThoseOfTheDocument) {
  const StreamHeader header = {.last_id = {0x18bcfe56800, 2},
                               .max_deleted_id = {1, 0},
                               .first_id = {0x18bcfe56800, 1},
                               .entries_added = 5};
  const std::string bytes = EncodeStreamHeader(header);
  const std::string ms("\x00\x68\xe5\xcf\x8b\x01\x00\x00", 8);
  EXPECT_EQ(bytes, std::string("\x01", 1) + ms + std::string("\x02\0\0\0\0\0\0\0", 8) +
                       std::string("\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16) + ms +
                       std::string("\x01\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0", 16));
  EXPECT_EQ(bytes.size(), kStreamHeaderSize);
  const Result<StreamHeader> decoded = DecodeStreamHeader(bytes);
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(*decoded, header);

  EXPECT_EQ(StreamEntryName({0x18bcfe56800, 2}),
            std::string("e\x00\x00\x01\x8b\xcf\xe5\x68\x00\0\0\0\0\0\0\0\x02", 17));
  EXPECT_EQ(StreamIdOfName(StreamEntryName({7, 8})), (StreamId{7, 8}));
  EXPECT_EQ(EncodeStreamEntry({"f", "12"}), std::string("\x01"
                                                        "f\x02"
                                                        "12"));
}

TEST(StreamCodecTest, AHeaderOfANewerReleaseIsRefused) {
  std::string bytes = EncodeStreamHeader({});
  bytes[0] = 3;
  EXPECT_EQ(DecodeStreamHeader(bytes).status().code(), Code::kUnsupported);
}

TEST(StreamCodecTest, AStreamWithGroupsHasAFormatOfItsOwn) {
  StreamHeader header = {.last_id = {7, 1}, .first_id = {5, 0}, .entries_added = 2};
  std::string bytes = EncodeStreamHeader(header);
  header.has_groups = true;
  bytes[0] = 2;
  EXPECT_EQ(EncodeStreamHeader(header), bytes);
  EXPECT_EQ(*DecodeStreamHeader(bytes), header);
}

TEST(StreamCodecTest, NamesSortAsIds) {
  const StreamId ids[] = {{0, 0}, {0, 255}, {0, 256}, {0, UINT64_MAX},
                          {1, 0}, {255, 9}, {256, 0}, kMaxStreamId};
  for (size_t i = 0; i + 1 < std::size(ids); ++i) {
    EXPECT_LT(ids[i], ids[i + 1]);
    EXPECT_LT(StreamEntryName(ids[i]), StreamEntryName(ids[i + 1]));
  }
}

TEST(StreamCodecTest, NeighboursOfAnId) {
  EXPECT_EQ(NextStreamId({5, UINT64_MAX}), (StreamId{6, 0}));
  EXPECT_EQ(NextStreamId({5, 6}), (StreamId{5, 7}));
  EXPECT_EQ(PreviousStreamId({6, 0}), (StreamId{5, UINT64_MAX}));
  EXPECT_EQ(PreviousStreamId({5, 7}), (StreamId{5, 6}));
}

TEST(StreamCodecTest, ADamagedEntryIsRefused) {
  const std::vector<std::string_view> words = {"field", "value", "", "x"};
  const std::string value = EncodeStreamEntry(words);
  const auto decoded = DecodeStreamEntry(value);
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(*decoded, words);
  for (size_t size = 0; size < value.size(); ++size) {
    const auto prefix = DecodeStreamEntry(std::string_view(value).substr(0, size));
    EXPECT_TRUE(!prefix.ok() || prefix->size() == 2) << size;
  }
}

}  // namespace
}  // namespace kvs
