// CommandContext: all that a command handler works with, and nothing else.
//
// Before a handler runs, the dispatcher (storage_node/server) has checked name, arity,
// authentication, slot ownership and write health, has called txn->Begin(), and has locked the
// stripes of all keys unless the command reads a single key.  After it, the dispatcher notes what
// the reply depends on (Txn::Observe for keys read without a lock), deletes the keys that the
// handler found expired, and turns a Status that is not OK into an error reply instead of what the
// handler has written to it: a handler that fails has written nothing to the turn.  For a SORT that
// reads keys which only its patterns name, the dispatcher has locked everything.
//
// Threads: one thread, for the duration of one command.
// Owner:   the dispatcher, on its stack.

#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "common/command/command_table.h"
#include "common/resp/resp_writer.h"
#include "common/slot/slot.h"
#include "storage_node/commit/txn.h"
#include "storage_node/types/string_store.h"
#include "storage_node/types/type_limits.h"

namespace kvs {

using SlotSet = std::bitset<kSlotCount>;
class ScanCursors;
class SweeperThread;

// What a command says that has found nothing and would wait for it.  In a place where commands do
// not wait, the reply that it has written holds.
struct WaitWish {
  int64_t timeout_ms = 0;              // 0: none.
  DataType type = DataType::kList;     // What one of its keys has to hold.
  std::vector<std::string> args = {};  // What it says later; empty: the same.
  bool wants_the_end = false;          // It runs, too, when a key holds that no more.
};

struct CommandContext {
  const CommandSpec& spec;
  std::span<const std::string_view> args;  // args[0] is the name as the client wrote it.
  Txn* txn;
  RespWriter reply;
  const SlotSet* owned_slots;  // What KEYS, SCAN, DBSIZE, RANDOMKEY and FLUSH* cover.
  ScanCursors* scan_cursors;
  SweeperThread* sweeper;      // What DEBUG SET-ACTIVE-EXPIRE switches.
  bool in_cluster = false;     // Whether slots may be at other nodes.
  bool debug_allowed = false;  // Whether this client may send DEBUG.
  bool in_script = false;
  bool has_waited = false;  // It has run before, and found nothing.
  size_t max_string_size = kMaxStringSize;
  // So many keys are looked at for BY and GET of a SORT.  Everybody waits meanwhile, and a request
  // of a few kilobytes could ask for more than a day of it.
  uint64_t max_pattern_keys = uint64_t{1} << 24;
  TypeLimits type_limits = {};
  // Counted by handlers that read keys.
  int64_t keyspace_hits = 0;
  int64_t keyspace_misses = 0;
  // Keys that were found expired and are still stored; the dispatcher deletes them.
  std::vector<std::string> expired_keys = {};
  std::optional<WaitWish> wait = {};

  std::string_view arg(size_t i) const { return args[i]; }
  size_t argc() const { return args.size(); }
  // A look-up of a command that reads.
  void CountLookup(std::string_view key, bool found) {
    ++(found ? keyspace_hits : keyspace_misses);
    if (!found) {
      Notify(KeyEventKind::kMiss, "keymiss", key);
    }
  }
  // Tells what has happened to a key, in Redis's word for it, which is a literal.
  void Notify(KeyEventKinds kind, std::string_view event, std::string_view key) {
    txn->NoteEvent(kind, event, key);
  }
  // The same of a command that takes something away, and perhaps the last of it.
  void NotifyTaken(KeyEventKinds kind, std::string_view event, std::string_view key) {
    Notify(kind, event, key);
    NotifyIfRemoved(key);
  }
  void NotifyIfRemoved(std::string_view key) {
    if (txn->HasRemoved(key)) {
      Notify(KeyEventKind::kGeneric, "del", key);
    }
  }
  // The same of a command that stores what it has found: nothing, perhaps.
  void NotifyStored(KeyEventKinds kind, std::string_view event, std::string_view key, bool any) {
    if (any) {
      Notify(kind, event, key);
    } else {
      NotifyIfRemoved(key);
    }
  }
};

using CommandHandler = Status (*)(CommandContext&);

}  // namespace kvs
