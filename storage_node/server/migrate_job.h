// MigrateJob: a MIGRATE that a loop leaves to those who may wait for another server.
//
// Threads: a value; handed from one thread to another.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "storage_node/server/blocked_clients.h"

namespace kvs {

struct MigrateJob {
  UnblockHost* host = nullptr;  // Where the reply goes.
  WaitTicket ticket = 0;
  std::vector<std::string> args;  // ParseMigrate() likes them.
  int protocol = 2;
  uint64_t client_id = 0;
};

// Any thread; nothing of it waits.
class MigrateJobs {
 public:
  virtual ~MigrateJobs() = default;
  // Returns false if too many wait already.
  virtual bool Submit(MigrateJob job) = 0;
  // Its client is gone: no reply is needed.
  virtual void GiveUp(WaitTicket ticket) = 0;
  // Its time is up: if it has not begun, it does not.
  virtual void Expire(WaitTicket ticket) = 0;
};

}  // namespace kvs
