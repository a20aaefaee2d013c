// LinkPool: the links of one loop, one for each node, made when they are first needed.
//
// Threads: loop-owned.
// Owner:   ProxyWorker.

#pragma once

#include <map>
#include <memory>
#include <vector>

#include "proxy/backend/node_link.h"

namespace kvs {

class LinkPool {
 public:
  LinkPool(EventLoop* loop, const LinkOptions& options) : loop_(loop), options_(options) {}

  // Returns the link to a node.  It stays valid until Retain() drops it.
  NodeLink* Get(const NodeAddress& address);
  // Lets go of the links to all other nodes: what is in flight there is still answered, then they
  // are closed.
  void Retain(const std::vector<NodeAddress>& addresses);
  void FlushAll();
  void CheckDeadlines();
  // Takes effect for requests and connections from now on.
  void set_options(const LinkOptions& options) { options_ = options; }

  const std::map<NodeAddress, std::unique_ptr<NodeLink>>& links() const { return links_; }
  size_t retired_count() const { return retired_.size(); }

 private:
  EventLoop* const loop_;
  LinkOptions options_;
  void CloseRetired();

  std::map<NodeAddress, std::unique_ptr<NodeLink>> links_;
  std::vector<std::unique_ptr<NodeLink>> retired_;  // They owe answers.
};

}  // namespace kvs
