// The commands that node and proxy answer alike: ACL, AUTH, HELLO, CLIENT, CLUSTER, COMMAND,
// CONFIG, BGREWRITEAOF, BGSAVE, ECHO, INFO, LASTSAVE, LATENCY, LOLWUT, MEMORY but for USAGE,
// MODULE, MONITOR, OBJECT HELP, PING, QUIT, REPLICAOF, RESET, ROLE, SELECT, SHUTDOWN, SLOWLOG,
// TIME.
//
// They are about the connection and the process, never about data.  What differs between the
// programs (the text of INFO, the options) comes through ServiceContext.
//
// Threads: loop-owned; what ServiceContext points to is thread-safe.
// Owner:   the dispatcher of each program calls AnswerConnectionCommand().

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/acl/acl_store.h"
#include "common/base/clock.h"
#include "common/cluster/cluster_view.h"
#include "common/command/command_table.h"
#include "common/command/renamed_commands.h"
#include "common/config/config_store.h"
#include "common/metrics/metrics.h"
#include "common/resp/resp_writer.h"
#include "common/service/client_pause.h"
#include "common/service/client_registry.h"
#include "common/service/diagnostics.h"
#include "common/service/info.h"
#include "common/service/memory_commands.h"
#include "common/service/monitor_feed.h"
#include "common/tracking/tracking_hub.h"

namespace kvs {

// Whether a client wants to be told before its connection ends, by CLIENT MAINT_NOTIFICATIONS.
enum class MovingEndpoint : uint8_t {
  kNotAsked,
  kNone,     // It connects to the address that it knows.
  kAddress,  // It wants to be told where to.
};

// What a session remembers between commands.
struct ClientState {
  std::shared_ptr<ClientInfo> info;
  int protocol = 2;
  bool authenticated = false;
  AclIdentity identity = {};  // Whose rights it has.
  bool close_after_reply = false;
  // CLIENT REPLY: the session drops the replies of commands that begin with one of these.
  bool replies_off = false;
  bool skip_next_reply = false;
  // It has subscribed to something: in RESP2 it may then send few commands only, and PING is
  // answered as if it were a message.
  bool subscribed = false;
  // It has asked who serves which slots, so it knows that there are several to ask.
  bool knows_topology = false;
  // What was asked for by CLIENT TRACKING; nullptr: nothing.
  std::unique_ptr<TrackingSettings> tracking = nullptr;
  MovingEndpoint moving = MovingEndpoint::kNotAsked;
  bool wants_moving() const { return moving != MovingEndpoint::kNotAsked; }
};

// Asked by a session before each command: whether its reply is to be dropped.
inline bool TakeMute(ClientState* client) {
  const bool muted = client->replies_off || client->skip_next_reply;
  client->skip_next_reply = false;
  return muted;
}
// The command that TakeMute() was asked for will run again later.
inline void ReturnMute(bool muted, ClientState* client) {
  client->skip_next_reply = muted && !client->replies_off;
}

// Whether the keys that the command reads are to be remembered for the client.
inline bool TracksReads(const ClientState& client, const CommandSpec& spec) {
  return client.tracking != nullptr && spec.is_read() && client.tracking->TracksReads();
}
// CLIENT CACHING counts for the command behind it, and for a transaction that this one begins.
inline void EndCaching(const CommandSpec& spec, bool in_multi, ClientState* client) {
  if (client->tracking != nullptr && !in_multi && !spec.name.starts_with("client|")) {
    client->tracking->caching = false;
  }
}
// The client tracks nothing any more.
void EndTracking(ClientState* client, TrackingHub* tracking);
// What a hub needs whose clients are registered here; the registry outlives it.
TrackingHub::Deliver DeliverTo(ClientRegistry* clients);
TrackingHub::OnBroken NoteBrokenIn(ClientRegistry* clients);

// What the commands need to know about the process.  One per loop.
struct ServiceContext {
  ConfigStoreBase* config = nullptr;
  ClientRegistry* clients = nullptr;
  ClientPause* pause = nullptr;
  Diagnostics* diagnostics = nullptr;
  MonitorFeed* monitors = nullptr;
  TrackingHub* tracking = nullptr;  // Null: keys are not tracked here.
  const RenamedCommands* renames = nullptr;
  MetricRegistry* metrics = nullptr;
  Clock* clock = nullptr;
  AclStore* acl = nullptr;
  ClusterViewPtr cluster;  // Null: not part of a cluster.  Updated when it changes.
  std::string mode = "standalone";
  std::string role = "master";
  std::function<uint64_t()> log_offset;  // What ROLE says of the log; empty: there is none.
  bool tells_moving = false;             // Whether there are pushes for CLIENT MAINT_NOTIFICATIONS.
  // Ends the waiting of a client's command, as if its time were up or with an error.  Returns
  // whether it has waited.  Empty: nobody waits here.
  std::function<bool(uint64_t client_id, bool with_error)> unblock;
  std::function<std::vector<InfoSection>()> info_sections;
  std::function<std::vector<MemoryPart>()> memory_parts;  // Empty: none are known.
  // Stops the process soon.  Refuses, unless forced, if what was acknowledged could be lost.
  std::function<Status(bool force)> shutdown;
};

// Whether the command is one about a cluster and there is none: kClusterDisabledError.
inline bool NeedsCluster(const CommandSpec& spec, const ServiceContext& service) {
  return spec.group == Group::kCluster && service.cluster == nullptr;
}

// Answers one request whose row is a KVS_PROXY_COMMAND or KVS_CONTAINER row; writes exactly one
// reply, or none for what is not answered.  `*muted` says whether the reply is to be dropped;
// what turns replies on again clears it.  Returns whether the reply is an error.
// REQUIRES: the arity has been checked, and NeedsCluster() is false
bool AnswerConnectionCommand(const CommandSpec& spec, CommandArgs args, ServiceContext* service,
                             ClientState* client, std::string* out, bool* muted);

// As AnswerConnectionCommand(), for a command inside a transaction, UNWATCH among them: writes
// exactly one reply in any case, for EXEC to count.
bool AnswerInTransaction(const CommandSpec& spec, CommandArgs args, ServiceContext* service,
                         ClientState* client, std::string* out);

// Whether a client that has subscribed to something may run the command: in RESP2 nothing would
// tell its replies from messages.
bool MayRunSubscribed(const CommandSpec& spec, const ClientState& client);
// Whether the command is one of those that publish, subscribe or tell about it; PUBSUB HELP is not.
inline bool IsPubSubCommand(const CommandSpec& spec) {
  return spec.group == Group::kPubSub && spec.route != Route::kProxy;
}
// Whether it begins or ends subscriptions, and whether it ends them.
inline bool IsSubscription(const CommandSpec& spec) {
  return IsPubSubCommand(spec) && spec.route == Route::kPinned;
}
// Whether it cannot be a part of a transaction.  MIGRATE waits for another server.
inline bool IsRefusedInMulti(const CommandSpec& spec) {
  return spec.Has(Cmd::kNoMulti) || IsSubscription(spec) || IdOf(spec) == CommandId::kMigrate;
}
inline bool EndsSubscriptions(const CommandSpec& spec) {
  return IdOf(spec) == CommandId::kUnsubscribe || IdOf(spec) == CommandId::kPUnsubscribe ||
         IdOf(spec) == CommandId::kSUnsubscribe;
}
// Whether every node publishes on the channel what happens to its own keys: it belongs to no slot.
inline bool IsEveryNodesChannel(std::string_view channel) {
  return channel.starts_with("__keyspace@") || channel.starts_with("__keyevent@");
}
// Redis's words for one that may not.
std::string SubscribedError(const CommandSpec& spec);

// Whether the client may run the command: before AUTH only a few are allowed.
inline bool MayRun(const CommandSpec& spec, const ClientState& client) {
  return client.authenticated || spec.Has(Cmd::kNoAuth);
}
inline constexpr std::string_view kNoAuthError = "NOAUTH Authentication required.";

// A client that has just connected.
inline void BeginClient(const ServiceContext& service, ClientState* client) {
  client->identity.BecomeDefault(*service.acl);
  client->authenticated = service.acl->is_open();
}

}  // namespace kvs
