#include "storage_node/binlog/binlog_recovery.h"

#include <algorithm>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "common/base/crc32c.h"
#include "common/base/logging.h"
#include "common/base/slowness.h"
#include "storage_node/binlog/binlog_reader.h"
#include "storage_node/binlog/binlog_session.h"
#include "storage_node/binlog/binlog_test_util.h"
#include "storage_node/binlog/binlog_writer.h"

namespace kvs {
namespace {

// Writes a log by hand: segments of records, each record's synced LSN given by `synced`.
class RecoveryTest : public testing::Test {
 protected:
  RecoveryTest() { SetLogLevel(LogLevel::kOff); }  // Thousands of cuts, one line each.

  // Writes records first..last into one segment and returns where each begins, then the end.
  std::vector<size_t> WriteSegment(uint64_t first, uint64_t last, uint64_t synced,
                                   size_t value_size = 40) {
    std::string bytes = EncodeSegmentHeader();
    std::vector<size_t> starts;
    for (uint64_t lsn = first; lsn <= last; ++lsn) {
      starts.push_back(bytes.size());
      bytes += TestRecord(lsn, std::min(synced, lsn - 1), value_size);
    }
    starts.push_back(bytes.size());
    MustWrite(SegmentPath(dir_.path(), first), bytes);
    return starts;
  }

  void Flip(uint64_t segment, size_t offset) {
    std::string bytes = MustRead(SegmentPath(dir_.path(), segment));
    bytes[offset] = static_cast<char>(bytes[offset] ^ 0x10);
    MustWrite(SegmentPath(dir_.path(), segment), bytes);
  }

  RecoveredLog Recover(const std::vector<uint64_t>& applied, uint64_t acknowledged = 0) {
    Result<RecoveredLog> log = RecoverBinlog(dir_.path(), applied, acknowledged);
    KVS_CHECK(log.ok());
    return *std::move(log);
  }

  uint64_t SizeOf(uint64_t segment) { return *FileSize(SegmentPath(dir_.path(), segment)); }

  TestDir dir_;
};

TEST(BinlogDecisionTest, FollowsTheRules) {
  const BinlogScan clean = {.last_good_lsn = 10, .end = {1, 500}};
  BinlogScan torn = clean;
  torn.bad = true;
  const auto verdict = [](BinlogScan scan, auto change) {
    change(&scan);
    return DecideBinlogEnd(scan).verdict;
  };
  const auto none = [](BinlogScan*) {};
  const auto applied = [](uint64_t lsn) {
    return [lsn](BinlogScan* scan) { scan->max_applied_lsn = lsn; };
  };
  const auto acknowledged = [](uint64_t lsn) {
    return [lsn](BinlogScan* scan) { scan->acknowledged_lsn = lsn; };
  };
  const auto promised = [](uint64_t lsn) {
    return [lsn](BinlogScan* scan) { scan->promised_lsn = lsn; };
  };

  EXPECT_EQ(verdict(clean, none), BinlogVerdict::kCleanEnd);
  EXPECT_EQ(verdict(torn, none), BinlogVerdict::kCutHere);
  for (const BinlogScan& scan : {clean, torn}) {
    const BinlogVerdict innocent = scan.bad ? BinlogVerdict::kCutHere : BinlogVerdict::kCleanEnd;
    EXPECT_EQ(verdict(scan, applied(10)), innocent);
    EXPECT_EQ(verdict(scan, applied(11)), BinlogVerdict::kDamage);
    EXPECT_EQ(verdict(scan, acknowledged(10)), innocent);
    EXPECT_EQ(verdict(scan, acknowledged(11)), BinlogVerdict::kDamage);
    EXPECT_EQ(verdict(scan, promised(10)), innocent);
    EXPECT_EQ(verdict(scan, promised(11)), BinlogVerdict::kDamage);
  }
  EXPECT_EQ(verdict(torn, [](BinlogScan* s) { s->in_last_segment = false; }),
            BinlogVerdict::kDamage);
  EXPECT_EQ(verdict(torn, [](BinlogScan* s) { s->header_bad = true; }), BinlogVerdict::kDamage);
  EXPECT_EQ(verdict(torn, [](BinlogScan* s) { s->newer_release = true; }), BinlogVerdict::kDamage);
  EXPECT_EQ(verdict(torn, [](BinlogScan* s) { s->search_gave_up = true; }), BinlogVerdict::kDamage);
}

TEST_F(RecoveryTest, AnEmptyFolderIsANewLog) {
  const RecoveredLog log = Recover({0, 0});

  EXPECT_FALSE(log.damage.has_value());
  EXPECT_EQ(log.first_lsn, 1U);
  EXPECT_EQ(log.last_lsn, 0U);
  EXPECT_FALSE(log.short_suspect);
}

TEST_F(RecoveryTest, AnEngineAheadOfTheLogIsNeverServed) {
  EXPECT_TRUE(Recover({0, 5}).damage.has_value());
  WriteSegment(1, 4, 0);
  EXPECT_FALSE(Recover({0, 4}).damage.has_value());
  EXPECT_TRUE(Recover({0, 5}).damage.has_value());
}

TEST_F(RecoveryTest, ALogThatBeginsBehindAnEnginesNeedIsDamage) {
  WriteSegment(10, 20, 0);
  EXPECT_FALSE(Recover({9, 15}).damage.has_value());
  EXPECT_TRUE(Recover({8, 15}).damage.has_value());
}

TEST_F(RecoveryTest, ReportsWhatTheLogHolds) {
  WriteSegment(5, 9, 0);
  WriteSegment(10, 12, 0);

  const RecoveredLog log = Recover({10, 11});

  EXPECT_FALSE(log.damage.has_value());
  EXPECT_EQ(log.first_lsn, 5U);
  EXPECT_EQ(log.last_lsn, 12U);
  EXPECT_EQ(log.last_epoch, 1U);
  EXPECT_EQ(log.last_time_ms, 120U);
  EXPECT_EQ(log.cut_bytes, 0U);
  EXPECT_TRUE(log.short_suspect);  // Nobody wrote a SESSION.
}

// A crash can leave any length of what was not synced.
TEST_F(RecoveryTest, ACutAtAnyByteLeavesTheLongestValidPrefix) {
  WriteSegment(1, 3, 0);
  const std::vector<size_t> starts = WriteSegment(4, 68, 3, 1000);
  const std::string whole = MustRead(SegmentPath(dir_.path(), 4));
  const size_t first_cut = whole.size() > 65536 ? whole.size() - 65536 : kBinlogSegmentHeaderSize;
  size_t record = 0;
  // A release build cuts at every byte; the slow ones would take minutes for that.
  constexpr size_t kStep = 1 + 6 * (kSlownessFactor - 1);
  for (size_t cut = first_cut; cut <= whole.size(); cut += kStep) {
    while (record + 1 < starts.size() && starts[record + 1] <= cut) {
      ++record;
    }
    const std::string path = SegmentPath(dir_.path(), 4);
    MustWrite(path, whole.substr(0, cut));
    const RecoveredLog log = Recover({3});
    ASSERT_FALSE(log.damage.has_value()) << cut << ": " << log.damage->reason;
    ASSERT_EQ(log.last_lsn, 3 + record) << cut;
    ASSERT_EQ(SizeOf(4), starts[record]) << cut;
    ASSERT_EQ(log.cut_bytes, cut - starts[record]) << cut;
  }
}

TEST_F(RecoveryTest, ZerosAtTheEndAreATornTail) {
  const std::vector<size_t> starts = WriteSegment(1, 5, 0);
  const std::string path = SegmentPath(dir_.path(), 1);
  MustWrite(path, MustRead(path) + std::string(10'000, '\0'));

  const RecoveredLog log = Recover({0});

  EXPECT_FALSE(log.damage.has_value());
  EXPECT_EQ(log.last_lsn, 5U);
  EXPECT_EQ(log.cut_bytes, 10'000U);
  EXPECT_EQ(SizeOf(1), starts.back());
}

// Pages reach the disk in any order: record 6 is bad, 7 to 10 are whole, nobody promised 6.
TEST_F(RecoveryTest, GoodRecordsBehindAnUnsyncedBadOneAreCutWithIt) {
  const std::vector<size_t> starts = WriteSegment(1, 10, 5);
  Flip(1, starts[5] + 30);

  const RecoveredLog log = Recover({5});

  EXPECT_FALSE(log.damage.has_value());
  EXPECT_EQ(log.last_lsn, 5U);
  EXPECT_EQ(SizeOf(1), starts[5]);
}

TEST_F(RecoveryTest, ABitFlippedBelowTheSyncedPromiseIsDamage) {
  const std::vector<size_t> starts = WriteSegment(1, 10, 6);
  const std::string whole = MustRead(SegmentPath(dir_.path(), 1));
  for (size_t offset = starts[0]; offset < starts[6]; ++offset) {
    SCOPED_TRACE(offset);
    Flip(1, offset);
    const std::string flipped = MustRead(SegmentPath(dir_.path(), 1));

    const RecoveredLog log = Recover({0});

    ASSERT_TRUE(log.damage.has_value());
    EXPECT_EQ(MustRead(SegmentPath(dir_.path(), 1)), flipped);  // Nothing was cut.
    size_t record = 0;
    while (starts[record + 1] <= offset) {
      ++record;
    }
    EXPECT_EQ(log.damage->offset, starts[record]);
    EXPECT_EQ(log.last_lsn, record);
    MustWrite(SegmentPath(dir_.path(), 1), whole);
  }
}

TEST_F(RecoveryTest, WhatAnEngineOrASlaveHasWasSynced) {
  const std::vector<size_t> starts = WriteSegment(1, 10, 0);
  Flip(1, starts[7] + 30);

  EXPECT_TRUE(Recover({0, 8}).damage.has_value());
  EXPECT_TRUE(Recover({0, 7}, 8).damage.has_value());
  const RecoveredLog log = Recover({0, 7}, 7);
  EXPECT_FALSE(log.damage.has_value());
  EXPECT_EQ(log.last_lsn, 7U);
}

TEST_F(RecoveryTest, ABadRecordInAnEarlierSegmentIsDamage) {
  const std::vector<size_t> starts = WriteSegment(1, 5, 0);
  WriteSegment(6, 6, 0);
  Flip(1, starts[4] + 3);

  const RecoveredLog log = Recover({0});

  ASSERT_TRUE(log.damage.has_value());
  EXPECT_EQ(log.damage->file, SegmentPath(dir_.path(), 1));
  EXPECT_EQ(log.damage->offset, starts[4]);
}

TEST_F(RecoveryTest, AnEarlierSegmentCutShortIsDamage) {
  const std::vector<size_t> starts = WriteSegment(1, 5, 0);
  WriteSegment(6, 6, 0);
  const std::string path = SegmentPath(dir_.path(), 1);
  const std::string whole = MustRead(path);
  for (const size_t cut : {starts[4], starts[4] + 5, starts[5] - 1}) {
    MustWrite(path, whole.substr(0, cut));
    EXPECT_TRUE(Recover({0}).damage.has_value()) << cut;
  }
}

TEST_F(RecoveryTest, ABadSegmentHeaderIsDamage) {
  WriteSegment(1, 5, 0);
  WriteSegment(6, 9, 0);
  Flip(6, 9);

  const RecoveredLog log = Recover({0});

  ASSERT_TRUE(log.damage.has_value());
  EXPECT_EQ(log.damage->file, SegmentPath(dir_.path(), 6));
  EXPECT_TRUE(Recover({8}).damage.has_value());  // The scan begins there.
}

TEST_F(RecoveryTest, ARecordOfANewerReleaseIsNeverCut) {
  BinlogBatch batch;
  batch.Put(1, "k", "v");
  std::string record;
  EncodeBinlogRecord({.epoch = 1, .lsn = 1}, batch, &record);
  record[kBinlogFragmentHeaderSize + 28] = 9;  // The type of the operation.
  const std::string path = SegmentPath(dir_.path(), 1);
  MustWrite(path, EncodeSegmentHeader() + record);
  ASSERT_FALSE(Recover({0}).damage.has_value());  // The checksum is wrong: torn, and cut.

  const std::string rest = record.substr(4);
  const uint32_t crc = Crc32c(rest);
  record.replace(0, 4, reinterpret_cast<const char*>(&crc), 4);
  MustWrite(path, EncodeSegmentHeader() + record);
  EXPECT_TRUE(Recover({0}).damage.has_value());
}

// A client may store anything.  Headers that cost a checksum of 1 MiB each do not cost hours.
TEST_F(RecoveryTest, ASearchThatCostsTooMuchSaysSo) {
  std::string bait;
  const std::string record = TestRecord(3, 2, 40);
  for (int i = 0; i < 20'000; ++i) {
    std::string header = record.substr(0, kBinlogFragmentHeaderSize);
    const uint32_t size = kBinlogMaxFragmentPayload;
    header.replace(4, 4, reinterpret_cast<const char*>(&size), 4);
    bait += header;
  }
  bait.resize(bait.size() + 2 * kBinlogMaxFragmentPayload, 'x');
  const std::vector<size_t> starts = WriteSegment(1, 1, 0);
  const std::string path = SegmentPath(dir_.path(), 1);
  MustWrite(path, MustRead(path) + "torn" + bait);

  const RecoveredLog log = Recover({0});

  ASSERT_TRUE(log.damage.has_value());
  EXPECT_EQ(log.damage->offset, starts[1]);
}

TEST_F(RecoveryTest, EpochsOfTheScanAreAddedAndThoseOfTheCutTailDropped) {
  std::string bytes = EncodeSegmentHeader();
  bytes += TestRecord(1, 0, 10, 1) + TestRecord(2, 0, 10, 1) + TestRecord(3, 0, 10, 4);
  MustWrite(SegmentPath(dir_.path(), 1), bytes);
  EpochTable saved;
  ASSERT_TRUE(saved.Add(1, 1).ok());
  ASSERT_TRUE(saved.Save(dir_.path()).ok());

  EXPECT_EQ(Recover({0}).epochs.entries(), (std::vector<EpochTable::Entry>{{1, 1}, {4, 3}}));
  EXPECT_EQ(Recover({0}).last_epoch, 4U);  // The table is ahead of the scan's start now.

  MustWrite(SegmentPath(dir_.path(), 1), bytes.substr(0, bytes.size() - 1));
  const RecoveredLog log = Recover({0});
  EXPECT_EQ(log.epochs.entries(), (std::vector<EpochTable::Entry>{{1, 1}}));
  EXPECT_EQ(log.last_epoch, 1U);
}

TEST_F(RecoveryTest, AnEpochThatRunsBackwardsIsDamage) {
  MustWrite(SegmentPath(dir_.path(), 1),
            EncodeSegmentHeader() + TestRecord(1, 0, 10, 5) + TestRecord(2, 0, 10, 4));
  EXPECT_TRUE(Recover({0}).damage.has_value());
}

TEST_F(RecoveryTest, ASessionThatEndedCleanlyIsNotSuspect) {
  WriteSegment(1, 3, 0);
  ASSERT_TRUE(SaveBinlogSession(dir_.path(), {.boot_id = "another", .clean = true}).ok());
  EXPECT_FALSE(Recover({0}).short_suspect);
  ASSERT_TRUE(SaveBinlogSession(dir_.path(), {.boot_id = "another"}).ok());
  EXPECT_TRUE(Recover({0}).short_suspect);
}

// What the writer left, recovered, is where the next writer goes on.
TEST_F(RecoveryTest, AWriterGoesOnBehindTheCut) {
  WriteSegment(1, 3, 0);
  const std::string path = SegmentPath(dir_.path(), 1);
  MustWrite(path, MustRead(path) + TestRecord(4).substr(0, 30));
  const RecoveredLog log = Recover({0});

  const auto writer = *BinlogWriter::Open({.dir = dir_.path()}, log.last_lsn + 1);
  ASSERT_TRUE(writer->Append(TestRecord(4), 4, 4).ok());

  EXPECT_EQ(Recover({0}).last_lsn, 4U);
}

}  // namespace
}  // namespace kvs
