// What CheckData() must find, and what it must let pass.

#include "storage_node/check/data_check.h"

#include "gtest/gtest.h"

#include "common/base/file.h"
#include "storage_node/check/check_test_util.h"
#include "storage_node/keys/string_codec.h"
#include "storage_node/keys/zset_codec.h"

namespace kvs {
namespace {

class DataCheckTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(data_.Open());
    ASSERT_NO_FATAL_FAILURE(data_.Write(3000, &random_));
  }

  DataCheckReport Check() {
    const Result<DataCheckReport> report = CheckData(data_.dir());
    EXPECT_TRUE(report.ok()) << report.status().ToString();
    return report.ok() ? *report : DataCheckReport();
  }
  // Writes without the bookkeeping that belongs to it, and closes.
  void ChangeAndClose(uint16_t slot, const EngineOp& op) {
    Txn txn(data_.store());
    txn.Begin();
    if (op.is_delete) {
      txn.Delete(slot, op.key);
    } else {
      txn.Put(slot, op.key, op.value);
    }
    ASSERT_TRUE(txn.Commit().ok());
    ASSERT_NO_FATAL_FAILURE(data_.Close());
  }
  void ExpectOneProblem(const std::string& part) {
    const DataCheckReport report = Check();
    EXPECT_EQ(report.problem_count, 1U) << FormatDataCheck(data_.dir(), report);
    ASSERT_FALSE(report.problems.empty());
    EXPECT_NE(report.problems.front().find(part), std::string::npos) << report.problems.front();
  }
  // One that is there, with or without an expiry.
  int SomeKey(bool expires) {
    for (const auto& [n, value] : data_.values()) {
      if ((n % 4 == 0) == expires) {
        return n;
      }
    }
    return -1;
  }

  Random random_{17};
  FilledDir data_;
};

TEST_F(DataCheckTest, WhatANodeLeavesBehindIsWell) {
  uint64_t expires = 0;
  for (const auto& [n, value] : data_.values()) {
    expires += n % 4 == 0 ? 1 : 0;
  }
  data_.Crash();
  const DataCheckReport crashed = Check();
  EXPECT_TRUE(crashed.ok()) << FormatDataCheck(data_.dir(), crashed);
  EXPECT_EQ(crashed.keys, data_.values().size());
  EXPECT_EQ(crashed.expires, expires);
  ASSERT_NO_FATAL_FAILURE(data_.Open());
  ASSERT_NO_FATAL_FAILURE(data_.Close());
  const DataCheckReport closed = Check();
  EXPECT_TRUE(closed.ok()) << FormatDataCheck(data_.dir(), closed);
  EXPECT_EQ(closed.keys, data_.values().size());
  EXPECT_EQ(closed.replay_records, 0U);
}

TEST_F(DataCheckTest, AFlushedSlotIsWellBeforeItIsSwept) {
  Txn txn(data_.store());
  txn.Begin();
  txn.LockAll();
  txn.StartNewGeneration(7);
  ASSERT_TRUE(txn.Commit().ok());
  data_.Crash();
  const DataCheckReport report = Check();
  EXPECT_TRUE(report.ok()) << FormatDataCheck(data_.dir(), report);
  EXPECT_GT(report.dead_records, 0U);
}

TEST_F(DataCheckTest, AMissingKeyIsFound) {
  const int n = SomeKey(false);
  ASSERT_NO_FATAL_FAILURE(
      ChangeAndClose(FilledDir::SlotFor(n), {.is_delete = true, .key = FilledDir::Key(n)}));
  ExpectOneProblem("its meta record says");
}

TEST_F(DataCheckTest, AStrayIndexEntryIsFound) {
  ASSERT_NO_FATAL_FAILURE(ChangeAndClose(5, {.key = ExpiryKey(5, 1, 12345, "nobody")}));
  ExpectOneProblem("does not expire then");
}

TEST_F(DataCheckTest, AMissingIndexEntryIsFound) {
  const int n = SomeKey(true);
  const uint16_t slot = FilledDir::SlotFor(n);
  ASSERT_NO_FATAL_FAILURE(
      ChangeAndClose(slot, {.is_delete = true, .key = FilledDir::ExpiryKeyOf(n)}));
  ExpectOneProblem("the expiry index does not have it");
}

TEST_F(DataCheckTest, AKeyInAnotherInstanceIsFound) {
  const std::string key = MetadataKey(8, 1, "lost");
  const std::string record = FilledDir::Record("x", 0);
  ASSERT_NO_FATAL_FAILURE(ChangeAndClose(9, {.key = key, .value = record}));
  ExpectOneProblem("belongs to another instance");
}

TEST_F(DataCheckTest, ARecordThatCannotBeDecodedIsFound) {
  const int n = SomeKey(false);
  const std::string key = FilledDir::Key(n);
  ASSERT_NO_FATAL_FAILURE(ChangeAndClose(FilledDir::SlotFor(n), {.key = key, .value = "?"}));
  ExpectOneProblem(FilledDir::Name(n));
}

TEST_F(DataCheckTest, AKeyOfAGenerationToComeIsFound) {
  const std::string key = MetadataKey(8, 7, "early");
  const std::string record = FilledDir::Record("x", 0);
  ASSERT_NO_FATAL_FAILURE(ChangeAndClose(8, {.key = key, .value = record}));
  ExpectOneProblem("is of generation 7");
}

TEST_F(DataCheckTest, AnElementOfNoKeyIsFound) {
  ASSERT_NO_FATAL_FAILURE(ChangeAndClose(8, {.key = ElementKey(8, 1, 5, "element"), .value = "x"}));
  ExpectOneProblem("1 elements of version 5, which no key has");
}

TEST_F(DataCheckTest, ASortedSetThatDoesNotAgreeWithItselfIsFound) {
  Txn txn(data_.store());
  const auto put = [&txn](const std::string& key, uint64_t version, uint64_t count) {
    std::string record;
    const std::string header = EncodeRankRoot({});
    AppendMetadata({.type = DataType::kZSet, .version = version, .count = count, .rest = header},
                   &record);
    txn.Put(8, MetadataKey(8, 1, key), record);
    txn.AddKeys(8, 1);
  };
  txn.Begin();
  txn.Lock("z");
  const uint64_t good = txn.NewVersion(8);
  const uint64_t bad = txn.NewVersion(8);
  put("good", good, 1);
  put("bad", bad, 2);
  put("bad and packed", 0, 1);
  for (const uint64_t version : {good, bad}) {
    txn.Put(8, ElementKey(8, 1, version, "s" + ZSetOrder(1, "a")), "");
    txn.Put(8, ElementKey(8, 1, version, "m" + std::string(kZSetHashSize, 'h') + "a"),
            EncodeScoreValue(1));
  }
  ASSERT_TRUE(txn.Commit().ok());
  data_.Crash();
  const DataCheckReport report = Check();
  EXPECT_EQ(report.problem_count, 2U) << FormatDataCheck(data_.dir(), report);
  for (const std::string& problem : report.problems) {
    EXPECT_NE(problem.find("sorted set \"bad"), std::string::npos) << problem;
  }
}

TEST_F(DataCheckTest, ASetThatDoesNotAgreeWithItselfIsFound) {
  Txn txn(data_.store());
  const auto put = [&txn](const std::string& key, uint64_t version, uint64_t count) {
    std::string record;
    AppendMetadata(
        {.type = DataType::kSet, .encoding = 1, .version = version, .count = count, .rest = {}},
        &record);
    txn.Put(8, MetadataKey(8, 1, key), record);
    txn.AddKeys(8, 1);
  };
  txn.Begin();
  txn.Lock("s");
  const uint64_t good = txn.NewVersion(8);
  const uint64_t bad = txn.NewVersion(8);
  put("good", good, 1);
  put("bad", bad, 2);
  put("bad and packed", 0, 1);
  for (const uint64_t version : {good, bad}) {
    txn.Put(8, ElementKey(8, 1, version, "hashhasha"), "");
  }
  ASSERT_TRUE(txn.Commit().ok());
  data_.Crash();
  const DataCheckReport report = Check();
  EXPECT_EQ(report.problem_count, 2U) << FormatDataCheck(data_.dir(), report);
  for (const std::string& problem : report.problems) {
    EXPECT_NE(problem.find("set \"bad"), std::string::npos) << problem;
  }
}

TEST_F(DataCheckTest, AStringWithAChunkBehindItsEndIsFound) {
  Txn txn(data_.store());
  txn.Begin();
  txn.Lock("s");
  for (const std::string key : {"good", "bad", "zeros"}) {
    const uint64_t version = txn.NewVersion(8);
    std::string record;
    AppendMetadata({.version = version, .count = 100'000, .rest = kStringChunksFormat}, &record);
    txn.Put(8, MetadataKey(8, 1, key), record);
    txn.AddKeys(8, 1);
    if (key != "zeros") {
      const uint32_t last = 100'000 / kStringChunkSize + (key == "bad" ? 1 : 0);
      txn.Put(8, ElementKey(8, 1, version, StringChunkName(last)), "x");
    }
  }
  ASSERT_TRUE(txn.Commit().ok());
  data_.Crash();
  ExpectOneProblem("string \"bad\" has 100000 bytes, and a chunk with byte 106496");
}

TEST_F(DataCheckTest, AnElementOfADeadVersionIsWell) {
  Txn txn(data_.store());
  txn.Begin();
  txn.Put(8, ElementKey(8, 1, 5, "element"), "x");
  txn.Put(8, DeadVersionKey(8, 1, 5), "");
  ASSERT_TRUE(txn.Commit().ok());
  data_.Crash();
  const DataCheckReport report = Check();
  EXPECT_TRUE(report.ok()) << FormatDataCheck(data_.dir(), report);
  EXPECT_EQ(report.dead_records, 1U);
}

TEST_F(DataCheckTest, AVersionThatTheSlotHasNotHandedOutIsFound) {
  const int n = SomeKey(false);
  std::string record;
  AppendMetadata({.type = DataType::kHash, .version = 9, .count = 1}, &record);
  const std::string key = FilledDir::Key(n);
  ASSERT_NO_FATAL_FAILURE(ChangeAndClose(FilledDir::SlotFor(n), {.key = key, .value = record}));
  ExpectOneProblem("and the slot's next one is 1");
}

TEST_F(DataCheckTest, AMissingInstanceIsFound) {
  ASSERT_NO_FATAL_FAILURE(data_.Close());
  ASSERT_TRUE(RemoveTree(data_.dir() + "/engine/1").ok());
  ExpectOneProblem("the instance is missing");
}

TEST_F(DataCheckTest, ATornTailIsANote) {
  data_.Crash();
  const Result<std::vector<std::string>> files = ListDir(data_.dir() + "/binlog");
  ASSERT_TRUE(files.ok());
  std::string last;
  for (const std::string& file : *files) {
    last = file.ends_with(".log") ? std::max(last, file) : last;
  }
  const std::string path = data_.dir() + "/binlog/" + last;
  const Result<std::string> content = ReadFile(path);
  ASSERT_TRUE(content.ok());
  ASSERT_TRUE(WriteFileAtomic(path, *content + "torn").ok());
  const DataCheckReport report = Check();
  EXPECT_TRUE(report.ok()) << FormatDataCheck(data_.dir(), report);
  ASSERT_EQ(report.notes.size(), 1U);
  EXPECT_NE(report.notes.front().find("torn tail of 4 bytes"), std::string::npos);
  EXPECT_EQ(*ReadFile(path), *content + "torn") << "the log was changed";
}

TEST_F(DataCheckTest, WhatIsNoDataDirectoryOrInUseIsRefused) {
  EXPECT_EQ(CheckData(data_.dir()).status().code(), Code::kBusy);
  EXPECT_EQ(CheckData(data_.dir() + "/binlog").status().code(), Code::kNotFound);
  EXPECT_EQ(CheckData("/nowhere").status().code(), Code::kNotFound);
}

TEST_F(DataCheckTest, LibrariesOfFunctionsAreKnown) {
  const std::string key = LibraryKey("lib");
  const std::string value = EncodeLibrary("#!lua name=lib\n");
  ASSERT_NO_FATAL_FAILURE(ChangeAndClose(kNodeSlot, {.key = key, .value = value}));

  const DataCheckReport report = Check();
  EXPECT_TRUE(report.ok()) << FormatDataCheck(data_.dir(), report);
  EXPECT_EQ(report.libraries, 1U);
}

TEST_F(DataCheckTest, ADamagedLibraryIsTold) {
  const std::string key = LibraryKey("lib");
  ASSERT_NO_FATAL_FAILURE(ChangeAndClose(kNodeSlot, {.key = key, .value = "\x09"}));
  ExpectOneProblem("library of functions");
}

TEST_F(DataCheckTest, WhatStandsBesideTheLibrariesIsTold) {
  const std::string key = LibraryKey("lib").substr(0, 6) + "Zlib";
  ASSERT_NO_FATAL_FAILURE(ChangeAndClose(kNodeSlot, {.key = key, .value = "x"}));
  ExpectOneProblem("belongs to another instance");
}

}  // namespace
}  // namespace kvs
