// PUBLISH, SUBSCRIBE and their like, and PUBSUB.
//
// What is published goes to the node's subscribers only.  Where the node is one of many, a channel
// belongs to the node of its slot, as a key does: who publishes and who subscribes meet there.

#include <fmt/format.h>

#include <utility>

#include "common/base/strings.h"
#include "storage_node/server/dispatcher.h"
#include "storage_node/server/node_session.h"

namespace kvs {
namespace {

// "psubscribe" and "punsubscribe" are about patterns, and so on.
ChannelKind KindOf(const CommandSpec& spec) {
  switch (IdOf(spec)) {
    case CommandId::kPSubscribe:
    case CommandId::kPUnsubscribe:
    case CommandId::kPubSubNumPat:
      return ChannelKind::kPattern;
    case CommandId::kSSubscribe:
    case CommandId::kSUnsubscribe:
    case CommandId::kSPublish:
    case CommandId::kPubSubShardChannels:
    case CommandId::kPubSubShardNumSub:
      return ChannelKind::kShard;
    default:
      return ChannelKind::kChannel;
  }
}

}  // namespace

void Dispatcher::Subscribe(NodeSession* session, const CommandSpec& spec, CommandArgs args) {
  const ChannelKind kind = KindOf(spec);
  const Subscriptions* const held = session->subscriptions();
  if (held != nullptr && held->bytes() > ToInt(options_->client_query_buffer_limit)) {
    return RespWriter(session->client()->protocol, session->output())
        .Error("ERR the names of the subscriptions are longer than client-query-buffer-limit");
  }
  for (const std::string_view name : args.subspan(1)) {
    host_->Subscribe(session, kind, name);
    AppendConfirmation(spec.name, name, session->subscriptions()->CountFor(kind),
                       session->client()->protocol, session->output());
  }
}

// Without names: from all of the kind.
void Dispatcher::Unsubscribe(NodeSession* session, const CommandSpec& spec, CommandArgs args) {
  const ChannelKind kind = KindOf(spec);
  std::vector<std::string> names(args.begin() + 1, args.end());
  if (names.empty() && session->subscriptions() != nullptr) {
    const Subscriptions::Names& all = session->subscriptions()->names(kind);
    names.assign(all.begin(), all.end());
  }
  const int protocol = session->client()->protocol;
  const auto count = [session, kind] {
    return session->subscriptions() == nullptr ? 0 : session->subscriptions()->CountFor(kind);
  };
  for (const std::string& name : names) {
    host_->Unsubscribe(session, kind, name);
    AppendConfirmation(spec.name, name, count(), protocol, session->output());
  }
  if (names.empty()) {
    AppendNothingToEnd(spec.name, count(), protocol, session->output());
  }
}

void Dispatcher::AnswerPubSub(const CommandSpec& spec, CommandArgs args, RespWriter* reply) {
  const ChannelKind kind = KindOf(spec);
  switch (IdOf(spec)) {
    case CommandId::kPublish:
    case CommandId::kSPublish:
      reply->Integer(pubsub_->ReceiverCount(kind, args[1]));
      PublishLater(
          {.kind = kind, .channel = std::string(args[1]), .payload = std::string(args[2])});
      return;
    case CommandId::kPubSubNumPat:
      return reply->Integer(static_cast<int64_t>(pubsub_->NameCount(kind)));
    case CommandId::kPubSubNumSub:
    case CommandId::kPubSubShardNumSub:
      reply->Array(2 * (args.size() - 2));
      for (const std::string_view name : args.subspan(2)) {
        reply->Bulk(name);
        reply->Integer(pubsub_->SubscriberCount(kind, name));
      }
      return;
    default: {
      if (args.size() > 3) {
        return reply->Error(fmt::format(
            "ERR unknown subcommand or wrong number of arguments for '{}'. Try PUBSUB HELP.",
            args[1].substr(0, 128)));
      }
      const std::vector<std::string> names = pubsub_->Names(kind, args.size() == 3 ? args[2] : "*");
      reply->Array(names.size());
      for (const std::string& name : names) {
        reply->Bulk(name);
      }
    }
  }
}

void Dispatcher::PublishLater(Message message) {
  if (pubsub_->ReceiverCount(message.kind, message.channel) > 0) {
    to_publish_bytes_ += sizeof(Message) + message.channel.size() + message.payload.size();
    to_publish_.push_back(std::move(message));
  }
}

// Whoever gets a message finds what was written before it.
void Dispatcher::PublishAll() {
  to_publish_bytes_ = 0;
  for (Message& message : std::exchange(to_publish_, {})) {
    pubsub_->Publish(std::move(message));
  }
}

void Dispatcher::RunPubSubCommand(NodeSession* session, const CommandSpec& spec, CommandArgs args) {
  const int64_t start = loop_->clock()->MonotonicMicros();
  if (IdOf(spec) == CommandId::kPublish || IdOf(spec) == CommandId::kSPublish) {
    (void)txn_->Commit().ok();  // Its outcome goes to the owner of the turn.
  }
  if (!IsSubscription(spec)) {
    RespWriter reply(session->client()->protocol, session->output());
    AnswerPubSub(spec, args, &reply);
    PublishAll();
  } else if (EndsSubscriptions(spec)) {
    Unsubscribe(session, spec, args);
  } else {
    Subscribe(session, spec, args);
  }
  const int64_t micros = loop_->clock()->MonotonicMicros() - start;
  metrics_->CountCommand(static_cast<int>(IdOf(spec)), micros, /*failed=*/false);
  session->EndReply();
  session->NoteTimes(spec, args, {.queue = start - loop_->now_micros(), .engine = micros},
                     /*waits=*/false);
}

}  // namespace kvs
