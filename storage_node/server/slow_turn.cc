#include "storage_node/server/slow_turn.h"

namespace kvs {
namespace {

// Of one turn.  The others keep the times that they have.
constexpr size_t kMaxEntries = 128;

}  // namespace

void SlowTurn::OnCommand(const CommandSpec& spec, CommandArgs args, const StageTimes& times,
                         int64_t id) {
  if (id != Diagnostics::kNoEntry) {
    if (ids_.size() < kMaxEntries) {
      ids_.push_back(id);
    }
  } else if (sample_.spec() == nullptr) {
    sample_.Take(spec, args);
    times_ = times;
  }
}

void SlowTurn::Settle(Diagnostics* diagnostics, const ClientInfo& client, Clock* clock,
                      int64_t commit_micros, int64_t fsync_micros) {
  for (const int64_t id : ids_) {
    diagnostics->slow_log.AddTimes(id, commit_micros, fsync_micros);
  }
  times_.commit += commit_micros;
  times_.fsync += fsync_micros;
  if (ids_.empty()) {
    diagnostics->OnCommand(sample_, times_, client, clock);
  }
  diagnostics->OnEvent("commit", commit_micros, clock);
  diagnostics->OnEvent("fsync", fsync_micros, clock);
  sample_.Clear();
  ids_.clear();
}

}  // namespace kvs
