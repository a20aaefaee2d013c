// Names and headers of the binlog's files.
//
// A segment is named after the LSN of its first record.  It gets its name by a rename after its
// header is on the disk, so a file with a segment's name always has a whole header; anything else
// is damage.
//
// Threads: free functions, thread-safe.
// Owner:   the caller.
// Format:  doc/formats/binlog.md

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "common/base/unique_fd.h"

namespace kvs {

inline constexpr uint32_t kBinlogVersion = 1;
inline constexpr size_t kBinlogSegmentHeaderSize = 8 + 4 + 4;

// Where something stands in the log.
struct BinlogPlace {
  uint64_t segment_lsn = 0;  // The segment's name.
  uint64_t offset = 0;       // From the start of the file.
};

std::string EncodeSegmentHeader();
// kCorruption: not a segment header; kUnsupported: a version of a newer release.
Status CheckSegmentHeader(std::string_view bytes);

// Returns "00000000000000000042.log" for 42.
std::string SegmentName(uint64_t first_lsn);
// Returns false if `name` is not a segment's name.
bool ParseSegmentName(std::string_view name, uint64_t* first_lsn);
std::string SegmentPath(const std::string& dir, uint64_t first_lsn);

// Returns the first LSNs of the segments in `dir`, ascending; empty if the folder does not exist.
Result<std::vector<uint64_t>> ListSegments(const std::string& dir);

// Writes the successor under a temporary name, header synced, open for appending.  Its LSN need not
// be known yet.
Result<UniqueFd> PrepareSegment(const std::string& dir);
// Gives the prepared segment its name.  The name is durable after the next SyncDir(dir).
Status NamePreparedSegment(const std::string& dir, uint64_t first_lsn);
// Removes what a crash between the two left behind.
Status RemovePreparedSegment(const std::string& dir);

}  // namespace kvs
