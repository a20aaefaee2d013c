#include "storage_node/binlog/binlog_writer.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>

#include "common/base/fault_point.h"
#include "common/base/file.h"
#include "storage_node/binlog/binlog_segment.h"

namespace kvs {

// A file of the log.  `size` belongs to append_mu_; the rest changes only under both mutexes.
struct BinlogWriter::Segment {
  UniqueFd fd;  // Not valid in closed segments.
  uint64_t first_lsn = 0;
  uint64_t size = 0;
};

BinlogWriter::BinlogWriter(const BinlogWriterOptions& options, uint64_t next_lsn)
    : options_(options), appended_lsn_(next_lsn - 1), synced_lsn_(next_lsn - 1) {}

BinlogWriter::~BinlogWriter() = default;

Result<std::unique_ptr<BinlogWriter>> BinlogWriter::Open(const BinlogWriterOptions& options,
                                                         uint64_t next_lsn) {
  KVS_CHECK(next_lsn > 0);
  BinlogWriterOptions filled = options;
  if (!filled.sync_file) {
    filled.sync_file = [](int fd) { return ::fdatasync(fd); };
  }
  KVS_RETURN_IF_ERROR(CreateDirs(filled.dir));
  KVS_RETURN_IF_ERROR(RemovePreparedSegment(filled.dir));
  std::unique_ptr<BinlogWriter> writer(new BinlogWriter(filled, next_lsn));
  KVS_RETURN_IF_ERROR(writer->OpenSegments(next_lsn));
  return writer;
}

Status BinlogWriter::OpenSegments(uint64_t next_lsn) {
  MutexLock sync_lock(&sync_mu_);
  MutexLock append_lock(&append_mu_);
  KVS_ASSIGN_OR_RETURN(const std::vector<uint64_t> segments, ListSegments(options_.dir));
  for (const uint64_t first_lsn : segments) {
    auto segment = std::make_shared<Segment>();
    segment->first_lsn = first_lsn;
    KVS_ASSIGN_OR_RETURN(segment->size, FileSize(SegmentPath(options_.dir, first_lsn)));
    closed_.push_back(std::move(segment));
  }
  if (closed_.empty()) {
    KVS_ASSIGN_OR_RETURN(UniqueFd fd, PrepareSegment(options_.dir));
    KVS_RETURN_IF_ERROR(SwitchTo(std::move(fd)));
    KVS_RETURN_IF_ERROR(SyncDir(options_.dir));
    dir_dirty_ = false;
    return Status::Ok();
  }
  current_ = closed_.back();
  closed_.pop_back();
  if (current_->first_lsn > next_lsn) {
    return Status::Corruption(
        fmt::format("binlog segment {} begins after record {}", current_->first_lsn, next_lsn));
  }
  const std::string path = SegmentPath(options_.dir, current_->first_lsn);
  current_->fd.reset(::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  return current_->fd.valid() ? Status::Ok()
                              : Status::FromErrno(fmt::format("open '{}'", path), errno);
}

Status BinlogWriter::Append(std::string_view encoded_records, uint64_t first_lsn,
                            uint64_t last_lsn) {
  MutexLock lock(&append_mu_);
  KVS_RETURN_IF_ERROR(refusal_);
  KVS_CHECK(first_lsn == appended_lsn() + 1);
  KVS_CHECK(first_lsn <= last_lsn);
  KVS_RETURN_IF_ERROR(WriteOrCut(encoded_records));
  current_->size += encoded_records.size();
  appended_lsn_.store(last_lsn, std::memory_order_release);
  return Status::Ok();
}

// Leaves all of `bytes` behind the file's old end, or none of them.
Status BinlogWriter::WriteOrCut(std::string_view bytes) {
  if (KVS_FAULT_POINT("binlog.before_append")) {
    return Status::IoError("binlog: fault point before_append");
  }
  const std::string path = SegmentPath(options_.dir, current_->first_lsn);
  Status written;
  if (KVS_FAULT_POINT("binlog.short_append")) {
    written = WriteFully(current_->fd.get(), bytes.substr(0, bytes.size() / 2), path);
    written = Status::IoError("binlog: fault point short_append");
  } else {
    written = WriteFully(current_->fd.get(), bytes, path);
  }
  if (written.ok() && KVS_FAULT_POINT("binlog.after_append")) {
    written = Status::IoError("binlog: fault point after_append");
  }
  if (written.ok()) {
    return written;
  }
  const bool stuck = KVS_FAULT_POINT("binlog.cut");
  if (stuck || ::ftruncate(current_->fd.get(), static_cast<off_t>(current_->size)) != 0) {
    return Poison(Status::IoError(
        fmt::format("a failed append could not be cut off '{}' ({})", path, written.message())));
  }
  return written;
}

Status BinlogWriter::Poison(const Status& cause) {
  if (refusal_.ok()) {
    refusal_ = Status::Misconf(
        fmt::format("the binlog refuses writes until a restart: {}", cause.message()));
  }
  return refusal_;
}

Status BinlogWriter::Health() const {
  MutexLock lock(&append_mu_);
  return refusal_;
}

Status BinlogWriter::Sync() {
  MutexLock lock(&sync_mu_);
  return SyncLocked();
}

Status BinlogWriter::EnsureSynced(uint64_t lsn) {
  if (lsn <= synced_lsn()) {
    return Status::Ok();
  }
  MutexLock lock(&sync_mu_);
  if (lsn <= synced_lsn()) {
    return Status::Ok();  // Somebody else's fsync covered it.
  }
  KVS_CHECK(lsn <= appended_lsn());
  return SyncLocked();
}

// Syncing the current segment is enough: it was started only after its predecessor was synced.
Status BinlogWriter::SyncLocked() {
  std::shared_ptr<Segment> segment;
  uint64_t target = 0;
  {
    MutexLock lock(&append_mu_);
    KVS_RETURN_IF_ERROR(refusal_);
    segment = current_;
    target = appended_lsn();
  }
  if (target <= synced_lsn()) {
    return Status::Ok();
  }
  const Status synced = SyncSegment(*segment);
  if (!synced.ok()) {
    MutexLock lock(&append_mu_);
    return Poison(synced);
  }
  (void)KVS_FAULT_POINT("binlog.after_sync");
  synced_lsn_.store(target, std::memory_order_release);
  return Status::Ok();
}

Status BinlogWriter::SyncSegment(const Segment& segment) {
  if (KVS_FAULT_POINT("binlog.sync")) {
    return Status::IoError("fault point sync");
  }
  if (options_.sync_file(segment.fd.get()) != 0) {
    return Status::FromErrno(fmt::format("sync '{}'", SegmentPath(options_.dir, segment.first_lsn)),
                             errno);
  }
  if (dir_dirty_) {
    KVS_RETURN_IF_ERROR(SyncDir(options_.dir));  // The segment's name.
    dir_dirty_ = false;
  }
  return Status::Ok();
}

Status BinlogWriter::RotateIfFull() {
  constexpr int kTries = 4;
  MutexLock lock(&sync_mu_);
  for (int i = 0; i < kTries; ++i) {
    KVS_ASSIGN_OR_RETURN(const bool done, TryRotate(false));
    if (done) {
      return Status::Ok();
    }
  }
  KVS_ASSIGN_OR_RETURN(const bool done, TryRotate(true));
  static_cast<void>(done);  // Not yet twice the size: a later call will find its moment.
  return Status::Ok();
}

// Syncs, and switches if nothing was appended meanwhile.  With `force` the leader is held for the
// rest, if the segment has outgrown its size twice.  Returns true if there is no more to do.
Result<bool> BinlogWriter::TryRotate(bool force) {
  {
    MutexLock lock(&append_mu_);
    KVS_RETURN_IF_ERROR(refusal_);
    const bool has_records = current_->first_lsn <= appended_lsn();
    if (current_->size < options_.segment_size || !has_records) {
      return true;
    }
  }
  if (KVS_FAULT_POINT("binlog.rotate")) {
    return Status::IoError("binlog: fault point rotate");
  }
  if (!prepared_.valid()) {
    KVS_ASSIGN_OR_RETURN(prepared_, PrepareSegment(options_.dir));
  }
  (void)KVS_FAULT_POINT("binlog.segment_prepared");
  KVS_RETURN_IF_ERROR(SyncLocked());

  MutexLock lock(&append_mu_);
  KVS_RETURN_IF_ERROR(refusal_);
  if (appended_lsn() != synced_lsn()) {
    if (!force || current_->size < 2 * options_.segment_size) {
      return false;
    }
    const Status synced = SyncSegment(*current_);
    if (!synced.ok()) {
      return Poison(synced);
    }
    synced_lsn_.store(appended_lsn(), std::memory_order_release);
  }
  KVS_RETURN_IF_ERROR(SwitchTo(std::move(prepared_)));
  return true;
}

// REQUIRES: everything appended is synced
Status BinlogWriter::SwitchTo(UniqueFd prepared) {
  const uint64_t first_lsn = appended_lsn() + 1;
  KVS_RETURN_IF_ERROR(NamePreparedSegment(options_.dir, first_lsn));
  (void)KVS_FAULT_POINT("binlog.segment_named");
  dir_dirty_ = true;
  if (current_ != nullptr) {
    // A Sync() that still holds the segment cannot exist: it would hold sync_mu_.
    current_->fd.reset();
    closed_.push_back(std::move(current_));
  }
  current_ = std::make_shared<Segment>();
  current_->fd = std::move(prepared);
  current_->first_lsn = first_lsn;
  current_->size = kBinlogSegmentHeaderSize;
  return Status::Ok();
}

std::string BinlogWriter::FirstRemovable(uint64_t up_to_lsn, const BinlogRetention& keep) const {
  std::string path;
  {
    MutexLock lock(&append_mu_);
    if (closed_.empty()) {
      return "";
    }
    const uint64_t next = closed_.size() > 1 ? closed_[1]->first_lsn : current_->first_lsn;
    if (next - 1 > up_to_lsn || TotalBytesLocked() - closed_.front()->size < keep.bytes) {
      return "";
    }
    path = SegmentPath(options_.dir, closed_.front()->first_lsn);
  }
  if (keep.written_after_ms >= 0) {
    const Result<int64_t> written_ms = ModifiedMillis(path);
    if (written_ms.ok() && *written_ms > keep.written_after_ms) {
      return "";
    }
  }
  return path;
}

// Each removal is durable before the next, so that a crash never leaves a gap.
Result<int> BinlogWriter::Purge(uint64_t up_to_lsn, const BinlogRetention& keep) {
  MutexLock sync_lock(&sync_mu_);
  for (int removed = 0;; ++removed) {
    const std::string path = FirstRemovable(up_to_lsn, keep);
    if (path.empty()) {
      return removed;
    }
    (void)KVS_FAULT_POINT("purge.before_remove");
    const Status gone = RemoveFile(path);
    (void)KVS_FAULT_POINT("purge.after_remove");
    if (!gone.ok() && gone.code() != Code::kNotFound) {
      return gone;
    }
    KVS_RETURN_IF_ERROR(SyncDir(options_.dir));
    dir_dirty_ = false;
    MutexLock lock(&append_mu_);
    closed_.erase(closed_.begin());
  }
}

uint64_t BinlogWriter::FirstLsn() const {
  MutexLock lock(&append_mu_);
  return closed_.empty() ? current_->first_lsn : closed_.front()->first_lsn;
}

uint64_t BinlogWriter::TotalBytes() const {
  MutexLock lock(&append_mu_);
  return TotalBytesLocked();
}

uint64_t BinlogWriter::BytesBehind(uint64_t lsn) const {
  MutexLock lock(&append_mu_);
  uint64_t bytes = 0;
  for (size_t i = closed_.size(); i-- > 0;) {
    const uint64_t next = i + 1 < closed_.size() ? closed_[i + 1]->first_lsn : current_->first_lsn;
    if (next - 1 <= lsn) {
      break;
    }
    bytes += closed_[i]->size;
  }
  const bool in_current = appended_lsn() > lsn && appended_lsn() >= current_->first_lsn;
  return bytes + (in_current ? current_->size : 0);
}

uint64_t BinlogWriter::TotalBytesLocked() const {
  uint64_t total = current_->size;
  for (const auto& segment : closed_) {
    total += segment->size;
  }
  return total;
}

}  // namespace kvs
