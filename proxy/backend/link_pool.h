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
  // Lends a link that nobody else uses, for commands that leave something behind on a connection or
  // hold up what follows.  The borrower gives it back, or leaves it to be closed by Discard().
  NodeLink* Borrow(const NodeAddress& address);
  // REQUIRES, for both: borrowed.  Whoever waits for a reply on it hears of its end first.
  void GiveBack(NodeLink* link);
  void Discard(NodeLink* link);
  size_t borrowed_count() const { return borrowed_.size(); }
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
  static constexpr size_t kMaxSpare = 64;  // For each node.
  static constexpr uint64_t kBorrowedCheckPeriod = 8;

  void CloseRetired();
  // Closes those that nobody has borrowed and that lead to none of the addresses.
  void CloseSpare(const std::vector<NodeAddress>& addresses);

  EventLoop* const loop_;
  LinkOptions options_;
  std::map<NodeAddress, std::unique_ptr<NodeLink>> links_;
  std::map<NodeLink*, std::unique_ptr<NodeLink>> borrowed_;
  std::multimap<NodeAddress, std::unique_ptr<NodeLink>> spare_;  // That were borrowed before.
  uint64_t checks_ = 0;
  std::set<NodeAddress> retired_;  // Of these links; they close when nothing is in flight.
};

}  // namespace kvs
