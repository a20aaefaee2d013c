#include "storage_node/binlog/binlog_reader.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "common/base/file.h"

namespace kvs {
namespace {

constexpr size_t kReadSize = size_t{256} << 10;

// Reads at most `size` bytes at `offset`; returns fewer only at the end of the file.
Result<std::string> ReadAt(int fd, uint64_t offset, size_t size) {
  std::string bytes(size, '\0');
  size_t filled = 0;
  while (filled < size) {
    const ssize_t n =
        ::pread(fd, bytes.data() + filled, size - filled, static_cast<off_t>(offset + filled));
    if (n < 0 && errno != EINTR) {
      return Status::FromErrno("read binlog", errno);
    }
    if (n == 0) {
      break;
    }
    filled += n > 0 ? static_cast<size_t>(n) : 0;
  }
  bytes.resize(filled);
  return bytes;
}

}  // namespace

Result<std::unique_ptr<BinlogReader>> BinlogReader::Open(const std::string& dir,
                                                         uint64_t from_lsn) {
  KVS_ASSIGN_OR_RETURN(const std::vector<uint64_t> segments, ListSegments(dir));
  const auto after = std::upper_bound(segments.begin(), segments.end(), from_lsn);
  if (after == segments.begin()) {
    return Status::NotFound(fmt::format("the log does not reach back to record {}", from_lsn));
  }
  const uint64_t segment = *std::prev(after);
  std::unique_ptr<BinlogReader> reader(new BinlogReader(dir, segment));
  KVS_RETURN_IF_ERROR(reader->OpenSegment(segment));
  KVS_RETURN_IF_ERROR(reader->SkipTo(from_lsn));
  return reader;
}

// Reads over what stands before `from_lsn`.  The log may still end before it.
Status BinlogReader::SkipTo(uint64_t from_lsn) {
  while (next_lsn_ < from_lsn) {
    const Result<BinlogRecord> record = Next(from_lsn - 1);
    if (!record.ok()) {
      return record.status().code() == Code::kIncomplete
                 ? Status::NotFound(fmt::format("the log ends before record {}", from_lsn))
                 : record.status();
    }
  }
  return Status::Ok();
}

Status BinlogReader::OpenSegment(uint64_t first_lsn) {
  const std::string path = SegmentPath(dir_, first_lsn);
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) {
    return errno == ENOENT ? Status::NotFound(fmt::format("no file '{}'", path))
                           : Status::FromErrno(fmt::format("open '{}'", path), errno);
  }
  place_ = {first_lsn, 0};
  KVS_ASSIGN_OR_RETURN(const std::string header, ReadAt(fd.get(), 0, kBinlogSegmentHeaderSize));
  KVS_RETURN_IF_ERROR(CheckSegmentHeader(header));
  fd_ = std::move(fd);
  place_.offset = kBinlogSegmentHeaderSize;
  RewindToPlace();
  return Status::Ok();
}

void BinlogReader::RewindToPlace() {
  buffer_.clear();
  consumed_ = 0;
  file_offset_ = place_.offset;
}

Result<BinlogRecord> BinlogReader::Next(uint64_t limit_lsn) {
  torn_ = false;
  if (next_lsn_ > limit_lsn) {
    return Status::Incomplete();
  }
  if (next_lsn_ > trusted_lsn_) {
    RewindToPlace();  // What is buffered may have been cut off the file since.
    trusted_lsn_ = limit_lsn;
  }
  Result<BinlogRecord> record = ReadRecord();
  if (!record.ok()) {
    RewindToPlace();
    trusted_lsn_ = 0;
    return record;
  }
  ++next_lsn_;
  place_.offset = file_offset_ - (buffer_.size() - consumed_);
  return record;
}

// A record of one fragment is a view into the buffer; a longer one is assembled.
Result<BinlogRecord> BinlogReader::ReadRecord() {
  KVS_ASSIGN_OR_RETURN(BinlogFragment fragment, ReadFragment());
  if (fragment.lsn != next_lsn_) {
    return Status::Corruption(
        fmt::format("binlog: record {} where {} belongs", fragment.lsn, next_lsn_));
  }
  if (fragment.index != 0) {
    return Status::Corruption("binlog record: begins in its middle");
  }
  if (fragment.last) {
    return DecodeBinlogBody(next_lsn_, fragment.payload);
  }
  assembled_.assign(fragment.payload);
  for (uint32_t index = 1; !fragment.last; ++index) {
    KVS_ASSIGN_OR_RETURN(fragment, ReadFragment());
    if (fragment.lsn != next_lsn_ || fragment.index != index) {
      return Status::Corruption("binlog record: a fragment is missing");
    }
    if (assembled_.size() + fragment.payload.size() > kBinlogMaxRecordBytes) {
      return Status::Corruption("binlog record: longer than any record");
    }
    assembled_.append(fragment.payload);
  }
  return DecodeBinlogBody(next_lsn_, assembled_);
}

Result<BinlogFragment> BinlogReader::ReadFragment() {
  while (true) {
    std::string_view rest = std::string_view(buffer_).substr(consumed_);
    Result<BinlogFragment> fragment = DecodeBinlogFragment(&rest);
    if (fragment.ok()) {
      consumed_ = buffer_.size() - rest.size();
      return fragment;
    }
    if (fragment.status().code() != Code::kIncomplete) {
      return fragment;
    }
    KVS_ASSIGN_OR_RETURN(const bool more, FillBuffer());
    if (more) {
      continue;
    }
    KVS_ASSIGN_OR_RETURN(const bool followed, FollowToSuccessor());
    if (!followed) {
      torn_ = file_offset_ > place_.offset;
      return Status::Incomplete();
    }
  }
}

Result<bool> BinlogReader::FillBuffer() {
  buffer_.erase(0, consumed_);
  consumed_ = 0;
  KVS_ASSIGN_OR_RETURN(const std::string bytes, ReadAt(fd_.get(), file_offset_, kReadSize));
  buffer_.append(bytes);
  file_offset_ += bytes.size();
  return !bytes.empty();
}

Result<bool> BinlogReader::FollowToSuccessor() {
  KVS_ASSIGN_OR_RETURN(const std::vector<uint64_t> segments, ListSegments(dir_));
  const auto next = std::upper_bound(segments.begin(), segments.end(), place_.segment_lsn);
  if (next == segments.end()) {
    return false;
  }
  // A writer may have appended here between our read and the birth of the successor.
  KVS_ASSIGN_OR_RETURN(const bool more, FillBuffer());
  if (more) {
    return true;
  }
  if (file_offset_ > place_.offset) {
    return Status::Corruption("binlog: a segment with a successor ends inside a record");
  }
  if (*next != next_lsn_) {
    return Status::Corruption(fmt::format("binlog: segment {} where {} belongs", *next, next_lsn_));
  }
  KVS_RETURN_IF_ERROR(OpenSegment(*next));
  return true;
}

}  // namespace kvs
