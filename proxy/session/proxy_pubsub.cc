// SUBSCRIBE, UNSUBSCRIBE and their like of a ProxySession, and what it is told of keys that it
// tracks.
//
// They are alone: nothing is in flight when they begin, and nothing follows them until the nodes
// have confirmed.  So the order of replies and messages is that of one server.

#include <algorithm>

#include "common/service/acl_gate.h"
#include "proxy/session/proxy_session.h"

namespace kvs {
namespace {

// The links to the nodes are shared by the subscribers of a loop.
constexpr size_t kMaxNameBytes = size_t{16} << 20;

ChannelKind KindOf(const CommandSpec& spec) {
  switch (IdOf(spec)) {
    case CommandId::kPSubscribe:
    case CommandId::kPUnsubscribe:
      return ChannelKind::kPattern;
    case CommandId::kSSubscribe:
    case CommandId::kSUnsubscribe:
      return ChannelKind::kShard;
    default:
      return ChannelKind::kChannel;
  }
}

}  // namespace

void ProxySession::RunSubscription(const CommandSpec& spec, CommandArgs args) {
  if (!EndsSubscriptions(spec)) {
    return Subscribe(spec, args);
  }
  const ChannelKind kind = KindOf(spec);
  std::vector<std::string> names(args.begin() + 1, args.end());
  if (names.empty()) {
    names.assign(subscriptions_.names(kind).begin(), subscriptions_.names(kind).end());
  }
  std::string reply;
  for (const std::string& name : names) {
    host_->relay()->End(kind, name, this);
    AppendConfirmation(spec.name, name, subscriptions_.CountFor(kind), client_.protocol, &reply);
  }
  if (names.empty()) {
    AppendNothingToEnd(spec.name, subscriptions_.CountFor(kind), client_.protocol, &reply);
  }
  NoteSubscriptions();
  Reply(reply);
}

void ProxySession::Subscribe(const CommandSpec& spec, CommandArgs args) {
  const std::vector<std::string> names(args.begin() + 1, args.end());
  const Router& router = *host_->router();
  const bool crosses = IdOf(spec) == CommandId::kSSubscribe &&
                       std::any_of(names.begin(), names.end(), [&](const std::string& name) {
                         return !router.BelongTogether(names.front(), name);
                       });
  if (crosses) {
    return ReplyError("CROSSSLOT Keys in request don't hash to the same slot");
  }
  size_t bytes = 0;
  for (const std::string& name : names) {
    bytes += name.size();
  }
  if (bytes > kMaxNameBytes) {
    return ReplyError("ERR the names of one request have more than 16777216 bytes");
  }
  if (memory() > host_->limits().max_memory || budget_.exhausted()) {
    return ReplyError(
        "OOM the proxy has no memory for more subscriptions: session-memory-limit or "
        "buffer-memory-limit is reached");
  }
  Exchange* const exchange =
      host_->exchanges()->New(this, &spec, client_.protocol, host_->loop()->now_micros());
  exchange->times()->arrived = read_micros_;
  if (muted_) {
    exchange->Mute();
  }
  exchange->SetRequest(++last_number_, 0);
  in_flight_.push_back(exchange);
  alone_ = exchange;
  opening_ = names;
  std::vector<std::string> distinct = names;
  std::sort(distinct.begin(), distinct.end());
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  host_->relay()->Open(KindOf(spec), distinct, this);
}

void ProxySession::OnOpened(const Status& status) {
  Exchange* const exchange = alone_;
  const CommandSpec& spec = *exchange->spec();
  const std::vector<std::string> names = std::exchange(opening_, {});
  if (!status.ok()) {
    return exchange->Fail(status);
  }
  const ChannelKind kind = KindOf(spec);
  const std::set<std::string> distinct(names.begin(), names.end());
  // Counted one by one, as if they had come one after the other.
  std::set<std::string> begun;
  const size_t before = subscriptions_.CountFor(kind);
  std::string reply;
  for (const std::string& name : names) {
    if (!subscriptions_.Has(kind, name)) {
      begun.insert(name);
    }
    AppendConfirmation(spec.name, name, before + begun.size(), client_.protocol, &reply);
  }
  for (const std::string& name : distinct) {
    host_->relay()->Begin(kind, name, this);
  }
  NoteSubscriptions();
  exchange->Answer(std::move(reply));
  if (!MayStay(&subscriptions_, *host_->service(), &client_)) {
    closing_ = true;  // Its rights have changed meanwhile.
  }
}

void ProxySession::PushMessage(std::string_view text) {
  if (unsent() + text.size() > host_->limits().max_messages || budget_.exhausted()) {
    lost_messages_ = true;
    host_->MarkDirty(this);
  } else {
    Push(text);
  }
}

void ProxySession::OnMessage(const Delivery& delivery) {
  PushMessage(delivery.Text(client_.protocol));
}

// A value that is on its way to the client may be older than this: told again behind it, the client
// does not keep it.
void ProxySession::OnInvalidation(const InvalidationOrder& order) {
  std::string text;
  if (client_.protocol > 2) {
    AppendInvalidationPush(*order.invalidation, &text);
  } else if (order.redirected && client_.subscribed) {
    AppendInvalidationMessage(*order.invalidation, &text);
  }
  if (text.empty()) {
    return;
  }
  const bool waits = waits_for_keys() && in_flight_.size() == 1;
  PushMessage(text);
  if (waits && !lost_messages_) {
    Reply(text);
  }
}

void ProxySession::TrackReads(const CommandSpec& spec, CommandArgs args,
                              std::vector<std::string>* kept_in_vain) {
  // What a script reads is known to its node alone: it may be any of its keys.
  const bool reads = spec.is_read() || (spec.group == Group::kScripting && spec.has_keys());
  if (!reads || (!client_.tracking->bcast && !client_.tracking->TracksReads())) {
    return;
  }
  TrackingHub* const hub = host_->service()->tracking;
  const KeyPositions keys = FindKeys(spec, args);
  for (size_t i = 0; i < keys.count; ++i) {
    const std::string_view key = args[keys.index(i)];
    if (!client_.tracking->bcast) {
      hub->Track(client_.info->id, key);
    }
    if (!hub->complete()) {
      kept_in_vain->emplace_back(key);
    }
  }
}

// Behind the reply that is due.
void ProxySession::TellKeptInVain(std::vector<std::string> keys) {
  if (keys.empty()) {
    return;
  }
  TrackingHub* const hub = host_->service()->tracking;
  std::vector<TrackedWrite> writes;
  for (std::string& key : keys) {
    writes.push_back({.client = 0, .key = std::move(key)});
  }
  hub->OnWrites(std::move(writes));
}

void ProxySession::OnLost() {
  lost_messages_ = true;
  host_->MarkDirty(this);
}

void ProxySession::EndSubscriptions() {
  host_->relay()->EndAll(this);
  NoteSubscriptions();
}

void ProxySession::NoteSubscriptions() {
  ClientInfo& info = *client_.info;
  const auto count = [this](ChannelKind kind) { return subscriptions_.names(kind).size(); };
  info.channels.store(count(ChannelKind::kChannel), std::memory_order_relaxed);
  info.patterns.store(count(ChannelKind::kPattern), std::memory_order_relaxed);
  info.shard_channels.store(count(ChannelKind::kShard), std::memory_order_relaxed);
  client_.subscribed = info.subscribed();
}

}  // namespace kvs
