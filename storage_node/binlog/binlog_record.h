// The binlog's unit: a record is one atomic batch of engine puts and deletes with its position.
//
// A writer fills a BinlogBatch with operations only.  Position and time are stamped when the record
// is encoded for the append, so batches of several threads can be ordered late and written at once.
// The body of a record is cut into fragments of at most 1 MiB, each with its own checksum: a reader
// never trusts, waits for or allocates by a length above that, however large the record is.
//
// Threads: encoder and decoder are pure functions; a BinlogBatch has one owner at a time.
// Owner:   the caller.  Decoded views point into the input or into the given scratch string.
// Format:  doc/formats/binlog.md

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/status.h"

namespace kvs {

// The values are on disk.  Never change or reuse one.
enum class BinlogOpType : uint8_t {
  kPut = 1,
  kDelete = 2,
};

// One physical operation on a full engine key.
struct BinlogOp {
  BinlogOpType type = BinlogOpType::kPut;
  uint16_t slot = 0;
  std::string_view key;
  std::string_view value;  // Empty for a delete.
};

// What the commit leader stamps on a batch when it appends it.
struct BinlogStamp {
  uint64_t epoch = 0;
  uint64_t lsn = 0;         // Dense: the next record has lsn + 1.
  uint64_t time_ms = 0;     // Unix time on the master.
  uint64_t synced_lsn = 0;  // Everything up to here was known to be fsynced at the append.
};

inline constexpr size_t kBinlogFragmentHeaderSize = 4 + 4 + 8 + 4 + 1;
inline constexpr size_t kBinlogMaxFragmentPayload = size_t{1} << 20;
// Larger batches must be refused before they are encoded; larger records are not believed.
inline constexpr size_t kBinlogMaxRecordBytes = size_t{2} << 30;

// Walks the encoded operations of a batch or record that is known to be well formed.
class BinlogOpIterator {
 public:
  explicit BinlogOpIterator(std::string_view ops) : rest_(ops) {}
  // Returns false after the last one.  The views in `*op` point into the given bytes.
  bool Next(BinlogOp* op);

 private:
  std::string_view rest_;
};

// The operations of one record to be.
class BinlogBatch {
 public:
  // Copies key and value.  REQUIRES: both together are shorter than 4 GiB
  void Put(uint16_t slot, std::string_view key, std::string_view value);
  void Delete(uint16_t slot, std::string_view key);
  // Adds the operations of `other` behind ours.
  void Append(const BinlogBatch& other);
  void Clear();

  // The batch as it is now, to come back to.
  struct Mark {
    size_t bytes = 0;
    uint32_t op_count = 0;
  };
  Mark mark() const { return {.bytes = ops_.size(), .op_count = op_count_}; }
  // Forgets what was added since.
  void CutTo(const Mark& mark) {
    ops_.resize(mark.bytes);
    op_count_ = mark.op_count;
  }

  uint32_t op_count() const { return op_count_; }
  bool empty() const { return op_count_ == 0; }
  // Bytes that the encoded record takes, within 64 and one fragment header for each MiB.
  size_t ApproximateBytes() const { return ops_.size() + 64; }
  // The encoded operations, for BinlogOpIterator; valid until the next change.
  std::string_view ops() const { return ops_; }
  BinlogOpIterator iterator() const { return BinlogOpIterator(ops_); }

 private:
  std::string ops_;
  uint32_t op_count_ = 0;
};

// A decoded record.  `ops` points into the decoder's input or scratch.
struct BinlogRecord {
  BinlogStamp stamp;
  uint32_t op_count = 0;
  std::string_view ops;

  BinlogOpIterator iterator() const { return BinlogOpIterator(ops); }
};

// Appends the encoding of a record to `*out`.  An empty batch is a legal record (an epoch mark).
// REQUIRES: batch.ApproximateBytes() <= kBinlogMaxRecordBytes, stamp.lsn > 0
void EncodeBinlogRecord(const BinlogStamp& stamp, const BinlogBatch& batch, std::string* out);

// Decodes the record at the front of `*input` and moves `*input` past it.  The views of a record of
// one fragment point into `*input`, those of a longer one into `*scratch`.
//   kIncomplete: the input ends inside the record (a torn tail, or more to come)
//   kCorruption: the bytes cannot be a record
//   kUnsupported: a whole record with a flag or operation of a newer release
// On any error `*input` is left as it was.
Result<BinlogRecord> DecodeBinlogRecord(std::string_view* input, std::string* scratch);

// One checksummed piece of a record.
struct BinlogFragment {
  uint64_t lsn = 0;
  uint32_t index = 0;  // 0 for the first fragment of a record.
  bool last = false;
  std::string_view payload;  // Points into the input.
};

// As DecodeBinlogRecord, for one fragment.
Result<BinlogFragment> DecodeBinlogFragment(std::string_view* input);

// Reads the fields of a whole body, and judges its operations.  Errors as DecodeBinlogRecord.
Result<BinlogRecord> DecodeBinlogBody(uint64_t lsn, std::string_view body);

// Reads only the stamp, from the payload of a record's first fragment.
Result<BinlogStamp> DecodeBinlogStamp(const BinlogFragment& first);

}  // namespace kvs
