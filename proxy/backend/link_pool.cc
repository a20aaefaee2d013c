#include "proxy/backend/link_pool.h"

#include <algorithm>
#include <utility>

namespace kvs {

NodeLink* LinkPool::Get(const NodeAddress& address) {
  std::unique_ptr<NodeLink>& link = links_[address];
  if (link == nullptr) {
    link = std::make_unique<NodeLink>(loop_, address, &options_);
  }
  return link.get();
}

void LinkPool::Retain(const std::vector<NodeAddress>& addresses) {
  for (auto it = links_.begin(); it != links_.end();) {
    if (std::find(addresses.begin(), addresses.end(), it->first) == addresses.end()) {
      it->second->Close(Status::Unavailable("the node has left the cluster"));
      loop_->DeleteLater(std::move(it->second));
      it = links_.erase(it);
    } else {
      ++it;
    }
  }
}

void LinkPool::FlushAll() {
  for (const auto& [address, link] : links_) {
    if (link->needs_flush()) {
      link->Flush();
    }
  }
}

void LinkPool::CheckDeadlines() {
  for (const auto& [address, link] : links_) {
    link->CheckDeadlines();
  }
}

}  // namespace kvs
