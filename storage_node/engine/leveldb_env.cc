#include "storage_node/engine/leveldb_env.h"

#include <string_view>

#include "common/base/fault_point.h"
#include "common/base/strings.h"

namespace kvs {
namespace {

std::string_view BaseName(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

// Reads the number of LevelDB's "000012.log".
bool ParseLogName(std::string_view path, uint64_t* number) {
  std::string_view name = BaseName(path);
  if (!name.ends_with(".log")) {
    return false;
  }
  name.remove_suffix(4);
  while (name.size() > 1 && name.front() == '0') {
    name.remove_prefix(1);
  }
  return ParseUint64(name, number);
}

bool IsTable(std::string_view path) {
  return path.ends_with(".ldb") || path.ends_with(".sst");
}

// Whether the thread is a background thread that holds a slot.
thread_local bool holds_slot = false;

}  // namespace

// A log file of LevelDB's: it exists, and stays empty.
class LevelDbEnv::SilentLog : public leveldb::WritableFile {
 public:
  explicit SilentLog(std::unique_ptr<leveldb::WritableFile> file) : file_(std::move(file)) {}
  leveldb::Status Append(const leveldb::Slice&) override { return leveldb::Status::OK(); }
  leveldb::Status Flush() override { return leveldb::Status::OK(); }
  leveldb::Status Sync() override { return leveldb::Status::OK(); }
  leveldb::Status Close() override { return file_->Close(); }

 private:
  const std::unique_ptr<leveldb::WritableFile> file_;
};

// Lets another instance work while this one waits for the disk.
class LevelDbEnv::SlotPause {
 public:
  explicit SlotPause(LevelDbEnv* env) : env_(env), held_(holds_slot) {
    if (held_) {
      env_->slots_->Release();
    }
  }
  ~SlotPause() {
    if (held_) {
      env_->slots_->Acquire(env_->flush_pending());
    }
  }
  SlotPause(const SlotPause&) = delete;
  SlotPause& operator=(const SlotPause&) = delete;

 private:
  LevelDbEnv* const env_;
  const bool held_;
};

// Any other file: failures are noted, and a table waits for the binlog.
class LevelDbEnv::WatchedFile : public leveldb::WritableFile {
 public:
  WatchedFile(std::unique_ptr<leveldb::WritableFile> file, LevelDbEnv* env, bool is_table)
      : file_(std::move(file)), env_(env), is_table_(is_table) {}

  leveldb::Status Append(const leveldb::Slice& data) override {
    return env_->Watch(file_->Append(data));
  }
  leveldb::Status Flush() override { return env_->Watch(file_->Flush()); }
  leveldb::Status Close() override { return env_->Watch(file_->Close()); }
  leveldb::Status Sync() override {
    const SlotPause pause(env_);
    if (is_table_) {
      const leveldb::Status synced = env_->SyncBinlog();
      if (!synced.ok()) {
        return env_->Watch(synced);
      }
    }
    return env_->Watch(file_->Sync());
  }

 private:
  const std::unique_ptr<leveldb::WritableFile> file_;
  LevelDbEnv* const env_;
  const bool is_table_;
};

LevelDbEnv::LevelDbEnv(leveldb::Env* base, std::string thread_name,
                       std::function<Status(uint64_t lsn)> ensure_binlog_synced,
                       std::shared_ptr<BackgroundSlots> slots)
    : EnvWrapper(base),
      ensure_binlog_synced_(std::move(ensure_binlog_synced)),
      slots_(std::move(slots)),
      thread_(Thread::Background(std::move(thread_name), [this] { RunBackground(); })) {}

LevelDbEnv::~LevelDbEnv() {
  {
    MutexLock lock(&mu_);
    stopping_ = true;
  }
  work_.NotifyAll();
  thread_.Join();
}

void LevelDbEnv::NoteOpened(uint64_t applied_lsn) {
  MutexLock lock(&mu_);
  applying_lsn_.store(applied_lsn, std::memory_order_release);
  applied_lsn_.store(applied_lsn, std::memory_order_release);
  flushed_lsn_.store(applied_lsn, std::memory_order_release);
  for (auto& [number, lsn] : logs_) {
    lsn = applied_lsn;
  }
}

void LevelDbEnv::NoteApplyBegin(uint64_t lsn) {
  applying_lsn_.store(lsn, std::memory_order_release);
}

void LevelDbEnv::NoteApplyEnd(uint64_t lsn, size_t batch_bytes) {
  applied_lsn_.store(lsn, std::memory_order_release);
  memtable_bytes_.fetch_add(batch_bytes, std::memory_order_relaxed);
}

bool LevelDbEnv::WaitFlushed(uint64_t lsn, std::chrono::milliseconds timeout) {
  MutexLock lock(&mu_);
  if (flushed_lsn() < lsn && first_failure_.ok()) {
    flushed_.WaitFor(&mu_, timeout);
  }
  return flushed_lsn() >= lsn;
}

Status LevelDbEnv::first_failure() const {
  MutexLock lock(&mu_);
  return first_failure_;
}

leveldb::Status LevelDbEnv::Watch(const leveldb::Status& status) {
  if (!status.ok()) {
    MutexLock lock(&mu_);
    if (first_failure_.ok()) {
      first_failure_ = Status::IoError(status.ToString());
    }
    flushed_.NotifyAll();
  }
  return status;
}

// What is being applied may already be in the memtable that the next table is made of, so the log
// must be durable through the newest begun record, not the newest finished one.
leveldb::Status LevelDbEnv::SyncBinlog() {
  if (KVS_FAULT_POINT("engine.table_sync")) {
    return leveldb::Status::IOError("fault point table_sync");
  }
  if (!ensure_binlog_synced_) {
    return leveldb::Status::OK();
  }
  const Status synced = ensure_binlog_synced_(applying_lsn_.load(std::memory_order_acquire));
  return synced.ok() ? leveldb::Status::OK()
                     : leveldb::Status::IOError("binlog not durable", synced.ToString());
}

// The record noted is one that is surely in an older memtable: what is being applied right now goes
// to the memtable of the new log.
void LevelDbEnv::NoteLogCreated(uint64_t number) {
  MutexLock lock(&mu_);
  logs_[number] = applied_lsn_.load(std::memory_order_acquire);
  memtable_bytes_.store(0, std::memory_order_relaxed);
  flush_pending_.store(logs_.size() > 1, std::memory_order_relaxed);
}

void LevelDbEnv::NoteLogRemoved(uint64_t number) {
  MutexLock lock(&mu_);
  const auto next = logs_.upper_bound(number);
  if (next != logs_.end()) {
    if (next->second > flushed_lsn()) {
      flushed_lsn_.store(next->second, std::memory_order_release);
    }
    if (logs_.contains(number)) {
      flush_count_.fetch_add(1, std::memory_order_relaxed);
    }
  }
  logs_.erase(number);
  flush_pending_.store(logs_.size() > 1, std::memory_order_relaxed);
  flushed_.NotifyAll();
}

leveldb::Status LevelDbEnv::NewWritableFile(const std::string& name, leveldb::WritableFile** file) {
  *file = nullptr;
  leveldb::WritableFile* opened = nullptr;
  leveldb::Status status = Watch(target()->NewWritableFile(name, &opened));
  if (!status.ok()) {
    return status;
  }
  std::unique_ptr<leveldb::WritableFile> owned(opened);
  uint64_t number = 0;
  if (ParseLogName(name, &number)) {
    NoteLogCreated(number);
    *file = new SilentLog(std::move(owned));
    return status;
  }
  const bool is_table = IsTable(name);
  if (is_table) {
    table_changes_.fetch_add(1, std::memory_order_relaxed);
  }
  *file = new WatchedFile(std::move(owned), this, is_table);
  return status;
}

leveldb::Status LevelDbEnv::RemoveFile(const std::string& name) {
  (void)KVS_FAULT_POINT("engine.before_remove");
  uint64_t number = 0;
  if (ParseLogName(name, &number)) {
    NoteLogRemoved(number);
  } else if (IsTable(name)) {
    table_changes_.fetch_add(1, std::memory_order_relaxed);
  }
  return target()->RemoveFile(name);
}

leveldb::Status LevelDbEnv::RenameFile(const std::string& from, const std::string& to) {
  // LevelDB renames its text log LOG at each open; only CURRENT matters.
  (void)KVS_FAULT_POINT("engine.before_rename");
  const leveldb::Status status = target()->RenameFile(from, to);
  (void)KVS_FAULT_POINT("engine.after_rename");
  return BaseName(to) == "CURRENT" ? Watch(status) : status;
}

void LevelDbEnv::Schedule(void (*function)(void*), void* argument) {
  MutexLock lock(&mu_);
  queue_.emplace_back(function, argument);
  work_.NotifyOne();
}

void LevelDbEnv::RunBackground() {
  while (true) {
    std::pair<void (*)(void*), void*> job;
    {
      MutexLock lock(&mu_);
      while (queue_.empty() && !stopping_) {
        work_.Wait(&mu_);
      }
      if (queue_.empty()) {
        return;
      }
      job = queue_.front();
      queue_.pop_front();
    }
    (void)KVS_FAULT_POINT("engine.before_background");
    if (slots_ != nullptr) {
      slots_->Acquire(flush_pending());
      holds_slot = true;
    }
    job.first(job.second);
    if (slots_ != nullptr) {
      holds_slot = false;
      slots_->Release();
    }
    table_changes_.fetch_add(1, std::memory_order_relaxed);  // A compaction may have ended.
  }
}

}  // namespace kvs
