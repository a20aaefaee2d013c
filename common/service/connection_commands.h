// The commands that node and proxy answer alike: AUTH, HELLO, CLIENT, CLUSTER, COMMAND, CONFIG,
// ECHO, INFO, LATENCY, LOLWUT, MEMORY but for USAGE, MONITOR, OBJECT HELP, PING, QUIT, RESET,
// SELECT, SHUTDOWN, SLOWLOG, TIME.
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
  bool close_after_reply = false;
  // CLIENT REPLY: the session drops the replies of commands that begin with one of these.
  bool replies_off = false;
  bool skip_next_reply = false;
  // It has asked who serves which slots, so it knows that there are several to ask.
  bool knows_topology = false;
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

// What the commands need to know about the process.  One per loop.
struct ServiceContext {
  ConfigStoreBase* config = nullptr;
  ClientRegistry* clients = nullptr;
  ClientPause* pause = nullptr;
  Diagnostics* diagnostics = nullptr;
  MonitorFeed* monitors = nullptr;
  const RenamedCommands* renames = nullptr;
  MetricRegistry* metrics = nullptr;
  Clock* clock = nullptr;
  std::string requirepass;  // Empty: no password.  Updated when options change.
  ClusterViewPtr cluster;   // Null: not part of a cluster.  Updated when it changes.
  std::string mode = "standalone";
  std::string role = "master";
  bool tells_moving = false;  // Whether there are pushes for CLIENT MAINT_NOTIFICATIONS.
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

// Whether the client may run the command: before AUTH only a few are allowed.
inline bool MayRun(const CommandSpec& spec, const ClientState& client) {
  return client.authenticated || spec.Has(Cmd::kNoAuth);
}
inline constexpr std::string_view kNoAuthError = "NOAUTH Authentication required.";

}  // namespace kvs
