#include "storage_node/binlog/binlog_recovery.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "common/base/coding.h"
#include "common/base/fault_point.h"
#include "common/base/file.h"
#include "common/base/logging.h"
#include "common/base/unique_fd.h"
#include "storage_node/binlog/binlog_reader.h"
#include "storage_node/binlog/binlog_record.h"
#include "storage_node/binlog/binlog_session.h"

namespace kvs {
namespace {

// A value may hold what looks like fragment headers, and each look costs a checksum of up to 1 MiB.
// Past this many bytes for each byte searched we stop and say that we cannot tell.
constexpr uint64_t kSearchBudgetFactor = 16;
constexpr uint64_t kSearchBudgetFloor = uint64_t{64} << 20;

// Looks for whole first fragments of records after `bad_lsn` anywhere in `bytes`, and notes the
// highest synced LSN in their stamps.  An LSN can have grown by one a fragment at most, so most
// positions are ruled out without a checksum.
void SearchBehind(std::string_view bytes, uint64_t bad_lsn, BinlogScan* scan) {
  const uint64_t max_lsn = bad_lsn + bytes.size() / kBinlogFragmentHeaderSize + 1;
  uint64_t budget = kSearchBudgetFloor + kSearchBudgetFactor * bytes.size();
  for (; bytes.size() >= kBinlogFragmentHeaderSize; bytes.remove_prefix(1)) {
    const uint64_t size = DecodeFixed32(bytes.data() + 4);
    const uint64_t lsn = DecodeFixed64(bytes.data() + 8);
    const uint32_t index = DecodeFixed32(bytes.data() + 16);
    if (lsn <= bad_lsn || lsn > max_lsn || index != 0 || size > kBinlogMaxFragmentPayload ||
        size > bytes.size() - kBinlogFragmentHeaderSize) {
      continue;
    }
    if (size > budget) {
      scan->search_gave_up = true;
      return;
    }
    budget -= size;
    std::string_view rest = bytes;
    const Result<BinlogFragment> fragment = DecodeBinlogFragment(&rest);
    if (!fragment.ok()) {
      continue;
    }
    const Result<BinlogStamp> stamp = DecodeBinlogStamp(*fragment);
    if (stamp.ok() && stamp->synced_lsn < stamp->lsn) {
      scan->promised_lsn = std::max(scan->promised_lsn, stamp->synced_lsn);
    }
  }
}

// Walks the segments that replay needs and fills in what it sees.
class LogScanner {
 public:
  LogScanner(const std::string& dir, const std::vector<uint64_t>& segments)
      : dir_(dir), segments_(segments) {}

  // Starts with the segment that holds `from_lsn`.
  Status Run(uint64_t from_lsn, RecoveredLog* log, BinlogScan* scan);

 private:
  Status NoteEnd(const BinlogReader& reader, const Status& end, BinlogScan* scan);

  const std::string& dir_;
  const std::vector<uint64_t>& segments_;
};

Status LogScanner::Run(uint64_t from_lsn, RecoveredLog* log, BinlogScan* scan) {
  const auto after = std::upper_bound(segments_.begin(), segments_.end(), from_lsn);
  const uint64_t start = after == segments_.begin() ? segments_.front() : *std::prev(after);
  scan->last_good_lsn = start - 1;
  scan->end = {start, 0};
  Result<std::unique_ptr<BinlogReader>> opened = BinlogReader::Open(dir_, start);
  if (!opened.ok()) {
    const Code code = opened.status().code();
    if (code != Code::kCorruption && code != Code::kUnsupported) {
      return opened.status();
    }
    scan->bad = true;
    scan->header_bad = true;
    scan->newer_release = code == Code::kUnsupported;
    scan->reason = opened.status().message();
    return Status::Ok();
  }
  BinlogReader& reader = **opened;
  while (true) {
    const Result<BinlogRecord> record = reader.Next();
    if (!record.ok()) {
      return NoteEnd(reader, record.status(), scan);
    }
    scan->last_good_lsn = record->stamp.lsn;
    scan->promised_lsn = std::max(scan->promised_lsn, record->stamp.synced_lsn);
    log->last_time_ms = std::max(log->last_time_ms, record->stamp.time_ms);
    if (log->epochs.EpochAt(record->stamp.lsn) != record->stamp.epoch &&
        !log->epochs.Add(record->stamp.epoch, record->stamp.lsn).ok()) {
      scan->end = reader.place();
      scan->bad = true;
      scan->newer_release = true;  // A whole record: never cut what we cannot explain.
      scan->reason = "binlog: the epoch runs backwards";
      return Status::Ok();
    }
  }
}

Status LogScanner::NoteEnd(const BinlogReader& reader, const Status& end, BinlogScan* scan) {
  scan->end = reader.place();
  scan->in_last_segment = scan->end.segment_lsn == segments_.back();
  if (end.code() == Code::kIncomplete && !reader.torn()) {
    return Status::Ok();
  }
  if (end.code() == Code::kIoError) {
    return end;
  }
  scan->bad = true;
  scan->header_bad = scan->end.offset == 0;
  scan->newer_release = end.code() == Code::kUnsupported;
  scan->reason = end.code() == Code::kIncomplete ? "binlog: the file ends inside a record"
                                                 : std::string(end.message());
  if (!scan->in_last_segment || scan->header_bad) {
    return Status::Ok();  // Damage whatever stands behind.
  }
  KVS_ASSIGN_OR_RETURN(const std::string bytes,
                       ReadFile(SegmentPath(dir_, scan->end.segment_lsn), UINT64_MAX));
  SearchBehind(std::string_view(bytes).substr(std::min<size_t>(scan->end.offset, bytes.size())),
               scan->last_good_lsn + 1, scan);
  return Status::Ok();
}

// Cuts `cut_bytes` off the last segment, which ends at `place` then, and makes it and its name
// durable.
Status CutAndSync(const std::string& dir, const BinlogPlace& place, uint64_t cut_bytes) {
  const std::string path = SegmentPath(dir, place.segment_lsn);
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd.valid()) {
    return Status::FromErrno(fmt::format("open '{}'", path), errno);
  }
  if (cut_bytes > 0 && ::ftruncate(fd.get(), static_cast<off_t>(place.offset)) != 0) {
    return Status::FromErrno(fmt::format("cut '{}'", path), errno);
  }
  if (::fsync(fd.get()) != 0) {
    return Status::FromErrno(fmt::format("sync '{}'", path), errno);
  }
  return SyncDir(dir);
}

Status JudgeSession(const std::string& dir, bool has_segments, bool* short_suspect) {
  Result<BinlogSession> last = LoadBinlogSession(dir);
  if (!last.ok() && last.status().code() == Code::kNotFound) {
    *short_suspect = has_segments;
    return Status::Ok();
  }
  if (!last.ok()) {
    return last.status();
  }
  KVS_ASSIGN_OR_RETURN(const std::string boot_id, ReadBootId());
  *short_suspect = IsShortSuspect(*last, boot_id);
  return Status::Ok();
}

// What stands in the folder before anything is done about it.
struct Examined {
  RecoveredLog log;
  BinlogDecision decision;
  std::string reason;                           // Why the log does not go on.
  std::vector<EpochTable::Entry> saved_epochs;  // As in the file.
  bool has_segments = false;
};

Result<Examined> Examine(const std::string& dir, const std::vector<uint64_t>& applied_lsns,
                         uint64_t acknowledged_lsn, bool from_the_first) {
  Examined found;
  RecoveredLog& log = found.log;
  KVS_ASSIGN_OR_RETURN(const std::vector<uint64_t> segments, ListSegments(dir));
  KVS_ASSIGN_OR_RETURN(log.epochs, EpochTable::Load(dir));
  found.saved_epochs = log.epochs.entries();
  found.has_segments = !segments.empty();
  KVS_RETURN_IF_ERROR(JudgeSession(dir, found.has_segments, &log.short_suspect));

  BinlogScan scan;
  scan.acknowledged_lsn = acknowledged_lsn;
  uint64_t min_applied = applied_lsns.empty() ? 0 : UINT64_MAX;
  for (const uint64_t applied : applied_lsns) {
    min_applied = std::min(min_applied, applied);
    scan.max_applied_lsn = std::max(scan.max_applied_lsn, applied);
  }
  if (found.has_segments) {
    log.first_lsn = segments.front();
    const uint64_t from = from_the_first ? segments.front() : min_applied + 1;
    KVS_RETURN_IF_ERROR(LogScanner(dir, segments).Run(from, &log, &scan));
    log.last_lsn = scan.last_good_lsn;
  }
  found.decision = DecideBinlogEnd(scan);
  found.reason = scan.reason;
  if (found.decision.verdict == BinlogVerdict::kDamage) {
    const std::string file =
        found.has_segments ? SegmentPath(dir, found.decision.place.segment_lsn) : dir;
    log.damage = BinlogDamage{file, found.decision.place.offset, found.decision.reason};
  } else if (found.has_segments && !applied_lsns.empty() && min_applied + 1 < log.first_lsn) {
    log.damage = BinlogDamage{SegmentPath(dir, log.first_lsn), 0,
                              fmt::format("an engine needs record {}, the log begins with {}",
                                          min_applied + 1, log.first_lsn)};
  }
  if (found.has_segments && found.decision.verdict != BinlogVerdict::kDamage) {
    log.epochs.TruncateAfter(log.last_lsn);
    log.last_epoch = log.epochs.EpochAt(log.last_lsn);
    KVS_ASSIGN_OR_RETURN(const uint64_t size,
                         FileSize(SegmentPath(dir, found.decision.place.segment_lsn)));
    log.cut_bytes = size - found.decision.place.offset;
  }
  return found;
}

}  // namespace

BinlogDecision DecideBinlogEnd(const BinlogScan& scan) {
  const uint64_t next_lsn = scan.last_good_lsn + 1;
  BinlogDecision decision{BinlogVerdict::kDamage, scan.end, ""};
  if (scan.bad && scan.newer_release) {
    decision.reason = scan.reason;
  } else if (scan.bad && (scan.header_bad || !scan.in_last_segment)) {
    decision.reason = fmt::format("{}, in a segment that was synced", scan.reason);
  } else if (scan.max_applied_lsn >= next_lsn) {
    decision.reason = fmt::format("an engine has applied record {}, the log ends before {}",
                                  scan.max_applied_lsn, next_lsn);
  } else if (scan.acknowledged_lsn >= next_lsn) {
    decision.reason = fmt::format("a slave has acknowledged record {}, the log ends before {}",
                                  scan.acknowledged_lsn, next_lsn);
  } else if (scan.promised_lsn >= next_lsn) {
    decision.reason = fmt::format("{}, and a later record says that {} was synced", scan.reason,
                                  scan.promised_lsn);
  } else if (scan.bad && scan.search_gave_up) {
    decision.reason = fmt::format("{}, and too much behind it looks like records", scan.reason);
  } else {
    decision.verdict = scan.bad ? BinlogVerdict::kCutHere : BinlogVerdict::kCleanEnd;
  }
  return decision;
}

Result<RecoveredLog> RecoverBinlog(const std::string& dir,
                                   const std::vector<uint64_t>& applied_lsns,
                                   uint64_t acknowledged_lsn) {
  KVS_ASSIGN_OR_RETURN(Examined found, Examine(dir, applied_lsns, acknowledged_lsn, false));
  if (!found.has_segments || found.log.damage.has_value()) {
    return found.log;
  }
  (void)KVS_FAULT_POINT("recovery.before_cut");
  KVS_RETURN_IF_ERROR(CutAndSync(dir, found.decision.place, found.log.cut_bytes));
  (void)KVS_FAULT_POINT("recovery.after_cut");
  if (found.log.cut_bytes > 0) {
    KVS_LOG(kWarning, "binlog: cut a torn tail of {} bytes behind record {} ({})",
            found.log.cut_bytes, found.log.last_lsn, found.reason);
  }
  if (found.log.epochs.entries() != found.saved_epochs) {
    KVS_RETURN_IF_ERROR(found.log.epochs.Save(dir));
  }
  return found.log;
}

Result<RecoveredLog> ExamineBinlog(const std::string& dir,
                                   const std::vector<uint64_t>& applied_lsns) {
  KVS_ASSIGN_OR_RETURN(Examined found, Examine(dir, applied_lsns, 0, true));
  return std::move(found.log);
}

}  // namespace kvs
