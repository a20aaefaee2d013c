// TrackingSettings: what a client has asked for by CLIENT TRACKING, and by CLIENT CACHING for the
// command that comes next.
//
// A client that keeps copies of values is told when they may be out of date: of the keys that it
// has read, or with BCAST of all keys that begin with one of its prefixes.
//
// Threads: a value; pure functions.

#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"

namespace kvs {

struct TrackingSettings {
  bool on = false;
  bool bcast = false;
  bool opt_in = false;   // Only the reads behind CACHING YES.
  bool opt_out = false;  // All reads but those behind CACHING NO.
  bool no_loop = false;  // Not what the client writes itself.
  int64_t redirect = 0;  // The connection that is told instead; 0: none.
  using Prefixes = std::set<std::string, std::less<>>;
  Prefixes prefixes = {};  // With bcast.

  // CACHING YES or NO was said, and counts for the command that comes next.
  bool caching = false;

  // Whether the keys that the command reads are to be remembered.
  bool TracksReads() const {
    return on && !bcast && (opt_in ? caching : opt_out ? !caching : true);
  }
};

// The most that one client may ask for.
inline constexpr size_t kMaxTrackingPrefixes = 1024;
inline constexpr size_t kMaxTrackingPrefixBytes = size_t{1} << 20;

// Returns what is in force after CLIENT TRACKING ON with these words; `provided` are those behind
// PREFIX, in their order.
//   kInvalidArgument: what the words, or `before` with them, contradict, in Redis's words
Result<TrackingSettings> TurnTrackingOn(const TrackingSettings& before, TrackingSettings wanted,
                                        const std::vector<std::string_view>& provided);
// Says that the next command is, or is not, to be remembered.
//   kInvalidArgument: in Redis's words
Status SetCaching(bool yes, TrackingSettings* settings);

}  // namespace kvs
