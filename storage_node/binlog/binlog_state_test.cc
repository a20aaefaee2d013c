// The small files beside the log: segment names and headers, EPOCHS, SESSION.

#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "storage_node/binlog/binlog_segment.h"
#include "storage_node/binlog/binlog_session.h"
#include "storage_node/binlog/binlog_test_util.h"
#include "storage_node/binlog/epoch_table.h"

namespace kvs {
namespace {

TEST(BinlogSegmentTest, HeaderBytesAreThoseOfTheDocument) {
  constexpr std::string_view kExpected(
      "\x4b\x56\x53\x42\x4c\x4f\x47\x00\x01\x00\x00\x00\x3e\x9b\xb7\x10", 16);
  EXPECT_EQ(EncodeSegmentHeader(), kExpected);
}

TEST(BinlogSegmentTest, NoPrefixAndNoFlippedBitIsAHeader) {
  const std::string header = EncodeSegmentHeader();
  EXPECT_TRUE(CheckSegmentHeader(header).ok());
  for (size_t size = 0; size < header.size(); ++size) {
    EXPECT_FALSE(CheckSegmentHeader(header.substr(0, size)).ok()) << size;
  }
  for (size_t bit = 0; bit < header.size() * 8; ++bit) {
    std::string flipped = header;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(CheckSegmentHeader(flipped).ok()) << bit;
  }
}

TEST(BinlogSegmentTest, OnlyTwentyDigitsAreASegmentsName) {
  uint64_t lsn = 0;
  EXPECT_EQ(SegmentName(42), "00000000000000000042.log");
  EXPECT_TRUE(ParseSegmentName("00000000000000000042.log", &lsn));
  EXPECT_EQ(lsn, 42U);
  EXPECT_TRUE(ParseSegmentName(SegmentName(UINT64_MAX), &lsn));
  EXPECT_EQ(lsn, UINT64_MAX);
  for (const char* name : {"42.log", "00000000000000000000.log", "99999999999999999999.log",
                           "0000000000000000004x.log", "00000000000000000042.tmp", "next.tmp"}) {
    EXPECT_FALSE(ParseSegmentName(name, &lsn)) << name;
  }
}

TEST(EpochTableTest, TellsTheEpochOfEachRecord) {
  EpochTable table;
  ASSERT_TRUE(table.Add(2, 10).ok());
  ASSERT_TRUE(table.Add(2, 15).ok());  // Known.
  ASSERT_TRUE(table.Add(5, 20).ok());

  EXPECT_EQ(table.EpochAt(9), 0U);
  EXPECT_EQ(table.EpochAt(10), 2U);
  EXPECT_EQ(table.EpochAt(19), 2U);
  EXPECT_EQ(table.EpochAt(20), 5U);
  EXPECT_FALSE(table.Add(4, 30).ok());
  EXPECT_FALSE(table.Add(6, 19).ok());
  table.TruncateAfter(19);
  EXPECT_EQ(table.EpochAt(25), 2U);
}

TEST(EpochTableTest, AnEpochThatNeverWroteIsReplaced) {
  EpochTable table;
  ASSERT_TRUE(table.Add(2, 10).ok());

  ASSERT_TRUE(table.Add(3, 10).ok());

  EXPECT_EQ(table.entries(), (std::vector<EpochTable::Entry>{{3, 10}}));
}

TEST(EpochTableTest, TextIsThatOfTheDocument) {
  EpochTable table;
  ASSERT_TRUE(table.Add(1, 1).ok());
  ASSERT_TRUE(table.Add(4, 812).ok());

  EXPECT_EQ(table.Format(), "kvs-epochs 1\n1 1\n4 812\ncrc 80f9c354\n");
}

TEST(EpochTableTest, ReadsWhatItSavedAndNothingElse) {
  const TestDir dir;
  EpochTable table;
  ASSERT_TRUE(table.Add(1, 1).ok());
  ASSERT_TRUE(table.Add(4, 812).ok());
  ASSERT_TRUE(table.Save(dir.path()).ok());

  const Result<EpochTable> loaded = EpochTable::Load(dir.path());
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(loaded->entries(), table.entries());
  const std::string text = table.Format();
  for (size_t size = 0; size < text.size(); ++size) {
    EXPECT_FALSE(EpochTable::Parse(text.substr(0, size)).ok()) << size;
  }
  for (size_t bit = 0; bit < text.size() * 8; ++bit) {
    std::string flipped = text;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(EpochTable::Parse(flipped).ok()) << bit;
  }
}

TEST(EpochTableTest, AMissingFileIsAnEmptyTable) {
  const TestDir dir;
  const Result<EpochTable> loaded = EpochTable::Load(dir.path());
  ASSERT_TRUE(loaded.ok());
  EXPECT_TRUE(loaded->entries().empty());
}

TEST(BinlogSessionTest, OnlyAMachineThatWentDownMakesALogSuspect) {
  const BinlogSession last = {.boot_id = "a"};
  const auto suspect = [](BinlogSession session, std::string_view boot_id) {
    return IsShortSuspect(session, boot_id);
  };

  EXPECT_FALSE(suspect(last, "a"));  // Only the process died.
  EXPECT_TRUE(suspect(last, "b"));
  EXPECT_FALSE(suspect({.boot_id = "a", .clean = true}, "b"));
  EXPECT_FALSE(suspect({.boot_id = "a", .sync_always = true}, "b"));
  EXPECT_TRUE(suspect({.boot_id = "a", .clean = true, .short_suspect = true}, "a"));  // Sticks.
  EXPECT_TRUE(IsShortSuspect(std::nullopt, "a"));
}

TEST(BinlogSessionTest, ReadsWhatItSavedAndNothingElse) {
  const TestDir dir;
  const BinlogSession session = {.boot_id = "0a1b", .clean = true, .short_suspect = true};
  ASSERT_EQ(LoadBinlogSession(dir.path()).status().code(), Code::kNotFound);
  ASSERT_TRUE(SaveBinlogSession(dir.path(), session).ok());

  const Result<BinlogSession> loaded = LoadBinlogSession(dir.path());
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(*loaded, session);
  const std::string text = FormatBinlogSession(session);
  EXPECT_EQ(text, "kvs-session 1\nboot 0a1b\nclean 1\nalways 0\nsuspect 1\ncrc e876828e\n");
  for (size_t bit = 0; bit < text.size() * 8; ++bit) {
    std::string flipped = text;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(ParseBinlogSession(flipped).ok()) << bit;
  }
}

TEST(BinlogSessionTest, TheKernelHasABootId) {
  const Result<std::string> boot_id = ReadBootId();
  ASSERT_TRUE(boot_id.ok());
  EXPECT_EQ(boot_id->size(), 36U);
}

}  // namespace
}  // namespace kvs
