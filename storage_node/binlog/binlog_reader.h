// BinlogReader walks the records of the log in order, over segments, and can wait at its end.
//
// It reads with its own descriptors, so it may run beside a writer and keeps a purged segment
// readable.  Beside a writer it must be told how far the log reaches: an append that fails is cut
// off again, and bytes that were read before that must not be believed later.
//
// Threads: one owner.
// Owner:   whoever reads: replay, replication, tools.

#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>

#include "common/base/status.h"
#include "common/base/unique_fd.h"
#include "storage_node/binlog/binlog_record.h"
#include "storage_node/binlog/binlog_segment.h"

namespace kvs {

class BinlogReader {
 public:
  static constexpr uint64_t kNoLimit = std::numeric_limits<uint64_t>::max();

  // Opens the log so that the first Next() returns record `from_lsn`, which need not exist yet.
  //   kNotFound: the log begins after from_lsn (purged), or has no segment
  static Result<std::unique_ptr<BinlogReader>> Open(const std::string& dir, uint64_t from_lsn);

  // Returns the next record; its views are valid until the next call.
  // `limit_lsn` is the writer's appended_lsn(), or kNoLimit for a log that nobody writes.
  //   kIncomplete: no further record yet (or a torn one); ask again when more was appended
  //   kCorruption, kUnsupported: place() is where; the reader stays there
  Result<BinlogRecord> Next(uint64_t limit_lsn = kNoLimit);

  uint64_t next_lsn() const { return next_lsn_; }
  // Where the next record begins, which after an error is the bad one.
  BinlogPlace place() const { return place_; }
  // After kIncomplete: whether the file ends inside a record instead of after one.
  bool torn() const { return torn_; }

 private:
  BinlogReader(std::string dir, uint64_t from_lsn) : dir_(std::move(dir)), next_lsn_(from_lsn) {}

  Status OpenSegment(uint64_t first_lsn);
  Status SkipTo(uint64_t from_lsn);
  Result<BinlogRecord> ReadRecord();
  Result<BinlogFragment> ReadFragment();
  // Returns whether bytes were added to the buffer.
  Result<bool> FillBuffer();
  // Returns whether the reader went on to the next segment.
  Result<bool> FollowToSuccessor();
  void RewindToPlace();

  const std::string dir_;
  uint64_t next_lsn_;
  BinlogPlace place_;
  bool torn_ = false;
  UniqueFd fd_;
  uint64_t file_offset_ = 0;  // Of the first byte that is not in the buffer.
  uint64_t trusted_lsn_ = 0;  // What is buffered was read when the log reached this far.
  std::string buffer_;
  size_t consumed_ = 0;
  std::string assembled_;  // The body of a record of several fragments.
};

}  // namespace kvs
