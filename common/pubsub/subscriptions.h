// Subscriptions: what one client has subscribed to.  SubscriptionTable: who has subscribed to what,
// among the clients of one event loop.
//
// Node and proxy have one table for each of their loops.  A message is put into the words of each
// protocol once, whoever gets it (Message).
//
// Threads: loop-owned; Message is immutable, and encoded where it is delivered.
// Owner:   a session its Subscriptions; the loop's worker the table.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>

namespace kvs {

enum class ChannelKind : uint8_t {
  kChannel,  // SUBSCRIBE
  kPattern,  // PSUBSCRIBE
  kShard,    // SSUBSCRIBE: a channel of the slot that its name has.
};
inline constexpr size_t kChannelKinds = 3;

// What was published.
struct Message {
  ChannelKind kind = ChannelKind::kChannel;  // kShard if it was SPUBLISH; never kPattern.
  std::string channel;
  std::string payload;
  size_t size() const { return channel.size() + payload.size(); }
};

// One message as those get it who have subscribed to its channel, or to one pattern.
class Delivery {
 public:
  // `pattern` is nullptr for a channel.  Both outlive it.
  Delivery(const Message& message, const std::string* pattern)
      : message_(message), pattern_(pattern) {}

  // Returns the push for the protocol, 2 or 3.
  const std::string& Text(int protocol) const;

 private:
  const Message& message_;
  const std::string* const pattern_;
  mutable std::array<std::string, 2> texts_;
};

class Subscriber {
 public:
  virtual ~Subscriber() = default;
  // Neither begins nor ends subscriptions before it returns, its own nor those of others.
  virtual void OnMessage(const Delivery& delivery) = 0;
};

class Subscriptions {
 public:
  using Names = std::set<std::string, std::less<>>;

  // These return whether that is news.
  bool Add(ChannelKind kind, std::string_view name);
  bool Remove(ChannelKind kind, std::string_view name);

  const Names& names(ChannelKind kind) const { return names_[static_cast<size_t>(kind)]; }
  bool Has(ChannelKind kind, std::string_view name) const { return names(kind).contains(name); }
  bool empty() const;
  // What the replies of the kind's commands count: channels and patterns together, shard channels
  // alone.
  size_t CountFor(ChannelKind kind) const;
  // Bytes of the names.
  size_t bytes() const { return bytes_; }

 private:
  std::array<Names, kChannelKinds> names_;
  size_t bytes_ = 0;
};

class SubscriptionTable {
 public:
  // REQUIRES: it has not subscribed to it; it outlives its subscription
  void Add(ChannelKind kind, std::string_view name, Subscriber* subscriber);
  // REQUIRES: it has subscribed to it
  void Remove(ChannelKind kind, std::string_view name, Subscriber* subscriber);

  // Hands the message to each subscription that it matches.
  void Deliver(const Message& message) const;

  // Hands it to those who have subscribed to exactly this, for whom it came.
  void DeliverTo(ChannelKind kind, const std::string& name, const Message& message) const;

  using Subscribers = std::set<Subscriber*>;
  // Returns who has subscribed to exactly this.
  Subscribers SubscribersOf(ChannelKind kind, std::string_view name) const;
  Subscribers All() const;
  bool empty() const { return count_ == 0; }

 private:
  using Table = std::map<std::string, Subscribers, std::less<>>;

  void DeliverTo(ChannelKind kind, std::string_view name, const Delivery& delivery) const;
  const Table& table(ChannelKind kind) const { return tables_[static_cast<size_t>(kind)]; }

  std::array<Table, kChannelKinds> tables_;
  size_t count_ = 0;
};

// Appends the reply to SUBSCRIBE, UNSUBSCRIBE and their like: `verb` is the command in lower case,
// `count` what Subscriptions::CountFor() tells.  A push in RESP3.
void AppendConfirmation(std::string_view verb, std::string_view name, size_t count, int protocol,
                        std::string* out);
// The same where there was nothing to unsubscribe from.
void AppendNothingToEnd(std::string_view verb, size_t count, int protocol, std::string* out);

}  // namespace kvs
