// The hash functions against the vectors that their authors published, and against a pool of
// twemproxy where there are none (test_all/proxy/pool_suite.cc compares key by key).

#include <string>

#include "gtest/gtest.h"

#include "proxy/hash/key_hash.h"
#include "proxy/hash/md5.h"

namespace kvs {
namespace {

std::string Hex(std::string_view bytes) {
  std::string text;
  for (const uint8_t byte : Md5(bytes)) {
    constexpr char kDigits[] = "0123456789abcdef";
    text += {kDigits[byte >> 4], kDigits[byte & 15]};
  }
  return text;
}

TEST(Md5Test, VectorsOfTheStandard) {
  EXPECT_EQ(Hex(""), "d41d8cd98f00b204e9800998ecf8427e");
  EXPECT_EQ(Hex("a"), "0cc175b9c0f1b6a831c399e269772661");
  EXPECT_EQ(Hex("message digest"), "f96b697d7cb7938d525a2f31aaf161d0");
  EXPECT_EQ(Hex("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"),
            "d174ab98d277d9f5a5611c2c9f419d9f");
  EXPECT_EQ(Hex("12345678901234567890123456789012345678901234567890123456789012345678901234567890"),
            "57edf4a22be3c955ac49da2e2107b67a");
}

// Around the end of a block the padding takes another one or not.
TEST(Md5Test, EveryLengthGivesAnotherDigest) {
  std::string before = Hex("");
  for (size_t size = 1; size <= 130; ++size) {
    const std::string digest = Hex(std::string(size, 'x'));
    EXPECT_NE(digest, before) << size;
    before = digest;
  }
  EXPECT_EQ(Hex(std::string(55, 'x')), "04364420e25c512fd958a70738aa8f72");
  EXPECT_EQ(Hex(std::string(64, 'x')), "c1bb4f81d892b2d57947682aeb252456");
}

TEST(KeyHashTest, VectorsOfTheAuthors) {
  EXPECT_EQ(HashKey(KeyHash::kOneAtATime, "a"), 0xca2e9442u);
  EXPECT_EQ(HashKey(KeyHash::kOneAtATime, "The quick brown fox jumps over the lazy dog"),
            0x519e91f5u);
  EXPECT_EQ(HashKey(KeyHash::kCrc16, "123456789") & 0xffff, 0x31c3u);
  EXPECT_EQ(HashKey(KeyHash::kCrc32a, "123456789"), 0xcbf43926u);
  EXPECT_EQ(HashKey(KeyHash::kCrc32, "123456789"), 0xcbf43926u >> 16 & 0x7fff);
  EXPECT_EQ(HashKey(KeyHash::kFnv32, "foobar"), 0x31f0b262u);
  EXPECT_EQ(HashKey(KeyHash::kFnv32a, "foobar"), 0xbf9cf968u);
  EXPECT_EQ(HashKey(KeyHash::kFnv64, "foobar"), 0xa4dda9c2u);
  EXPECT_EQ(HashKey(KeyHash::kMd5, "a"), 0xb975c10cu);
}

TEST(KeyHashTest, NamesAreThoseOfTwemproxy) {
  EXPECT_EQ(*ParseKeyHash("one_at_a_time"), KeyHash::kOneAtATime);
  EXPECT_EQ(*ParseKeyHash("fnv1a_64"), KeyHash::kFnv64a);
  EXPECT_EQ(*ParseKeyHash("jenkins"), KeyHash::kJenkins);
  EXPECT_EQ(ParseKeyHash("sha1").status().code(), Code::kInvalidArgument);
  EXPECT_EQ(ParseKeyHash("").status().code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace kvs
