// Transaction: what a session remembers between MULTI or WATCH and EXEC.
//
// A request that could not be queued spoils the transaction: EXEC refuses it then.
//
// Threads: loop-owned.
// Owner:   the session, while there is something to remember.

#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "common/command/command_queue.h"
#include "storage_node/commit/key_watch.h"

namespace kvs {

class Transaction {
 public:
  // `watches` outlives it.
  explicit Transaction(KeyWatches* watches) : watches_(watches) {}
  ~Transaction() { Unwatch(); }
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  // After MULTI.
  bool open() const { return open_; }
  void Open() { open_ = true; }
  // Appends a command.  Returns false, and spoils the transaction, if that would make it larger
  // than `max_bytes`.
  bool Queue(const CommandSpec& spec, CommandArgs args, size_t max_bytes);
  void Spoil() { spoiled_ = spoiled_ || open_; }
  bool spoiled() const { return spoiled_; }
  const CommandQueue& queue() const { return queue_; }

  struct Watched {
    uint16_t slot;
    bool exists;  // When it was first watched.
  };
  using WatchedKeys = std::map<std::string, Watched, std::less<>>;
  // Watches a key, unless it does already.  REQUIRES: the key's stripe is locked
  void Watch(uint16_t slot, std::string_view key, bool exists);
  void Unwatch();
  const WatchedKeys& watched() const { return watched_; }
  // Of the watched keys.
  size_t watched_bytes() const { return watched_bytes_; }
  // Whether a watched key has been written since.
  bool changed() const {
    return mark_ != nullptr && mark_->changed.load(std::memory_order_acquire);
  }

 private:
  KeyWatches* const watches_;
  bool open_ = false;
  bool spoiled_ = false;
  CommandQueue queue_;
  WatchedKeys watched_;
  size_t watched_bytes_ = 0;
  std::shared_ptr<WatchMark> mark_;
};

}  // namespace kvs
