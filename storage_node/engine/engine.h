// Engine: one ordered map from bytes to bytes that remembers which log record it has applied.
//
// An engine is a materialised prefix of the binlog.  Every batch carries the LSN of the last record
// in it, written in the same atomic step, so after a crash the log is replayed from AppliedLsn() +
// 1 and nothing is applied twice in effect.  What is applied is not yet on the disk; FlushedLsn()
// says how far it is, and only that lets segments of the log be purged.
//
// Threads: thread-safe.  Apply() calls come from one thread at a time, in LSN order.
// Owner:   EngineCluster.  Iterators and snapshots must die before the engine; while one lives,
//          Reopen() and Close() cannot finish.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "common/base/status.h"

namespace kvs {

// Keys from here on are the engine's own: no iterator shows them.
inline constexpr std::string_view kEngineReservedPrefix = "\xff\xff";
inline constexpr std::string_view kAppliedLsnKey = "\xff\xfflsn";

struct EngineOp {
  bool is_delete = false;
  std::string_view key = {};
  std::string_view value = {};  // Empty for a delete.
};

// A frozen view of an engine.  Get() and NewIterator() take it.
class EngineSnapshot {
 public:
  virtual ~EngineSnapshot() = default;
  // The last record that this view contains.
  virtual uint64_t applied_lsn() const = 0;
};

struct EngineRange {
  std::string lower;  // Inclusive; empty: from the first key.
  std::string upper;  // Exclusive; empty: to the last key.
};

struct EngineIteratorOptions {
  EngineRange range = {};
  const EngineSnapshot* snapshot = nullptr;  // nullptr: as of the call.
  bool fill_cache = true;                    // False for long scans.
};

// Sees the engine as of its creation.  key() and value() are valid until the next move.
class EngineIterator {
 public:
  virtual ~EngineIterator() = default;
  virtual bool Valid() const = 0;
  virtual void SeekToFirst() = 0;
  virtual void SeekToLast() = 0;
  // Moves to the first key at or after `target`, within the range.
  virtual void Seek(std::string_view target) = 0;
  // REQUIRES: Valid()
  virtual void Next() = 0;
  virtual void Prev() = 0;
  virtual std::string_view key() const = 0;
  virtual std::string_view value() const = 0;
  // Not OK if the iterator stopped because of an error and not at the range's end, or if it has
  // skipped keys that cannot be read.
  virtual Status status() const = 0;
};

struct EngineStats {
  uint64_t memtable_bytes = 0;
  uint64_t block_cache_bytes = 0;  // Of the shared cache: the same figure for all its users.
  uint64_t file_count = 0;
  uint64_t level0_file_count = 0;
  uint64_t flush_count = 0;  // Memtables proven to be on the disk since the start.
  uint64_t applied_lsn = 0;
  uint64_t flushed_lsn = 0;
};

class Engine {
 public:
  // Brings together what a reopened engine lacks: every record beyond `applied_lsn`.
  using Recover = std::function<Status(uint64_t applied_lsn)>;

  virtual ~Engine() = default;

  // kNotFound: no such key; kUnavailable: the engine is closed or being reopened; kIoError
  virtual Status Get(std::string_view key, std::string* value, const EngineSnapshot* snapshot) = 0;
  Status Get(std::string_view key, std::string* value) { return Get(key, value, nullptr); }
  virtual Result<std::unique_ptr<EngineIterator>> NewIterator(
      const EngineIteratorOptions& options) = 0;
  virtual Result<std::unique_ptr<EngineSnapshot>> NewSnapshot() = 0;

  // Applies `ops` and the applied LSN in one atomic step.  `lsn` is the last record in the batch; a
  // batch at or below AppliedLsn() is skipped, so a replay may begin too early.
  //   kIoError: this write failed; kMisconf: an earlier one did, and Reopen() is due
  virtual Status Apply(std::span<const EngineOp> ops, uint64_t lsn) = 0;
  // Removes keys without a log record.  Only for keys that nobody can see any more (dead slot
  // generations): a crash may bring them back.
  virtual Status DeleteLocal(std::span<const std::string_view> keys) = 0;
  // Writes a batch that has nothing but the position, unless the engine is at or past `lsn`.
  // REQUIRES: every record up to `lsn` that concerns this engine has been applied
  virtual Status MarkPosition(uint64_t lsn) = 0;

  // The last record applied, on the disk or not.
  virtual uint64_t AppliedLsn() const = 0;
  // Everything up to this record is proven to be on the disk.
  virtual uint64_t FlushedLsn() const = 0;
  // Brings what is applied to the disk and waits for the proof.
  virtual Status Flush() = 0;

  // Returns the bytes on the disk between the bounds, roughly.
  virtual uint64_t ApproximateSize(const EngineRange& range) = 0;
  virtual EngineStats Stats() = 0;
  // Whether a write now would have to wait.  Cheap; the commit leader looks before each append.
  virtual bool IsStalled() = 0;

  // OK, or the error after which every write fails until Reopen().
  virtual Status Health() const = 0;
  // Closes and opens the store without ending the process.  It has forgotten what its memory held:
  // `recover` sees to that, and only then does the store serve again.  Readers meanwhile get
  // kUnavailable.  A store whose folder takes no writes stays open, and is read as before.
  //   kBusy: iterators or snapshots still hold the old store; call again
  //   kIoError: the folder takes no writes, or (readers get this error) the store cannot be opened
  virtual Status Reopen(const Recover& recover) = 0;
  // Flushes and closes.  Later calls fail with kUnavailable.
  virtual Status Close() = 0;
};

}  // namespace kvs
