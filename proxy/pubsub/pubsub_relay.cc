#include "proxy/pubsub/pubsub_relay.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "common/resp/reply_tree.h"
#include "common/resp/resp_writer.h"
#include "common/service/connection_commands.h"

namespace kvs {
namespace {

// How often links that nobody needs, and subscriptions at nodes that channels have left, are ended.
constexpr int64_t kCleaningMs = 5000;

constexpr ChannelKind kKinds[] = {ChannelKind::kChannel, ChannelKind::kPattern,
                                  ChannelKind::kShard};

// Returns the kind of subscription that a message comes for, or nothing if it is no message.
std::optional<ChannelKind> KindOfMessage(const std::vector<Reply>& words) {
  if (words.size() == 3 && words[0].text == "message") {
    return ChannelKind::kChannel;
  }
  if (words.size() == 4 && words[0].text == "pmessage") {
    return ChannelKind::kPattern;
  }
  if (words.size() == 3 && words[0].text == "smessage") {
    return ChannelKind::kShard;
  }
  return std::nullopt;
}

}  // namespace

PubSubRelay::~PubSubRelay() {
  for (auto& [address, feed] : feeds_) {
    feed.link->set_listener(nullptr);
    links_->Discard(feed.link);
  }
}

void PubSubRelay::Begin(ChannelKind kind, const std::string& name, RelayClient* client) {
  if (client->subscriptions()->Add(kind, name)) {
    table_.Add(kind, name, client);
  } else {
    book_.Release(kind, name);  // It had it already.
  }
}

void PubSubRelay::End(ChannelKind kind, const std::string& name, RelayClient* client) {
  if (client->subscriptions()->Remove(kind, name)) {
    table_.Remove(kind, name, client);
    book_.Release(kind, name);
  }
}

void PubSubRelay::EndAll(RelayClient* client) {
  book_.Cancel(client);
  for (const ChannelKind kind : kKinds) {
    const Subscriptions::Names& names = client->subscriptions()->names(kind);
    while (!names.empty()) {
      End(kind, std::string(*names.begin()), client);
    }
  }
}

Result<std::vector<NodeAddress>> PubSubRelay::NodesOf(ChannelKind kind, std::string_view name) {
  if (router_->shard_count() > 0 && (kind == ChannelKind::kPattern || IsEveryNodesChannel(name))) {
    return router_->table()->shards;
  }
  KVS_ASSIGN_OR_RETURN(const int shard, router_->ShardOfChannel(name));
  return std::vector<NodeAddress>{router_->AddressOf(shard)};
}

Status PubSubRelay::Send(const NodeAddress& node, std::string_view verb, std::string_view name) {
  Feed& feed = feeds_[node];
  if (feed.link == nullptr) {
    feed.link = links_->Borrow(node);
    feed.link->set_listener(this);
  }
  std::string request;
  EncodeRequest({verb, name}, &request);
  if (book_.unanswered(node) == 0) {
    feed.heard_ms = loop_->now_ms();
  }
  // What ends a subscription must not be lost: nobody would ask for it again.
  const bool ends = verb == UnsubscribeVerb(ChannelKind::kChannel) ||
                    verb == UnsubscribeVerb(ChannelKind::kPattern) ||
                    verb == UnsubscribeVerb(ChannelKind::kShard);
  return feed.link->Tell(request, ends ? NodeLink::Urgency::kAlways : NodeLink::Urgency::kUsual);
}

void PubSubRelay::OnLost(ChannelKind kind, const std::string& name) {
  for (Subscriber* subscriber : table_.SubscribersOf(kind, name)) {
    auto* const client = static_cast<RelayClient*>(subscriber);
    table_.Remove(kind, name, client);
    client->subscriptions()->Remove(kind, name);
    client->OnLost();
  }
}

void PubSubRelay::OnConfirmation(NodeLink* link, std::string_view verb, const std::string& name) {
  const NodeAddress& node = link->address();
  const std::string* const next = book_.NextAnswer(node);
  if (next != nullptr && *next == name) {
    feeds_[node].heard_ms = loop_->now_ms();
    return book_.OnAnswer(node, Status::Ok());
  }
  for (const ChannelKind kind : kKinds) {
    if (verb == UnsubscribeVerb(kind)) {
      return book_.OnEnded(node, kind, name);
    }
  }
  feeds_[node].failing = true;
}

void PubSubRelay::OnPush(NodeLink* link, const ReplyFrame& frame) {
  Result<Reply> push = ParseReply(frame.view());
  if (!push.ok() || push->elements.size() < 3) {
    return;  // Something else than messages.
  }
  std::vector<Reply>& words = push->elements;
  if (const std::optional<ChannelKind> kind = KindOfMessage(words); kind.has_value()) {
    const std::string name = words[1].text;
    const bool shard = *kind == ChannelKind::kShard;
    const Message message = {.kind = shard ? ChannelKind::kShard : ChannelKind::kChannel,
                             .channel = std::move(words[words.size() - 2].text),
                             .payload = std::move(words.back().text)};
    return table_.DeliverTo(*kind, name, message);
  }
  if (words[0].text.ends_with("subscribe")) {
    OnConfirmation(link, words[0].text, words[1].text);
  }
}

// A node that is not the channel's any more says so; the next table tells whose it is.
void PubSubRelay::OnUnasked(NodeLink* link, const ReplyFrame& frame) {
  const NodeAddress& node = link->address();
  if (book_.NextAnswer(node) == nullptr || frame.type() != '-') {
    feeds_[node].failing = true;
    return;
  }
  feeds_[node].heard_ms = loop_->now_ms();
  const std::string_view line = frame.view().substr(1, frame.view().find('\r') - 1);
  book_.OnAnswer(node, line.starts_with("MOVED ") || line.starts_with("TRYAGAIN ")
                           ? Status::TryAgain(kSlotChangesOwner)
                           : Status::Unavailable(fmt::format("node {} refuses the subscription: {}",
                                                             link->name(), line)));
}

void PubSubRelay::OnBreak(NodeLink* link, const Status& status) {
  const NodeAddress& node = link->address();
  feeds_[node].failing = false;
  book_.OnBroken(node, status);
}

void PubSubRelay::Flush() {
  for (const auto& [address, feed] : feeds_) {
    if (feed.link->needs_flush()) {
      feed.link->Flush();
    }
  }
}

void PubSubRelay::CheckDeadlines(int64_t timeout_ms) {
  const int64_t now_ms = loop_->now_ms();
  for (auto& [address, feed] : feeds_) {
    if (feed.failing) {
      feed.link->Fail(Status::Unavailable("the node answers what it was not asked"));
    } else if (book_.unanswered(address) > 0 && now_ms - feed.heard_ms > timeout_ms) {
      feed.link->Fail(Status::Timeout(
          fmt::format("timeout: node {} did not confirm a subscription within {} ms",
                      feed.link->name(), timeout_ms)));
    }
  }
  if (now_ms - checked_ms_ > kCleaningMs) {
    checked_ms_ = now_ms;
    book_.EndLeft();
    DropUnused();
  }
}

void PubSubRelay::DropUnused() {
  for (auto it = feeds_.begin(); it != feeds_.end();) {
    if (book_.UsesNode(it->first)) {
      ++it;
      continue;
    }
    it->second.link->set_listener(nullptr);
    links_->Discard(it->second.link);
    it = feeds_.erase(it);
  }
}

}  // namespace kvs
