// ACL.

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "common/base/logging.h"
#include "common/base/random.h"
#include "common/base/strings.h"
#include "common/command/command_categories.h"
#include "common/command/command_docs.h"
#include "common/service/connection_call.h"

namespace kvs {
namespace {

constexpr std::string_view kNoFileText =
    "ERR This Redis instance is not configured to use an ACL file. You may want to specify users "
    "via the ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis "
    "configuration file set) in order to store users in the Redis configuration.";

void WriteBulks(const std::vector<std::string>& texts, RespWriter* reply) {
  reply->Array(texts.size());
  for (const std::string& text : texts) {
    reply->Bulk(text);
  }
}

// ACL CAT [category]
void AclCat(ConnectionCall* call) {
  const CommandArgs args = call->args;
  if (args.size() > 3) {
    return FailArgumentCount(call);
  }
  std::vector<std::string> names;
  if (args.size() == 2) {
    names.assign(CategoryNames().begin(), CategoryNames().end());
    return WriteBulks(names, &call->reply);
  }
  const std::optional<CommandCategories> category = FindCategory(args[2]);
  if (!category.has_value()) {
    return call->Fail(fmt::format("ERR Unknown category '{}'", args[2].substr(0, 128)));
  }
  for (const CommandSpec& spec : kCommands) {
    if ((CategoriesOf(spec) & *category) != 0 && SubcommandsOf(spec).empty()) {
      names.emplace_back(spec.name);
    }
  }
  WriteBulks(names, &call->reply);
}

void AclDelUser(ConnectionCall* call) {
  const CommandArgs names = call->args.subspan(2);
  if (std::find(names.begin(), names.end(), "default") != names.end()) {
    return call->Fail("ERR The 'default' user cannot be removed");
  }
  call->reply.Integer(static_cast<int64_t>(call->service->acl->Delete(names)));
}

// ACL DRYRUN username command [arg ...]
void AclDryRun(ConnectionCall* call) {
  const AclUserPtr user = call->service->acl->Find(call->args[2]);
  if (user == nullptr) {
    return call->Fail(fmt::format("ERR User '{}' not found", call->args[2].substr(0, 128)));
  }
  const CommandArgs request = call->args.subspan(3);
  const CommandSpec* spec = FindCommand(request[0]);
  if (spec != nullptr && request.size() > 1 && !SubcommandsOf(*spec).empty()) {
    spec = FindSubcommand(*spec, request[1]);
  }
  if (spec == nullptr) {
    return call->Fail(fmt::format("ERR Command '{}' not found", request[0].substr(0, 128)));
  }
  if (!spec->ArityFits(request.size())) {
    return call->Fail(WrongArityError(*spec));
  }
  const AclUser::Verdict verdict = user->Check(*spec, request);
  switch (verdict.denial) {
    case AclDenial::kNone:
      return call->reply.Ok();
    case AclDenial::kCommand:
      return call->reply.Bulk(
          fmt::format("This user has no permissions to run the '{}' command", spec->name));
    default:
      return call->reply.Bulk(fmt::format("This user has no permissions to access the '{}' {}",
                                          request[verdict.word],
                                          verdict.denial == AclDenial::kKey ? "key" : "channel"));
  }
}

// ACL GENPASS [bits]
void AclGenPass(ConnectionCall* call) {
  constexpr int64_t kMaxBits = 4096;
  int64_t bits = 256;
  if (call->args.size() > 3) {
    return FailArgumentCount(call);
  }
  if (call->args.size() == 3 && !ParseInt64(call->args[2], &bits)) {
    return call->Fail(kNotAnIntegerText);
  }
  if (bits < 1 || bits > kMaxBits) {
    return call->Fail(
        "ERR ACL GENPASS argument must be the number of bits for the output password, a positive "
        "number up to 4096");
  }
  const size_t digits = static_cast<size_t>((bits + 3) / 4);
  call->reply.Bulk(RandomHex(static_cast<int>((digits + 1) / 2)).substr(0, digits));
}

void WriteSelector(const AclSelector& selector, RespWriter* reply) {
  reply->Bulk("commands");
  reply->Bulk(CommandRulesText(selector));
  reply->Bulk("keys");
  reply->Bulk(KeyRulesText(selector));
  reply->Bulk("channels");
  reply->Bulk(ChannelRulesText(selector));
}

void AclGetUser(ConnectionCall* call) {
  RespWriter* const reply = &call->reply;
  const AclUserPtr user = call->service->acl->Find(call->args[2]);
  if (user == nullptr) {
    return reply->Null();
  }
  const std::vector<std::string_view> flags = UserFlags(*user);
  reply->Map(6);
  reply->Bulk("flags");
  reply->Set(flags.size());
  for (const std::string_view flag : flags) {
    reply->Bulk(flag);
  }
  reply->Bulk("passwords");
  WriteBulks(user->passwords, reply);
  WriteSelector(user->root(), reply);
  reply->Bulk("selectors");
  reply->Array(user->selectors.size() - 1);
  for (size_t i = 1; i < user->selectors.size(); ++i) {
    reply->Map(3);
    WriteSelector(user->selectors[i], reply);
  }
}

void AclList(ConnectionCall* call) {
  const AclUsersPtr users = call->service->acl->users();
  call->reply.Array(users->by_name.size());
  for (const auto& [name, user] : users->by_name) {
    call->reply.Bulk(AclUserLine(*user));
  }
}

void AclUserNames(ConnectionCall* call) {
  const AclUsersPtr users = call->service->acl->users();
  call->reply.Array(users->by_name.size());
  for (const auto& [name, user] : users->by_name) {
    call->reply.Bulk(name);
  }
}

void AclLoad(ConnectionCall* call) {
  AclStore* const store = call->service->acl;
  if (!store->has_file()) {
    return call->Fail(kNoFileText);
  }
  if (const Status status = store->Load(); !status.ok()) {
    return call->Fail(fmt::format("ERR {}", status.message()));
  }
  call->reply.Ok();
}

void AclSave(ConnectionCall* call) {
  AclStore* const store = call->service->acl;
  if (!store->has_file()) {
    return call->Fail(kNoFileText);
  }
  if (const Status status = store->Save(); !status.ok()) {
    KVS_LOG(kError, "ACL SAVE: {}", status.message());
    return call->Fail(
        "ERR There was an error trying to save the ACLs. Please check the server logs for more "
        "information");
  }
  call->reply.Ok();
}

void WriteLogEntry(const AclLogEntry& entry, int64_t now_ms, RespWriter* reply) {
  reply->Map(10);
  reply->Bulk("count");
  reply->Integer(entry.count);
  reply->Bulk("reason");
  reply->Bulk(ReasonName(entry.reason));
  reply->Bulk("context");
  reply->Bulk(ContextName(entry.context));
  reply->Bulk("object");
  reply->Bulk(entry.object);
  reply->Bulk("username");
  reply->Bulk(entry.username);
  reply->Bulk("age-seconds");
  reply->Double(static_cast<double>(std::max<int64_t>(now_ms - entry.updated_ms, 0)) / 1000);
  reply->Bulk("client-info");
  reply->Bulk(entry.client);
  reply->Bulk("entry-id");
  reply->Integer(entry.id);
  reply->Bulk("timestamp-created");
  reply->Integer(entry.created_ms);
  reply->Bulk("timestamp-last-updated");
  reply->Integer(entry.updated_ms);
}

// ACL LOG [count | RESET]
void AclLogCommand(ConnectionCall* call) {
  const CommandArgs args = call->args;
  AclLog* const log = call->service->acl->log();
  int64_t count = 10;
  if (args.size() > 3) {
    return FailArgumentCount(call);
  }
  if (args.size() == 3 && EqualsIgnoreCase(args[2], "reset")) {
    log->Reset();
    return call->reply.Ok();
  }
  if (args.size() == 3 && !ParseInt64(args[2], &count)) {
    return call->Fail(kNotAnIntegerText);
  }
  const int64_t now_ms = call->service->clock->WallMillis();
  const std::vector<AclLogEntry> entries =
      log->Latest(static_cast<size_t>(std::max<int64_t>(count, 0)));
  call->reply.Array(entries.size());
  for (const AclLogEntry& entry : entries) {
    WriteLogEntry(entry, now_ms, &call->reply);
  }
}

void AclSetUser(ConnectionCall* call) {
  const Status status = call->service->acl->Set(call->args[2], call->args.subspan(3));
  if (!status.ok()) {
    return call->Fail(fmt::format("ERR {}", status.message()));
  }
  call->reply.Ok();
}

void Answer(CommandId id, ConnectionCall* call) {
  switch (id) {
    case CommandId::kAclCat:
      return AclCat(call);
    case CommandId::kAclDelUser:
      return AclDelUser(call);
    case CommandId::kAclDryRun:
      return AclDryRun(call);
    case CommandId::kAclGenPass:
      return AclGenPass(call);
    case CommandId::kAclGetUser:
      return AclGetUser(call);
    case CommandId::kAclList:
      return AclList(call);
    case CommandId::kAclLoad:
      return AclLoad(call);
    case CommandId::kAclLog:
      return AclLogCommand(call);
    case CommandId::kAclSave:
      return AclSave(call);
    case CommandId::kAclSetUser:
      return AclSetUser(call);
    case CommandId::kAclUsers:
      return AclUserNames(call);
    case CommandId::kAclWhoAmI:
      return call->reply.Bulk(call->client->identity.name());
    default:
      return WriteHelp(GetCommand(CommandId::kAcl), &call->reply);
  }
}

}  // namespace

void AnswerAcl(CommandId id, ConnectionCall* call) {
  Answer(id, call);
  // Who has deleted its own user still gets the reply.
  call->client->close_after_reply |= !call->client->identity.Renew(*call->service->acl);
}

}  // namespace kvs
