#include "storage_node/engine/leveldb_engine.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "common/base/coding.h"
#include "common/base/fault_point.h"
#include "common/base/file.h"
#include "common/base/logging.h"
#include "common/base/strings.h"
#include "common/base/thread.h"
#include "leveldb/cache.h"
#include "leveldb/db.h"
#include "leveldb/env.h"
#include "leveldb/filter_policy.h"
#include "leveldb/write_batch.h"
#include "storage_node/engine/leveldb_env.h"
#include "storage_node/engine/pread_env.h"

namespace kvs {
namespace {

// LevelDB begins to delay each write at this many level 0 files (kL0_SlowdownWritesTrigger).
constexpr uint64_t kLevel0Slowdown = 8;
// What the skiplist and arena take for each entry beyond key and value, roughly.
constexpr size_t kMemtableEntryOverhead = 64;

// Our count of a memtable's bytes is nearly full at so many eighths: LevelDB's arena leaves up to a
// quarter of each of its blocks unused, and it counts blocks.
constexpr size_t kFullEighths = 5;

leveldb::Slice ToSlice(std::string_view bytes) {
  return {bytes.data(), bytes.size()};
}

std::string_view ToView(const leveldb::Slice& slice) {
  return {slice.data(), slice.size()};
}

Status FromLevelDb(const leveldb::Status& status) {
  if (status.ok()) {
    return Status::Ok();
  }
  if (status.IsNotFound()) {
    return Status::NotFound();
  }
  const std::string text = "leveldb: " + status.ToString();
  return status.IsCorruption() ? Status::Corruption(text) : Status::IoError(text);
}

// Options of every read.  A block is verified when it comes from the disk; one in the cache was.
leveldb::ReadOptions VerifiedRead() {
  leveldb::ReadOptions options;
  options.verify_checksums = true;
  return options;
}

Result<uint64_t> ReadAppliedLsn(leveldb::DB* db, const leveldb::Snapshot* snapshot) {
  leveldb::ReadOptions options = VerifiedRead();
  options.snapshot = snapshot;
  std::string value;
  const leveldb::Status status = db->Get(options, ToSlice(kAppliedLsnKey), &value);
  if (status.IsNotFound()) {
    return uint64_t{0};
  }
  KVS_RETURN_IF_ERROR(FromLevelDb(status));
  if (value.size() != 8) {
    return Status::Corruption("engine: the applied position has a wrong size");
  }
  return DecodeFixed64(value.data());
}

uint64_t NumberProperty(leveldb::DB* db, const std::string& name) {
  std::string text;
  uint64_t number = 0;
  return db->GetProperty(name, &text) && ParseUint64(text, &number) ? number : 0;
}

}  // namespace

std::shared_ptr<leveldb::Cache> NewSharedBlockCache(size_t bytes) {
  return std::shared_ptr<leveldb::Cache>(leveldb::NewLRUCache(bytes));
}

// An open store and all that must outlive it.  Members die in reverse order: the DB first.
struct LevelDbEngine::Handle {
  std::string path;
  std::shared_ptr<leveldb::Cache> cache;
  std::unique_ptr<const leveldb::FilterPolicy> filter;
  std::unique_ptr<LevelDbEnv> env;
  std::unique_ptr<leveldb::DB> db;
  // The level 0 count, and for which state of the tables it was read.
  std::atomic<uint64_t> level0_files{0};
  std::atomic<uint64_t> level0_read_at{UINT64_MAX};
};

class LevelDbEngine::Snapshot : public EngineSnapshot {
 public:
  Snapshot(HandlePtr handle, const leveldb::Snapshot* snapshot, uint64_t applied_lsn)
      : handle_(std::move(handle)), snapshot_(snapshot), applied_lsn_(applied_lsn) {}
  ~Snapshot() override { handle_->db->ReleaseSnapshot(snapshot_); }

  uint64_t applied_lsn() const override { return applied_lsn_; }
  const HandlePtr& handle() const { return handle_; }
  const leveldb::Snapshot* snapshot() const { return snapshot_; }

 private:
  const HandlePtr handle_;
  const leveldb::Snapshot* const snapshot_;
  const uint64_t applied_lsn_;
};

class LevelDbEngine::Iterator : public EngineIterator {
 public:
  Iterator(HandlePtr handle, const leveldb::ReadOptions& options, const EngineRange& range)
      : handle_(std::move(handle)),
        iterator_(handle_->db->NewIterator(options)),
        lower_(range.lower),
        upper_(range.upper.empty() ? std::string(kEngineReservedPrefix)
                                   : std::min(range.upper, std::string(kEngineReservedPrefix))) {}

  bool Valid() const override {
    return iterator_->Valid() && ToView(iterator_->key()) < upper_ &&
           ToView(iterator_->key()) >= lower_;
  }
  void SeekToFirst() override { iterator_->Seek(lower_); }
  void SeekToLast() override {
    iterator_->Seek(upper_);
    if (iterator_->Valid()) {
      iterator_->Prev();
    } else {
      iterator_->SeekToLast();
    }
  }
  void Seek(std::string_view target) override {
    iterator_->Seek(ToSlice(std::max(target, std::string_view(lower_))));
  }
  void Next() override {
    KVS_CHECK(Valid());
    iterator_->Next();
  }
  void Prev() override {
    KVS_CHECK(Valid());
    iterator_->Prev();
  }
  std::string_view key() const override { return ToView(iterator_->key()); }
  std::string_view value() const override { return ToView(iterator_->value()); }
  Status status() const override {
    const leveldb::Status status = iterator_->status();
    return status.ok() ? Status::Ok() : FromLevelDb(status).WithContext(handle_->path);
  }

 private:
  const HandlePtr handle_;
  const std::unique_ptr<leveldb::Iterator> iterator_;
  const std::string lower_;
  const std::string upper_;
};

LevelDbEngine::LevelDbEngine(std::string path, const LevelDbOptions& options)
    : path_(std::move(path)),
      options_(options),
      absence_(Status::Unavailable("the engine instance is not open")) {}

LevelDbEngine::~LevelDbEngine() = default;

Result<std::unique_ptr<LevelDbEngine>> LevelDbEngine::Open(const std::string& path,
                                                           const LevelDbOptions& options) {
  KVS_RETURN_IF_ERROR(CreateDirs(path));
  std::unique_ptr<LevelDbEngine> engine(new LevelDbEngine(path, options));
  KVS_ASSIGN_OR_RETURN(HandlePtr handle, engine->OpenHandle());
  MutexLock lock(&engine->handle_mu_);
  engine->handle_ = std::move(handle);
  return engine;
}

Result<LevelDbEngine::HandlePtr> LevelDbEngine::OpenHandle() {
  auto handle = std::make_shared<Handle>();
  handle->path = path_;
  handle->cache =
      options_.block_cache != nullptr ? options_.block_cache : NewSharedBlockCache(8 << 20);
  leveldb::Env* base = options_.base_env != nullptr ? options_.base_env : PreadEnv::Default();
  handle->env = std::make_unique<LevelDbEnv>(base, "engine", options_.ensure_binlog_synced,
                                             options_.background_slots);
  if (options_.bloom_bits_per_key > 0) {
    handle->filter.reset(leveldb::NewBloomFilterPolicy(options_.bloom_bits_per_key));
  }

  leveldb::Options options;
  options.create_if_missing = true;
  options.paranoid_checks = true;
  options.env = handle->env.get();
  options.write_buffer_size = options_.write_buffer_size;
  options.max_open_files = options_.max_open_files;
  options.block_cache = handle->cache.get();
  options.block_size = options_.block_size;
  options.max_file_size = options_.max_file_size;
  options.compression =
      options_.compression ? leveldb::kSnappyCompression : leveldb::kNoCompression;
  options.filter_policy = handle->filter.get();
  leveldb::DB* db = nullptr;
  const leveldb::Status status = leveldb::DB::Open(options, path_, &db);
  handle->db.reset(db);
  KVS_RETURN_IF_ERROR(FromLevelDb(status).WithContext(path_));

  KVS_ASSIGN_OR_RETURN(const uint64_t applied_lsn, ReadAppliedLsn(db, nullptr));
  handle->env->NoteOpened(applied_lsn);
  applied_lsn_.store(applied_lsn, std::memory_order_release);
  flushed_lsn_.store(applied_lsn, std::memory_order_release);
  return handle;
}

Result<LevelDbEngine::HandlePtr> LevelDbEngine::Acquire() const {
  MutexLock lock(&handle_mu_);
  if (handle_ == nullptr) {
    return absence_;
  }
  return handle_;
}

Status LevelDbEngine::Get(std::string_view key, std::string* value,
                          const EngineSnapshot* snapshot) {
  leveldb::ReadOptions options = VerifiedRead();
  HandlePtr handle;
  if (snapshot != nullptr) {
    const auto* ours = static_cast<const Snapshot*>(snapshot);
    options.snapshot = ours->snapshot();
    handle = ours->handle();
  } else {
    KVS_ASSIGN_OR_RETURN(handle, Acquire());
  }
  const leveldb::Status status = handle->db->Get(options, ToSlice(key), value);
  return status.ok() || status.IsNotFound() ? FromLevelDb(status)
                                            : FromLevelDb(status).WithContext(path_);
}

Result<std::unique_ptr<EngineIterator>> LevelDbEngine::NewIterator(
    const EngineIteratorOptions& options) {
  leveldb::ReadOptions read = VerifiedRead();
  read.fill_cache = options.fill_cache;
  HandlePtr handle;
  if (options.snapshot != nullptr) {
    const auto* ours = static_cast<const Snapshot*>(options.snapshot);
    read.snapshot = ours->snapshot();
    handle = ours->handle();
  } else {
    KVS_ASSIGN_OR_RETURN(handle, Acquire());
  }
  std::unique_ptr<EngineIterator> iterator =
      std::make_unique<Iterator>(std::move(handle), read, options.range);
  return iterator;
}

Result<std::unique_ptr<EngineSnapshot>> LevelDbEngine::NewSnapshot() {
  KVS_ASSIGN_OR_RETURN(HandlePtr handle, Acquire());
  const leveldb::Snapshot* snapshot = handle->db->GetSnapshot();
  const Result<uint64_t> applied_lsn = ReadAppliedLsn(handle->db.get(), snapshot);
  if (!applied_lsn.ok()) {
    handle->db->ReleaseSnapshot(snapshot);
    return applied_lsn.status();
  }
  std::unique_ptr<EngineSnapshot> result =
      std::make_unique<Snapshot>(std::move(handle), snapshot, *applied_lsn);
  return result;
}

Status LevelDbEngine::Apply(std::span<const EngineOp> ops, uint64_t lsn) {
  MutexLock lock(&apply_mu_);
  KVS_RETURN_IF_ERROR(Health());
  KVS_ASSIGN_OR_RETURN(const HandlePtr handle, Acquire());
  if (lsn <= AppliedLsn()) {
    return Status::Ok();
  }
  leveldb::WriteBatch batch;
  size_t memtable_bytes = kMemtableEntryOverhead;
  for (const EngineOp& op : ops) {
    memtable_bytes += op.key.size() + op.value.size() + kMemtableEntryOverhead;
    if (op.is_delete) {
      batch.Delete(ToSlice(op.key));
    } else {
      batch.Put(ToSlice(op.key), ToSlice(op.value));
    }
  }
  std::string position;
  PutFixed64(&position, lsn);
  batch.Put(ToSlice(kAppliedLsnKey), position);

  handle->env->NoteApplyBegin(lsn);
  const leveldb::Status status = KVS_FAULT_POINT("engine.apply")
                                     ? leveldb::Status::IOError("fault point apply")
                                     : handle->db->Write(leveldb::WriteOptions(), &batch);
  if (!status.ok()) {
    return NoteFailure(FromLevelDb(status));
  }
  handle->env->NoteApplyEnd(lsn, memtable_bytes);
  applied_lsn_.store(lsn, std::memory_order_release);
  return Status::Ok();
}

Status LevelDbEngine::DeleteLocal(std::span<const std::string_view> keys) {
  KVS_RETURN_IF_ERROR(Health());
  KVS_ASSIGN_OR_RETURN(const HandlePtr handle, Acquire());
  leveldb::WriteBatch batch;
  for (const std::string_view key : keys) {
    batch.Delete(ToSlice(key));
  }
  has_local_deletes_.store(true, std::memory_order_relaxed);
  const leveldb::Status status = handle->db->Write(leveldb::WriteOptions(), &batch);
  return status.ok() ? Status::Ok() : NoteFailure(FromLevelDb(status));
}

Status LevelDbEngine::MarkPosition(uint64_t lsn) {
  return Apply({}, lsn);
}

uint64_t LevelDbEngine::AppliedLsn() const {
  return applied_lsn_.load(std::memory_order_acquire);
}

uint64_t LevelDbEngine::FlushedLsn() const {
  const Result<HandlePtr> handle = Acquire();
  return handle.ok() ? (*handle)->env->flushed_lsn() : flushed_lsn_.load(std::memory_order_acquire);
}

Status LevelDbEngine::Flush() {
  KVS_RETURN_IF_ERROR(Health());
  KVS_ASSIGN_OR_RETURN(const HandlePtr handle, Acquire());
  const Status flushed = FlushHandle(handle.get());
  return flushed.ok() ? flushed : NoteFailure(flushed);
}

// Write(nullptr) only starts a new memtable.  The proof comes from the Env, or never, if the
// background work failed: an empty batch asks LevelDB for its sticky error.
Status LevelDbEngine::FlushHandle(Handle* handle) {
  constexpr std::chrono::milliseconds kAskAgain(500);
  const uint64_t target = AppliedLsn();
  if (handle->env->flushed_lsn() >= target) {
    return Status::Ok();
  }
  KVS_RETURN_IF_ERROR(FromLevelDb(handle->db->Write(leveldb::WriteOptions(), nullptr)));
  while (!handle->env->WaitFlushed(target, kAskAgain)) {
    KVS_RETURN_IF_ERROR(handle->env->first_failure());
    leveldb::WriteBatch nothing;
    KVS_RETURN_IF_ERROR(FromLevelDb(handle->db->Write(leveldb::WriteOptions(), &nothing)));
  }
  return Status::Ok();
}

// No position tells of them.  The second new memtable is made when the first one has been written.
void LevelDbEngine::FlushLocalDeletes() {
  const Result<HandlePtr> handle = Acquire();
  for (int i = 0; handle.ok() && i < 2; ++i) {
    if (!(*handle)->db->Write(leveldb::WriteOptions(), nullptr).ok()) {
      return;  // Then what was removed comes back, and is removed again.
    }
  }
}

uint64_t LevelDbEngine::ApproximateSize(const EngineRange& range) {
  const Result<HandlePtr> handle = Acquire();
  if (!handle.ok()) {
    return 0;
  }
  const std::string upper = range.upper.empty() ? std::string(kEngineReservedPrefix) : range.upper;
  const leveldb::Range bounds(range.lower, upper);
  uint64_t size = 0;
  (*handle)->db->GetApproximateSizes(&bounds, 1, &size);
  return size;
}

EngineStats LevelDbEngine::Stats() {
  constexpr int kLevels = 7;
  EngineStats stats;
  stats.applied_lsn = AppliedLsn();
  stats.flushed_lsn = FlushedLsn();
  const Result<HandlePtr> acquired = Acquire();
  if (!acquired.ok()) {
    return stats;
  }
  const HandlePtr& handle = *acquired;
  stats.block_cache_bytes = handle->cache->TotalCharge();
  // LevelDB counts the shared cache in.
  const uint64_t used = NumberProperty(handle->db.get(), "leveldb.approximate-memory-usage");
  stats.memtable_bytes = used > stats.block_cache_bytes ? used - stats.block_cache_bytes : 0;
  stats.flush_count = handle->env->flush_count();
  for (int level = 0; level < kLevels; ++level) {
    const uint64_t files =
        NumberProperty(handle->db.get(), "leveldb.num-files-at-level" + std::to_string(level));
    stats.file_count += files;
    stats.level0_file_count = level == 0 ? files : stats.level0_file_count;
  }
  return stats;
}

std::string LevelDbEngine::Property(const std::string& name) {
  const Result<HandlePtr> handle = Acquire();
  std::string value;
  if (!handle.ok() || !(*handle)->db->GetProperty(name, &value)) {
    return "";
  }
  return value;
}

// Looks at atomics only, unless tables came or went since the last look.
bool LevelDbEngine::IsStalled() {
  const Result<HandlePtr> acquired = Acquire();
  if (!acquired.ok()) {
    return true;
  }
  Handle* handle = acquired->get();
  const LevelDbEnv& env = *handle->env;
  const bool nearly_full = env.memtable_bytes() >= options_.write_buffer_size / 8 * kFullEighths;
  if (env.flush_pending() && nearly_full) {
    return true;
  }
  const uint64_t changes = env.table_changes();
  if (handle->level0_read_at.exchange(changes, std::memory_order_relaxed) != changes) {
    handle->level0_files.store(NumberProperty(handle->db.get(), "leveldb.num-files-at-level0"),
                               std::memory_order_relaxed);
  }
  return handle->level0_files.load(std::memory_order_relaxed) >= kLevel0Slowdown;
}

Status LevelDbEngine::NoteFailure(const Status& cause) {
  MutexLock lock(&handle_mu_);
  if (failure_.ok()) {
    KVS_LOG(kError, "engine {}: writes fail until it is reopened: {}", path_, cause.message());
    failure_ = Status::Misconf("the engine refuses writes until it is reopened: " +
                               std::string(cause.message()));
  }
  return cause;
}

Status LevelDbEngine::Health() const {
  const MutexLock lock(&handle_mu_);
  if (handle_ == nullptr) {
    return absence_;
  }
  const Status background = handle_->env->first_failure();
  if (failure_.ok() && !background.ok()) {
    return Status::Misconf("the engine refuses writes until it is reopened: " +
                           std::string(background.message()));
  }
  return failure_;
}

Status LevelDbEngine::Release(const Status& why) {
  constexpr std::chrono::milliseconds kStep(1);
  std::weak_ptr<Handle> old;
  {
    HandlePtr dying;  // Closes the store without the mutex, unless somebody still reads.
    MutexLock lock(&handle_mu_);
    if (handle_ != nullptr) {
      flushed_lsn_.store(handle_->env->flushed_lsn(), std::memory_order_release);
      released_ = handle_;
      dying = std::move(handle_);
      absence_ = why;
    }
    old = released_;
  }
  for (auto waited = kStep; !old.expired(); waited += kStep) {
    if (waited > options_.release_timeout) {
      return Status::Busy("iterators or snapshots still hold the engine " + path_);
    }
    SleepMicros(1000);
  }
  return Status::Ok();
}

Status LevelDbEngine::TryToWrite() {
  leveldb::Env* env = options_.base_env != nullptr ? options_.base_env : PreadEnv::Default();
  const std::string name = path_ + "/000000.dbtmp";  // LevelDB removes such files when it opens.
  leveldb::WritableFile* opened = nullptr;
  leveldb::Status status = env->NewWritableFile(name, &opened);
  const std::unique_ptr<leveldb::WritableFile> file(opened);
  const std::string piece(size_t{64} << 10, '\0');
  for (size_t n = 0; status.ok() && n < options_.write_buffer_size; n += piece.size()) {
    status = file->Append(piece);
  }
  if (status.ok()) {
    status = file->Sync();
  }
  if (file != nullptr) {
    const leveldb::Status removed = env->RemoveFile(name);
    status = status.ok() && !removed.IsNotFound() ? removed : status;
  }
  return FromLevelDb(status);
}

Status LevelDbEngine::Reopen(const Recover& recover) {
  const MutexLock apply_lock(&apply_mu_);
  if (Acquire().ok()) {
    KVS_RETURN_IF_ERROR(TryToWrite());
  }
  KVS_RETURN_IF_ERROR(Release(Status::Unavailable("the engine instance is being reopened")));
  const auto stays_closed = [this](const Status& cause) {
    const MutexLock lock(&handle_mu_);
    if (absence_.code() == Code::kUnavailable) {
      KVS_LOG(kError, "engine {} cannot be opened again: {}", path_, cause.message());
    }
    absence_ = Status::IoError("an engine instance cannot be opened again: " +
                               std::string(cause.message()));
    return cause;
  };
  Result<HandlePtr> handle = OpenHandle();
  if (!handle.ok()) {
    return stays_closed(handle.status());
  }
  if (Status recovered = recover(AppliedLsn()); !recovered.ok()) {
    return stays_closed(recovered);
  }
  const MutexLock lock(&handle_mu_);
  failure_ = Status::Ok();
  handle_ = *std::move(handle);
  return Status::Ok();
}

Status LevelDbEngine::Close() {
  Status flushed = Flush();
  if (flushed.code() == Code::kUnavailable) {
    flushed = Status::Ok();  // Closed before.
  } else if (flushed.ok() && has_local_deletes_.load(std::memory_order_relaxed)) {
    FlushLocalDeletes();
  }
  MutexLock apply_lock(&apply_mu_);
  const Status released = Release(Status::Unavailable("the engine instance is closed"));
  return flushed.ok() ? released : flushed;
}

}  // namespace kvs
