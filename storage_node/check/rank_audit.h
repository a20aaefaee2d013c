// RankAudit: whether the nodes of a rank index count what there is.
//
// It is fed the nodes, in the order of their names, and then the orders that they count.
//
// Threads: one owner.
// Owner:   ZSetAudit and ListAudit.

#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "storage_node/keys/zset_codec.h"

namespace kvs {

class RankAudit {
 public:
  // Returns false if this is no element of a rank index, or out of order.
  bool AddNode(std::string_view name, std::string_view value);
  void AddOrder(std::string_view order);
  // Returns what is wrong with an index of that root, or "".
  std::string Verdict(const RankRoot& root) const;

 private:
  struct Node {
    std::string order;
    RankNode says;
    RankNode has;
  };
  // Finds the node of a level that an order belongs to; nullptr if there is none.
  Node* Owner(size_t level, std::string_view order);

  std::vector<std::vector<Node>> levels_;  // That of level 1 is the first.
};

}  // namespace kvs
