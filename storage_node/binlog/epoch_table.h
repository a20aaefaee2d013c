// EpochTable: which epoch wrote which part of the log, as (epoch, first LSN) pairs.
//
// Two logs agree up to the place where their tables branch, so a returning master finds by it what
// it must discard.  The table is saved before the first record of a new epoch is appended; entries
// past the end of the log are dropped at recovery, and what a scan sees is added.
//
// Threads: one owner.
// Owner:   whoever appends epoch records.
// Format:  doc/formats/binlog.md

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"

namespace kvs {

class EpochTable {
 public:
  struct Entry {
    uint64_t epoch = 0;
    uint64_t first_lsn = 0;
    bool operator==(const Entry&) const = default;
  };

  // Notes that records from `first_lsn` on are of `epoch`; does nothing if that is known.  An
  // epoch that was to begin at the same record, and so never wrote one, is replaced.
  // kInvalidArgument: epoch or LSN would run backwards
  Status Add(uint64_t epoch, uint64_t first_lsn);
  // Drops the entries that begin after `last_lsn`.
  void TruncateAfter(uint64_t last_lsn);
  // Returns the epoch of record `lsn`, or 0 if the table begins later.
  uint64_t EpochAt(uint64_t lsn) const;
  const std::vector<Entry>& entries() const { return entries_; }

  std::string Format() const;
  // kCorruption: not such a text or a wrong checksum
  static Result<EpochTable> Parse(std::string_view text);

  // The file EPOCHS in the binlog's folder.  Load returns an empty table if there is none.
  Status Save(const std::string& dir) const;
  static Result<EpochTable> Load(const std::string& dir);

 private:
  std::vector<Entry> entries_;
};

}  // namespace kvs
