#include "storage_node/binlog/binlog_record.h"

#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"

namespace kvs {
namespace {

constexpr BinlogStamp kStamp = {.epoch = 3, .lsn = 7, .time_ms = 1700000000000, .synced_lsn = 6};

BinlogBatch SampleBatch() {
  BinlogBatch batch;
  batch.Put(12182, "foo", "bar");
  batch.Delete(7, "old");
  return batch;
}

std::string Encode(const BinlogBatch& batch) {
  std::string bytes;
  EncodeBinlogRecord(kStamp, batch, &bytes);
  return bytes;
}

Code DecodeCode(std::string_view bytes) {
  std::string scratch;
  return DecodeBinlogRecord(&bytes, &scratch).status().code();
}

// The worked example of doc/formats/binlog.md.  If this fails you changed the format: raise
// kBinlogVersion and update the document.
TEST(BinlogRecordTest, BytesAreThoseOfTheDocument) {
  constexpr std::string_view kExpected(
      "\x05\x0e\xc1\x3b\x3b\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00"
      "\x00\x00\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x00\x68\xe5"
      "\xcf\x8b\x01\x00\x00\x06\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00"
      "\x00\x01\x96\x2f\x03\x00\x00\x00\x03\x00\x00\x00\x66\x6f\x6f\x62"
      "\x61\x72\x02\x07\x00\x03\x00\x00\x00\x00\x00\x00\x00\x6f\x6c\x64",
      80);
  EXPECT_EQ(Encode(SampleBatch()), kExpected);
}

TEST(BinlogRecordTest, DecodeReturnsWhatWasEncoded) {
  const std::string bytes = Encode(SampleBatch()) + "next";
  std::string_view input = bytes;
  std::string scratch;

  const Result<BinlogRecord> record = DecodeBinlogRecord(&input, &scratch);

  ASSERT_TRUE(record.ok());
  EXPECT_EQ(record->stamp.epoch, 3U);
  EXPECT_EQ(record->stamp.lsn, 7U);
  EXPECT_EQ(record->stamp.time_ms, 1700000000000U);
  EXPECT_EQ(record->stamp.synced_lsn, 6U);
  EXPECT_EQ(record->op_count, 2U);
  BinlogOpIterator it = record->iterator();
  BinlogOp op;
  ASSERT_TRUE(it.Next(&op));
  EXPECT_EQ(op.type, BinlogOpType::kPut);
  EXPECT_EQ(op.slot, 12182);
  EXPECT_EQ(op.key, "foo");
  EXPECT_EQ(op.value, "bar");
  ASSERT_TRUE(it.Next(&op));
  EXPECT_EQ(op.type, BinlogOpType::kDelete);
  EXPECT_EQ(op.key, "old");
  EXPECT_FALSE(it.Next(&op));
  EXPECT_EQ(input, "next");
}

// A crash can cut the file at any byte.  None of the cuts is damage.
TEST(BinlogRecordTest, EveryPrefixIsIncomplete) {
  const std::string bytes = Encode(SampleBatch());
  for (size_t size = 0; size < bytes.size(); ++size) {
    SCOPED_TRACE(size);
    std::string_view input = std::string_view(bytes).substr(0, size);
    std::string scratch;
    EXPECT_EQ(DecodeBinlogRecord(&input, &scratch).status().code(), Code::kIncomplete);
    EXPECT_EQ(input.size(), size);  // Left as it was.
  }
}

TEST(BinlogRecordTest, NoFlippedBitIsAccepted) {
  const std::string bytes = Encode(SampleBatch());
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    SCOPED_TRACE(bit);
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_NE(DecodeCode(flipped), Code::kOk);
  }
}

TEST(BinlogRecordTest, AnEmptyBatchIsARecord) {
  const std::string bytes = Encode(BinlogBatch());
  std::string_view input = bytes;
  std::string scratch;

  const Result<BinlogRecord> record = DecodeBinlogRecord(&input, &scratch);

  ASSERT_TRUE(record.ok());
  EXPECT_EQ(record->op_count, 0U);
  EXPECT_EQ(record->stamp.epoch, 3U);
}

// Bodies around the boundary of a fragment; the header of the body is 28 bytes, of a put 11 and of
// the key 1.
TEST(BinlogRecordTest, LongBodiesAreCutIntoFragmentsAndPutTogether) {
  const size_t boundary = kBinlogMaxFragmentPayload - 28 - 11 - 1;
  const std::vector<std::pair<size_t, size_t>> sizes = {
      {boundary - 1, 1},
      {boundary, 1},
      {boundary + 1, 2},
      {boundary + kBinlogMaxFragmentPayload, 2},
      {boundary + kBinlogMaxFragmentPayload + 1, 3}};
  for (const auto& [size, fragment_count] : sizes) {
    SCOPED_TRACE(size);
    std::string value(size, 'v');
    value[size / 2] = 'w';
    BinlogBatch batch;
    batch.Put(1, "k", value);
    const std::string bytes = Encode(batch);
    EXPECT_EQ(bytes.size(), 28 + 12 + size + fragment_count * kBinlogFragmentHeaderSize);

    std::string_view input = bytes;
    std::string scratch;
    const Result<BinlogRecord> record = DecodeBinlogRecord(&input, &scratch);
    ASSERT_TRUE(record.ok());
    BinlogOp op;
    ASSERT_TRUE(record->iterator().Next(&op));
    EXPECT_TRUE(op.value == value);
    EXPECT_TRUE(input.empty());
  }
}

TEST(BinlogRecordTest, ARecordWithoutItsLastFragmentDoesNotExist) {
  BinlogBatch batch;
  batch.Put(1, "k", std::string(3 * kBinlogMaxFragmentPayload, 'v'));
  const std::string bytes = Encode(batch);
  const size_t whole = kBinlogFragmentHeaderSize + kBinlogMaxFragmentPayload;

  EXPECT_EQ(DecodeCode(std::string_view(bytes).substr(0, 3 * whole)), Code::kIncomplete);
  EXPECT_EQ(DecodeCode(bytes.substr(0, whole) + bytes.substr(2 * whole)), Code::kCorruption);
  EXPECT_EQ(DecodeCode(std::string_view(bytes).substr(whole)), Code::kCorruption);
  EXPECT_EQ(DecodeCode(bytes.substr(0, whole) + Encode(SampleBatch())), Code::kCorruption);
}

TEST(BinlogRecordTest, AnAnnouncedLengthIsNeverBelieved) {
  std::string bytes = Encode(SampleBatch());
  const uint32_t length = 0xFFFFFFF0;
  bytes.replace(4, 4, reinterpret_cast<const char*>(&length), 4);

  EXPECT_EQ(DecodeCode(bytes), Code::kCorruption);
}

TEST(BinlogBatchTest, AppendJoinsAndClearForgets) {
  BinlogBatch batch = SampleBatch();
  BinlogBatch other;
  other.Put(9, "x", "y");

  batch.Append(other);

  EXPECT_EQ(batch.op_count(), 3U);
  EXPECT_GE(batch.ApproximateBytes(), batch.ops().size());
  BinlogOpIterator it = batch.iterator();
  BinlogOp op;
  while (it.Next(&op)) {
  }
  EXPECT_EQ(op.key, "x");
  batch.Clear();
  EXPECT_TRUE(batch.empty());
  EXPECT_FALSE(batch.iterator().Next(&op));
}

}  // namespace
}  // namespace kvs
