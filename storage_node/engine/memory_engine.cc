#include "storage_node/engine/memory_engine.h"

#include <algorithm>
#include <utility>

namespace kvs {
namespace {

using MapPtr = std::shared_ptr<const MemoryEngine::Map>;

class MemorySnapshot : public EngineSnapshot {
 public:
  MemorySnapshot(MapPtr map, uint64_t applied_lsn)
      : map_(std::move(map)), applied_lsn_(applied_lsn) {}
  uint64_t applied_lsn() const override { return applied_lsn_; }
  const MapPtr& map() const { return map_; }

 private:
  const MapPtr map_;
  const uint64_t applied_lsn_;
};

class MemoryIterator : public EngineIterator {
 public:
  MemoryIterator(MapPtr map, const EngineRange& range)
      : map_(std::move(map)),
        begin_(map_->lower_bound(range.lower)),
        end_(range.upper.empty() ? map_->end() : map_->lower_bound(range.upper)),
        at_(end_) {
    if (!range.upper.empty() && range.upper < range.lower) {
      end_ = begin_;
      at_ = begin_;
    }
  }
  bool Valid() const override { return at_ != end_; }
  void SeekToFirst() override { at_ = begin_; }
  void SeekToLast() override { at_ = begin_ == end_ ? end_ : std::prev(end_); }
  void Seek(std::string_view target) override {
    if (begin_ == end_ || target <= begin_->first) {
      at_ = begin_;
      return;
    }
    at_ = map_->lower_bound(target);
    if (end_ != map_->end() && (at_ == map_->end() || at_->first >= end_->first)) {
      at_ = end_;
    }
  }
  void Next() override {
    KVS_CHECK(Valid());
    ++at_;
  }
  void Prev() override {
    KVS_CHECK(Valid());
    at_ = at_ == begin_ ? end_ : std::prev(at_);
  }
  std::string_view key() const override { return at_->first; }
  std::string_view value() const override { return at_->second; }
  Status status() const override { return Status::Ok(); }

 private:
  const MapPtr map_;
  MemoryEngine::Map::const_iterator begin_;
  MemoryEngine::Map::const_iterator end_;
  MemoryEngine::Map::const_iterator at_;
};

const MapPtr& MapOf(const EngineSnapshot* snapshot) {
  return static_cast<const MemorySnapshot*>(snapshot)->map();
}

}  // namespace

MemoryEngine::MemoryEngine() : map_(std::make_shared<Map>()), flushed_map_(map_) {}

Status MemoryEngine::Get(std::string_view key, std::string* value, const EngineSnapshot* snapshot) {
  MutexLock lock(&mu_);
  if (closed_ && snapshot == nullptr) {
    return Status::Unavailable("the engine is closed");
  }
  const Map& map = snapshot != nullptr ? *MapOf(snapshot) : *map_;
  const auto found = map.find(key);
  if (found == map.end()) {
    return Status::NotFound();
  }
  *value = found->second;
  return Status::Ok();
}

Result<std::unique_ptr<EngineIterator>> MemoryEngine::NewIterator(
    const EngineIteratorOptions& options) {
  MutexLock lock(&mu_);
  if (closed_) {
    return Status::Unavailable("the engine is closed");
  }
  MapPtr map = options.snapshot != nullptr ? MapOf(options.snapshot) : map_;
  std::unique_ptr<EngineIterator> iterator =
      std::make_unique<MemoryIterator>(std::move(map), options.range);
  return iterator;
}

Result<std::unique_ptr<EngineSnapshot>> MemoryEngine::NewSnapshot() {
  MutexLock lock(&mu_);
  if (closed_) {
    return Status::Unavailable("the engine is closed");
  }
  std::unique_ptr<EngineSnapshot> snapshot = std::make_unique<MemorySnapshot>(map_, applied_lsn_);
  return snapshot;
}

// Copies the map if a snapshot, an iterator or the flushed state still shows it.
MemoryEngine::Map* MemoryEngine::Mutable() {
  if (!hold_flushes_) {
    flushed_map_.reset();
  }
  if (map_.use_count() > 1) {
    map_ = std::make_shared<Map>(*map_);
  }
  return map_.get();
}

void MemoryEngine::NoteApplied(uint64_t lsn) {
  applied_lsn_ = std::max(applied_lsn_, lsn);
  if (!hold_flushes_) {
    flushed_lsn_ = applied_lsn_;
    flushed_map_ = map_;
  }
}

Status MemoryEngine::ApplyLocked(std::span<const EngineOp> ops, uint64_t lsn) {
  if (closed_) {
    return Status::Unavailable("the engine is closed");
  }
  KVS_RETURN_IF_ERROR(failure_);
  if (lsn <= applied_lsn_) {
    return Status::Ok();
  }
  Map* map = Mutable();
  for (const EngineOp& op : ops) {
    if (op.is_delete) {
      const auto found = map->find(op.key);
      if (found != map->end()) {
        map->erase(found);
      }
    } else {
      map->insert_or_assign(std::string(op.key), std::string(op.value));
    }
  }
  NoteApplied(lsn);
  return Status::Ok();
}

Status MemoryEngine::Apply(std::span<const EngineOp> ops, uint64_t lsn) {
  MutexLock lock(&mu_);
  return ApplyLocked(ops, lsn);
}

Status MemoryEngine::DeleteLocal(std::span<const std::string_view> keys) {
  MutexLock lock(&mu_);
  KVS_RETURN_IF_ERROR(failure_);
  Map* map = Mutable();
  for (const std::string_view key : keys) {
    map->erase(std::string(key));
  }
  NoteApplied(applied_lsn_);
  return Status::Ok();
}

Status MemoryEngine::MarkPosition(uint64_t lsn) {
  return Apply({}, lsn);
}

uint64_t MemoryEngine::AppliedLsn() const {
  MutexLock lock(&mu_);
  return applied_lsn_;
}

uint64_t MemoryEngine::FlushedLsn() const {
  MutexLock lock(&mu_);
  return flushed_lsn_;
}

Status MemoryEngine::Flush() {
  MutexLock lock(&mu_);
  KVS_RETURN_IF_ERROR(failure_);
  flushed_lsn_ = applied_lsn_;
  flushed_map_ = map_;
  return Status::Ok();
}

uint64_t MemoryEngine::ApproximateSize(const EngineRange& range) {
  MutexLock lock(&mu_);
  MemoryIterator iterator(map_, range);
  uint64_t size = 0;
  for (iterator.SeekToFirst(); iterator.Valid(); iterator.Next()) {
    size += iterator.key().size() + iterator.value().size();
  }
  return size;
}

EngineStats MemoryEngine::Stats() {
  MutexLock lock(&mu_);
  EngineStats stats;
  stats.applied_lsn = applied_lsn_;
  stats.flushed_lsn = flushed_lsn_;
  return stats;
}

bool MemoryEngine::IsStalled() {
  MutexLock lock(&mu_);
  return stalled_;
}

Status MemoryEngine::Health() const {
  MutexLock lock(&mu_);
  return failure_;
}

Status MemoryEngine::Reopen(const Recover& recover) {
  MutexLock lock(&mu_);
  map_ = std::make_shared<Map>(*flushed_map_);
  applied_lsn_ = flushed_lsn_;
  failure_ = Status::Ok();
  closed_ = false;
  return recover(applied_lsn_);
}

Status MemoryEngine::Close() {
  MutexLock lock(&mu_);
  flushed_lsn_ = applied_lsn_;
  flushed_map_ = map_;
  closed_ = true;
  return failure_;
}

void MemoryEngine::FailWrites(const Status& error) {
  MutexLock lock(&mu_);
  failure_ = error;
}

void MemoryEngine::SetStalled(bool stalled) {
  MutexLock lock(&mu_);
  stalled_ = stalled;
}

void MemoryEngine::HoldFlushes(bool hold) {
  MutexLock lock(&mu_);
  hold_flushes_ = hold;
}

}  // namespace kvs
