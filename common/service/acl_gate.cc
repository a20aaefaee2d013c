#include "common/service/acl_gate.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/base/strings.h"

namespace kvs {
namespace {

// SORT finds keys by what BY and GET say and by what it sorts: who may not read every key could
// read any of them so.  Returns an empty text if there is nothing of the kind.
std::string WhyNotSort(const CommandSpec& spec, CommandArgs args, const AclUser& user) {
  if ((IdOf(spec) != CommandId::kSort && IdOf(spec) != CommandId::kSortRo) ||
      user.MayReadEveryKey(spec, args)) {
    return "";
  }
  for (size_t i = 2; i + 1 < args.size(); ++i) {
    if (EqualsIgnoreCase(args[i], "limit")) {
      i += 2;
    } else if (EqualsIgnoreCase(args[i], "get")) {
      return "ERR GET option of SORT denied due to insufficient ACL permissions.";
    } else if (EqualsIgnoreCase(args[i], "by")) {
      if (args[++i].find('*') != std::string_view::npos) {
        return "ERR BY option of SORT denied due to insufficient ACL permissions.";
      }
    } else if (EqualsIgnoreCase(args[i], "store")) {
      ++i;
    }
  }
  return "";
}

struct Refused {
  AclDenial denial = AclDenial::kNone;
  std::string other;  // An error that is no denial of the rules.
};

Refused Judge(const CommandSpec& spec, CommandArgs args, const AclRefusal& refusal,
              const AclUser& user, const ClientInfo& client, ServiceContext* service) {
  const AclUser::Verdict verdict = user.Check(spec, args);
  if (verdict.allowed()) {
    return {.denial = AclDenial::kNone, .other = WhyNotSort(spec, args, user)};
  }
  const std::string_view object =
      verdict.denial == AclDenial::kCommand ? spec.name : args[verdict.word];
  NoteRefusal({.denial = verdict.denial, .context = refusal.context}, object, user.name, client,
              service);
  return {.denial = verdict.denial, .other = {}};
}

Refused JudgeClient(const CommandSpec& spec, CommandArgs args, ServiceContext* service,
                    ClientState* client) {
  if (!client->identity.Renew(*service->acl)) {
    client->close_after_reply = true;
    return {.denial = AclDenial::kNone, .other = std::string(kNoAuthError)};
  }
  if (MayDoAll(*client, *service)) {
    return {};
  }
  return Judge(spec, args, {.context = ContextOf(*client->info)}, *client->identity.user(),
               *client->info, service);
}

}  // namespace

AclContext ContextOf(const ClientInfo& client) {
  return client.multi.load(std::memory_order_relaxed) >= 0 ? AclContext::kMulti
                                                           : AclContext::kTopLevel;
}

void NoteRefusal(const AclRefusal& refusal, std::string_view object, std::string_view username,
                 const ClientInfo& client, ServiceContext* service) {
  AclLogEntry entry;
  entry.reason = refusal.denial;
  entry.context = refusal.context;
  // Cut before they are copied: what a client sends may be long.
  entry.object = object.substr(0, AclLog::kMaxTextBytes);
  entry.username = username.substr(0, AclLog::kMaxTextBytes);
  const std::string described = client.Describe(service->clock->MonotonicMillis());
  entry.client = std::string_view(described).substr(0, 2 * AclLog::kMaxTextBytes);
  entry.created_ms = service->clock->WallMillis();
  entry.updated_ms = entry.created_ms;
  service->acl->log()->Add(std::move(entry));
}

std::string CheckAcl(const CommandSpec& spec, CommandArgs args, ServiceContext* service,
                     ClientState* client) {
  Refused refused = JudgeClient(spec, args, service, client);
  switch (refused.denial) {
    case AclDenial::kCommand:
      return fmt::format("NOPERM this user has no permissions to run the '{}' command", spec.name);
    case AclDenial::kKey:
      return "NOPERM this user has no permissions to access one of the keys used as arguments";
    case AclDenial::kChannel:
      return "NOPERM this user has no permissions to access one of the channels used as arguments";
    default:
      return std::move(refused.other);
  }
}

std::string CheckAclAtExec(const CommandSpec& spec, CommandArgs args, ServiceContext* service,
                           ClientState* client) {
  Refused refused = JudgeClient(spec, args, service, client);
  constexpr std::string_view kWords =
      "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC "
      "call. This command is no longer allowed for the following reason: ";
  switch (refused.denial) {
    case AclDenial::kCommand:
      return std::string(kWords) + "no permission to execute the command or subcommand";
    case AclDenial::kKey:
      return std::string(kWords) + "no permission to touch the specified keys";
    case AclDenial::kChannel:
      return std::string(kWords) + "no permission to access one of the channels used as arguments";
    default:
      return std::move(refused.other);
  }
}

std::string CheckAclInScript(const CommandSpec& spec, CommandArgs args, const AclUser& user,
                             const ClientInfo& client, ServiceContext* service) {
  Refused refused = Judge(spec, args, {.context = AclContext::kLua}, user, client, service);
  switch (refused.denial) {
    case AclDenial::kCommand:
      return "ERR The user executing the script can't run this command or subcommand";
    case AclDenial::kKey:
      return "ERR The user executing the script can't access at least one of the keys mentioned in "
             "the command arguments";
    case AclDenial::kChannel:
      return "ERR The user executing the script can't publish to the channel mentioned in the "
             "command";
    default:
      return std::move(refused.other);
  }
}

bool MayStay(const Subscriptions* subscriptions, const ServiceContext& service,
             ClientState* client) {
  if (!client->identity.Renew(*service.acl)) {
    return false;
  }
  if (subscriptions == nullptr || MayDoAll(*client, service)) {
    return true;
  }
  const AclUser& user = *client->identity.user();
  const auto may_keep = [&](ChannelKind kind) {
    const Subscriptions::Names& names = subscriptions->names(kind);
    return std::all_of(names.begin(), names.end(), [&](const std::string& name) {
      return user.MaySubscribe(name, /*is_pattern=*/kind == ChannelKind::kPattern);
    });
  };
  return may_keep(ChannelKind::kChannel) && may_keep(ChannelKind::kPattern) &&
         may_keep(ChannelKind::kShard);
}

}  // namespace kvs
