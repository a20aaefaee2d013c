// The gate before each command: whether the client's user may run it, in Redis's words if not, and
// the note of it in ACL LOG.
//
// Whoever may do everything passes MayDoAll(), which asks nothing else.
//
// Threads: loop-owned; AclStore is thread-safe.

#pragma once

#include <string>
#include <string_view>

#include "common/pubsub/subscriptions.h"
#include "common/service/connection_commands.h"

namespace kvs {

struct AclRefusal {
  AclDenial denial = AclDenial::kNone;
  AclContext context = AclContext::kTopLevel;
};

// Keeps an entry in ACL LOG.  `object`: what was asked for, `username`: by whom.
void NoteRefusal(const AclRefusal& refusal, std::string_view object, std::string_view username,
                 const ClientInfo& client, ServiceContext* service);
// Whether the client has a transaction open.
AclContext ContextOf(const ClientInfo& client);

// Whether the client may run whatever it likes.
inline bool MayDoAll(const ClientState& client, const ServiceContext& service) {
  return client.identity.may_do_all(*service.acl);
}

// Returns an empty text if the client may run the command, else the error.  A command that is
// refused is noted.  Takes over what has changed since about the client's user.
std::string CheckAcl(const CommandSpec& spec, CommandArgs args, ServiceContext* service,
                     ClientState* client);
// The same for a command of a transaction that was queued before.
std::string CheckAclAtExec(const CommandSpec& spec, CommandArgs args, ServiceContext* service,
                           ClientState* client);
// The same for a command of a script, which runs for `user`.
std::string CheckAclInScript(const CommandSpec& spec, CommandArgs args, const AclUser& user,
                             const ClientInfo& client, ServiceContext* service);

// Whether the client may stay: its user is there, and may be subscribed to all that it is
// subscribed to.  `subscriptions` may be nullptr.  Takes over what has changed.
bool MayStay(const Subscriptions* subscriptions, const ServiceContext& service,
             ClientState* client);

}  // namespace kvs
