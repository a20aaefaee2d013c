// AclLog: the latest commands that were refused for want of rights, and the latest failures to
// authenticate, for ACL LOG.
//
// The same refusal within a minute is counted and not kept again.  What clients send is cut, so
// that they cannot fill the memory.
//
// Threads: thread-safe.
// Owner:   AclStore.

#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "common/acl/acl_user.h"
#include "common/base/mutex.h"

namespace kvs {

// Where the command stood.
enum class AclContext : uint8_t { kTopLevel, kMulti, kLua };

struct AclLogEntry {
  int64_t id = 0;
  int64_t count = 1;
  AclDenial reason = AclDenial::kNone;
  AclContext context = AclContext::kTopLevel;
  std::string object;      // The command, key or channel.
  std::string username;    // Or the one that was tried.
  std::string client;      // Its line of CLIENT LIST, of the last time.
  int64_t created_ms = 0;  // Wall time.
  int64_t updated_ms = 0;
};

// "command", "toplevel", ... as ACL LOG shows them.
std::string_view ReasonName(AclDenial reason);
std::string_view ContextName(AclContext context);

class AclLog {
 public:
  static constexpr size_t kMaxTextBytes = 1024;  // Of what a client has sent.

  // How many entries are kept; 0: none.
  void Configure(int64_t max_length) KVS_EXCLUDES(mu_);
  void Add(AclLogEntry entry) KVS_EXCLUDES(mu_);
  // The latest first.
  std::vector<AclLogEntry> Latest(size_t count) const KVS_EXCLUDES(mu_);
  void Reset() KVS_EXCLUDES(mu_);

 private:
  mutable Mutex mu_;
  size_t max_length_ KVS_GUARDED_BY(mu_) = 128;
  int64_t next_id_ KVS_GUARDED_BY(mu_) = 0;
  std::deque<AclLogEntry> entries_ KVS_GUARDED_BY(mu_);
};

}  // namespace kvs
