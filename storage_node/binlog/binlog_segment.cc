#include "storage_node/binlog/binlog_segment.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>
#include <cstdio>

#include "common/base/coding.h"
#include "common/base/crc32c.h"
#include "common/base/file.h"
#include "common/base/strings.h"

namespace kvs {
namespace {

constexpr std::string_view kMagic("KVSBLOG\0", 8);
constexpr size_t kDigits = 20;
constexpr std::string_view kSuffix = ".log";

std::string PreparedPath(const std::string& dir) {
  return dir + "/next.tmp";
}

}  // namespace

std::string EncodeSegmentHeader() {
  std::string header(kMagic);
  PutFixed32(&header, kBinlogVersion);
  PutFixed32(&header, Crc32c(header));
  KVS_CHECK(header.size() == kBinlogSegmentHeaderSize);
  return header;
}

Status CheckSegmentHeader(std::string_view bytes) {
  if (bytes.size() < kBinlogSegmentHeaderSize || bytes.substr(0, kMagic.size()) != kMagic) {
    return Status::Corruption("binlog segment: no header");
  }
  if (Crc32c(bytes.substr(0, kMagic.size() + 4)) != DecodeFixed32(bytes.data() + 12)) {
    return Status::Corruption("binlog segment: header checksum mismatch");
  }
  const uint32_t version = DecodeFixed32(bytes.data() + 8);
  if (version != kBinlogVersion) {
    return Status::Unsupported(
        fmt::format("binlog segment: version {}, this release reads {}", version, kBinlogVersion));
  }
  return Status::Ok();
}

std::string SegmentName(uint64_t first_lsn) {
  return fmt::format("{:020}{}", first_lsn, kSuffix);
}

bool ParseSegmentName(std::string_view name, uint64_t* first_lsn) {
  if (name.size() != kDigits + kSuffix.size() || name.substr(kDigits) != kSuffix) {
    return false;
  }
  std::string_view digits = name.substr(0, kDigits);
  while (digits.size() > 1 && digits.front() == '0') {
    digits.remove_prefix(1);
  }
  return ParseUint64(digits, first_lsn) && *first_lsn > 0;
}

std::string SegmentPath(const std::string& dir, uint64_t first_lsn) {
  return dir + "/" + SegmentName(first_lsn);
}

Result<std::vector<uint64_t>> ListSegments(const std::string& dir) {
  std::vector<uint64_t> segments;
  Result<std::vector<std::string>> names = ListDir(dir);
  if (!names.ok()) {
    if (names.status().code() == Code::kNotFound) {
      return segments;
    }
    return names.status();
  }
  for (const std::string& name : *names) {
    uint64_t first_lsn = 0;
    if (ParseSegmentName(name, &first_lsn)) {
      segments.push_back(first_lsn);  // ListDir sorts, and 20 digits sort as numbers.
    }
  }
  return segments;
}

Result<UniqueFd> PrepareSegment(const std::string& dir) {
  const std::string path = PreparedPath(dir);
  UniqueFd fd(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, mode_t{0644}));
  if (!fd.valid()) {
    return Status::FromErrno(fmt::format("create '{}'", path), errno);
  }
  KVS_RETURN_IF_ERROR(WriteFully(fd.get(), EncodeSegmentHeader(), path));
  if (::fsync(fd.get()) != 0) {
    return Status::FromErrno(fmt::format("sync '{}'", path), errno);
  }
  return fd;
}

Status NamePreparedSegment(const std::string& dir, uint64_t first_lsn) {
  const std::string path = SegmentPath(dir, first_lsn);
  if (std::rename(PreparedPath(dir).c_str(), path.c_str()) != 0) {
    return Status::FromErrno(fmt::format("rename to '{}'", path), errno);
  }
  return Status::Ok();
}

Status RemovePreparedSegment(const std::string& dir) {
  const Status removed = RemoveFile(PreparedPath(dir));
  return removed.code() == Code::kNotFound ? Status::Ok() : removed;
}

}  // namespace kvs
