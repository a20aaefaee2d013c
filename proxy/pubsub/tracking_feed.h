// TrackingFeed: hears from every node which keys are written, for the clients of the proxy that
// track keys (CLIENT TRACKING).
//
// It has a link of its own to each node, over which the node tells of all writes, whoever made
// them; the hub knows whose clients have read the key.  While a node is not heard the hub is told
// so, and clients keep nothing of what they read meanwhile.  When a feed breaks, or begins after
// others, writes may have been missed: everything is taken for changed.
//
// While nobody tracks there are no such links.
//
// Threads: loop-owned; the hub is thread-safe.
// Owner:   one of the ProxyWorkers, for all of them; ends before links and router.

#pragma once

#include <cstdint>
#include <map>

#include "common/net/event_loop.h"
#include "common/tracking/tracking_hub.h"
#include "proxy/backend/link_pool.h"
#include "proxy/route/router.h"

namespace kvs {

class TrackingFeed : public LinkListener {
 public:
  TrackingFeed(EventLoop* loop, LinkPool* links, Router* router, TrackingHub* hub)
      : loop_(loop), links_(links), router_(router), hub_(hub) {}
  ~TrackingFeed() override;

  // Every few milliseconds, and when the router has another table; `timeout_ms` is what a node has
  // for an answer.
  void Update(int64_t timeout_ms);
  // At the end of a turn.
  void Flush();

  void OnPush(NodeLink* link, const ReplyFrame& frame) override;
  void OnUnasked(NodeLink* link, const ReplyFrame& frame) override;
  void OnBreak(NodeLink* link, const Status& status) override;

 private:
  struct Feed {
    NodeLink* link = nullptr;
    bool asked = false;    // To tell of writes; it has not answered yet, or is up.
    bool up = false;       // It does.
    bool refused = false;  // It has said that it will not.
    bool fresh = false;    // It is one of the first: nobody has kept anything before.
    bool pinged = false;
    int64_t heard_ms = 0;  // When it last answered, or was asked.
  };

  void Begin(bool fresh);
  void EndAll();
  void End(Feed* feed);
  void Ask(Feed* feed);
  bool IsComplete() const;

  EventLoop* const loop_;
  LinkPool* const links_;
  Router* const router_;
  TrackingHub* const hub_;
  std::map<NodeAddress, Feed> feeds_;
};

}  // namespace kvs
