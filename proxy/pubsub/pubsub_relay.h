// PubSubRelay: the subscriptions of one loop's clients, and their way from the nodes.
//
// The loop has one link of its own to each node where it has subscribed to anything; RelayBook says
// to what.  A message comes once for each subscription that the loop has there, and goes to all its
// clients that have it.
//
// When a node fails, the clients that had subscriptions there are disconnected: they may have
// missed messages, and a connection that stays open says that they have not.
//
// Threads: loop-owned.
// Owner:   ProxyWorker; outlives its sessions, and is outlived by links and router.

#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/net/event_loop.h"
#include "common/pubsub/subscriptions.h"
#include "proxy/backend/link_pool.h"
#include "proxy/pubsub/relay_book.h"
#include "proxy/route/router.h"

namespace kvs {

// A client's connection.
class RelayClient : public Subscriber, public RelayWaiter {
 public:
  virtual Subscriptions* subscriptions() = 0;
  // It has lost a subscription, and is to close soon.
  virtual void OnLost() = 0;
};

class PubSubRelay : public RelayPort, public LinkListener {
 public:
  PubSubRelay(EventLoop* loop, LinkPool* links, Router* router)
      : loop_(loop), links_(links), router_(router), book_(this) {}
  ~PubSubRelay() override;

  // Asks for subscriptions; the client hears by OnOpened(), perhaps before this returns, and then
  // calls Begin() for each of them.  REQUIRES: it waits for nothing
  void Open(ChannelKind kind, const std::vector<std::string>& names, RelayClient* client) {
    book_.Open(kind, names, client);
  }
  // The client has a subscription now.  REQUIRES: OnOpened() has told so
  void Begin(ChannelKind kind, const std::string& name, RelayClient* client);
  void End(ChannelKind kind, const std::string& name, RelayClient* client);
  // The client wants nothing any more, and waits for nothing.
  void EndAll(RelayClient* client);

  // The router has another table.
  void OnTable() { book_.OnTable(); }
  // At the end of a turn.
  void Flush();
  // Every few milliseconds; `timeout_ms` is what a node has for an answer.
  void CheckDeadlines(int64_t timeout_ms);
  // Channels and patterns that the loop has subscribed to.
  size_t topic_count() const { return book_.topic_count(); }

  Result<std::vector<NodeAddress>> NodesOf(ChannelKind kind, std::string_view name) override;
  Status Send(const NodeAddress& node, std::string_view verb, std::string_view name) override;
  void OnLost(ChannelKind kind, const std::string& name) override;
  void OnPush(NodeLink* link, const ReplyFrame& frame) override;
  void OnUnasked(NodeLink* link, const ReplyFrame& frame) override;
  void OnBreak(NodeLink* link, const Status& status) override;

 private:
  struct Feed {
    NodeLink* link = nullptr;
    int64_t heard_ms = 0;  // When it last answered, or was asked with nothing unanswered before.
    bool failing = false;  // It has said what makes no sense.
  };

  void OnConfirmation(NodeLink* link, std::string_view verb, const std::string& name);
  void DropUnused();

  EventLoop* const loop_;
  LinkPool* const links_;
  Router* const router_;
  RelayBook book_;
  SubscriptionTable table_;
  std::map<NodeAddress, Feed> feeds_;
  int64_t checked_ms_ = 0;  // When DropUnused() was last called.
};

}  // namespace kvs
