// Takes what a Txn has noted for clients that track keys to the hub that knows them.
//
// Threads: pure functions.

#pragma once

#include "common/tracking/tracking_hub.h"
#include "storage_node/commit/txn.h"

namespace kvs {

// REQUIRES: what the Txn has written can be seen, or is lost
void TellTrackedWrites(Txn::TrackedWrites tracked, TrackingHub* hub);

}  // namespace kvs
