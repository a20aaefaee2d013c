// EngineCluster: the N engine instances of a node; slot s lives in instance s mod N.
//
// A commit turn's records go to each instance as one batch, stamped with the last LSN of the turn.
// So instances apply at different times but never a part of a turn, and after a crash each one is
// replayed from its own position.
//
// Threads: thread-safe; Apply() from one thread at a time, in LSN order.
// Owner:   the node.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "storage_node/engine/engine.h"
#include "storage_node/engine/leveldb_engine.h"

namespace kvs {

struct EngineClusterOptions {
  std::string dir;  // Instances live in dir/0 .. dir/N-1.
  int instance_count = 8;
  size_t block_cache_bytes = size_t{256} << 20;
  int max_background_jobs = 1;  // Flushes and compactions at the same moment, at least 1.
  LevelDbOptions leveldb = {};  // block_cache and background_slots are set by the cluster.
};

// The operations of one or more records, sorted by instance.  Keeps views: what was added must
// live until the group has been applied or cleared.
class EngineGroup {
 public:
  explicit EngineGroup(int instance_count) : ops_(static_cast<size_t>(instance_count)) {}

  void Add(uint16_t slot, const EngineOp& op) { ops_[slot % ops_.size()].push_back(op); }
  void Clear();
  bool empty() const;
  std::span<const EngineOp> ops(int instance) const { return ops_[static_cast<size_t>(instance)]; }
  int instance_count() const { return static_cast<int>(ops_.size()); }

 private:
  std::vector<std::vector<EngineOp>> ops_;
};

class EngineCluster {
 public:
  // Opens or creates all instances, side by side.
  static Result<std::unique_ptr<EngineCluster>> Open(const EngineClusterOptions& options);
  // Makes a cluster of given engines, for tests.  REQUIRES: at least one
  explicit EngineCluster(std::vector<std::unique_ptr<Engine>> engines);

  int instance_count() const { return static_cast<int>(engines_.size()); }
  Engine* engine(int instance) const { return engines_[static_cast<size_t>(instance)].get(); }
  int InstanceOf(uint16_t slot) const { return slot % instance_count(); }
  Engine* ForSlot(uint16_t slot) const { return engine(InstanceOf(slot)); }
  EngineGroup NewGroup() const { return EngineGroup(instance_count()); }

  // Applies the records up to `last_lsn` to the instances that they concern.  Goes on after a
  // failed instance and returns the first error; Health() of the instances tells which failed.
  Status Apply(const EngineGroup& group, uint64_t last_lsn);

  std::vector<uint64_t> AppliedLsns() const;
  uint64_t MinAppliedLsn() const;
  uint64_t MaxAppliedLsn() const;
  // Returns the LSN up to which no instance needs the log.  `applied_through` is an LSN up to which
  // every record was handed to Apply(), except for the instances of which `has_more` says that they
  // still get some: an instance with nothing unflushed counts as being there.
  uint64_t MinFlushedLsn(uint64_t applied_through,
                         const std::function<bool(int instance)>& has_more = {}) const;
  // Writes and flushes the position of each instance that has nothing else to flush and whose own
  // is below `up_to_lsn`.  Call before segments up to there are purged: afterwards every instance's
  // position on the disk is at or past it, or the result is an error.
  // REQUIRES: up_to_lsn <= MinFlushedLsn(applied_through)
  Status PersistIdlePositions(uint64_t up_to_lsn);

  // Flushes all instances, side by side.
  Status Flush();
  // Flushes and closes all instances, side by side; returns the first error.
  Status Close();

 private:
  std::vector<std::unique_ptr<Engine>> engines_;
};

}  // namespace kvs
