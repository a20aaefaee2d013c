// LinkPool: the links of one loop, one for each node, made when they are first needed.
//
// Threads: loop-owned.
// Owner:   ProxyWorker.

#pragma once

#include <map>
#include <memory>
#include <set>
#include <vector>

#include "proxy/backend/node_link.h"

namespace kvs {

class LinkPool {
 public:
  LinkPool(EventLoop* loop, const LinkOptions& options) : loop_(loop), options_(options) {}

  // Returns the link to a node.  It stays valid until Retain() leaves it out.
  NodeLink* Get(const NodeAddress& address);
  // Closes the links to all other nodes, as soon as nothing is in flight there: what was sent to a
  // node that has left still gets its answer.
  void Retain(const std::vector<NodeAddress>& addresses);
  void FlushAll();
  // Called every few milliseconds.
  void CheckDeadlines();
  // Takes effect for requests and connections from now on.
  void set_options(const LinkOptions& options) { options_ = options; }

  const std::map<NodeAddress, std::unique_ptr<NodeLink>>& links() const { return links_; }
  size_t retired_count() const { return retired_.size(); }

 private:
  void CloseRetired();

  EventLoop* const loop_;
  LinkOptions options_;
  std::map<NodeAddress, std::unique_ptr<NodeLink>> links_;
  std::set<NodeAddress> retired_;  // Of these links; they close when nothing is in flight.
};

}  // namespace kvs
