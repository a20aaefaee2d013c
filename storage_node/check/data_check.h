// CheckData: reads a whole data directory and says what is wrong with it.
//
// It reads every record of the log and of the engines, against their checksums and against each
// other: the log is whole and reaches as far as the engines need, every engine key is where it
// belongs and can be decoded, the expiry index has exactly the keys that expire, the slots'
// counts are what a count gives, and the records of a list, a set, a sorted set, a stream or a
// string in chunks agree with each other.  Of libraries of functions it looks at the records, and
// does not run them.  The tail of the log that the engines have not got yet is looked at as a start
// would replay it.  What passes is served right by a node.
//
// The log is not changed.  LevelDB, when it is opened, may rewrite its MANIFEST and merge tables,
// as at any start of the node.
//
// Threads: one thread; locks the directory, so no node runs on it meanwhile.
// Owner:   `kv_node --check`, tests.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/status.h"

namespace kvs {

struct DataCheckReport {
  std::vector<std::string> problems;  // The first kMaxListedProblems of them.
  uint64_t problem_count = 0;
  std::vector<std::string> notes;  // What is worth knowing and is not wrong.

  uint64_t first_lsn = 0;  // Of the log.
  uint64_t last_lsn = 0;
  uint64_t replay_records = 0;  // A start would replay so many.
  uint64_t keys = 0;
  uint64_t expires = 0;       // Keys that have an expiry.
  uint64_t dead_records = 0;  // Of flushed slots, not swept yet.
  uint64_t libraries = 0;     // Of functions.
  uint64_t bytes = 0;         // Of keys and values read, uncompressed.

  bool ok() const { return problem_count == 0; }
};

inline constexpr uint64_t kMaxListedProblems = 100;

// Returns what was found, or an error if nothing can be looked at:
//   kNotFound: no data directory; kBusy: a process uses it; kUnsupported: of another release
Result<DataCheckReport> CheckData(const std::string& dir);

// Returns the report as lines of text, the verdict last.
std::string FormatDataCheck(const std::string& dir, const DataCheckReport& report);

}  // namespace kvs
