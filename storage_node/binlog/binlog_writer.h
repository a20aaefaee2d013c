// BinlogWriter appends records to the log, makes them durable, starts and purges segments.
//
// Appending and syncing are two jobs of two threads.  The commit leader appends (a write into the
// page cache); the binlog thread calls Sync() and RotateIfFull().  An engine that is about to sync
// a table calls EnsureSynced() from its own thread, so that data is never durable before its log.
// A segment is fsynced before the first record of its successor is written; therefore syncing the
// current file makes everything before it durable.
//
// Failures: an append that fails is cut off the file and leaves no trace; when even that fails, or
// when an fsync fails (the kernel may have dropped the pages, so a second one proves nothing), the
// writer refuses everything until the process restarts.
//
// Threads: thread-safe.  Append() calls must be ordered by the caller (one commit leader at a
// time);
//          lock order: sync_mu_ before append_mu_.
// Owner:   the node; outlives the engines that hold EnsureSynced().
// Format:  doc/formats/binlog.md

#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/base/unique_fd.h"

namespace kvs {

struct BinlogWriterOptions {
  std::string dir;
  // A segment that has reached this size gets a successor at the next RotateIfFull().
  uint64_t segment_size = uint64_t{64} << 20;
  // Makes the data of a file durable; returns 0, or -1 and errno.  Tests replace it.
  std::function<int(int fd)> sync_file = {};
};

// What is kept of the log although no engine needs it: slaves and backups may.
struct BinlogRetention {
  uint64_t bytes = 0;             // At least so many, in whole segments.
  int64_t written_after_ms = -1;  // Segments that were written to after this wall time; -1: none.
};

class BinlogWriter {
 public:
  // Goes on with the last segment in the folder, or makes the first one.
  // REQUIRES: RecoverBinlog() has cut the log to next_lsn - 1 and synced it (or it is empty)
  static Result<std::unique_ptr<BinlogWriter>> Open(const BinlogWriterOptions& options,
                                                    uint64_t next_lsn);
  ~BinlogWriter();
  BinlogWriter(const BinlogWriter&) = delete;
  BinlogWriter& operator=(const BinlogWriter&) = delete;

  // Appends encoded records first_lsn..last_lsn with one write.
  //   kIoError: nothing was appended; the caller may try again with the same LSNs
  //   kMisconf: the writer refuses until restart; the message says why
  // REQUIRES: first_lsn == appended_lsn() + 1, first_lsn <= last_lsn
  Status Append(std::string_view encoded_records, uint64_t first_lsn, uint64_t last_lsn);

  // Makes everything appended before the call durable.  kMisconf: it is not, and never will be.
  Status Sync();
  // As Sync(), unless `lsn` is durable already.  REQUIRES: lsn <= appended_lsn()
  Status EnsureSynced(uint64_t lsn);

  // Starts a new segment if the current one has reached the segment size.  Waits for a moment in
  // which everything is synced, so that the leader does not have to; only a segment that has grown
  // to twice the size is closed while the leader waits.
  Status RotateIfFull();

  // Removes the segments whose every record is at or below `up_to_lsn` and that `keep` does not
  // ask for, oldest first, never the current one.  Returns how many.
  Result<int> Purge(uint64_t up_to_lsn, const BinlogRetention& keep = {});
  // Whether Purge() would remove anything.
  bool CanPurge(uint64_t up_to_lsn, const BinlogRetention& keep) const {
    return !FirstRemovable(up_to_lsn, keep).empty();
  }

  uint64_t appended_lsn() const { return appended_lsn_.load(std::memory_order_acquire); }
  uint64_t synced_lsn() const { return synced_lsn_.load(std::memory_order_acquire); }
  // Returns the first LSN that the log still has (or will have).
  uint64_t FirstLsn() const;
  // Returns the bytes of all segments but those that other processes wrote meanwhile.
  uint64_t TotalBytes() const;
  // Returns the bytes of the segments that hold records behind `lsn`.
  uint64_t BytesBehind(uint64_t lsn) const;
  // OK, or why the writer refuses.
  Status Health() const;

 private:
  struct Segment;

  BinlogWriter(const BinlogWriterOptions& options, uint64_t next_lsn);

  Status OpenSegments(uint64_t next_lsn);
  Status SyncLocked() KVS_REQUIRES(sync_mu_);
  Status SyncSegment(const Segment& segment) KVS_REQUIRES(sync_mu_);
  Status WriteOrCut(std::string_view bytes) KVS_REQUIRES(append_mu_);
  Status SwitchTo(UniqueFd prepared) KVS_REQUIRES(sync_mu_, append_mu_);
  Result<bool> TryRotate(bool force) KVS_REQUIRES(sync_mu_);
  // Returns the path of the oldest segment if it may go, else "".
  std::string FirstRemovable(uint64_t up_to_lsn, const BinlogRetention& keep) const;
  uint64_t TotalBytesLocked() const KVS_REQUIRES(append_mu_);
  Status Poison(const Status& cause) KVS_REQUIRES(append_mu_);

  const BinlogWriterOptions options_;
  std::atomic<uint64_t> appended_lsn_;
  std::atomic<uint64_t> synced_lsn_;

  // Held during an fsync; one at a time.
  Mutex sync_mu_;
  UniqueFd prepared_ KVS_GUARDED_BY(sync_mu_);
  bool dir_dirty_ KVS_GUARDED_BY(sync_mu_) = false;

  // Held during a write into the page cache, never during an fsync but the forced one of a
  // rotation.
  mutable Mutex append_mu_;
  Status refusal_ KVS_GUARDED_BY(append_mu_);
  std::shared_ptr<Segment> current_ KVS_GUARDED_BY(append_mu_);
  // The closed ones, ascending.
  std::vector<std::shared_ptr<Segment>> closed_ KVS_GUARDED_BY(append_mu_);
};

}  // namespace kvs
