// BinlogSession: whether the log may have lost acknowledged records from the page cache.
//
// A killed process loses nothing that was written: the page cache lives on.  A machine that went
// down may have lost whatever was not fsynced, and a log cut short that way looks whole.  So the
// file SESSION keeps the kernel's boot id, the sync policy, and a mark of a clean stop.
//
// Threads: free functions; a BinlogSession is a value.
// Owner:   the node: Begin at start after recovery, End after the last sync.
// Format:  doc/formats/binlog.md

#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/base/status.h"

namespace kvs {

struct BinlogSession {
  std::string boot_id = {};
  bool clean = false;          // The log was synced and closed.
  bool sync_always = false;    // Nothing was acknowledged before its fsync.
  bool short_suspect = false;  // Stays until a full sync or a committed resume clears it.

  bool operator==(const BinlogSession&) const = default;
};

// Returns whether a log left behind by `last` (none: no file although there are segments) may be
// shorter than what it acknowledged, on a machine whose kernel now has `boot_id`.
bool IsShortSuspect(const std::optional<BinlogSession>& last, std::string_view boot_id);

std::string FormatBinlogSession(const BinlogSession& session);
Result<BinlogSession> ParseBinlogSession(std::string_view text);

// kNotFound: there is no such file
Result<BinlogSession> LoadBinlogSession(const std::string& dir);
Status SaveBinlogSession(const std::string& dir, const BinlogSession& session);

// Returns the running kernel's boot id.
Result<std::string> ReadBootId();

}  // namespace kvs
