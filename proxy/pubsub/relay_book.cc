#include "proxy/pubsub/relay_book.h"

#include <algorithm>

#include "common/base/check.h"

namespace kvs {

std::string_view SubscribeVerb(ChannelKind kind) {
  switch (kind) {
    case ChannelKind::kChannel:
      return "subscribe";
    case ChannelKind::kPattern:
      return "psubscribe";
    case ChannelKind::kShard:
      return "ssubscribe";
  }
  return "";
}

std::string_view UnsubscribeVerb(ChannelKind kind) {
  switch (kind) {
    case ChannelKind::kChannel:
      return "unsubscribe";
    case ChannelKind::kPattern:
      return "punsubscribe";
    case ChannelKind::kShard:
      return "sunsubscribe";
  }
  return "";
}

Status RelayBook::Subscribe(const Key& key, Topic* topic, const NodeAddress& node) {
  KVS_RETURN_IF_ERROR(port_->Send(node, SubscribeVerb(key.first), key.second));
  const uint64_t number = ++last_order_;
  orders_[node].push_back({.number = number, .key = key, .subscribes = true});
  topic->places[node] = {.confirmed = false, .left = false, .ending = false, .order = number};
  return Status::Ok();
}

// A node that cannot be told has lost the subscription with its connection.
void RelayBook::Unsubscribe(const Key& key, const NodeAddress& node) {
  if (port_->Send(node, UnsubscribeVerb(key.first), key.second).ok()) {
    orders_[node].push_back({.number = ++last_order_, .key = key, .subscribes = false});
  }
}

Status RelayBook::AddTopic(const Key& key) {
  Topic& topic = topics_[key];
  if (topic.clients > 0) {
    return Status::Ok();
  }
  KVS_ASSIGN_OR_RETURN(const std::vector<NodeAddress> nodes, port_->NodesOf(key.first, key.second));
  for (const NodeAddress& node : nodes) {
    KVS_RETURN_IF_ERROR(Subscribe(key, &topic, node));
  }
  return Status::Ok();
}

bool RelayBook::IsConfirmed(const Topic& topic) {
  return std::all_of(topic.places.begin(), topic.places.end(),
                     [](const auto& place) { return place.second.confirmed || place.second.left; });
}

void RelayBook::Open(ChannelKind kind, const std::vector<std::string>& names, RelayWaiter* waiter) {
  KVS_CHECK(!pending_.contains(waiter));
  Status status;
  size_t missing = 0;
  std::vector<std::string> opened;
  for (const std::string& name : names) {
    const Key key(kind, name);
    status = AddTopic(key);
    Topic& topic = topics_[key];
    ++topic.clients;
    opened.push_back(name);
    if (!status.ok()) {
      break;
    }
    topic.waiters.insert(waiter);  // One that is in force may still be lost.
    missing += topic.in_force ? 0 : 1;
  }
  Pending& pending = pending_[waiter];
  pending = {.kind = kind, .names = std::move(opened), .missing = missing};
  if (!status.ok() || missing == 0) {
    Finish(waiter, status);
  }
}

void RelayBook::Finish(RelayWaiter* waiter, const Status& status) {
  const Pending pending = std::move(pending_.extract(waiter).mapped());
  for (const std::string& name : pending.names) {
    const auto topic = topics_.find({pending.kind, name});
    if (topic != topics_.end()) {
      topic->second.waiters.erase(waiter);
    }
    if (!status.ok()) {
      Release(pending.kind, name);
    }
  }
  waiter->OnOpened(status);
}

void RelayBook::Cancel(RelayWaiter* waiter) {
  const auto found = pending_.find(waiter);
  if (found == pending_.end()) {
    return;
  }
  const Pending pending = std::move(pending_.extract(found).mapped());
  for (const std::string& name : pending.names) {
    topics_[{pending.kind, name}].waiters.erase(waiter);
    Release(pending.kind, name);
  }
}

void RelayBook::Release(ChannelKind kind, std::string_view name) {
  const Key key(kind, name);
  const auto found = topics_.find(key);
  if (found == topics_.end()) {
    return;  // It was lost before.
  }
  KVS_CHECK(found->second.clients > 0);
  if (--found->second.clients > 0) {
    return;
  }
  const Topic topic = std::move(found->second);
  topics_.erase(found);
  for (const auto& [node, place] : topic.places) {
    Unsubscribe(key, node);
  }
}

// Tells those who wait, if the last confirmation has come.
void RelayBook::CheckTopic(const Key& key) {
  const auto topic = topics_.find(key);
  if (topic == topics_.end() || topic->second.in_force || !IsConfirmed(topic->second)) {
    return;
  }
  topic->second.in_force = true;
  const std::set<RelayWaiter*> waiters = topic->second.waiters;  // They may end it.
  for (RelayWaiter* waiter : waiters) {
    const auto pending = pending_.find(waiter);
    if (pending != pending_.end() && --pending->second.missing == 0) {
      Finish(waiter, Status::Ok());
    }
  }
}

void RelayBook::OnAnswer(const NodeAddress& node, const Status& status) {
  std::deque<Order>& orders = orders_[node];
  KVS_CHECK(!orders.empty());
  const Order order = std::move(orders.front());
  orders.pop_front();
  if (orders.empty()) {
    orders_.erase(node);
  }
  const auto topic = topics_.find(order.key);
  if (!order.subscribes || topic == topics_.end()) {
    return;
  }
  const auto place = topic->second.places.find(node);
  if (place == topic->second.places.end() || place->second.order != order.number) {
    return;  // It was ended, and perhaps begun anew, since.
  }
  if (!status.ok()) {
    return Lose(order.key, node, status);
  }
  place->second.confirmed = true;
  CheckTopic(order.key);
}

// The topic is no more; who waits for it hears why, and who had it is told to give it up.
void RelayBook::Lose(const Key& key, const NodeAddress& node, const Status& status) {
  const auto found = topics_.find(key);
  found->second.places.erase(node);
  const Topic topic = std::move(found->second);
  topics_.erase(found);
  for (const auto& [other, place] : topic.places) {
    Unsubscribe(key, other);
  }
  for (RelayWaiter* waiter : topic.waiters) {
    if (pending_.contains(waiter)) {
      Finish(waiter, status);
    }
  }
  if (topic.in_force) {
    port_->OnLost(key.first, key.second);
  }
}

void RelayBook::OnEnded(const NodeAddress& node, ChannelKind kind, std::string_view name) {
  const auto topic = topics_.find(Key(kind, name));
  if (topic == topics_.end()) {
    return;
  }
  const auto place = topic->second.places.find(node);
  if (place == topic->second.places.end()) {
    return;
  }
  if (place->second.left) {
    topic->second.places.erase(place);
  } else {
    Lose(topic->first, node,
         Status::Unavailable("node " + FormatAddress(node) + " has ended the subscription"));
  }
}

void RelayBook::OnBroken(const NodeAddress& node, const Status& status) {
  orders_.erase(node);
  std::vector<Key> lost;
  for (auto& [key, topic] : topics_) {
    const auto place = topic.places.find(node);
    if (place == topic.places.end()) {
      continue;
    }
    if (place->second.left) {
      topic.places.erase(place);
    } else {
      lost.push_back(key);
    }
  }
  for (const Key& key : lost) {
    // Whoever heard of one may have released others.
    const auto topic = topics_.find(key);
    if (topic != topics_.end() && topic->second.places.contains(node)) {
      Lose(key, node, status);
    }
  }
}

void RelayBook::OnTable() {
  std::vector<std::pair<Key, std::pair<NodeAddress, Status>>> lost;
  std::vector<Key> waiting;
  for (auto& [key, topic] : topics_) {
    const Result<std::vector<NodeAddress>> nodes = port_->NodesOf(key.first, key.second);
    if (!nodes.ok()) {
      continue;  // Nobody is known to have it now; the next table tells.
    }
    if (!topic.in_force) {
      waiting.push_back(key);
    }
    for (auto& [node, place] : topic.places) {
      const bool left = std::find(nodes->begin(), nodes->end(), node) == nodes->end();
      place.ending = place.ending && left;
      place.left = left;
    }
    for (const NodeAddress& node : *nodes) {
      if (!topic.places.contains(node)) {
        const Status status = Subscribe(key, &topic, node);
        if (!status.ok()) {
          lost.push_back({key, {node, status}});
          break;
        }
      }
    }
  }
  for (const auto& [key, why] : lost) {
    if (topics_.contains(key)) {
      Lose(key, why.first, why.second);
    }
  }
  for (const Key& key : waiting) {
    CheckTopic(key);  // Perhaps for a node that has left.
  }
}

void RelayBook::EndLeft() {
  for (auto& [key, topic] : topics_) {
    for (auto it = topic.places.begin(); it != topic.places.end();) {
      Place& place = it->second;
      if (!place.left || !std::exchange(place.ending, true)) {
        ++it;
        continue;
      }
      Unsubscribe(key, it->first);
      it = topic.places.erase(it);
    }
  }
}

const std::string* RelayBook::NextAnswer(const NodeAddress& node) const {
  const auto found = orders_.find(node);
  return found == orders_.end() ? nullptr : &found->second.front().key.second;
}

size_t RelayBook::unanswered(const NodeAddress& node) const {
  const auto found = orders_.find(node);
  return found == orders_.end() ? 0 : found->second.size();
}

bool RelayBook::UsesNode(const NodeAddress& node) const {
  return orders_.contains(node) ||
         std::any_of(topics_.begin(), topics_.end(),
                     [&](const auto& topic) { return topic.second.places.contains(node); });
}

}  // namespace kvs
