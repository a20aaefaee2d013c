// The writer, and the reader beside it.

#include "storage_node/binlog/binlog_writer.h"

#include <fcntl.h>
#include <sys/resource.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

#include "common/base/clock.h"
#include "common/base/thread.h"
#include "storage_node/binlog/binlog_reader.h"
#include "storage_node/binlog/binlog_segment.h"
#include "storage_node/binlog/binlog_test_util.h"

namespace kvs {
namespace {

// Files of this process may not grow past a limit while this lives: writes come up short, as on a
// full disk.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(uint64_t bytes) {
    std::signal(SIGXFSZ, SIG_IGN);
    KVS_CHECK(::getrlimit(RLIMIT_FSIZE, &old_) == 0);
    const rlimit limit{bytes, old_.rlim_max};
    KVS_CHECK(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
  }
  ~FileSizeLimit() { KVS_CHECK(::setrlimit(RLIMIT_FSIZE, &old_) == 0); }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit old_{};
};

std::unique_ptr<BinlogWriter> MustOpen(const BinlogWriterOptions& options, uint64_t next_lsn = 1) {
  Result<std::unique_ptr<BinlogWriter>> writer = BinlogWriter::Open(options, next_lsn);
  KVS_CHECK(writer.ok());
  return *std::move(writer);
}

void AppendRange(BinlogWriter* writer, uint64_t first, uint64_t last, size_t value_size = 40) {
  for (uint64_t lsn = first; lsn <= last; ++lsn) {
    const std::string record = TestRecord(lsn, writer->synced_lsn(), value_size);
    ASSERT_TRUE(writer->Append(record, lsn, lsn).ok()) << lsn;
  }
}

std::vector<uint64_t> ReadLsns(BinlogReader* reader, uint64_t limit = BinlogReader::kNoLimit) {
  std::vector<uint64_t> lsns;
  while (true) {
    const Result<BinlogRecord> record = reader->Next(limit);
    if (!record.ok()) {
      EXPECT_EQ(record.status().code(), Code::kIncomplete) << record.status().ToString();
      return lsns;
    }
    BinlogOp op;
    EXPECT_TRUE(record->iterator().Next(&op));
    EXPECT_EQ(op.key, fmt::format("k{}", record->stamp.lsn));
    lsns.push_back(record->stamp.lsn);
  }
}

std::vector<uint64_t> Range(uint64_t first, uint64_t last) {
  std::vector<uint64_t> lsns;
  for (uint64_t lsn = first; lsn <= last; ++lsn) {
    lsns.push_back(lsn);
  }
  return lsns;
}

std::vector<uint64_t> ReadAll(const std::string& dir, uint64_t from) {
  Result<std::unique_ptr<BinlogReader>> reader = BinlogReader::Open(dir, from);
  EXPECT_TRUE(reader.ok()) << reader.status().ToString();
  return reader.ok() ? ReadLsns(reader->get()) : std::vector<uint64_t>();
}

TEST(BinlogWriterTest, WhatWasAppendedIsReadFromAnyRecordOn) {
  const TestDir dir;
  const auto writer = MustOpen({.dir = dir.path()});
  AppendRange(writer.get(), 1, 9);
  ASSERT_TRUE(writer->Append(TestRecord(10) + TestRecord(11), 10, 11).ok());

  EXPECT_EQ(writer->appended_lsn(), 11U);
  EXPECT_EQ(ReadAll(dir.path(), 1), Range(1, 11));
  EXPECT_EQ(ReadAll(dir.path(), 7), Range(7, 11));
  EXPECT_EQ(ReadAll(dir.path(), 12), Range(12, 11));
  EXPECT_EQ(BinlogReader::Open(dir.path(), 13).status().code(), Code::kNotFound);
}

TEST(BinlogWriterTest, SyncCoversWhatWasAppended) {
  const TestDir dir;
  int sync_count = 0;
  const auto writer = MustOpen({.dir = dir.path(), .sync_file = [&sync_count](int) {
                                  ++sync_count;
                                  return 0;
                                }});
  AppendRange(writer.get(), 1, 5);
  EXPECT_EQ(writer->synced_lsn(), 0U);

  ASSERT_TRUE(writer->Sync().ok());
  EXPECT_EQ(writer->synced_lsn(), 5U);
  ASSERT_TRUE(writer->EnsureSynced(5).ok());
  ASSERT_TRUE(writer->Sync().ok());
  EXPECT_EQ(sync_count, 1);  // There was nothing more to sync.
  AppendRange(writer.get(), 6, 6);
  ASSERT_TRUE(writer->EnsureSynced(6).ok());
  EXPECT_EQ(sync_count, 2);
}

// The kernel may drop dirty pages after a failed fsync, so a second one that succeeds proves
// nothing.
TEST(BinlogWriterTest, AFailedSyncIsNeverForgotten) {
  const TestDir dir;
  bool fail = true;
  const auto writer = MustOpen({.dir = dir.path(), .sync_file = [&fail](int) {
                                  errno = EIO;
                                  return fail ? -1 : 0;
                                }});
  AppendRange(writer.get(), 1, 1);

  EXPECT_EQ(writer->Sync().code(), Code::kMisconf);
  fail = false;
  EXPECT_EQ(writer->Sync().code(), Code::kMisconf);
  EXPECT_EQ(writer->EnsureSynced(1).code(), Code::kMisconf);
  EXPECT_EQ(writer->Append(TestRecord(2), 2, 2).code(), Code::kMisconf);
  EXPECT_EQ(writer->RotateIfFull().code(), Code::kMisconf);
  EXPECT_EQ(writer->Health().code(), Code::kMisconf);
  EXPECT_EQ(writer->synced_lsn(), 0U);
}

TEST(BinlogWriterTest, AnAppendThatComesUpShortLeavesNoTrace) {
  const TestDir dir;
  const auto writer = MustOpen({.dir = dir.path()});
  AppendRange(writer.get(), 1, 3);
  const uint64_t size = *FileSize(SegmentPath(dir.path(), 1));

  {
    const FileSizeLimit limit(size + 100);
    EXPECT_EQ(writer->Append(TestRecord(4, 0, 1000), 4, 4).code(), Code::kIoError);
  }
  EXPECT_EQ(*FileSize(SegmentPath(dir.path(), 1)), size);
  EXPECT_TRUE(writer->Health().ok());
  AppendRange(writer.get(), 4, 5);
  EXPECT_EQ(ReadAll(dir.path(), 1), Range(1, 5));
}

TEST(BinlogWriterTest, FullSegmentsGetSuccessors) {
  const TestDir dir;
  const auto writer = MustOpen({.dir = dir.path(), .segment_size = 1000});
  for (uint64_t lsn = 1; lsn <= 100; ++lsn) {
    AppendRange(writer.get(), lsn, lsn);
    ASSERT_TRUE(writer->RotateIfFull().ok());
  }

  const std::vector<uint64_t> segments = *ListSegments(dir.path());
  EXPECT_GT(segments.size(), 5U);
  EXPECT_EQ(ReadAll(dir.path(), 1), Range(1, 100));
  EXPECT_EQ(ReadAll(dir.path(), segments[3]), Range(segments[3], 100));
  EXPECT_EQ(ReadAll(dir.path(), segments[3] - 1), Range(segments[3] - 1, 100));
}

TEST(BinlogWriterTest, ASegmentIsSyncedBeforeItsSuccessorBegins) {
  const TestDir dir;
  std::vector<uint64_t> segments_at_sync;
  const auto writer = MustOpen({.dir = dir.path(), .segment_size = 100, .sync_file = [&](int) {
                                  segments_at_sync.push_back(ListSegments(dir.path())->size());
                                  return 0;
                                }});
  AppendRange(writer.get(), 1, 5);

  ASSERT_TRUE(writer->RotateIfFull().ok());

  EXPECT_EQ(writer->synced_lsn(), 5U);
  EXPECT_EQ(segments_at_sync, std::vector<uint64_t>{1});
  EXPECT_EQ(*ListSegments(dir.path()), (std::vector<uint64_t>{1, 6}));
}

TEST(BinlogWriterTest, PurgeRemovesWholeSegmentsOnly) {
  const TestDir dir;
  const auto writer = MustOpen({.dir = dir.path(), .segment_size = 1});
  for (uint64_t lsn = 1; lsn <= 10; ++lsn) {
    AppendRange(writer.get(), 2 * lsn - 1, 2 * lsn);  // Two records a segment.
    ASSERT_TRUE(writer->RotateIfFull().ok());
  }

  EXPECT_EQ(*writer->Purge(1), 0);
  EXPECT_EQ(*writer->Purge(5), 2);
  EXPECT_EQ(writer->FirstLsn(), 5U);
  EXPECT_EQ(ReadAll(dir.path(), 5), Range(5, 20));
  EXPECT_EQ(BinlogReader::Open(dir.path(), 4).status().code(), Code::kNotFound);
  EXPECT_EQ(*writer->Purge(1000), 8);
  EXPECT_EQ(*ListSegments(dir.path()), std::vector<uint64_t>{21});  // The current one stays.
  AppendRange(writer.get(), 21, 22);
  EXPECT_EQ(ReadAll(dir.path(), 21), Range(21, 22));
}

TEST(BinlogWriterTest, WhatIsToBeKeptStays) {
  const TestDir dir;
  const auto writer = MustOpen({.dir = dir.path(), .segment_size = 1});
  for (uint64_t lsn = 1; lsn <= 10; ++lsn) {
    AppendRange(writer.get(), lsn, lsn);
    ASSERT_TRUE(writer->RotateIfFull().ok());
  }
  const uint64_t all = writer->TotalBytes();
  const uint64_t segment = (all - kBinlogSegmentHeaderSize) / 10;
  EXPECT_EQ(writer->BytesBehind(0), all - kBinlogSegmentHeaderSize);
  EXPECT_EQ(writer->BytesBehind(8) / segment, 2U);  // Stamps differ by a byte.
  EXPECT_EQ(writer->BytesBehind(10), 0U);

  const int64_t now_ms = Clock::System()->WallMillis();
  EXPECT_FALSE(writer->CanPurge(10, {.written_after_ms = now_ms - 3'600'000}));
  EXPECT_EQ(*writer->Purge(10, {.written_after_ms = now_ms - 3'600'000}), 0);
  EXPECT_TRUE(writer->CanPurge(10, {.written_after_ms = now_ms + 3'600'000}));
  EXPECT_EQ(*writer->Purge(10, {.bytes = 4 * segment}), 6);
  EXPECT_GE(writer->TotalBytes(), 4 * segment);
  EXPECT_FALSE(writer->CanPurge(10, {.bytes = 4 * segment}));
  EXPECT_EQ(*writer->Purge(10), 4);
}

TEST(BinlogWriterTest, AReopenedLogGoesOnInItsLastSegment) {
  const TestDir dir;
  {
    const auto writer = MustOpen({.dir = dir.path(), .segment_size = 1});
    AppendRange(writer.get(), 1, 3);
    ASSERT_TRUE(writer->RotateIfFull().ok());
    AppendRange(writer.get(), 4, 5);
  }
  MustWrite(dir.path() + "/next.tmp", "left behind by a crash");

  const auto writer = MustOpen({.dir = dir.path()}, 6);
  AppendRange(writer.get(), 6, 7);

  EXPECT_FALSE(FileExists(dir.path() + "/next.tmp"));
  EXPECT_EQ(*ListSegments(dir.path()), (std::vector<uint64_t>{1, 4}));
  EXPECT_EQ(writer->FirstLsn(), 1U);
  EXPECT_EQ(ReadAll(dir.path(), 1), Range(1, 7));
}

TEST(BinlogReaderTest, WaitsAtTheEndAndGoesOn) {
  const TestDir dir;
  const auto writer = MustOpen({.dir = dir.path(), .segment_size = 1});
  AppendRange(writer.get(), 1, 2);
  const auto reader = *BinlogReader::Open(dir.path(), 1);

  EXPECT_EQ(ReadLsns(reader.get(), writer->appended_lsn()), Range(1, 2));
  AppendRange(writer.get(), 3, 3);
  ASSERT_TRUE(writer->RotateIfFull().ok());
  EXPECT_EQ(ReadLsns(reader.get(), writer->appended_lsn()), Range(3, 3));
  AppendRange(writer.get(), 4, 6);
  EXPECT_EQ(ReadLsns(reader.get(), writer->appended_lsn()), Range(4, 6));
}

// Bytes of an append that is cut off again may have been read ahead.
TEST(BinlogReaderTest, NeverBelievesWhatItReadPastTheLimit) {
  const TestDir dir;
  const auto writer = MustOpen({.dir = dir.path()});
  AppendRange(writer.get(), 1, 2);
  const std::string path = SegmentPath(dir.path(), 1);
  const std::string good = MustRead(path);
  const auto reader = *BinlogReader::Open(dir.path(), 1);
  BinlogBatch lost;
  lost.Put(1, "k3", "lost");
  std::string lost_bytes;
  EncodeBinlogRecord({.epoch = 1, .lsn = 3}, lost, &lost_bytes);
  MustWrite(path, good + lost_bytes);
  const auto early = *BinlogReader::Open(dir.path(), 1);
  ASSERT_EQ(ReadLsns(early.get(), 2), Range(1, 2));

  // The file is replaced in place, as a cut and another append would.
  {
    const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_TRUNC));
    ASSERT_TRUE(WriteFully(fd.get(), good + TestRecord(3), path).ok());
  }

  const Result<BinlogRecord> record = early->Next(3);
  ASSERT_TRUE(record.ok());
  BinlogOp op;
  ASSERT_TRUE(record->iterator().Next(&op));
  EXPECT_NE(op.value, "lost");
}

TEST(BinlogReaderTest, ReadsRecordsOfManyFragments) {
  const TestDir dir;
  const auto writer = MustOpen({.dir = dir.path(), .segment_size = 1});
  const size_t big = 5 * kBinlogMaxFragmentPayload + 17;
  for (uint64_t lsn = 1; lsn <= 3; ++lsn) {
    AppendRange(writer.get(), lsn, lsn, lsn == 2 ? big : 10);
    ASSERT_TRUE(writer->RotateIfFull().ok());
  }
  const auto reader = *BinlogReader::Open(dir.path(), 2);

  const Result<BinlogRecord> record = reader->Next();

  ASSERT_TRUE(record.ok());
  BinlogOp op;
  ASSERT_TRUE(record->iterator().Next(&op));
  EXPECT_EQ(op.value.size(), big);
  EXPECT_EQ(ReadLsns(reader.get()), Range(3, 3));
}

TEST(BinlogReaderTest, AGapBetweenSegmentsIsCorruption) {
  const TestDir dir;
  const auto writer = MustOpen({.dir = dir.path(), .segment_size = 1});
  for (uint64_t lsn = 1; lsn <= 3; ++lsn) {
    AppendRange(writer.get(), lsn, lsn);
    ASSERT_TRUE(writer->RotateIfFull().ok());
  }
  ASSERT_TRUE(RemoveFile(SegmentPath(dir.path(), 2)).ok());
  const auto reader = *BinlogReader::Open(dir.path(), 1);

  ASSERT_TRUE(reader->Next().ok());
  EXPECT_EQ(reader->Next().status().code(), Code::kCorruption);
}

// One thread appends, one syncs and rotates, one ensures, one reads; TSan watches.
TEST(BinlogWriterTest, AppendSyncRotateAndReadRunSideBySide) {
  constexpr uint64_t kRecords = 3000;
  const TestDir dir;
  const auto writer = MustOpen({.dir = dir.path(), .segment_size = 4096});
  std::atomic<bool> failed{false};
  std::atomic<int> sync_rounds{0};
  Thread syncer("syncer", [&] {
    while (writer->synced_lsn() < kRecords && !failed) {
      if (!writer->Sync().ok() || !writer->RotateIfFull().ok()) {
        failed = true;
      }
      ++sync_rounds;
    }
  });
  Thread engine("engine", [&] {
    while (writer->synced_lsn() < kRecords && !failed) {
      const uint64_t lsn = writer->appended_lsn();
      if (!writer->EnsureSynced(lsn).ok() || writer->synced_lsn() < lsn) {
        failed = true;
      }
    }
  });
  uint64_t read_lsn = 0;
  Thread reader_thread("reader", [&] {
    const auto reader = *BinlogReader::Open(dir.path(), 1);
    while (read_lsn < kRecords && !failed) {
      const Result<BinlogRecord> record = reader->Next(writer->appended_lsn());
      if (record.ok()) {
        read_lsn = record->stamp.lsn;
      } else if (record.status().code() != Code::kIncomplete) {
        failed = true;
      }
    }
  });

  for (uint64_t lsn = 1; lsn <= kRecords; lsn += 300) {
    AppendRange(writer.get(), lsn, lsn + 299);
    const int rounds = sync_rounds;
    while (sync_rounds < rounds + 2 && writer->synced_lsn() < kRecords && !failed) {
      std::this_thread::yield();  // So that there is a rotation for each of these.
    }
  }
  syncer.Join();
  engine.Join();
  reader_thread.Join();

  EXPECT_FALSE(failed);
  EXPECT_EQ(read_lsn, kRecords);
  EXPECT_GT(ListSegments(dir.path())->size(), 3U);
  EXPECT_EQ(ReadAll(dir.path(), 1), Range(1, kRecords));
}

}  // namespace
}  // namespace kvs
