// PubSubHub: who of a node's loops has subscribers to what, and the way of messages to them.
//
// A loop tells the hub of each subscription that its sessions begin or end, so whoever publishes
// knows at once how many will get the message.  The message waits in the outlet of each loop that
// has some of them; the loop takes it out and looks in its own table for whom it is.  All messages
// pass one lock, so all loops get them in one order.
//
// An outlet that is not emptied overflows, and its loop then closes its subscribers: a client
// whose connection is open has missed nothing.
//
// Threads: thread-safe.
// Owner:   NodeServer; outlives its loops.

#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/mutex.h"
#include "common/pubsub/subscriptions.h"

namespace kvs {

using MessagePtr = std::shared_ptr<const Message>;

class PubSubOutlet {
 public:
  static constexpr size_t kMaxWaitingBytes = size_t{64} << 20;

  // `wake` makes the loop call Take() soon; called by any thread.
  explicit PubSubOutlet(std::function<void()> wake) : wake_(std::move(wake)) {}

  // Returns the messages that came since the last call.  Sets `*overflown` if some were lost.
  std::vector<MessagePtr> Take(bool* overflown) KVS_EXCLUDES(mu_);

 private:
  friend class PubSubHub;
  void Push(const MessagePtr& message) KVS_EXCLUDES(mu_);

  const std::function<void()> wake_;
  Mutex mu_;
  std::vector<MessagePtr> messages_ KVS_GUARDED_BY(mu_);
  size_t bytes_ KVS_GUARDED_BY(mu_) = 0;
  bool overflown_ KVS_GUARDED_BY(mu_) = false;
};

class PubSubHub {
 public:
  // One subscription more, or less, of a session whose loop has this outlet.
  // REQUIRES: the outlet outlives its subscriptions
  void Add(ChannelKind kind, std::string_view name, PubSubOutlet* outlet) KVS_EXCLUDES(mu_);
  void Remove(ChannelKind kind, std::string_view name, PubSubOutlet* outlet) KVS_EXCLUDES(mu_);

  // Sends the message on its way and returns how many subscriptions it matches.
  int64_t Publish(Message message) KVS_EXCLUDES(mu_);
  // Returns what Publish() would, now.
  int64_t ReceiverCount(ChannelKind kind, std::string_view channel) const KVS_EXCLUDES(mu_);
  // Whether anybody has subscribed to anything: without a lock, for those who ask often.
  bool active() const { return count_.load(std::memory_order_relaxed) > 0; }

  // Returns what somebody has subscribed to and `pattern` matches, in the order of the names.
  std::vector<std::string> Names(ChannelKind kind, std::string_view pattern) const
      KVS_EXCLUDES(mu_);
  int64_t SubscriberCount(ChannelKind kind, std::string_view name) const KVS_EXCLUDES(mu_);
  // How many names of the kind somebody has subscribed to.
  size_t NameCount(ChannelKind kind) const KVS_EXCLUDES(mu_);

 private:
  using Counts = std::map<PubSubOutlet*, int64_t>;  // Subscriptions of each loop.
  using Table = std::map<std::string, Counts, std::less<>>;

  // Adds what matches a channel to the sum and returns how many.
  int64_t Match(ChannelKind kind, std::string_view channel, Counts* sum) const KVS_REQUIRES(mu_);
  static int64_t AddUp(const Counts& counts, Counts* sum);
  const Table& table(ChannelKind kind) const KVS_REQUIRES(mu_) {
    return tables_[static_cast<size_t>(kind)];
  }

  std::atomic<size_t> count_{0};
  mutable Mutex mu_;
  std::array<Table, kChannelKinds> tables_ KVS_GUARDED_BY(mu_);
};

}  // namespace kvs
