#include "storage_node/keys/key_codec.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"

#include "storage_node/keys/string_codec.h"

namespace kvs {
namespace {

constexpr uint16_t kSlot = 12182;  // 0x2f96, the slot of "foo".

std::string_view Bytes(std::string_view bytes) {
  return bytes;
}

template <size_t N>
std::string Literal(const char (&bytes)[N]) {
  return std::string(bytes, N - 1);
}

std::string Encode(const Metadata& metadata) {
  std::string value;
  AppendMetadata(metadata, &value);
  return value;
}

// The worked examples of doc/formats/keys.md.  If one fails you changed the format.
TEST(KeyCodecTest, KeysAreThoseOfTheDocument) {
  EXPECT_EQ(SlotMetaKey(kSlot), Literal("\x2f\x96\x00\x00\x00\x00S"));
  EXPECT_EQ(MetadataKey(kSlot, 1, "foo"), Literal("\x2f\x96\x00\x00\x00\x01Kfoo"));
  EXPECT_EQ(ElementKey(kSlot, 1, 5, "bar"), Literal("\x2f\x96\x00\x00\x00\x01"
                                                    "E\x00\x00\x00\x00\x00\x00\x00\x05"
                                                    "bar"));
  EXPECT_EQ(DeadVersionKey(kSlot, 1, 5), Literal("\x2f\x96\x00\x00\x00\x01"
                                                 "V\x00\x00\x00\x00\x00\x00\x00\x05"));
  EXPECT_EQ(ExpiryKey(kSlot, 1, 1700000000000, "foo"),
            Literal("\x2f\x96\x00\x00\x00\x01X\x00\x00\x01\x8b\xcf\xe5\x68\x00"
                    "foo"));
  EXPECT_EQ(LibraryKey("lib"), Literal("\x40\x00\x00\x00\x00\x01"
                                       "Flib"));
}

TEST(KeyCodecTest, ValuesAreThoseOfTheDocument) {
  EXPECT_EQ(Encode({.expire_at_ms = 1700000000000, .rest = "bar"}),
            Literal("\x01\x01\x00\x00\x68\xe5\xcf\x8b\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
                    "bar"));
  EXPECT_EQ(Encode({.version = 5, .count = 0x12345, .rest = kStringChunksFormat}),
            Literal("\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00"
                    "\x45\x23\x01\x00\x00\x00\x00\x00\x01"));
  EXPECT_EQ(ElementKey(kSlot, 1, 5, StringChunkName(9)), Literal("\x2f\x96\x00\x00\x00\x01"
                                                                 "E\x00\x00\x00\x00\x00\x00\x00\x05"
                                                                 "c\x00\x00\x00\x09"));
  EXPECT_EQ(Encode({.type = DataType::kHash, .version = 6, .count = 2}),
            Literal("\x01\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00\x00"
                    "\x02\x00\x00\x00\x00\x00\x00\x00"));
  EXPECT_EQ(EncodeSlotMeta({.live_generation = 3,
                            .key_count = 2,
                            .expires_count = 1,
                            .next_version = 7,
                            .dead_generations = {1, 2}}),
            Literal("\x01\x03\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00"
                    "\x01\x00\x00\x00\x00\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00"
                    "\x02\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00"));
}

TEST(KeyCodecTest, LibrariesStandBehindAllSlots) {
  const std::string key = LibraryKey("Elib");
  EXPECT_GT(key, ElementKey(0x3fff, UINT32_MAX, UINT64_MAX, "\xff"));
  EXPECT_FALSE(IsElementKey(key));
  EXPECT_EQ(DecodeKey(key)->user_key, "Elib");
  EXPECT_EQ(DecodeKey(key)->tag, KeyTag::kLibrary);
  EXPECT_FALSE(DecodeKey(LibraryPrefix()).ok());
  EXPECT_FALSE(DecodeKey(MetadataKey(kNodeSlot, 1, "k")).ok());
  EXPECT_FALSE(DecodeKey(Literal("\x00\x01\x00\x00\x00\x01"
                                 "Flib"))
                   .ok());
  const std::string value = EncodeLibrary("#!lua");
  EXPECT_EQ(value, Literal("\x01\x01#!lua"));
  EXPECT_EQ(*DecodeLibrary(value), "#!lua");
  EXPECT_EQ(DecodeLibrary("\x01").status().code(), Code::kCorruption);
  EXPECT_EQ(DecodeLibrary("\x02\x01x").status().code(), Code::kUnsupported);
  EXPECT_EQ(DecodeLibrary("\x01\x02x").status().code(), Code::kUnsupported);
}

TEST(KeyCodecTest, DecodeReturnsWhatWasEncoded) {
  const std::string element_key = ElementKey(kSlot, 9, 77, "field");
  const Result<DecodedKey> element = DecodeKey(element_key);
  ASSERT_TRUE(element.ok());
  EXPECT_EQ(element->slot, kSlot);
  EXPECT_EQ(element->generation, 9U);
  EXPECT_EQ(element->tag, KeyTag::kElement);
  EXPECT_EQ(element->version, 77U);
  EXPECT_EQ(element->element, "field");

  const std::string dead_key = DeadVersionKey(kSlot, 9, 78);
  const Result<DecodedKey> dead = DecodeKey(dead_key);
  ASSERT_TRUE(dead.ok());
  EXPECT_EQ(dead->tag, KeyTag::kDeadVersion);
  EXPECT_EQ(dead->version, 78U);

  const std::string expiry_key = ExpiryKey(kSlot, 9, 123, "key");
  const Result<DecodedKey> expiry = DecodeKey(expiry_key);
  ASSERT_TRUE(expiry.ok());
  EXPECT_EQ(expiry->time_ms, 123U);
  EXPECT_EQ(expiry->user_key, "key");

  const std::string metadata_key = MetadataKey(kSlot, 9, "");
  const Result<DecodedKey> metadata = DecodeKey(metadata_key);
  ASSERT_TRUE(metadata.ok());
  EXPECT_EQ(metadata->tag, KeyTag::kMetadata);
  EXPECT_EQ(metadata->user_key, "");
  EXPECT_EQ(DecodeKey(SlotMetaKey(3))->slot, 3);
}

TEST(KeyCodecTest, OtherBytesAreNoKeys) {
  for (const std::string& whole : {ElementKey(kSlot, 1, 5, ""), DeadVersionKey(kSlot, 1, 5)}) {
    for (size_t size = 0; size < whole.size(); ++size) {
      EXPECT_FALSE(DecodeKey(Bytes(whole).substr(0, size)).ok()) << size;
    }
  }
  for (const std::string& key :
       {std::string("\xff\xfflsn"), SlotMetaKey(1) + "x", MetadataKey(1, 0, "foo"),
        Literal("\x00\x01\x00\x00\x00\x01S"), Literal("\x00\x01\x00\x00\x00\x01Qfoo"),
        Literal("\x00\x01\x00\x00\x00\x01Xshort"), DeadVersionKey(kSlot, 1, 5) + "x"}) {
    EXPECT_FALSE(DecodeKey(key).ok()) << testing::PrintToString(key);
  }
}

TEST(KeyCodecTest, ByteOrderIsTheOrderThatScansNeed) {
  EXPECT_LT(ExpiryKey(kSlot, 1, 255, "z"), ExpiryKey(kSlot, 1, 256, "a"));
  EXPECT_LT(MetadataKey(1, 300, "z"), MetadataKey(2, 1, "a"));
  EXPECT_LT(ElementKey(1, 1, 255, "z"), ElementKey(1, 1, 256, "a"));
  const std::string lower = GenerationLower(kSlot, 0x1ff);
  const std::string upper = GenerationUpper(kSlot, 0x1ff);
  for (const std::string& key :
       {MetadataKey(kSlot, 0x1ff, ""), MetadataKey(kSlot, 0x1ff, "\xff\xff\xff\xff"),
        ElementKey(kSlot, 0x1ff, UINT64_MAX, "\xff"), ExpiryKey(kSlot, 0x1ff, 0, "")}) {
    EXPECT_GE(key, lower);
    EXPECT_LT(key, upper);
  }
  EXPECT_GE(MetadataKey(kSlot, 0x200, ""), upper);
  EXPECT_LT(ExpiryKey(kSlot, 0x1fe, UINT64_MAX, "\xff"), lower);
}

TEST(KeyCodecTest, ElementsOfOneVersionDoNotMixWithAnothers) {
  const std::string prefix = ElementPrefix(kSlot, 1, 5);
  EXPECT_TRUE(ElementKey(kSlot, 1, 5, "x").starts_with(prefix));
  EXPECT_FALSE(ElementKey(kSlot, 1, 6, "x").starts_with(prefix));
  EXPECT_FALSE(ElementKey(kSlot, 2, 5, "x").starts_with(prefix));
  EXPECT_FALSE(DeadVersionKey(kSlot, 1, 5).starts_with(prefix));
}

TEST(KeyCodecTest, PrefixEndSkipsAllThatBeginWithThePrefix) {
  EXPECT_EQ(PrefixEnd("ab"), "ac");
  EXPECT_EQ(PrefixEnd("a\xff"), "b");
  EXPECT_EQ(PrefixEnd("\xff\xff"), "");
}

TEST(StringChunkTest, NamesReadBackAndStandInTheOrderOfTheChunks) {
  for (const uint32_t index : {0U, 255U, 256U, 65'535U, UINT32_MAX}) {
    uint32_t read = 0;
    EXPECT_TRUE(ParseStringChunkName(StringChunkName(index), &read));
    EXPECT_EQ(read, index);
    EXPECT_TRUE(index == UINT32_MAX || StringChunkName(index) < StringChunkName(index + 1));
  }
  uint32_t index = 0;
  for (const char* name : {"", "c", "c123", "c12345", "x1234"}) {
    EXPECT_FALSE(ParseStringChunkName(name, &index)) << name;
  }
}

TEST(MetadataTest, StringsAndCollectionsReadBack) {
  const Metadata string = {.expire_at_ms = 1, .rest = "value"};
  const Metadata chunked = {.version = 2, .count = 70'000, .rest = kStringChunksFormat};
  const Metadata list = {
      .type = DataType::kList, .encoding = 3, .version = 4, .count = 5, .rest = "headtail"};

  for (const Metadata& metadata : {string, chunked, list}) {
    const std::string value = Encode(metadata);
    const Result<Metadata> decoded = DecodeMetadata(value);
    ASSERT_TRUE(decoded.ok());
    EXPECT_EQ(*decoded, metadata);
  }
  EXPECT_EQ(Encode(string).size(), kStringHeaderSize + 5);
}

TEST(MetadataTest, ShortOrNewerValuesAreRefused) {
  const std::string hash = Encode({.type = DataType::kHash, .count = 1});
  for (size_t size = 0; size < hash.size(); ++size) {
    EXPECT_EQ(DecodeMetadata(Bytes(hash).substr(0, size)).status().code(), Code::kCorruption)
        << size;
  }
  for (const size_t byte : {size_t{0}, size_t{1}}) {
    std::string newer = hash;
    newer[byte] = 99;
    EXPECT_EQ(DecodeMetadata(newer).status().code(), Code::kUnsupported);
  }
  const std::string chunked = Encode({.version = 2, .count = 1, .rest = kStringChunksFormat});
  for (size_t size = 0; size < chunked.size(); ++size) {
    EXPECT_EQ(DecodeMetadata(Bytes(chunked).substr(0, size)).status().code(), Code::kCorruption)
        << size;
  }
  EXPECT_EQ(DecodeMetadata(chunked + "x").status().code(), Code::kUnsupported);
  EXPECT_EQ(DecodeMetadata(Encode({.version = 2, .count = 1, .rest = "\x02"})).status().code(),
            Code::kUnsupported);
}

TEST(SlotMetaTest, ReadsBackAndRefusesOtherBytes) {
  const SlotMeta meta = {.live_generation = 3,
                         .key_count = 2,
                         .expires_count = 1,
                         .next_version = 7,
                         .dead_generations = {1, 2}};
  const std::string value = EncodeSlotMeta(meta);

  const Result<SlotMeta> decoded = DecodeSlotMeta(value);

  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(*decoded, meta);
  for (size_t size = 0; size < value.size(); ++size) {
    EXPECT_FALSE(DecodeSlotMeta(Bytes(value).substr(0, size)).ok()) << size;
  }
  EXPECT_FALSE(DecodeSlotMeta(value + "x").ok());
  std::string huge = value;
  huge.replace(29, 4, "\xff\xff\xff\xff");  // A count that nobody should allocate for.
  EXPECT_EQ(DecodeSlotMeta(huge).status().code(), Code::kCorruption);
  EXPECT_FALSE(DecodeSlotMeta(EncodeSlotMeta({.key_count = 1, .expires_count = 2})).ok());
  std::string newer = value;
  newer[0] = 2;
  EXPECT_EQ(DecodeSlotMeta(newer).status().code(), Code::kUnsupported);
}

}  // namespace
}  // namespace kvs
