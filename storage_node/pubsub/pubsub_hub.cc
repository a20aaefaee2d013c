#include "storage_node/pubsub/pubsub_hub.h"

#include <utility>

#include "common/base/check.h"
#include "common/base/strings.h"

namespace kvs {

std::vector<MessagePtr> PubSubOutlet::Take(bool* overflown) {
  const MutexLock lock(&mu_);
  *overflown = std::exchange(overflown_, false);
  bytes_ = 0;
  return std::exchange(messages_, {});
}

void PubSubOutlet::Push(const MessagePtr& message) {
  const MutexLock lock(&mu_);
  const bool asleep = messages_.empty() && !overflown_;
  if (bytes_ + message->size() > kMaxWaitingBytes && !messages_.empty()) {
    overflown_ = true;
  } else {
    messages_.push_back(message);
    bytes_ += message->size();
  }
  if (asleep) {
    wake_();
  }
}

void PubSubHub::Add(ChannelKind kind, std::string_view name, PubSubOutlet* outlet) {
  const MutexLock lock(&mu_);
  ++tables_[static_cast<size_t>(kind)][std::string(name)][outlet];
  count_.fetch_add(1, std::memory_order_relaxed);
}

void PubSubHub::Remove(ChannelKind kind, std::string_view name, PubSubOutlet* outlet) {
  const MutexLock lock(&mu_);
  Table& table = tables_[static_cast<size_t>(kind)];
  const auto found = table.find(name);
  KVS_CHECK(found != table.end());
  const auto counts = found->second.find(outlet);
  KVS_CHECK(counts != found->second.end());
  if (--counts->second == 0) {
    found->second.erase(counts);
  }
  if (found->second.empty()) {
    table.erase(found);
  }
  count_.fetch_sub(1, std::memory_order_relaxed);
}

int64_t PubSubHub::AddUp(const Counts& counts, Counts* sum) {
  int64_t total = 0;
  for (const auto& [outlet, count] : counts) {
    (*sum)[outlet] += count;
    total += count;
  }
  return total;
}

int64_t PubSubHub::Match(ChannelKind kind, std::string_view channel, Counts* sum) const {
  int64_t receivers = 0;
  const Table& channels = table(kind);
  if (const auto found = channels.find(channel); found != channels.end()) {
    receivers += AddUp(found->second, sum);
  }
  if (kind != ChannelKind::kShard) {
    for (const auto& [pattern, counts] : table(ChannelKind::kPattern)) {
      if (GlobMatch(pattern, channel)) {
        receivers += AddUp(counts, sum);
      }
    }
  }
  return receivers;
}

int64_t PubSubHub::Publish(Message message) {
  if (!active()) {
    return 0;
  }
  const MutexLock lock(&mu_);
  Counts outlets;
  const int64_t receivers = Match(message.kind, message.channel, &outlets);
  const auto shared = std::make_shared<const Message>(std::move(message));
  for (const auto& [outlet, count] : outlets) {
    outlet->Push(shared);
  }
  return receivers;
}

int64_t PubSubHub::ReceiverCount(ChannelKind kind, std::string_view channel) const {
  const MutexLock lock(&mu_);
  Counts unused;
  return Match(kind, channel, &unused);
}

std::vector<std::string> PubSubHub::Names(ChannelKind kind, std::string_view pattern) const {
  const MutexLock lock(&mu_);
  std::vector<std::string> names;
  for (const auto& [name, counts] : table(kind)) {
    if (GlobMatch(pattern, name)) {
      names.push_back(name);
    }
  }
  return names;
}

int64_t PubSubHub::SubscriberCount(ChannelKind kind, std::string_view name) const {
  const MutexLock lock(&mu_);
  const auto found = table(kind).find(name);
  Counts unused;
  return found == table(kind).end() ? 0 : AddUp(found->second, &unused);
}

size_t PubSubHub::NameCount(ChannelKind kind) const {
  const MutexLock lock(&mu_);
  return table(kind).size();
}

}  // namespace kvs
