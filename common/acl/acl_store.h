// AclStore: the users of a process, as a snapshot that is replaced as a whole.
//
// Each change makes a new snapshot with a higher generation.  A session remembers the generation at
// which its user might do everything; as long as that is the store's, it asks nothing.
//
// Threads: thread-safe.  Listeners run under the store's lock, in the thread that changed
// something:
//          they only hand on that something has changed (loop->PostAlways).
// Owner:   the server; outlives its loops.

#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/acl/acl_log.h"
#include "common/acl/acl_rules.h"
#include "common/acl/acl_user.h"
#include "common/base/mutex.h"
#include "common/base/status.h"

namespace kvs {

inline constexpr size_t kMaxAclUsers = 10'000;
inline constexpr size_t kMaxAclFileBytes = size_t{64} << 20;

struct AclUsers {
  std::map<std::string, AclUserPtr, std::less<>> by_name;  // "default" among them.
  uint64_t generation = 0;

  // Returns nullptr if there is no such user.
  AclUserPtr Find(std::string_view name) const;
};
using AclUsersPtr = std::shared_ptr<const AclUsers>;

class AclStore {
 public:
  AclStore();

  // Before anything else is asked: takes over the options, and reads the file if there is one.
  // `password`: of the user "default", unless the file names that one; empty: none is needed.
  //   kInvalidArgument, kNotFound: the file, with line and reason
  Status Open(std::string file, DefaultChannels channels, std::string_view password)
      KVS_EXCLUDES(mu_);
  void SetDefaultChannels(DefaultChannels channels) KVS_EXCLUDES(mu_);
  // requirepass: the only password of the user "default"; empty: none is needed.
  void SetDefaultPassword(std::string_view password) KVS_EXCLUDES(mu_);

  // Grows with each change, and is never 0.
  uint64_t generation() const { return generation_.load(std::memory_order_acquire); }
  AclUsersPtr users() const KVS_EXCLUDES(mu_);
  AclUserPtr Find(std::string_view name) const { return users()->Find(name); }
  // Whether whoever connects is the user "default" without saying anything.
  bool is_open() const { return is_open_.load(std::memory_order_acquire); }

  // Makes or changes a user by all of the rules or by none.
  //   kInvalidArgument: why not, with Redis's "Error in ACL SETUSER modifier ..."
  Status Set(std::string_view name, std::span<const std::string_view> rules) KVS_EXCLUDES(mu_);
  // Returns how many there were.
  size_t Delete(std::span<const std::string_view> names) KVS_EXCLUDES(mu_);

  bool has_file() const KVS_EXCLUDES(mu_);
  // Replaces the users by those of the file, all or none.  One who was there before stays the same.
  Status Load() KVS_EXCLUDES(mu_);
  // Writes the file, so that a crash leaves the old or the new one.
  Status Save() KVS_EXCLUDES(mu_);

  // Called after each change.
  void AddListener(std::function<void()> listener) KVS_EXCLUDES(mu_);

  AclLog* log() { return &log_; }

 private:
  Status LoadLocked() KVS_REQUIRES(mu_);
  void PublishLocked(std::map<std::string, AclUserPtr, std::less<>> by_name) KVS_REQUIRES(mu_);
  uint64_t NewId() KVS_REQUIRES(mu_) { return ++last_id_; }

  mutable Mutex mu_;
  AclUsersPtr users_ KVS_GUARDED_BY(mu_);
  std::string file_ KVS_GUARDED_BY(mu_);
  DefaultChannels channels_ KVS_GUARDED_BY(mu_) = DefaultChannels::kNone;
  std::string default_password_ KVS_GUARDED_BY(mu_);  // Of requirepass.
  uint64_t last_id_ KVS_GUARDED_BY(mu_) = 0;
  std::vector<std::function<void()>> listeners_ KVS_GUARDED_BY(mu_);
  std::atomic<uint64_t> generation_{0};
  std::atomic<bool> is_open_{true};
  AclLog log_;
};

// What acl-pubsub-default says.
inline DefaultChannels DefaultChannelsOf(std::string_view text) {
  return text == "allchannels" ? DefaultChannels::kAll : DefaultChannels::kNone;
}

// Takes over changed options; Options is a program's options struct.
template <typename Options>
void ConfigureAcl(const Options& before, const Options& after, AclStore* store) {
  store->log()->Configure(after.acllog_max_len);
  store->SetDefaultChannels(DefaultChannelsOf(after.acl_pubsub_default));
  if (before.requirepass != after.requirepass) {
    store->SetDefaultPassword(after.requirepass);
  }
}

// Who a session is.
//
// Threads: loop-owned.
class AclIdentity {
 public:
  // Whether every command may run: one load and one comparison.
  bool may_do_all(const AclStore& store) const { return open_at_ == store.generation(); }
  // Null: nobody yet, who has the rights of "default".
  const AclUserPtr& user() const { return user_; }
  std::string_view name() const {
    return user_ == nullptr ? std::string_view("default") : std::string_view(user_->name);
  }

  void Become(AclUserPtr user, uint64_t generation);
  // As one who has just connected.
  void BecomeDefault(const AclStore& store);
  // Takes over what has changed.  Returns false if the user is there no more.
  bool Renew(const AclStore& store);

 private:
  AclUserPtr user_;
  uint64_t seen_ = 0;     // The generation of the store that user_ is of; 0: none.
  uint64_t open_at_ = 0;  // The same if the user may do everything, else 0.
};

}  // namespace kvs
