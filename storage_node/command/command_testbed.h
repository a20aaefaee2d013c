// CommandTestbed: runs commands against a store in a temporary folder, as the dispatcher would.
//
// A reply is told on one line, in RESP with a space for each line break: "+OK", ":1", "$3 foo".
//
// Threads: one owner; Client objects of one testbed may be used by several threads.
// Owner:   the test.

#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/clock.h"
#include "storage_node/command/command_context.h"
#include "storage_node/command/scan_cursors.h"
#include "storage_node/commit/store.h"
#include "storage_node/commit/txn.h"
#include "storage_node/types/sweeper_thread.h"

namespace kvs {

class CommandTestbed {
 public:
  CommandTestbed();
  ~CommandTestbed();

  // Stops the store, as a kill or cleanly, and opens it again.  Clients must be gone.
  void Crash();
  void Restart();

  Store* store() { return store_.get(); }
  ManualClock& clock() { return clock_; }
  // Stops the store as a kill does, looks at what it leaves as `kv_node --check` does, and opens it
  // again.  Clients must be gone.  Returns the problems, or "".
  std::string CheckStoredData();

  ScanCursors& cursors() { return *cursors_; }
  SlotSet& owned_slots() { return owned_slots_; }
  SweeperThread& sweeper() { return *sweeper_; }  // Not started.
  // Whether DEBUG is allowed; at first it is not.
  void set_debug_allowed(bool allowed) { debug_allowed_ = allowed; }

  // Whether the node is one of a cluster; at first it is not.
  void set_in_cluster(bool in_cluster) { in_cluster_ = in_cluster; }

  void set_max_pattern_keys(uint64_t count) { max_pattern_keys_ = count; }

  TypeLimits& type_limits() { return type_limits_; }

  // Runs one request in a turn of its own.  The line is split as Redis splits an inline command.
  std::string Run(std::string_view line);
  std::string Run(const std::vector<std::string>& args);
  // The look-ups that the last Run() counted.
  int64_t hits() const { return hits_; }
  int64_t misses() const { return misses_; }

  // Compares the counts of every slot, and its expiry index, with the records that are stored.
  // Returns what does not fit, or "".
  std::string CheckBookkeeping();

 private:
  friend class CommandClient;
  void Open();

  std::string dir_;
  ManualClock clock_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<ScanCursors> cursors_;
  std::unique_ptr<SweeperThread> sweeper_;
  SlotSet owned_slots_;
  bool debug_allowed_ = false;
  bool in_cluster_ = false;
  uint64_t max_pattern_keys_ = uint64_t{1} << 24;
  TypeLimits type_limits_;
  int64_t hits_ = 0;
  int64_t misses_ = 0;
};

// A connection: its commands share a turn until Commit().
class CommandClient {
 public:
  CommandClient(CommandTestbed* testbed, int protocol)
      : testbed_(testbed), protocol_(protocol), txn_(testbed->store()) {}
  ~CommandClient() { Commit(); }

  std::string Run(std::string_view line);
  // Returns the reply as it is sent.
  std::string RunRaw(const std::vector<std::string>& args);
  void Commit();
  Txn& txn() { return txn_; }
  int64_t hits() const { return hits_; }
  int64_t misses() const { return misses_; }

 private:
  CommandTestbed* const testbed_;
  const int protocol_;
  Txn txn_;
  int64_t hits_ = 0;
  int64_t misses_ = 0;
};

// Returns a RESP reply on one line, with what cannot be printed as \xHH.
std::string OnOneLine(std::string_view reply);

}  // namespace kvs
