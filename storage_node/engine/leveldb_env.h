// LevelDbEnv: the file system that one LevelDB instance sees, changed in three ways.
//
//   - LevelDB's log files are created but stay empty: the binlog is the log.
//   - Before a table is synced the binlog is made durable through the last record that the instance
//     has begun to apply, so no data is on the disk before its log.
//   - Creation and removal of log files prove flushes.  LevelDB creates a log when it starts a new
//     memtable, and removes the one before after the old memtable's table is in the synced
//     MANIFEST.  So we note what was applied at each creation, and a removal of log A proves
//     everything that was applied when the log after A was created.
//
// It also has the instance's own background thread (LevelDB's default Env has one for all), which
// works while it holds one of the slots that the instances share.  Without them: always.
//
// Threads: thread-safe.
// Owner:   the engine's handle; must outlive the leveldb::DB.

#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/base/thread.h"
#include "leveldb/env.h"
#include "storage_node/engine/background_slots.h"

namespace kvs {

class LevelDbEnv : public leveldb::EnvWrapper {
 public:
  LevelDbEnv(leveldb::Env* base, std::string thread_name,
             std::function<Status(uint64_t lsn)> ensure_binlog_synced,
             std::shared_ptr<BackgroundSlots> slots);
  ~LevelDbEnv() override;

  // Tells what LevelDB found on the disk.  Its memtable is empty then, so all of it is flushed.
  void NoteOpened(uint64_t applied_lsn);
  // Around a write of records up to `lsn`.  Begin before LevelDB sees the batch, End after it
  // succeeded.
  void NoteApplyBegin(uint64_t lsn);
  void NoteApplyEnd(uint64_t lsn, size_t batch_bytes);

  uint64_t flushed_lsn() const { return flushed_lsn_.load(std::memory_order_acquire); }
  uint64_t flush_count() const { return flush_count_.load(std::memory_order_relaxed); }
  // Whether a full memtable waits for its flush.
  bool flush_pending() const { return flush_pending_.load(std::memory_order_relaxed); }
  // Bytes written since the current memtable was started.
  size_t memtable_bytes() const { return memtable_bytes_.load(std::memory_order_relaxed); }
  // Changes whenever a table appears or goes.
  uint64_t table_changes() const { return table_changes_.load(std::memory_order_relaxed); }
  // Waits until flushed_lsn() >= lsn or the time is over; returns whether it is.
  bool WaitFlushed(uint64_t lsn, std::chrono::milliseconds timeout);
  // OK, or the first failure of a write, sync or rename.
  Status first_failure() const;

  leveldb::Status NewWritableFile(const std::string& name, leveldb::WritableFile** file) override;
  leveldb::Status RemoveFile(const std::string& name) override;
  leveldb::Status RenameFile(const std::string& from, const std::string& to) override;
  void Schedule(void (*function)(void*), void* argument) override;

 private:
  class SilentLog;
  class WatchedFile;
  class SlotPause;

  leveldb::Status Watch(const leveldb::Status& status);
  leveldb::Status SyncBinlog();
  void NoteLogCreated(uint64_t number);
  void NoteLogRemoved(uint64_t number);
  void RunBackground();

  const std::function<Status(uint64_t)> ensure_binlog_synced_;
  const std::shared_ptr<BackgroundSlots> slots_;
  std::atomic<uint64_t> applying_lsn_{0};  // Begun; may be in the memtable.
  std::atomic<uint64_t> applied_lsn_{0};   // Surely in the memtable.
  std::atomic<uint64_t> flushed_lsn_{0};
  std::atomic<uint64_t> flush_count_{0};
  std::atomic<bool> flush_pending_{false};
  std::atomic<size_t> memtable_bytes_{0};
  std::atomic<uint64_t> table_changes_{0};

  mutable Mutex mu_;
  CondVar flushed_;
  CondVar work_;
  // The live logs: file number -> what was applied when it was created.
  std::map<uint64_t, uint64_t> logs_ KVS_GUARDED_BY(mu_);
  Status first_failure_ KVS_GUARDED_BY(mu_);
  std::deque<std::pair<void (*)(void*), void*>> queue_ KVS_GUARDED_BY(mu_);
  bool stopping_ KVS_GUARDED_BY(mu_) = false;
  Thread thread_;  // Last: it uses all of the above.
};

}  // namespace kvs
