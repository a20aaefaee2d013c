// LevelDbEngine: an Engine over one LevelDB.
//
// LevelDB's own log is turned off by our Env (leveldb_env.h): the binlog is the log.  All access
// goes through a ref-counted handle, so a store with a sticky background error can be closed and
// opened again while the process lives; iterators and snapshots keep their handle alive.
//
// Threads: thread-safe.  One background thread an instance, owned by its Env.
// Owner:   EngineCluster.

#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "common/base/mutex.h"
#include "common/base/status.h"
#include "storage_node/engine/background_slots.h"
#include "storage_node/engine/engine.h"

namespace leveldb {
class Cache;
class Env;
}  // namespace leveldb

namespace kvs {

struct LevelDbOptions {
  size_t write_buffer_size = size_t{4} << 20;
  // A block ends with the record that reaches this: most then fit into 4 KiB of memory, where 4097
  // bytes would take 5 KiB.
  size_t block_size = 3840;
  size_t max_file_size = size_t{2} << 20;
  int max_open_files = 1000;
  int bloom_bits_per_key = 10;  // 0: no filter.
  bool compression = true;      // Snappy.
  // Shared between instances; nullptr gives the instance a cache of its own.
  std::shared_ptr<leveldb::Cache> block_cache;
  // Shared between instances; nullptr lets this one work whenever it wants.
  std::shared_ptr<BackgroundSlots> background_slots;
  // Makes the log durable through an LSN; called from the background thread before a table is
  // synced.  Empty: there is no log (tests, tools).
  std::function<Status(uint64_t lsn)> ensure_binlog_synced;
  // The file system below ours; nullptr is the real one.  Tests put a failing one here.
  leveldb::Env* base_env = nullptr;
  // How long Reopen() and Close() wait for readers to let go of the old store.
  std::chrono::milliseconds release_timeout{10'000};
};

// Returns a cache of `bytes` for several instances.
std::shared_ptr<leveldb::Cache> NewSharedBlockCache(size_t bytes);

class LevelDbEngine : public Engine {
 public:
  // Opens or creates the store in folder `path`.
  static Result<std::unique_ptr<LevelDbEngine>> Open(const std::string& path,
                                                     const LevelDbOptions& options);
  // Closes without a flush, as a crash would, unless Close() was called.
  ~LevelDbEngine() override;

  Status Get(std::string_view key, std::string* value, const EngineSnapshot* snapshot) override;
  using Engine::Get;
  Result<std::unique_ptr<EngineIterator>> NewIterator(
      const EngineIteratorOptions& options) override;
  Result<std::unique_ptr<EngineSnapshot>> NewSnapshot() override;
  Status Apply(std::span<const EngineOp> ops, uint64_t lsn) override;
  Status DeleteLocal(std::span<const std::string_view> keys) override;
  Status MarkPosition(uint64_t lsn) override;
  uint64_t AppliedLsn() const override;
  uint64_t FlushedLsn() const override;
  Status Flush() override;
  uint64_t ApproximateSize(const EngineRange& range) override;
  EngineStats Stats() override;
  bool IsStalled() override;
  Status Health() const override;
  Status Reopen(const Recover& recover) override;
  Status Close() override;

  // Returns a property of LevelDB such as "leveldb.stats", or "" if there is none.
  std::string Property(const std::string& name);

 private:
  struct Handle;
  class Iterator;
  class Snapshot;
  using HandlePtr = std::shared_ptr<Handle>;

  LevelDbEngine(std::string path, const LevelDbOptions& options);

  Result<HandlePtr> OpenHandle();
  // Returns the open store, or kUnavailable.
  Result<HandlePtr> Acquire() const;
  // Takes the store away from new users, who are told `why`, and waits until the old ones are gone.
  Status Release(const Status& why);
  // Whether the folder takes as much as a flush would write.
  Status TryToWrite();
  Status FlushHandle(Handle* handle);
  void FlushLocalDeletes();
  // Notes a failed write; returns it in our words.
  Status NoteFailure(const Status& cause);

  const std::string path_;
  const LevelDbOptions options_;

  // Orders batches, so that the position never runs backwards.  Taken before handle_mu_.
  Mutex apply_mu_;
  mutable Mutex handle_mu_;
  HandlePtr handle_ KVS_GUARDED_BY(handle_mu_);
  Status absence_ KVS_GUARDED_BY(handle_mu_);  // Why there is no handle.
  std::weak_ptr<Handle> released_ KVS_GUARDED_BY(handle_mu_);
  Status failure_ KVS_GUARDED_BY(handle_mu_);
  std::atomic<uint64_t> applied_lsn_{0};
  std::atomic<uint64_t> flushed_lsn_{0};  // Kept over a Reopen().
  std::atomic<bool> has_local_deletes_{false};
};

}  // namespace kvs
