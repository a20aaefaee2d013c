// ScriptJob: a script that a loop leaves to the script worker.
//
// Threads: a value; handed from one thread to another.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/acl/acl_user.h"
#include "common/service/client_registry.h"
#include "storage_node/script/function_library.h"
#include "storage_node/script/script_cache.h"
#include "storage_node/server/blocked_clients.h"

namespace kvs {

struct ScriptJob {
  UnblockHost* host = nullptr;  // Where the reply goes.
  WaitTicket ticket = 0;
  const CommandSpec* spec = nullptr;
  std::vector<std::string> args;  // As the client sent them.
  ScriptPtr script;               // Or
  FoundFunction function;         // a function.
  int protocol = 2;
  AclUserPtr user = nullptr;  // Whose rights it has; null: all.
  std::shared_ptr<ClientInfo> client = nullptr;
  uint64_t client_id = 0;
  uint64_t tracks_for = 0;  // See Dispatcher::ScriptCall.
};

class ScriptJobs {
 public:
  virtual ~ScriptJobs() = default;
  // Any thread; does not wait.
  virtual void Submit(ScriptJob job) = 0;
};

}  // namespace kvs
