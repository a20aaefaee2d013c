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

NodeLink* LinkPool::Borrow(const NodeAddress& address) {
  std::unique_ptr<NodeLink> link;
  const auto spare = spare_.find(address);
  if (spare != spare_.end()) {
    link = std::move(spare->second);
    spare_.erase(spare);
  } else {
    link = std::make_unique<NodeLink>(loop_, address, &options_);
  }
  NodeLink* const raw = link.get();
  borrowed_.emplace(raw, std::move(link));
  return raw;
}

void LinkPool::GiveBack(NodeLink* link) {
  if (!link->connected() || spare_.count(link->address()) >= kMaxSpare) {
    return Discard(link);
  }
  link->set_patience_ms(0);
  spare_.emplace(link->address(), std::move(borrowed_.extract(link).mapped()));
}

void LinkPool::Discard(NodeLink* link) {
  link->Close(Status::Unavailable("the client has gone"));
  loop_->DeleteLater(std::move(borrowed_.extract(link).mapped()));
}

void LinkPool::CloseSpare(const std::vector<NodeAddress>& addresses) {
  for (auto it = spare_.begin(); it != spare_.end();) {
    const bool stays = it->second->connected() &&
                       std::find(addresses.begin(), addresses.end(), it->first) != addresses.end();
    if (stays) {
      ++it;
      continue;
    }
    it->second->Close(Status::Unavailable("the node has left the cluster"));
    loop_->DeleteLater(std::move(it->second));
    it = spare_.erase(it);
  }
}

void LinkPool::Retain(const std::vector<NodeAddress>& addresses) {
  CloseSpare(addresses);
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
  // There may be one for each client; their deadlines may be a little late.
  if (++checks_ % kBorrowedCheckPeriod == 0) {
    // Whoever hears of a time-out may give its link back.
    std::vector<NodeLink*> borrowed;
    for (const auto& [link, owner] : borrowed_) {
      borrowed.push_back(link);
    }
    for (NodeLink* link : borrowed) {
      if (borrowed_.contains(link)) {
        link->CheckDeadlines();
      }
    }
    for (const auto& [address, link] : spare_) {
      link->CheckDeadlines();
    }
  }
  CloseRetired();
}

}  // namespace kvs
