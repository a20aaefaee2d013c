#include "storage_node/binlog/binlog_record.h"

#include <algorithm>

#include "common/base/coding.h"
#include "common/base/crc32c.h"

namespace kvs {
namespace {

// A body is: epoch, time_ms, synced_lsn, op_count, operations.
constexpr size_t kBodyHeaderSize = 8 + 8 + 8 + 4;
constexpr size_t kOpHeaderSize = 1 + 2 + 4 + 4;  // type, slot, key length, value length
constexpr uint8_t kFlagMoreFollows = 1;
constexpr size_t kCrcSize = 4;

// Reads one operation from the front of `*rest`; false if the bytes do not hold one.
bool ReadOp(std::string_view* rest, BinlogOp* op) {
  if (rest->size() < kOpHeaderSize) {
    return false;
  }
  const char* header = rest->data();
  const size_t key_size = DecodeFixed32(header + 3);
  const size_t value_size = DecodeFixed32(header + 7);
  if (rest->size() - kOpHeaderSize < key_size + value_size) {
    return false;
  }
  op->type = static_cast<BinlogOpType>(header[0]);
  op->slot = DecodeFixed16(header + 1);
  op->key = rest->substr(kOpHeaderSize, key_size);
  op->value = rest->substr(kOpHeaderSize + key_size, value_size);
  rest->remove_prefix(kOpHeaderSize + key_size + value_size);
  return true;
}

void AppendOp(BinlogOpType type, uint16_t slot, std::string_view key, std::string_view value,
              std::string* ops) {
  KVS_CHECK(key.size() + value.size() <= UINT32_MAX);
  ops->push_back(static_cast<char>(type));
  PutFixed16(ops, slot);
  PutFixed32(ops, static_cast<uint32_t>(key.size()));
  PutFixed32(ops, static_cast<uint32_t>(value.size()));
  ops->append(key);
  ops->append(value);
}

// Appends a fragment whose payload is `head` followed by `tail`.
void AppendFragment(uint64_t lsn, uint32_t index, bool last, std::string_view head,
                    std::string_view tail, std::string* out) {
  const size_t start = out->size();
  PutFixed32(out, 0);  // The checksum, once the rest is there.
  PutFixed32(out, static_cast<uint32_t>(head.size() + tail.size()));
  PutFixed64(out, lsn);
  PutFixed32(out, index);
  out->push_back(static_cast<char>(last ? 0 : kFlagMoreFollows));
  KVS_CHECK(out->size() - start == kBinlogFragmentHeaderSize);
  out->append(head);
  out->append(tail);
  const uint32_t crc = Crc32c(std::string_view(*out).substr(start + kCrcSize));
  std::memcpy(out->data() + start, &crc, kCrcSize);
}

}  // namespace

bool BinlogOpIterator::Next(BinlogOp* op) {
  if (rest_.empty()) {
    return false;
  }
  KVS_CHECK(ReadOp(&rest_, op));
  return true;
}

void BinlogBatch::Put(uint16_t slot, std::string_view key, std::string_view value) {
  AppendOp(BinlogOpType::kPut, slot, key, value, &ops_);
  ++op_count_;
}

void BinlogBatch::Delete(uint16_t slot, std::string_view key) {
  AppendOp(BinlogOpType::kDelete, slot, key, {}, &ops_);
  ++op_count_;
}

void BinlogBatch::Append(const BinlogBatch& other) {
  ops_.append(other.ops_);
  op_count_ += other.op_count_;
}

void BinlogBatch::Clear() {
  ops_.clear();
  op_count_ = 0;
}

void EncodeBinlogRecord(const BinlogStamp& stamp, const BinlogBatch& batch, std::string* out) {
  KVS_CHECK(stamp.lsn > 0);
  KVS_CHECK(batch.ApproximateBytes() <= kBinlogMaxRecordBytes);
  std::string head;
  PutFixed64(&head, stamp.epoch);
  PutFixed64(&head, stamp.time_ms);
  PutFixed64(&head, stamp.synced_lsn);
  PutFixed32(&head, batch.op_count());
  KVS_CHECK(head.size() == kBodyHeaderSize);

  std::string_view rest = batch.ops();
  uint32_t index = 0;
  std::string_view head_left = head;
  do {
    const size_t size = std::min(rest.size(), kBinlogMaxFragmentPayload - head_left.size());
    AppendFragment(stamp.lsn, index, size == rest.size(), head_left, rest.substr(0, size), out);
    rest.remove_prefix(size);
    head_left = {};
    ++index;
  } while (!rest.empty());
}

Result<BinlogFragment> DecodeBinlogFragment(std::string_view* input) {
  if (input->size() < kCrcSize + 4) {
    return Status::Incomplete();
  }
  const size_t size = DecodeFixed32(input->data() + kCrcSize);
  if (size > kBinlogMaxFragmentPayload) {
    return Status::Corruption("binlog fragment: impossible length");
  }
  if (input->size() < kBinlogFragmentHeaderSize + size) {
    return Status::Incomplete();
  }
  const std::string_view bytes = input->substr(0, kBinlogFragmentHeaderSize + size);
  if (Crc32c(bytes.substr(kCrcSize)) != DecodeFixed32(bytes.data())) {
    return Status::Corruption("binlog fragment: checksum mismatch");
  }
  BinlogFragment fragment;
  fragment.lsn = DecodeFixed64(bytes.data() + 8);
  fragment.index = DecodeFixed32(bytes.data() + 16);
  const auto flags = static_cast<uint8_t>(bytes[20]);
  if ((flags & ~kFlagMoreFollows) != 0) {
    return Status::Unsupported("binlog fragment: a flag of a newer release");
  }
  fragment.last = (flags & kFlagMoreFollows) == 0;
  fragment.payload = bytes.substr(kBinlogFragmentHeaderSize);
  input->remove_prefix(bytes.size());
  return fragment;
}

Result<BinlogStamp> DecodeBinlogStamp(const BinlogFragment& first) {
  if (first.index != 0 || first.payload.size() < kBodyHeaderSize) {
    return Status::Corruption("binlog record: no room for the stamp");
  }
  BinlogStamp stamp;
  stamp.lsn = first.lsn;
  stamp.epoch = DecodeFixed64(first.payload.data());
  stamp.time_ms = DecodeFixed64(first.payload.data() + 8);
  stamp.synced_lsn = DecodeFixed64(first.payload.data() + 16);
  return stamp;
}

Result<BinlogRecord> DecodeBinlogBody(uint64_t lsn, std::string_view body) {
  BinlogRecord record;
  KVS_ASSIGN_OR_RETURN(record.stamp,
                       DecodeBinlogStamp({.lsn = lsn, .index = 0, .last = true, .payload = body}));
  record.op_count = DecodeFixed32(body.data() + kBodyHeaderSize - 4);
  record.ops = body.substr(kBodyHeaderSize);
  if (lsn == 0 || record.stamp.synced_lsn >= lsn) {
    return Status::Corruption("binlog record: impossible position");
  }

  std::string_view rest = record.ops;
  uint32_t count = 0;
  BinlogOp op;
  while (!rest.empty()) {
    if (!ReadOp(&rest, &op)) {
      return Status::Corruption("binlog record: an operation longer than the record");
    }
    if (op.type != BinlogOpType::kPut && op.type != BinlogOpType::kDelete) {
      return Status::Unsupported("binlog record: an operation of a newer release");
    }
    if (op.type == BinlogOpType::kDelete && !op.value.empty()) {
      return Status::Corruption("binlog record: a delete with a value");
    }
    ++count;
  }
  if (count != record.op_count) {
    return Status::Corruption("binlog record: wrong number of operations");
  }
  return record;
}

Result<BinlogRecord> DecodeBinlogRecord(std::string_view* input, std::string* scratch) {
  std::string_view rest = *input;
  KVS_ASSIGN_OR_RETURN(BinlogFragment fragment, DecodeBinlogFragment(&rest));
  if (fragment.index != 0) {
    return Status::Corruption("binlog record: begins in its middle");
  }
  const uint64_t lsn = fragment.lsn;
  std::string_view body = fragment.payload;
  if (!fragment.last) {
    scratch->assign(fragment.payload);
  }
  for (uint32_t index = 1; !fragment.last; ++index) {
    KVS_ASSIGN_OR_RETURN(fragment, DecodeBinlogFragment(&rest));
    if (fragment.lsn != lsn || fragment.index != index) {
      return Status::Corruption("binlog record: a fragment is missing");
    }
    if (scratch->size() + fragment.payload.size() > kBinlogMaxRecordBytes) {
      return Status::Corruption("binlog record: longer than any record");
    }
    scratch->append(fragment.payload);
    body = *scratch;
  }
  KVS_ASSIGN_OR_RETURN(BinlogRecord record, DecodeBinlogBody(lsn, body));
  *input = rest;
  return record;
}

}  // namespace kvs
