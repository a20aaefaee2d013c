// ClientRegistry: the open client connections of a process, for CLIENT LIST, ID and INFO.
//
// A session keeps its own entry up to date with relaxed stores; whoever lists reads them.  Texts
// that rarely change stand behind the entry's mutex.
//
// Whoever wants a connection closed asks its entry, which tells the loop that owns it.
//
// Threads: thread-safe.
// Owner:   the server; a session holds a shared reference to its entry.

#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "common/base/mutex.h"

namespace kvs {

class InvalidationOutlet;

class ClientInfo {
 public:
  // Tells the owning loop that something is asked of one of its connections.  Any thread.
  using Closer = std::function<void()>;

  ClientInfo(uint64_t id, std::string address, std::string local_address, int fd, int64_t now_ms,
             Closer closer);

  const uint64_t id;
  const std::string address;  // "host:port"
  const std::string local_address;
  const int fd;
  const int64_t created_ms;  // Monotonic.

  std::atomic<int64_t> last_active_ms{0};
  std::atomic<int> last_command{-1};  // An index of the command table; -1: none yet.
  std::atomic<int> protocol{2};
  std::atomic<int64_t> multi{-1};        // Commands queued since MULTI; -1: no MULTI.
  std::atomic<uint64_t> multi_bytes{0};  // Of them.
  std::atomic<size_t> channels{0};       // It has subscribed to,
  std::atomic<size_t> patterns{0};
  std::atomic<size_t> shard_channels{0};
  std::atomic<bool> monitor{false};
  std::atomic<bool> blocked{false};  // Its command waits for keys.
  std::atomic<bool> no_evict{false};
  std::atomic<bool> no_touch{false};
  std::atomic<bool> tracking{false};  // By CLIENT TRACKING,
  std::atomic<bool> tracking_bcast{false};
  std::atomic<int64_t> tracking_redirect{-1};        // and who is told instead; -1: not on.
  mutable std::atomic<bool> redirect_broken{false};  // There is no such connection any more.
  // Takes what the connection is to be told of changes to its loop; nullptr: nobody does.
  std::atomic<InvalidationOutlet*> invalidations{nullptr};
  std::atomic<uint64_t> input_bytes{0};   // Unparsed, now.
  std::atomic<uint64_t> output_bytes{0};  // Unsent, now.
  std::atomic<uint64_t> total_input{0};   // Bytes since it connected.
  std::atomic<uint64_t> total_output{0};
  std::atomic<uint64_t> total_commands{0};

  // For a session, the only writer of its entry.
  static void Bump(std::atomic<uint64_t>* counter, uint64_t by) {
    counter->store(counter->load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
  }
  void NoteCommand(int command) {
    last_command.store(command, std::memory_order_relaxed);
    Bump(&total_commands, 1);
  }

  // Whether it has subscribed to anything.
  bool subscribed() const {
    return channels.load(std::memory_order_relaxed) > 0 ||
           patterns.load(std::memory_order_relaxed) > 0 ||
           shard_channels.load(std::memory_order_relaxed) > 0;
  }

  void SetName(std::string_view name) KVS_EXCLUDES(mu_);
  std::string name() const KVS_EXCLUDES(mu_);
  // Whose rights it has.
  void SetUser(std::string_view name) KVS_EXCLUDES(mu_);
  std::string user() const KVS_EXCLUDES(mu_);
  void SetLibrary(std::string_view name, std::string_view version) KVS_EXCLUDES(mu_);
  void SetLibraryName(std::string_view name) KVS_EXCLUDES(mu_);
  void SetLibraryVersion(std::string_view version) KVS_EXCLUDES(mu_);

  // Has the connection closed by its loop.  It is visited no more.
  void Kill() const {
    killed_.store(true, std::memory_order_relaxed);
    if (closer_) {
      closer_();
    }
  }
  bool killed() const { return killed_.load(std::memory_order_relaxed); }

  // Has the command that waits ended by its loop.  Returns false if none waits.
  bool AskUnblock(bool with_error) const;
  enum class UnblockAsked : uint8_t { kNo, kTimeout, kError };
  // Returns what was asked since the last call.
  UnblockAsked TakeUnblock() const {
    return unblock_.exchange(UnblockAsked::kNo, std::memory_order_relaxed);
  }

  // Returns the line of CLIENT LIST, without a line end.
  std::string Describe(int64_t now_ms) const KVS_EXCLUDES(mu_);

 private:
  std::string Flags() const;

  const Closer closer_;
  mutable std::atomic<bool> killed_{false};
  mutable std::atomic<UnblockAsked> unblock_{UnblockAsked::kNo};
  mutable Mutex mu_;
  std::string name_ KVS_GUARDED_BY(mu_);
  std::string user_ KVS_GUARDED_BY(mu_) = "default";
  std::string library_name_ KVS_GUARDED_BY(mu_);
  std::string library_version_ KVS_GUARDED_BY(mu_);
};

class ClientRegistry {
 public:
  // Makes the entry of a new connection.  Ids begin with 1 and are never used again.
  std::shared_ptr<ClientInfo> Add(int fd, int64_t now_ms, ClientInfo::Closer closer = nullptr)
      KVS_EXCLUDES(mu_);
  void Remove(uint64_t id) KVS_EXCLUDES(mu_);
  size_t count() const { return count_.load(std::memory_order_relaxed); }
  // Calls `visit` for each entry, by ascending id.  The loop of an entry that is visited is alive.
  void ForEach(const std::function<void(const ClientInfo&)>& visit) const KVS_EXCLUDES(mu_);
  // The same for one entry.  Returns false if there is none.
  bool Visit(uint64_t id, const std::function<void(const ClientInfo&)>& visit) const
      KVS_EXCLUDES(mu_);

 private:
  mutable Mutex mu_;
  uint64_t last_id_ KVS_GUARDED_BY(mu_) = 0;
  std::map<uint64_t, std::shared_ptr<ClientInfo>> clients_ KVS_GUARDED_BY(mu_);
  std::atomic<size_t> count_{0};
};

}  // namespace kvs
