#include "storage_node/server/tracked_writes.h"

#include <utility>
#include <vector>

namespace kvs {

void TellTrackedWrites(Txn::TrackedWrites tracked, TrackingHub* hub) {
  if (tracked.everything || tracked.unnoted) {
    // What was not noted may have been read by one who tracks since the command ran.
    return hub->OnEverything();
  }
  if (tracked.writes.empty()) {
    return;
  }
  std::vector<TrackedWrite> writes;
  writes.reserve(tracked.writes.size());
  for (auto& [client, key] : tracked.writes) {
    writes.push_back({client, std::move(key)});
  }
  hub->OnWrites(std::move(writes));
}

}  // namespace kvs
