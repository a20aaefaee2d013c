#include "common/pubsub/subscriptions.h"

#include <algorithm>

#include "common/base/check.h"
#include "common/base/strings.h"
#include "common/resp/resp_writer.h"

namespace kvs {

const std::string& Delivery::Text(int protocol) const {
  std::string& text = texts_[protocol == 2 ? 0 : 1];
  if (!text.empty()) {
    return text;
  }
  RespWriter writer(protocol, &text);
  writer.Push(pattern_ == nullptr ? 3 : 4);
  if (pattern_ != nullptr) {
    writer.Bulk("pmessage");
    writer.Bulk(*pattern_);
  } else {
    writer.Bulk(message_.kind == ChannelKind::kShard ? "smessage" : "message");
  }
  writer.Bulk(message_.channel);
  writer.Bulk(message_.payload);
  return text;
}

bool Subscriptions::Add(ChannelKind kind, std::string_view name) {
  const bool added = names_[static_cast<size_t>(kind)].emplace(name).second;
  bytes_ += added ? name.size() : 0;
  return added;
}

bool Subscriptions::Remove(ChannelKind kind, std::string_view name) {
  Names& names = names_[static_cast<size_t>(kind)];
  const auto found = names.find(name);
  if (found == names.end()) {
    return false;
  }
  bytes_ -= found->size();
  names.erase(found);
  return true;
}

bool Subscriptions::empty() const {
  return std::all_of(names_.begin(), names_.end(),
                     [](const Names& names) { return names.empty(); });
}

size_t Subscriptions::CountFor(ChannelKind kind) const {
  if (kind == ChannelKind::kShard) {
    return names(ChannelKind::kShard).size();
  }
  return names(ChannelKind::kChannel).size() + names(ChannelKind::kPattern).size();
}

void SubscriptionTable::Add(ChannelKind kind, std::string_view name, Subscriber* subscriber) {
  tables_[static_cast<size_t>(kind)][std::string(name)].insert(subscriber);
  ++count_;
}

void SubscriptionTable::Remove(ChannelKind kind, std::string_view name, Subscriber* subscriber) {
  Table& table = tables_[static_cast<size_t>(kind)];
  const auto found = table.find(name);
  KVS_CHECK(found != table.end());
  KVS_CHECK(found->second.erase(subscriber) == 1);
  if (found->second.empty()) {
    table.erase(found);
  }
  --count_;
}

SubscriptionTable::Subscribers SubscriptionTable::SubscribersOf(ChannelKind kind,
                                                                std::string_view name) const {
  const auto found = table(kind).find(name);
  return found == table(kind).end() ? Subscribers() : found->second;
}

SubscriptionTable::Subscribers SubscriptionTable::All() const {
  Subscribers all;
  for (const Table& one : tables_) {
    for (const auto& [name, subscribers] : one) {
      all.insert(subscribers.begin(), subscribers.end());
    }
  }
  return all;
}

void SubscriptionTable::DeliverTo(ChannelKind kind, const std::string& name,
                                  const Message& message) const {
  const auto found = table(kind).find(name);
  if (found == table(kind).end()) {
    return;
  }
  const Delivery delivery(message, kind == ChannelKind::kPattern ? &name : nullptr);
  for (Subscriber* subscriber : found->second) {
    subscriber->OnMessage(delivery);
  }
}

void SubscriptionTable::Deliver(const Message& message) const {
  const auto deliver = [](const Subscribers& subscribers, const Delivery& delivery) {
    for (Subscriber* subscriber : subscribers) {
      subscriber->OnMessage(delivery);
    }
  };
  if (const auto found = table(message.kind).find(message.channel);
      found != table(message.kind).end()) {
    deliver(found->second, Delivery(message, nullptr));
  }
  if (message.kind == ChannelKind::kShard) {
    return;
  }
  for (const auto& [pattern, subscribers] : table(ChannelKind::kPattern)) {
    if (GlobMatch(pattern, message.channel)) {
      deliver(subscribers, Delivery(message, &pattern));
    }
  }
}

void AppendConfirmation(std::string_view verb, std::string_view name, size_t count, int protocol,
                        std::string* out) {
  RespWriter writer(protocol, out);
  writer.Push(3);
  writer.Bulk(verb);
  writer.Bulk(name);
  writer.Integer(static_cast<int64_t>(count));
}

void AppendNothingToEnd(std::string_view verb, size_t count, int protocol, std::string* out) {
  RespWriter writer(protocol, out);
  writer.Push(3);
  writer.Bulk(verb);
  writer.Null();
  writer.Integer(static_cast<int64_t>(count));
}

}  // namespace kvs
