// SlowTurn: what the slow log is to hear of a session's turn when it is known how long the commit
// and the fsync took.
//
// A command that was slow by itself is in the slow log already; its entry gets the times added.  Of
// the others one is remembered, the first, to stand for the turn if it was the log that was slow.
//
// Threads: loop-owned.
// Owner:   NodeSession; while the turn waits for the log, its gate.

#pragma once

#include <vector>

#include "common/service/diagnostics.h"

namespace kvs {

class SlowTurn {
 public:
  bool empty() const { return sample_.spec() == nullptr && ids_.empty(); }
  // `id` is that of the command's entry, or kNoEntry.
  void OnCommand(const CommandSpec& spec, CommandArgs args, const StageTimes& times, int64_t id);
  // Tells the diagnostics, and is empty again.
  void Settle(Diagnostics* diagnostics, const ClientInfo& client, Clock* clock,
              int64_t commit_micros, int64_t fsync_micros);

 private:
  CommandSample sample_;
  StageTimes times_;  // Of the sample.
  std::vector<int64_t> ids_;
};

}  // namespace kvs
