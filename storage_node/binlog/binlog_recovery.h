// Recovery: finds where the log ends after a crash, and tells a torn tail from damage.
//
// Pages that were not fsynced reach the disk in any order, so behind a bad record there may be good
// ones: that is normal and the log is cut at the bad one.  It is damage when somebody knows that
// the bad record had been fsynced: a later valid record that says so in its stamp, an engine that
// has applied it (an engine never gets ahead of the synced log), a slave that acknowledged it, or a
// later segment (started only after its predecessor was fsynced).  Damage is never cut.
//
// Threads: main-only, before a writer is opened.
// Owner:   the caller.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "storage_node/binlog/binlog_segment.h"
#include "storage_node/binlog/epoch_table.h"

namespace kvs {

// What a scan saw; all that the decision knows.
struct BinlogScan {
  uint64_t last_good_lsn = 0;  // The last record before the first bad place or the end.
  BinlogPlace end;             // Where that record ends.

  bool bad = false;               // Something that is not a whole record begins at `end`.
  std::string reason = {};        // What it looks like.
  bool in_last_segment = true;    // Whether `end` is in the last segment.
  bool header_bad = false;        // The segment's header itself is bad.
  bool newer_release = false;     // A whole record that this release cannot read.
  bool search_gave_up = false;    // The search behind the bad place was cut short.
  uint64_t promised_lsn = 0;      // Highest synced LSN in any valid record, behind `end` too.
  uint64_t max_applied_lsn = 0;   // Of the engine instances.
  uint64_t acknowledged_lsn = 0;  // Known to be acknowledged by a slave; 0 if nothing is known.
};

enum class BinlogVerdict : uint8_t { kCleanEnd, kCutHere, kDamage };

struct BinlogDecision {
  BinlogVerdict verdict = BinlogVerdict::kCleanEnd;
  BinlogPlace place;   // Where to cut, or where the damage is.
  std::string reason;  // For damage: one clause for the log.
};

// The rules, without I/O.
BinlogDecision DecideBinlogEnd(const BinlogScan& scan);

struct BinlogDamage {
  std::string file;
  uint64_t offset = 0;
  std::string reason;
};

struct RecoveredLog {
  uint64_t first_lsn = 1;   // Of the oldest segment; last_lsn + 1 if the log has no record.
  uint64_t last_lsn = 0;    // The last whole record; with damage, the last one before it.
  uint64_t last_epoch = 0;  // Of record last_lsn; 0 if unknown.
  uint64_t last_time_ms = 0;
  uint64_t cut_bytes = 0;      // Removed from the last segment, or to be removed by a start.
  bool short_suspect = false;  // See binlog_session.h.
  EpochTable epochs;
  std::optional<BinlogDamage> damage;  // Set: serve reads at most, write nothing.
};

// Scans the segments that the instances may need, from the lowest applied LSN on, cuts a torn tail
// and makes the cut and everything before it durable.  With damage nothing is changed.
// `applied_lsns` has one entry an engine instance; empty stands for "replay everything there is".
// Returns an error only if files cannot be read or cut.
Result<RecoveredLog> RecoverBinlog(const std::string& dir,
                                   const std::vector<uint64_t>& applied_lsns,
                                   uint64_t acknowledged_lsn = 0);

// Scans all segments and returns what RecoverBinlog() would, without changing anything.
Result<RecoveredLog> ExamineBinlog(const std::string& dir,
                                   const std::vector<uint64_t>& applied_lsns);

}  // namespace kvs
