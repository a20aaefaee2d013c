// CommandContext: all that a command handler works with, and nothing else.
//
// Before a handler runs, the dispatcher (storage_node/server) has checked name, arity,
// authentication, slot ownership and write health, has called txn->Begin(), and has locked the
// stripes of all keys unless the command reads a single key.  After it, the dispatcher notes what
// the reply depends on (Txn::Observe for keys read without a lock), deletes the keys that the
// handler found expired, and turns a Status that is not OK into an error reply: a handler that
// fails has written nothing, to the reply or to the turn.
//
// Threads: one thread, for the duration of one command.
// Owner:   the dispatcher, on its stack.

#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
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

namespace kvs {

using SlotSet = std::bitset<kSlotCount>;
class ScanCursors;
class SweeperThread;

struct CommandContext {
  const CommandSpec& spec;
  std::span<const std::string_view> args;  // args[0] is the name as the client wrote it.
  Txn* txn;
  RespWriter reply;
  const SlotSet* owned_slots;  // What KEYS, SCAN, DBSIZE, RANDOMKEY and FLUSH* cover.
  ScanCursors* scan_cursors;
  SweeperThread* sweeper;      // What DEBUG SET-ACTIVE-EXPIRE switches.
  bool debug_allowed = false;  // Whether this client may send DEBUG.
  size_t max_string_size = kMaxStringSize;
  // Counted by handlers that read keys.
  int64_t keyspace_hits = 0;
  int64_t keyspace_misses = 0;
  // Keys that were found expired and are still stored; the dispatcher deletes them.
  std::vector<std::string> expired_keys = {};

  std::string_view arg(size_t i) const { return args[i]; }
  size_t argc() const { return args.size(); }
  void CountLookup(bool found) { ++(found ? keyspace_hits : keyspace_misses); }
};

using CommandHandler = Status (*)(CommandContext&);

}  // namespace kvs
