// SlowLog: the latest commands that took long, for SLOWLOG.
//
// Loops ask IsSlow() after each command, which is one relaxed load; only a slow command takes the
// lock.
//
// Threads: thread-safe.
// Owner:   Diagnostics.

#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "common/base/mutex.h"
#include "common/command/command_sample.h"

namespace kvs {

// Where the time of a command went, in microseconds.  The stages of a request that a proxy sends to
// nodes follow each other without a gap.
struct StageTimes {
  // Of what is executed here: on a node, and on a proxy what it answers itself.
  int64_t queue = 0;   // In the input, behind the requests of other clients.  Not in total().
  int64_t lock = 0;    // For other threads that held its keys.
  int64_t engine = 0;  // In the command itself: cache, LevelDB, the making of the reply.
  int64_t commit = 0;  // Until it was in the log.
  int64_t fsync = 0;   // From there until the log was as safe as `binlog-sync` wants it.
  // Of what a proxy sends to nodes.
  int64_t client = 0;  // In the session, held back before anything was sent.
  int64_t unsent = 0;  // In the output of the link to the node; shown as `queue`.
  int64_t link = 0;    // Behind earlier requests on the same link.
  int64_t node = 0;    // Until the node had answered.
  int64_t merge = 0;   // Until the replies that were due before it had been written.

  int64_t total() const {
    return lock + engine + commit + fsync + client + unsent + link + node + merge;
  }
  // Without what is no fault of the command: the log's time, and that of the session's order.
  int64_t own() const { return lock + engine + unsent + link + node; }
};

struct SlowLogEntry {
  int64_t id = 0;
  int64_t unix_seconds = 0;
  StageTimes times;
  std::vector<std::string> args;
  std::string address;
  std::string name;
};

class SlowLog {
 public:
  // `slower_than` in microseconds, below 0 for nothing at all.
  void Configure(int64_t slower_than, int64_t max_length) KVS_EXCLUDES(mu_);
  bool IsSlow(int64_t micros) const {
    const int64_t limit = slower_than();
    return limit >= 0 && micros >= limit;
  }
  int64_t slower_than() const { return slower_than_.load(std::memory_order_relaxed); }
  int64_t max_length() const { return max_length_.load(std::memory_order_relaxed); }

  bool enabled() const { return slower_than() >= 0; }

  // Adds an entry and gives it its id, which is never used again.
  int64_t Add(SlowLogEntry entry) KVS_EXCLUDES(mu_);
  // Adds what was not known when the entry was added, if it is still there.
  void AddTimes(int64_t id, int64_t commit, int64_t fsync) KVS_EXCLUDES(mu_);
  // Returns the latest entries, at most `count`, the latest first.
  std::vector<SlowLogEntry> Latest(size_t count) const KVS_EXCLUDES(mu_);
  size_t size() const KVS_EXCLUDES(mu_);
  void Reset() KVS_EXCLUDES(mu_);

 private:
  std::atomic<int64_t> slower_than_{10000};
  std::atomic<int64_t> max_length_{128};
  mutable Mutex mu_;
  int64_t next_id_ KVS_GUARDED_BY(mu_) = 0;
  std::deque<SlowLogEntry> entries_ KVS_GUARDED_BY(mu_);  // The latest first.
};

// Returns the arguments of a request with "(redacted)" for passwords.
std::vector<std::string_view> RedactSecrets(const CommandSpec& spec, CommandArgs args);
// Returns the arguments as an entry has them: the first 32, 128 bytes of each.
std::vector<std::string> SlowLogArguments(const CommandSpec& spec, CommandArgs args);

}  // namespace kvs
