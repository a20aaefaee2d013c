// BlockedClients: the commands that wait for their keys, of all loops of a node.
//
// A command that finds nothing is left here, with its arguments, while its stripes are locked: so
// no change is missed.  Whoever changes a key afterwards runs, still holding the key's stripe, the
// commands that wait for it, in the order in which they came, and has their replies taken to their
// own loops when the turn is in the log.  Nobody else can come between, so the effect is that of
// Redis, where all of this is one thread.
//
// A command ends once: served, timed out, unblocked or given up, whatever is first.  One that is
// being run for its client cannot end otherwise until it is known to have got nothing.
//
// Threads: thread-safe.  Add() is called with the keys' stripes locked.
// Owner:   NodeServer; outlives the loops.

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/mutex.h"
#include "common/command/command_table.h"
#include "storage_node/keys/key_codec.h"
#include "storage_node/server/wait_queues.h"

namespace kvs {

// What a client that waits gets.
struct Unblocked {
  std::string reply;
  bool failed = false;
  uint64_t lsn = 0;    // The reply waits until the watermark is there.
  int64_t micros = 0;  // How long the command took that had something.
};

// The loop of a client that waits.
class UnblockHost {
 public:
  virtual ~UnblockHost() = default;
  // Takes the reply to the client, if it is still there.  Any thread; does not wait.
  virtual void OnUnblocked(WaitTicket ticket, Unblocked unblocked) = 0;
};

struct BlockedCommand {
  UnblockHost* host = nullptr;
  uint64_t client_id = 0;
  int protocol = 2;
  const CommandSpec* spec = nullptr;
  std::vector<std::string> args;
  std::vector<std::string> keys;
  DataType type = DataType::kList;
  bool wants_the_end = false;  // It is served, too, when a key does not hold that any more.
  std::string timeout_reply;   // Empty: a null array.

  // What the client gets when its time is up.
  std::string TimeoutReply() const;
};
using BlockedCommandPtr = std::shared_ptr<const BlockedCommand>;

class BlockedClients {
 public:
  WaitTicket Add(BlockedCommandPtr command) KVS_EXCLUDES(mu_);

  struct Claimed {
    WaitTicket ticket;
    BlockedCommandPtr command;
  };
  // Claims the first command that waits for the key, behind `after`, to run it.
  std::optional<Claimed> Claim(std::string_view key, WaitTicket after) KVS_EXCLUDES(mu_);
  // It has got its reply, which the caller takes to its host.
  void Finish(WaitTicket ticket) KVS_EXCLUDES(mu_);
  // It has got nothing, and waits on or ends as was asked meanwhile.  Returns whether its keys have
  // to be offered again.
  bool PutBack(WaitTicket ticket) KVS_EXCLUDES(mu_);

  // Its time is up.
  void Expire(WaitTicket ticket) KVS_EXCLUDES(mu_);
  // It ends with an error reply.
  void Refuse(WaitTicket ticket, const std::string& error) KVS_EXCLUDES(mu_);
  // Its client is gone.
  void GiveUp(WaitTicket ticket) KVS_EXCLUDES(mu_);
  // CLIENT UNBLOCK: returns whether the client has waited until now.
  bool Unblock(uint64_t client_id, bool with_error) KVS_EXCLUDES(mu_);

  // Whether somebody who waits for the key wants its end, and all keys of which that is so.
  bool HasAnEnd(std::string_view key) const KVS_EXCLUDES(mu_);
  std::vector<std::string> KeysWithAnEnd() const KVS_EXCLUDES(mu_);

  BlockedCommandPtr Find(WaitTicket ticket) const KVS_EXCLUDES(mu_);
  size_t key_count() const KVS_EXCLUDES(mu_);
  // How many there are.
  const std::atomic<size_t>& count() const { return count_; }

 private:
  struct Entry {
    BlockedCommandPtr command;
    // How it ends if the one who has claimed it has nothing for it; empty and not abandoned: not.
    std::string end_reply = {};
    bool abandoned = false;
  };

  // Ends it with the reply now, or when it is put back.
  void End(WaitTicket ticket, std::string reply) KVS_REQUIRES(mu_);
  void Remove(WaitTicket ticket) KVS_REQUIRES(mu_);

  mutable Mutex mu_;
  WaitQueues queues_ KVS_GUARDED_BY(mu_);
  std::map<WaitTicket, Entry> entries_ KVS_GUARDED_BY(mu_);
  std::map<uint64_t, WaitTicket> by_client_ KVS_GUARDED_BY(mu_);
  // How many commands want the end of a key.
  std::map<std::string, size_t, std::less<>> ends_ KVS_GUARDED_BY(mu_);
  std::atomic<size_t> count_{0};
};

}  // namespace kvs
