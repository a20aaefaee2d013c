#include "common/service/connection_commands.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "common/base/build_info.h"
#include "common/base/strings.h"
#include "common/command/command_docs.h"
#include "common/service/acl_gate.h"
#include "common/service/connection_call.h"

namespace kvs {
namespace {

constexpr std::string_view kWrongPass =
    "WRONGPASS invalid username-password pair or user is disabled.";
using Call = ConnectionCall;

// Makes the client the user, or notes that somebody has tried.
bool Authenticate(Call* call, std::string_view name, std::string_view password) {
  const AclUsersPtr users = call->service->acl->users();
  const AclUserPtr user = users->Find(name);
  // A name that nobody has takes as long.
  const bool fits = user != nullptr ? user->Accepts(password) : AclUser().Accepts(password);
  if (!fits || user == nullptr) {
    NoteRefusal({.denial = AclDenial::kAuth, .context = ContextOf(*call->client->info)},
                call->args[0], name, *call->client->info, call->service);
    return false;
  }
  call->client->identity.Become(user, users->generation);
  call->client->authenticated = true;
  call->client->info->SetUser(user->name);
  return true;
}

void Auth(Call* call) {
  if (call->args.size() > 3) {
    return call->Fail(kSyntaxErrorText);
  }
  const bool named = call->args.size() == 3;
  const AclUserPtr none = named ? nullptr : call->service->acl->Find("default");
  if (!named && none->no_password) {
    return call->Fail(
        "ERR AUTH <password> called without any password configured for the default user. Are you "
        "sure your configuration is correct?");
  }
  const std::string_view user = named ? call->args[1] : "default";
  if (!Authenticate(call, user, call->args.back())) {
    return call->Fail(kWrongPass);
  }
  call->reply.Ok();
}

void Hello(Call* call) {
  const CommandArgs args = call->args;
  int64_t version = call->client->protocol;
  size_t i = 1;
  if (args.size() > 1) {
    if (!ParseInt64(args[1], &version)) {
      return call->Fail("ERR Protocol version is not an integer or out of range");
    }
    if (version < 2 || version > 3) {
      return call->Fail("NOPROTO unsupported protocol version");
    }
    i = 2;
  }
  std::string_view name;
  bool has_name = false;
  while (i < args.size()) {
    if (EqualsIgnoreCase(args[i], "auth") && i + 2 < args.size()) {
      if (!Authenticate(call, args[i + 1], args[i + 2])) {
        return call->Fail(kWrongPass);
      }
      i += 3;
    } else if (EqualsIgnoreCase(args[i], "setname") && i + 1 < args.size()) {
      name = args[i + 1];
      has_name = true;
      if (!IsPrintableName(name)) {
        return call->Fail(
            "ERR Client names cannot contain spaces, newlines or special characters.");
      }
      i += 2;
    } else {
      return call->Fail(fmt::format("ERR Syntax error in HELLO option '{}'", args[i]));
    }
  }
  if (!call->client->authenticated) {
    return call->Fail(
        "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO "
        "<proto> AUTH <user> <pass> option can be used to authenticate the client and select the "
        "RESP protocol version at the same time");
  }
  call->client->protocol = static_cast<int>(version);
  call->client->info->protocol.store(static_cast<int>(version), std::memory_order_relaxed);
  if (has_name) {
    call->client->info->SetName(name);
  }
  RespWriter reply(static_cast<int>(version), call->reply.out());
  reply.Map(7);
  reply.Bulk("server");
  reply.Bulk("redis");
  reply.Bulk("version");
  reply.Bulk(kRedisVersion);
  reply.Bulk("proto");
  reply.Integer(version);
  reply.Bulk("id");
  reply.Integer(static_cast<int64_t>(call->client->info->id));
  reply.Bulk("mode");
  reply.Bulk(call->service->mode);
  reply.Bulk("role");
  reply.Bulk(call->service->role);
  reply.Bulk("modules");
  reply.Array(0);
}

void Reset(Call* call) {
  ClientState* client = call->client;
  client->protocol = 2;
  client->info->protocol.store(2, std::memory_order_relaxed);
  client->info->SetName("");
  BeginClient(*call->service, client);
  client->info->SetUser(client->identity.name());
  client->info->no_evict.store(false, std::memory_order_relaxed);
  client->info->no_touch.store(false, std::memory_order_relaxed);
  client->info->monitor.store(false, std::memory_order_relaxed);
  EndTracking(client, call->service->tracking);
  client->replies_off = false;
  client->knows_topology = false;
  client->moving = MovingEndpoint::kNotAsked;
  *call->muted = false;
  RespWriter(2, call->reply.out()).Simple("RESET");
}

void Ping(Call* call) {
  if (call->args.size() > 2) {
    return call->Fail(WrongArityError(call->spec));
  }
  if (call->client->subscribed && call->client->protocol == 2) {
    call->reply.Array(2);
    call->reply.Bulk("pong");
    call->reply.Bulk(call->args.size() == 2 ? call->args[1] : "");
  } else if (call->args.size() == 2) {
    call->reply.Bulk(call->args[1]);
  } else {
    call->reply.Raw(kPongReply);
  }
}

void Select(Call* call) {
  int64_t index = 0;
  if (!ParseInt64(call->args[1], &index) || index > INT32_MAX || index < INT32_MIN) {
    return call->Fail("ERR value is not an integer or out of range");
  }
  if (index != 0) {
    return call->Fail("ERR DB index is out of range");
  }
  call->reply.Ok();
}

void Time(Call* call) {
  const int64_t now = call->service->clock->WallMicros();
  call->reply.Array(2);
  call->reply.Bulk(std::to_string(now / 1'000'000));
  call->reply.Bulk(std::to_string(now % 1'000'000));
}

void ConfigGet(Call* call) {
  const std::vector<std::string_view> patterns(call->args.begin() + 2, call->args.end());
  const ConfigPairs pairs = call->service->config->Get(patterns);
  call->reply.Map(pairs.size());
  for (const auto& [name, value] : pairs) {
    call->reply.Bulk(name);
    call->reply.Bulk(value);
  }
}

void ConfigSet(Call* call) {
  if (call->args.size() % 2 != 0) {
    return call->Fail(WrongArityError(call->spec));
  }
  ConfigPairs changes;
  for (size_t i = 2; i < call->args.size(); i += 2) {
    const std::string name = ToLower(call->args[i]);
    for (const auto& [earlier, value] : changes) {
      if (earlier == name) {
        return call->Fail(
            fmt::format("ERR CONFIG SET failed (possibly related to argument '{}') "
                        "- duplicate parameter",
                        call->args[i]));
      }
    }
    changes.emplace_back(name, call->args[i + 1]);
  }
  std::string bad_name;
  const Status status = call->service->config->Set(changes, &bad_name);
  if (status.code() == Code::kUnsupported) {
    return call->Fail(fmt::format("ERR {} - '{}'", status.message(), bad_name));
  }
  if (!status.ok()) {
    return call->Fail(fmt::format("ERR CONFIG SET failed (possibly related to argument '{}') - {}",
                                  bad_name, status.message()));
  }
  call->reply.Ok();
}

void ConfigRewrite(Call* call) {
  const Status status = call->service->config->Rewrite();
  if (status.code() == Code::kNotFound) {
    return call->Fail(fmt::format("ERR {}", status.message()));
  }
  if (!status.ok()) {
    return call->Fail(fmt::format("ERR Rewriting config file: {}", status.message()));
  }
  call->reply.Ok();
}

void AnswerConfig(CommandId id, Call* call) {
  switch (id) {
    case CommandId::kConfigGet:
      return ConfigGet(call);
    case CommandId::kConfigSet:
      return ConfigSet(call);
    case CommandId::kConfigRewrite:
      return ConfigRewrite(call);
    case CommandId::kConfigResetStat:
      call->service->metrics->Reset();
      return call->reply.Ok();
    default:
      return WriteHelp(GetCommand(CommandId::kConfig), &call->reply);
  }
}

void AnswerMemory(CommandId id, Call* call) {
  const auto figures = [call] {
    const auto& parts = call->service->memory_parts;
    return ReadMemoryFigures(*call->service->clients, parts ? parts() : std::vector<MemoryPart>());
  };
  switch (id) {
    case CommandId::kMemoryDoctor:
      return call->reply.Verbatim("txt", DiagnoseMemory(figures()));
    case CommandId::kMemoryMallocStats:
      return call->reply.Verbatim("txt", AllocatorReport());
    case CommandId::kMemoryPurge:
      return PurgeAllocator() ? call->reply.Ok() : call->Fail("ERR Error purging dirty pages");
    case CommandId::kMemoryStats:
      return WriteMemoryStats(figures(), &call->reply);
    default:
      return WriteHelp(GetCommand(CommandId::kMemory), &call->reply);
  }
}

// Redis draws for versions 5 and 6; since 7 it tells its version alone, and so does this.
void Lolwut(Call* call) {
  int64_t version = 0;
  if (call->args.size() > 2 && EqualsIgnoreCase(call->args[1], "version") &&
      !ParseInt64(call->args[2], &version)) {
    return call->Fail("ERR value is not an integer or out of range");
  }
  call->reply.Verbatim("txt", fmt::format("Redis ver. {}\n", kRedisVersion));
}

// What is acknowledged is in the log: there is nothing to begin, and nothing that could fail.
void BgSave(Call* call) {
  const bool schedules = call->args.size() == 2 && EqualsIgnoreCase(call->args[1], "schedule");
  if (call->args.size() > 1 && !schedules) {
    return call->Fail(kSyntaxErrorText);
  }
  call->reply.Simple("Background saving started");
}

void ReplicaOf(Call* call) {
  if (call->service->cluster != nullptr) {
    return call->Fail("ERR REPLICAOF not allowed in cluster mode.");
  }
  int64_t port = 0;
  if (EqualsIgnoreCase(call->args[1], "no") && EqualsIgnoreCase(call->args[2], "one")) {
    return call->reply.Ok();
  }
  if (!ParseInt64(call->args[2], &port) || port < 0 || port > 65535) {
    return call->Fail("ERR Invalid master port");
  }
  call->Fail("ERR there are no slaves: this server is a master and stays one");
}

void Role(Call* call) {
  const auto& offset = call->service->log_offset;
  call->reply.Array(3);
  call->reply.Bulk(call->service->role);
  call->reply.Integer(offset ? static_cast<int64_t>(offset()) : 0);
  call->reply.Array(0);
}

// For a proxy: no shard has slaves, so there is nothing to wait for.
void Wait(Call* call) {
  int64_t slaves = 0;
  int64_t timeout_ms = 0;
  if (!ParseInt64(call->args[1], &slaves)) {
    return call->Fail(kNotAnIntegerText);
  }
  if (!ParseInt64(call->args[2], &timeout_ms)) {
    return call->Fail("ERR timeout is not an integer or out of range");
  }
  if (timeout_ms < 0) {
    return call->Fail("ERR timeout is negative");
  }
  call->reply.Integer(0);
}

// The session does the rest.  A connection that monitors already hears nothing.
void Monitor(Call* call) {
  if (call->client->info->monitor.exchange(true, std::memory_order_relaxed)) {
    *call->muted = true;
    return;
  }
  call->reply.Ok();
}

// Nothing has to be saved, so there is no shutdown that takes time and could be aborted.
void Shutdown(Call* call) {
  bool save = false;
  bool nosave = false;
  bool now = false;
  bool force = false;
  bool abort = false;
  const std::pair<std::string_view, bool*> words[] = {
      {"save", &save}, {"nosave", &nosave}, {"now", &now}, {"force", &force}, {"abort", &abort}};
  for (const std::string_view argument : call->args.subspan(1)) {
    const auto* word = std::find_if(std::begin(words), std::end(words), [&](const auto& entry) {
      return EqualsIgnoreCase(entry.first, argument);
    });
    if (word == std::end(words)) {
      return call->Fail(kSyntaxErrorText);
    }
    *word->second = true;
  }
  if ((save && nosave) || (abort && (save || nosave || now || force))) {
    return call->Fail(kSyntaxErrorText);
  }
  if (abort) {
    return call->Fail("ERR No shutdown in progress.");
  }
  if (!call->service->shutdown(force || nosave).ok()) {
    return call->Fail("ERR Errors trying to SHUTDOWN. Check logs.");
  }
  *call->muted = true;
}

void Answer(CommandId id, Call* call) {
  const std::string_view name = call->spec.name;
  if (call->spec.group == Group::kCluster) {
    return AnswerCluster(id, call);
  }
  if (name.starts_with("client|")) {
    return AnswerClient(id, call);
  }
  if (name.starts_with("acl|")) {
    return AnswerAcl(id, call);
  }
  if (name.starts_with("slowlog|")) {
    return AnswerSlowLog(id, call);
  }
  if (name.starts_with("hotkeys|")) {
    return AnswerHotKeys(id, call);
  }
  if (name.starts_with("latency|")) {
    return AnswerLatency(id, call);
  }
  if (name.starts_with("config|")) {
    return AnswerConfig(id, call);
  }
  if (name.starts_with("memory|")) {
    return AnswerMemory(id, call);
  }
  if (name.starts_with("command")) {
    return AnswerCommand(call->args, &call->reply);
  }
  switch (id) {
    case CommandId::kAuth:
      return Auth(call);
    case CommandId::kHello:
      return Hello(call);
    case CommandId::kReset:
      return Reset(call);
    case CommandId::kPing:
      return Ping(call);
    case CommandId::kMonitor:
      return Monitor(call);
    case CommandId::kShutdown:
      return Shutdown(call);
    case CommandId::kEcho:
      return call->reply.Bulk(call->args[1]);
    case CommandId::kSelect:
      return Select(call);
    case CommandId::kTime:
      return Time(call);
    case CommandId::kLolwut:
      return Lolwut(call);
    case CommandId::kBgRewriteAof:
      return call->reply.Simple("Background append only file rewriting started");
    case CommandId::kBgSave:
      return BgSave(call);
    case CommandId::kLastSave:
      return call->reply.Integer(call->service->clock->WallMicros() / 1'000'000);
    case CommandId::kReplicaOf:
    case CommandId::kSlaveOf:
      return ReplicaOf(call);
    case CommandId::kRole:
      return Role(call);
    case CommandId::kWait:
      return Wait(call);
    case CommandId::kModuleList:
      return call->reply.Array(0);
    case CommandId::kModuleHelp:
      return WriteHelp(GetCommand(CommandId::kModule), &call->reply);
    case CommandId::kPubSubHelp:
      return WriteHelp(GetCommand(CommandId::kPubSub), &call->reply);
    case CommandId::kFunctionHelp:
      return WriteHelp(GetCommand(CommandId::kFunction), &call->reply);
    case CommandId::kScriptHelp:
      return WriteHelp(GetCommand(CommandId::kScript), &call->reply);
    case CommandId::kObjectHelp:
      return WriteHelp(GetCommand(CommandId::kObject), &call->reply);
    case CommandId::kXGroupHelp:
      return WriteHelp(GetCommand(CommandId::kXGroup), &call->reply);
    case CommandId::kXInfoHelp:
      return WriteHelp(GetCommand(CommandId::kXInfo), &call->reply);
    case CommandId::kQuit:
      call->client->close_after_reply = true;
      return call->reply.Ok();
    case CommandId::kInfo:
      return call->reply.Verbatim(
          "txt", FormatInfo(call->service->info_sections(), call->args.subspan(1)));
    default:
      return call->Fail(UnknownCommandError(call->args));
  }
}

}  // namespace

bool AnswerConnectionCommand(const CommandSpec& spec, CommandArgs args, ServiceContext* service,
                             ClientState* client, std::string* out, bool* muted) {
  const size_t start = out->size();
  Call call{spec, args, service, client, RespWriter(client->protocol, out), muted};
  Answer(IdOf(spec), &call);
  return out->size() > start && (*out)[start] == '-';
}

bool MayRunSubscribed(const CommandSpec& spec, const ClientState& client) {
  if (!client.subscribed || client.protocol > 2) {
    return true;
  }
  switch (IdOf(spec)) {
    case CommandId::kPing:
    case CommandId::kQuit:
    case CommandId::kReset:
      return true;
    default:
      return IsSubscription(spec);
  }
}

std::string SubscribedError(const CommandSpec& spec) {
  return fmt::format(
      "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are "
      "allowed in this context",
      spec.name);
}

bool AnswerInTransaction(const CommandSpec& spec, CommandArgs args, ServiceContext* service,
                         ClientState* client, std::string* out) {
  const size_t start = out->size();
  if (IdOf(spec) == CommandId::kUnwatch) {
    out->append(kOkReply);  // EXEC has forgotten what was watched.
    return false;
  }
  if (IdOf(spec) == CommandId::kMonitor) {
    RespWriter(client->protocol, out).Error("ERR MONITOR isn't allowed for DENY BLOCKING client");
    return true;
  }
  bool muted = false;
  const bool failed = AnswerConnectionCommand(spec, args, service, client, out, &muted);
  if (out->size() == start) {
    out->append(kOkReply);  // CLIENT REPLY says nothing.
  }
  return failed;
}

}  // namespace kvs
