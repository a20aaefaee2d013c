// The pushes of CLIENT MAINT_NOTIFICATIONS: what a client that asked is told before its connection
// ends, so that it goes elsewhere between two commands and nobody sees an error.
//
// Format: RESP3, [MOVING, number, seconds, "host:port" or null], as Redis Enterprise words it.
//
// Threads: pure functions.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/resp/resp_writer.h"
#include "common/service/connection_commands.h"

namespace kvs {

// A process is about to end.
struct MovingNotice {
  int64_t number = 0;  // The same for all connections, another one at the next occasion.
  int64_t seconds = 0;
  std::string endpoint;  // "host:port"; empty: there is no other than the client knows.
};

// Appends the push for a client, or nothing if it has not asked or does not speak RESP3.  One that
// asked for an address hears nothing if there is none: null is for those that asked for none, and
// node-redis ends its process over it.
inline void AppendMoving(const MovingNotice& notice, const ClientState& client, std::string* out) {
  if (!client.wants_moving() || client.protocol < 3) {
    return;
  }
  const bool wants_address = client.moving == MovingEndpoint::kAddress;
  if (wants_address && notice.endpoint.empty()) {
    return;
  }
  RespWriter push(client.protocol, out);
  push.Push(4);
  push.Bulk("MOVING");
  push.Integer(notice.number);
  push.Integer(notice.seconds);
  if (wants_address) {
    push.Bulk(notice.endpoint);
  } else {
    push.Null();
  }
}

}  // namespace kvs
