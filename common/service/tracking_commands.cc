// CLIENT TRACKING, CACHING, GETREDIR and TRACKINGINFO.

#include <utility>
#include <vector>

#include "common/base/strings.h"
#include "common/service/connection_call.h"

namespace kvs {
namespace {

constexpr std::string_view kNoModeText =
    "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or "
    "OPTOUT mode enabled";

struct TrackingWords {
  TrackingSettings settings;
  std::vector<std::string_view> prefixes;
};

// Reads the words behind ON or OFF.  Returns false after an error reply.
bool ReadWords(ConnectionCall* call, TrackingWords* words) {
  const CommandArgs args = call->args;
  TrackingSettings* const settings = &words->settings;
  for (size_t i = 3; i < args.size(); ++i) {
    const bool more = i + 1 < args.size();
    if (EqualsIgnoreCase(args[i], "redirect") && more) {
      if (settings->redirect != 0) {
        call->Fail("ERR A client can only redirect to a single other client");
        return false;
      }
      if (!ParseInt64(args[++i], &settings->redirect)) {
        call->Fail(kNotAnIntegerText);
        return false;
      }
      if (!call->service->clients->Visit(static_cast<uint64_t>(settings->redirect),
                                         [](const ClientInfo& /*client*/) {})) {
        call->Fail("ERR The client ID you want redirect to does not exist");
        return false;
      }
    } else if (EqualsIgnoreCase(args[i], "prefix") && more) {
      words->prefixes.push_back(args[++i]);
    } else if (EqualsIgnoreCase(args[i], "bcast")) {
      settings->bcast = true;
    } else if (EqualsIgnoreCase(args[i], "optin")) {
      settings->opt_in = true;
    } else if (EqualsIgnoreCase(args[i], "optout")) {
      settings->opt_out = true;
    } else if (EqualsIgnoreCase(args[i], "noloop")) {
      settings->no_loop = true;
    } else {
      call->Fail(kSyntaxErrorText);
      return false;
    }
  }
  return true;
}

void Tracking(ConnectionCall* call) {
  TrackingWords words;
  if (!ReadWords(call, &words)) {
    return;
  }
  ClientState* const client = call->client;
  if (EqualsIgnoreCase(call->args[2], "off")) {
    EndTracking(client, call->service->tracking);
    return call->reply.Ok();
  }
  if (!EqualsIgnoreCase(call->args[2], "on")) {
    return call->Fail(kSyntaxErrorText);
  }
  if (call->service->tracking == nullptr) {
    return call->Fail("ERR CLIENT TRACKING ON is not supported: keys are not tracked here");
  }
  const TrackingSettings before =
      client->tracking == nullptr ? TrackingSettings() : *client->tracking;
  Result<TrackingSettings> settings = TurnTrackingOn(before, words.settings, words.prefixes);
  if (!settings.ok()) {
    return call->reply.Error(settings.status());
  }
  client->tracking = std::make_unique<TrackingSettings>(*std::move(settings));
  client->info->tracking.store(true, std::memory_order_relaxed);
  client->info->tracking_bcast.store(client->tracking->bcast, std::memory_order_relaxed);
  client->info->tracking_redirect.store(client->tracking->redirect, std::memory_order_relaxed);
  client->info->redirect_broken.store(false, std::memory_order_relaxed);
  call->service->tracking->Set(client->info->id, *client->tracking);
  call->reply.Ok();
}

void Caching(ConnectionCall* call) {
  TrackingSettings* const settings = call->client->tracking.get();
  if (settings == nullptr) {
    return call->Fail(kNoModeText);
  }
  const bool yes = EqualsIgnoreCase(call->args[2], "yes");
  if (!yes && !EqualsIgnoreCase(call->args[2], "no")) {
    return call->Fail(kSyntaxErrorText);
  }
  if (const Status status = SetCaching(yes, settings); !status.ok()) {
    return call->reply.Error(status);
  }
  call->reply.Ok();
}

void TrackingInfo(ConnectionCall* call) {
  const TrackingSettings* const settings = call->client->tracking.get();
  std::vector<std::string_view> flags;
  if (settings == nullptr) {
    flags = {"off"};
  } else {
    const auto add = [&flags](bool has, std::string_view flag) {
      if (has) {
        flags.push_back(flag);
      }
    };
    flags = {"on"};
    add(settings->bcast, "bcast");
    add(settings->opt_in, "optin");
    add(settings->opt_in && settings->caching, "caching-yes");
    add(settings->opt_out, "optout");
    add(settings->opt_out && settings->caching, "caching-no");
    add(settings->no_loop, "noloop");
    add(call->client->info->redirect_broken.load(std::memory_order_relaxed), "broken_redirect");
  }
  RespWriter* reply = &call->reply;
  reply->Map(3);
  reply->Bulk("flags");
  reply->Set(flags.size());
  for (const std::string_view flag : flags) {
    reply->Bulk(flag);
  }
  reply->Bulk("redirect");
  reply->Integer(settings == nullptr ? -1 : settings->redirect);
  reply->Bulk("prefixes");
  reply->Array(settings == nullptr ? 0 : settings->prefixes.size());
  if (settings != nullptr) {
    for (const std::string& prefix : settings->prefixes) {
      reply->Bulk(prefix);
    }
  }
}

}  // namespace

void EndTracking(ClientState* client, TrackingHub* tracking) {
  if (client->tracking == nullptr) {
    return;
  }
  tracking->End(client->info->id);
  client->tracking.reset();
  client->info->tracking.store(false, std::memory_order_relaxed);
  client->info->tracking_bcast.store(false, std::memory_order_relaxed);
  client->info->tracking_redirect.store(-1, std::memory_order_relaxed);
  client->info->redirect_broken.store(false, std::memory_order_relaxed);
}

TrackingHub::Deliver DeliverTo(ClientRegistry* clients) {
  return [clients](InvalidationOrder order) {
    const uint64_t id = order.client;
    return clients->Visit(id, [&order](const ClientInfo& client) {
      InvalidationOutlet* const outlet = client.invalidations.load(std::memory_order_acquire);
      if (outlet != nullptr) {
        outlet->Push(std::move(order));
      }
    });
  };
}

TrackingHub::OnBroken NoteBrokenIn(ClientRegistry* clients) {
  return [clients](uint64_t id) {
    (void)clients->Visit(id, [](const ClientInfo& client) {
      client.redirect_broken.store(true, std::memory_order_relaxed);
    });
  };
}

void AnswerTracking(CommandId id, ConnectionCall* call) {
  switch (id) {
    case CommandId::kClientCaching:
      return Caching(call);
    case CommandId::kClientGetRedir:
      return call->reply.Integer(
          call->client->tracking == nullptr ? -1 : call->client->tracking->redirect);
    case CommandId::kClientTracking:
      return Tracking(call);
    default:
      return TrackingInfo(call);
  }
}

}  // namespace kvs
