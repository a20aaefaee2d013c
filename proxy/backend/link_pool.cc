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
      retired_.push_back(std::move(it->second));
      it = links_.erase(it);
    } else {
      ++it;
    }
  }
  CloseRetired();
}

// A link that broke has nothing in flight either.
void LinkPool::CloseRetired() {
  for (std::unique_ptr<NodeLink>& link : retired_) {
    if (link->in_flight() == 0) {
      link->Close(Status::Unavailable("the node has left the cluster"));
      loop_->DeleteLater(std::move(link));
    }
  }
  std::erase(retired_, nullptr);
}

void LinkPool::FlushAll() {
  for (const auto& [address, link] : links_) {
    if (link->needs_flush()) {
      link->Flush();
    }
  }
  for (const std::unique_ptr<NodeLink>& link : retired_) {
    if (link->needs_flush()) {
      link->Flush();
    }
  }
}

void LinkPool::CheckDeadlines() {
  for (const auto& [address, link] : links_) {
    link->CheckDeadlines();
  }
  for (const std::unique_ptr<NodeLink>& link : retired_) {
    link->CheckDeadlines();
  }
  CloseRetired();
}

}  // namespace kvs
