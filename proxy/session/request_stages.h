// StagesOf: where the time of a request that went to nodes was spent, for the slow log.
//
// The stages follow each other, so that their sum is the time from the arrival of the request to
// the place of its reply in the client's output:
//
//   client  until it was handed to the link: the session had no room, a pause held it back, or its
//           slot was changing its owner
//   queue   until the node's socket had taken it (StageTimes::unsent)
//   link    until the replies to earlier requests on the link had come
//   node    until the reply had come, what other nodes had redirected before included
//   merge   until the replies that the session owed before it were written
//
// A request in parts has the stages of the part that was last to answer.
//
// Threads: thread-safe (no state).

#pragma once

#include "common/service/slow_log.h"
#include "proxy/route/exchange.h"

namespace kvs {

inline StageTimes StagesOf(const RequestTimes& times, const LinkWait& wait, int64_t written) {
  return {.client = times.routed - times.arrived,
          .unsent = wait.queue,
          .link = wait.link,
          .node = times.answered - times.routed - wait.queue - wait.link,
          .merge = written - times.answered};
}

}  // namespace kvs
