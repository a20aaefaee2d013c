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
  retired_.clear();
  for (const auto& [address, link] : links_) {
    if (std::find(addresses.begin(), addresses.end(), address) == addresses.end()) {
      retired_.insert(address);
    }
  }
  CloseRetired();
}

void LinkPool::CloseRetired() {
  for (auto it = retired_.begin(); it != retired_.end();) {
    const auto link = links_.find(*it);
    if (link->second->in_flight() > 0) {
      ++it;
      continue;
    }
    link->second->Close(Status::Unavailable("the node has left the cluster"));
    loop_->DeleteLater(std::move(link->second));
    links_.erase(link);
    it = retired_.erase(it);
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
  CloseRetired();
}

}  // namespace kvs
