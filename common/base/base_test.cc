// One property a test, for the small building blocks of common/base.

#include <cmath>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "common/base/coding.h"
#include "common/base/crc32c.h"
#include "common/base/file.h"
#include "common/base/random.h"
#include "common/base/status.h"
#include "common/base/strings.h"

namespace kvs {
namespace {

TEST(StatusTest, OkCarriesNothingAndErrorsKeepCodeAndMessage) {
  const Status error = Status::Busy("queue full");

  EXPECT_TRUE(Status::Ok().ok());
  EXPECT_EQ(error.code(), Code::kBusy);
  EXPECT_EQ(error.ToString(), "busy: queue full");
  EXPECT_EQ(error.WithContext("node 7").message(), "node 7: queue full");
}

Result<int> Half(int n) {
  if (n % 2 != 0) {
    return Status::InvalidArgument("odd");
  }
  return n / 2;
}

Result<int> Quarter(int n) {
  KVS_ASSIGN_OR_RETURN(const int half, Half(n));
  return Half(half);
}

TEST(StatusTest, AssignOrReturnHandsTheErrorUp) {
  EXPECT_EQ(*Quarter(8), 2);
  EXPECT_EQ(Quarter(6).status().message(), "odd");
}

TEST(CodingTest, VarintsReadBackAndRefuseTruncation) {
  for (const uint64_t value : {uint64_t{0}, uint64_t{127}, uint64_t{128}, uint64_t{1} << 63,
                               std::numeric_limits<uint64_t>::max()}) {
    SCOPED_TRACE(value);
    std::string bytes;
    PutVarint64(&bytes, value);
    std::string_view input = bytes;
    uint64_t decoded = 0;
    ASSERT_TRUE(GetVarint64(&input, &decoded));
    EXPECT_EQ(decoded, value);
    EXPECT_TRUE(input.empty());
    std::string_view cut = std::string_view(bytes).substr(0, bytes.size() - 1);
    EXPECT_FALSE(GetVarint64(&cut, &decoded));
  }
}

TEST(CodingTest, BigEndianBytesSortAsNumbers) {
  std::string small;
  std::string large;
  PutBig64(&small, 255);
  PutBig64(&large, 256);
  EXPECT_LT(small, large);
  EXPECT_EQ(DecodeBig64(large.data()), 256U);
}

TEST(Crc32cTest, EqualsTheStandardVectors) {
  // RFC 3720, appendix B.4.
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aaU);
  EXPECT_EQ(Crc32c(std::string(32, '\xff')), 0x62a8ab43U);
  EXPECT_EQ(Crc32c("123456789"), 0xe3069283U);
}

TEST(Crc32cTest, HardwareAndTableAgreeOnEveryLength) {
  std::string bytes;
  Random random(1);
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(ExtendCrc32c(7, bytes), internal::ExtendCrc32cTable(7, bytes)) << i;
    bytes.push_back(static_cast<char>(random.Next()));
  }
}

TEST(StringsTest, IntegersAreReadAsRedisReadsThem) {
  int64_t value = 0;
  EXPECT_TRUE(ParseInt64("-9223372036854775808", &value));
  EXPECT_EQ(value, std::numeric_limits<int64_t>::min());
  for (const char* text : {"", "-", "+1", " 1", "1 ", "01", "-0", "9223372036854775808", "0x1",
                           "1.0", "111111111111111111111"}) {
    EXPECT_FALSE(ParseInt64(text, &value)) << text;
  }
}

TEST(StringsTest, LongDoublesAreWrittenAsIncrByFloatDoes) {
  EXPECT_EQ(FormatLongDouble(10.6L), "10.6");
  EXPECT_EQ(FormatLongDouble(5.0e3L), "5000");
  EXPECT_EQ(FormatLongDouble(-0.0L), "0");
  EXPECT_EQ(FormatLongDouble(3.0L), "3");
}

TEST(StringsTest, DoublesAreReadStrictly) {
  double value = 0;
  EXPECT_TRUE(ParseDouble("1e3", &value));
  EXPECT_EQ(value, 1000);
  EXPECT_TRUE(ParseDouble("-inf", &value));
  EXPECT_TRUE(std::isinf(value));
  for (const char* text : {"", " 1", "1 ", "nan", "abc", "1e400"}) {
    EXPECT_FALSE(ParseDouble(text, &value)) << text;
  }
}

TEST(StringsTest, GlobsMatchAsInRedis) {
  EXPECT_TRUE(GlobMatch("*", ""));
  EXPECT_TRUE(GlobMatch("h?llo", "hello"));
  EXPECT_TRUE(GlobMatch("h[ae]llo", "hallo"));
  EXPECT_FALSE(GlobMatch("h[^e]llo", "hello"));
  EXPECT_TRUE(GlobMatch("h[a-c]llo", "hbllo"));
  EXPECT_TRUE(GlobMatch("a\\*b", "a*b"));
  EXPECT_FALSE(GlobMatch("a\\*b", "axb"));
  EXPECT_TRUE(GlobMatch("a*b*c", "axxbyyc"));
  EXPECT_FALSE(GlobMatch("a*b*c", "axxbyy"));
  EXPECT_TRUE(GlobMatch("HELLO", "hello", true));
}

TEST(StringsTest, AHostileGlobTakesNoExponentialTime) {
  std::string pattern;
  for (int i = 0; i < 1000; ++i) {
    pattern += "*a";
  }
  EXPECT_FALSE(GlobMatch(pattern + "b", std::string(5000, 'a')));
}

TEST(StringsTest, ArgumentsAreSplitWithQuotes) {
  std::vector<std::string> arguments;
  ASSERT_TRUE(SplitArguments(R"(set "a b" 'c\'d' "\x41\n" e)", &arguments));
  EXPECT_EQ(arguments, (std::vector<std::string>{"set", "a b", "c'd", "A\n", "e"}));
  EXPECT_FALSE(SplitArguments("set \"a", &arguments));
  EXPECT_FALSE(SplitArguments("set \"a\"b", &arguments));
  EXPECT_FALSE(SplitArguments("set 'a", &arguments));
}

TEST(StringsTest, QuotedTextShowsNoControlBytes) {
  EXPECT_EQ(QuoteForLog("a\"\n\x01"), "\"a\\\"\\n\\x01\"");
}

TEST(StringsTest, ConstantTimeComparisonIsStillAComparison) {
  EXPECT_TRUE(EqualsConstantTime("secret", "secret"));
  EXPECT_FALSE(EqualsConstantTime("secret", "secreT"));
  EXPECT_FALSE(EqualsConstantTime("secret", ""));
  EXPECT_FALSE(EqualsConstantTime("", "secret"));
  EXPECT_FALSE(EqualsConstantTime("secretsecret", "secret"));
}

class FileTest : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = testing::TempDir() + "kvs_file_" + RandomHex(8);
    ASSERT_TRUE(CreateDirs(dir_ + "/a/b").ok());
  }
  void TearDown() override { EXPECT_TRUE(RemoveTree(dir_).ok()); }
  std::string dir_;
};

TEST_F(FileTest, AtomicWriteReplacesAndLeavesNoTemporary) {
  ASSERT_TRUE(WriteFileAtomic(dir_ + "/f", "old").ok());
  ASSERT_TRUE(WriteFileAtomic(dir_ + "/f", "new", 0600).ok());

  EXPECT_EQ(*ReadFile(dir_ + "/f"), "new");
  EXPECT_EQ(*ListDir(dir_), (std::vector<std::string>{"a", "f"}));
}

TEST_F(FileTest, ASecondLockIsRefused) {
  const Result<FileLock> first = FileLock::Acquire(dir_ + "/LOCK");
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(FileLock::Acquire(dir_ + "/LOCK").status().code(), Code::kBusy);
}

TEST_F(FileTest, MissingAndOversizedFilesAreTold) {
  EXPECT_EQ(ReadFile(dir_ + "/none").status().code(), Code::kNotFound);
  ASSERT_TRUE(WriteFileAtomic(dir_ + "/f", "12345").ok());
  EXPECT_EQ(ReadFile(dir_ + "/f", 4).status().code(), Code::kTooLarge);
}

TEST(RandomTest, TheSameSeedGivesTheSameNumbers) {
  Random a(42);
  Random b(42);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(a.Next(), b.Next());
  }
  EXPECT_EQ(RandomHexId().size(), 40U);
  EXPECT_NE(RandomHexId(), RandomHexId());
}

}  // namespace
}  // namespace kvs
