// CLIENT.

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <optional>

#include "common/base/strings.h"
#include "common/command/command_docs.h"
#include "common/service/connection_call.h"

namespace kvs {

bool IsPrintableName(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= '!' && c <= '~'; });
}

void FailArgumentCount(ConnectionCall* call) {
  const std::string_view container = call->spec.name.substr(0, call->spec.name.find('|'));
  call->Fail(
      fmt::format("ERR unknown subcommand or wrong number of arguments for '{}'. Try {} HELP.",
                  call->args[1].substr(0, 128), ToUpper(container)));
}

namespace {

enum class ClientType : uint8_t { kAny, kNormal, kPubSub, kReplication };

// Returns nothing if there is no such type.
std::optional<ClientType> ParseType(std::string_view text) {
  constexpr std::pair<std::string_view, ClientType> kTypes[] = {
      {"normal", ClientType::kNormal},
      {"pubsub", ClientType::kPubSub},
      {"master", ClientType::kReplication},
      {"replica", ClientType::kReplication},
      {"slave", ClientType::kReplication}};
  for (const auto& [name, type] : kTypes) {
    if (EqualsIgnoreCase(text, name)) {
      return type;
    }
  }
  return std::nullopt;
}

bool IsOfType(const ClientInfo& client, ClientType type) {
  return type == ClientType::kAny ||
         type == (client.subscribed() ? ClientType::kPubSub : ClientType::kNormal);
}

void FailType(ConnectionCall* call, std::string_view type) {
  call->Fail(fmt::format("ERR Unknown client type '{}'", type));
}

// Reads the last argument of a command that takes ON or OFF.
void AnswerSwitch(ConnectionCall* call, std::atomic<bool>* setting) {
  const bool on = EqualsIgnoreCase(call->args[2], "on");
  if (!on && !EqualsIgnoreCase(call->args[2], "off")) {
    return call->Fail(kSyntaxErrorText);
  }
  setting->store(on, std::memory_order_relaxed);
  call->reply.Ok();
}

void ClientSetName(ConnectionCall* call) {
  if (!IsPrintableName(call->args[2])) {
    return call->Fail("ERR Client names cannot contain spaces, newlines or special characters.");
  }
  call->client->info->SetName(call->args[2]);
  call->reply.Ok();
}

void ClientSetInfo(ConnectionCall* call) {
  const std::string option = ToLower(call->args[2]);
  if (option != "lib-name" && option != "lib-ver") {
    return call->Fail(fmt::format("ERR Unrecognized option '{}'", call->args[2]));
  }
  if (!IsPrintableName(call->args[3])) {
    return call->Fail(
        fmt::format("ERR {} cannot contain spaces, newlines or special characters.", option));
  }
  if (option == "lib-name") {
    call->client->info->SetLibraryName(call->args[3]);
  } else {
    call->client->info->SetLibraryVersion(call->args[3]);
  }
  call->reply.Ok();
}

// Lists the connections in the order in which they are named.
void ClientListById(ConnectionCall* call) {
  std::vector<int64_t> ids;
  for (const std::string_view word : call->args.subspan(3)) {
    int64_t id = 0;
    if (!ParseInt64(word, &id)) {
      return call->Fail("ERR Invalid client ID");
    }
    ids.push_back(id);
  }
  std::map<int64_t, std::string> lines;
  for (const int64_t id : ids) {
    lines.emplace(id, "");
  }
  const int64_t now_ms = call->service->clock->MonotonicMillis();
  call->service->clients->ForEach([&](const ClientInfo& client) {
    const auto wanted = lines.find(static_cast<int64_t>(client.id));
    if (wanted != lines.end()) {
      wanted->second = client.Describe(now_ms) + "\n";
    }
  });
  std::string text;
  for (const int64_t id : ids) {
    text += lines[id];
  }
  call->reply.Verbatim("txt", text);
}

void ClientList(ConnectionCall* call) {
  const CommandArgs args = call->args;
  if (args.size() > 3 && EqualsIgnoreCase(args[2], "id")) {
    return ClientListById(call);
  }
  ClientType wanted = ClientType::kAny;
  if (args.size() == 4 && EqualsIgnoreCase(args[2], "type")) {
    const std::optional<ClientType> type = ParseType(args[3]);
    if (!type.has_value()) {
      return FailType(call, args[3]);
    }
    wanted = *type;
  } else if (args.size() != 2) {
    return call->Fail(kSyntaxErrorText);
  }
  std::string text;
  const int64_t now_ms = call->service->clock->MonotonicMillis();
  call->service->clients->ForEach([&](const ClientInfo& client) {
    if (IsOfType(client, wanted)) {
      text += client.Describe(now_ms) + "\n";
    }
  });
  call->reply.Verbatim("txt", text);
}

struct KillFilter {
  int64_t id = 0;  // 0: any.
  std::optional<std::string_view> address;
  std::optional<std::string_view> local_address;
  std::optional<std::string_view> user;
  ClientType type = ClientType::kAny;
  bool skip_me = true;

  bool Fits(const ClientInfo& client, uint64_t my_id) const {
    return IsOfType(client, type) && (id == 0 || static_cast<uint64_t>(id) == client.id) &&
           (!address.has_value() || *address == client.address) &&
           (!local_address.has_value() || *local_address == client.local_address) &&
           (!user.has_value() || *user == client.user()) && (!skip_me || client.id != my_id);
  }
};

// Reads one pair of CLIENT KILL.  Returns false after an error reply.
bool ReadKillPair(ConnectionCall* call, std::string_view name, std::string_view value,
                  KillFilter* filter) {
  if (EqualsIgnoreCase(name, "id")) {
    if (!ParseInt64(value, &filter->id) || filter->id < 1) {
      call->Fail("ERR client-id should be greater than 0");
      return false;
    }
  } else if (EqualsIgnoreCase(name, "type")) {
    const std::optional<ClientType> type = ParseType(value);
    if (!type.has_value()) {
      FailType(call, value);
      return false;
    }
    filter->type = *type;
  } else if (EqualsIgnoreCase(name, "addr")) {
    filter->address = value;
  } else if (EqualsIgnoreCase(name, "laddr")) {
    filter->local_address = value;
  } else if (EqualsIgnoreCase(name, "user")) {
    if (call->service->acl->Find(value) == nullptr) {
      call->Fail(fmt::format("ERR No such user '{}'", value));
      return false;
    }
    filter->user = value;
  } else if (EqualsIgnoreCase(name, "skipme") &&
             (EqualsIgnoreCase(value, "yes") || EqualsIgnoreCase(value, "no"))) {
    filter->skip_me = EqualsIgnoreCase(value, "yes");
  } else {
    call->Fail(kSyntaxErrorText);
    return false;
  }
  return true;
}

int64_t KillClients(ConnectionCall* call, const KillFilter& filter) {
  int64_t killed = 0;
  const uint64_t my_id = call->client->info->id;
  call->service->clients->ForEach([&](const ClientInfo& client) {
    if (!filter.Fits(client, my_id)) {
      return;
    }
    if (client.id == my_id) {
      call->client->close_after_reply = true;
    } else {
      client.Kill();
    }
    ++killed;
  });
  return killed;
}

// The old form, with an address alone, may close the connection that asks.
void ClientKill(ConnectionCall* call) {
  const CommandArgs args = call->args;
  KillFilter filter;
  if (args.size() == 3) {
    filter.address = args[2];
    filter.skip_me = false;
    return KillClients(call, filter) == 0 ? call->Fail("ERR No such client") : call->reply.Ok();
  }
  for (size_t i = 2; i < args.size(); i += 2) {
    if (i + 1 == args.size()) {
      return call->Fail(kSyntaxErrorText);
    }
    if (!ReadKillPair(call, args[i], args[i + 1], &filter)) {
      return;
    }
  }
  call->reply.Integer(KillClients(call, filter));
}

void ClientPauseAll(ConnectionCall* call) {
  const CommandArgs args = call->args;
  if (args.size() > 4) {
    return FailArgumentCount(call);
  }
  const bool only_writes = args.size() == 4 && EqualsIgnoreCase(args[3], "write");
  if (args.size() == 4 && !only_writes && !EqualsIgnoreCase(args[3], "all")) {
    return call->Fail("ERR CLIENT PAUSE mode must be WRITE or ALL");
  }
  int64_t timeout_ms = 0;
  if (!ParseInt64(args[2], &timeout_ms)) {
    return call->Fail("ERR timeout is not an integer or out of range");
  }
  if (timeout_ms < 0) {
    return call->Fail("ERR timeout is negative");
  }
  const int64_t now_ms = call->service->clock->MonotonicMillis();
  const int64_t until_ms =
      now_ms + std::min(timeout_ms, std::numeric_limits<int64_t>::max() - now_ms);
  call->service->pause->Pause(!only_writes, until_ms, now_ms);
  call->reply.Ok();
}

// What is said to OFF and SKIP, and to what follows OFF, the session drops.
void ClientReply(ConnectionCall* call) {
  ClientState* client = call->client;
  const std::string_view mode = call->args[2];
  if (EqualsIgnoreCase(mode, "on")) {
    client->replies_off = false;
    client->skip_next_reply = false;
    *call->muted = false;
    call->reply.Ok();
  } else if (EqualsIgnoreCase(mode, "off")) {
    client->replies_off = true;
    *call->muted = true;
  } else if (EqualsIgnoreCase(mode, "skip")) {
    client->skip_next_reply = !client->replies_off;
    *call->muted = true;
  } else {
    call->Fail(kSyntaxErrorText);
  }
}

void ClientUnblock(ConnectionCall* call) {
  const CommandArgs args = call->args;
  if (args.size() > 4) {
    return FailArgumentCount(call);
  }
  if (args.size() == 4 && !EqualsIgnoreCase(args[3], "timeout") &&
      !EqualsIgnoreCase(args[3], "error")) {
    return call->Fail("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
  }
  int64_t id = 0;
  if (!ParseInt64(args[2], &id)) {
    return call->Fail(kNotAnIntegerText);
  }
  const bool with_error = args.size() == 4 && EqualsIgnoreCase(args[3], "error");
  const ServiceContext& service = *call->service;
  const bool unblocked = service.unblock && service.unblock(static_cast<uint64_t>(id), with_error);
  call->reply.Integer(unblocked ? 1 : 0);
}

// Returns what the client wants to be told, or nothing if its words make no sense.
std::optional<MovingEndpoint> ReadMovingEndpoint(CommandArgs args) {
  if (args.size() == 3) {
    return MovingEndpoint::kAddress;
  }
  if (args.size() != 5 || !EqualsIgnoreCase(args[3], "moving-endpoint-type")) {
    return std::nullopt;
  }
  if (EqualsIgnoreCase(args[4], "none")) {
    return MovingEndpoint::kNone;
  }
  // There is one kind of address here, whatever the kind that is asked for.
  for (const std::string_view type :
       {"internal-ip", "internal-fqdn", "external-ip", "external-fqdn"}) {
    if (EqualsIgnoreCase(args[4], type)) {
      return MovingEndpoint::kAddress;
    }
  }
  return std::nullopt;
}

void ClientMaintNotifications(ConnectionCall* call) {
  const std::optional<MovingEndpoint> endpoint = ReadMovingEndpoint(call->args);
  const bool on = EqualsIgnoreCase(call->args[2], "on");
  if (!endpoint.has_value() || (!on && !EqualsIgnoreCase(call->args[2], "off"))) {
    return call->Fail(kSyntaxErrorText);
  }
  if (on && !call->service->tells_moving) {
    return call->Fail("ERR CLIENT MAINT_NOTIFICATIONS is served by proxies: no node sends any");
  }
  if (on && call->client->protocol < 3) {
    return call->Fail("ERR CLIENT MAINT_NOTIFICATIONS needs RESP3: send HELLO 3 before");
  }
  call->client->moving = on ? *endpoint : MovingEndpoint::kNotAsked;
  call->reply.Ok();
}

void ClientGetName(ConnectionCall* call) {
  const std::string name = call->client->info->name();
  return name.empty() ? call->reply.Null() : call->reply.Bulk(name);
}

}  // namespace

void AnswerClient(CommandId id, ConnectionCall* call) {
  ClientInfo* info = call->client->info.get();
  switch (id) {
    case CommandId::kClientCaching:
    case CommandId::kClientGetRedir:
    case CommandId::kClientTracking:
    case CommandId::kClientTrackingInfo:
      return AnswerTracking(id, call);
    case CommandId::kClientGetName:
      return ClientGetName(call);
    case CommandId::kClientId:
      return call->reply.Integer(static_cast<int64_t>(info->id));
    case CommandId::kClientInfo:
      return call->reply.Verbatim("txt",
                                  info->Describe(call->service->clock->MonotonicMillis()) + "\n");
    case CommandId::kClientKill:
      return ClientKill(call);
    case CommandId::kClientList:
      return ClientList(call);
    case CommandId::kClientMaintNotifications:
      return ClientMaintNotifications(call);
    case CommandId::kClientNoEvict:
      return AnswerSwitch(call, &info->no_evict);
    case CommandId::kClientNoTouch:
      return AnswerSwitch(call, &info->no_touch);
    case CommandId::kClientPause:
      return ClientPauseAll(call);
    case CommandId::kClientReply:
      return ClientReply(call);
    case CommandId::kClientSetInfo:
      return ClientSetInfo(call);
    case CommandId::kClientSetName:
      return ClientSetName(call);
    case CommandId::kClientUnblock:
      return ClientUnblock(call);
    case CommandId::kClientUnpause:
      call->service->pause->Unpause();
      return call->reply.Ok();
    default:
      return WriteHelp(GetCommand(CommandId::kClient), &call->reply);
  }
}

}  // namespace kvs
