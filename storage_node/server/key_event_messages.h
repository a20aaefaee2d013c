// The messages that tell of a key's event.
//
// Threads: pure functions.

#pragma once

#include <vector>

#include "common/pubsub/subscriptions.h"
#include "storage_node/commit/key_events.h"

namespace kvs {

// Returns them in Redis's order: on the channel of the key, and on that of the event, as far as
// `kinds` asks for them.
std::vector<Message> MessagesOf(KeyEventKinds kinds, KeyEvent event);

}  // namespace kvs
