// RelayBook: which channels one loop of the proxy has subscribed to at which nodes, on behalf of
// its clients.
//
// However many clients have subscribed to a channel, the node knows of one subscription.  A channel
// belongs to the node of its slot; a pattern, and a channel on which each node tells of its own
// keys, to all nodes: whatever is published is published at one node, so nobody gets it twice.
//
// A subscription is told to the client when all its nodes have confirmed it, and lost when one of
// them fails: then its clients must hear of it, because they may have missed something.
//
// It decides only: whoever owns it sends what it orders, and tells it what nodes answer, which they
// do in the order in which they are asked.
//
// Threads: loop-owned; no clock, socket or thread of its own.
// Owner:   PubSubRelay.

#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/address.h"
#include "common/base/status.h"
#include "common/pubsub/subscriptions.h"

namespace kvs {

// Waits for subscriptions.
class RelayWaiter {
 public:
  virtual ~RelayWaiter() = default;
  // All that Open() named are in force; or, if the status is not OK, none of them is kept.
  virtual void OnOpened(const Status& status) = 0;
};

// What the book orders, and tells.
class RelayPort {
 public:
  virtual ~RelayPort() = default;
  // Returns the nodes that a name belongs to, at least one.
  virtual Result<std::vector<NodeAddress>> NodesOf(ChannelKind kind, std::string_view name) = 0;
  // Sends the node an order; it will be answered, or Broken() comes.
  virtual Status Send(const NodeAddress& node, std::string_view verb, std::string_view name) = 0;
  // A subscription that was in force is not any more.  Its clients do not release it.
  virtual void OnLost(ChannelKind kind, const std::string& name) = 0;
};

// "subscribe", "punsubscribe" and so on.
std::string_view SubscribeVerb(ChannelKind kind);
std::string_view UnsubscribeVerb(ChannelKind kind);

class RelayBook {
 public:
  explicit RelayBook(RelayPort* port) : port_(port) {}

  // One client wants these subscriptions.  `waiter` hears of the outcome, perhaps before this
  // returns.  REQUIRES: it waits for nothing; names differ
  void Open(ChannelKind kind, const std::vector<std::string>& names, RelayWaiter* waiter);
  // The waiter is gone: it wants nothing any more.
  void Cancel(RelayWaiter* waiter);
  // One client that had it opened does not want it any more.
  void Release(ChannelKind kind, std::string_view name);

  // The node has answered what it was asked first; an error if the status is not OK.
  void OnAnswer(const NodeAddress& node, const Status& status);
  // The node has ended a subscription by itself.
  void OnEnded(const NodeAddress& node, ChannelKind kind, std::string_view name);
  // The connection to the node is gone.
  void OnBroken(const NodeAddress& node, const Status& status);
  // Names may belong to other nodes now.  What has left a node is ended there with the next call of
  // EndLeft(), so that whoever does not know yet is heard for a while.
  void OnTable();
  void EndLeft();

  // The order that the node has to answer next, and how many there are.
  const std::string* NextAnswer(const NodeAddress& node) const;
  size_t unanswered(const NodeAddress& node) const;
  // Whether it has anything at the node.
  bool UsesNode(const NodeAddress& node) const;
  size_t topic_count() const { return topics_.size(); }

 private:
  using Key = std::pair<ChannelKind, std::string>;
  struct Place {
    bool confirmed = false;
    bool left = false;    // The name belongs there no more.
    bool ending = false;  // EndLeft() ends it the next time.
    uint64_t order = 0;   // Of the subscription that counts.
  };
  struct Topic {
    size_t clients = 0;
    bool in_force = false;  // All places have confirmed, once.
    std::map<NodeAddress, Place> places;
    std::set<RelayWaiter*> waiters;
  };
  struct Order {
    uint64_t number;
    Key key;
    bool subscribes;
  };
  struct Pending {
    ChannelKind kind;
    std::vector<std::string> names;
    size_t missing = 0;  // So many of them are not in force yet.
  };

  Status AddTopic(const Key& key);
  Status Subscribe(const Key& key, Topic* topic, const NodeAddress& node);
  void Unsubscribe(const Key& key, const NodeAddress& node);
  static bool IsConfirmed(const Topic& topic);
  void CheckTopic(const Key& key);
  void Finish(RelayWaiter* waiter, const Status& status);
  void Lose(const Key& key, const NodeAddress& node, const Status& status);

  RelayPort* const port_;
  std::map<Key, Topic> topics_;
  std::map<NodeAddress, std::deque<Order>> orders_;  // Not answered yet, by node.
  std::map<RelayWaiter*, Pending> pending_;
  uint64_t last_order_ = 0;
};

}  // namespace kvs
