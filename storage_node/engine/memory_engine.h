// MemoryEngine: an Engine in an ordered map, for the unit tests of what stands above engines.
//
// Copies on write while a snapshot or iterator is alive, so both are cheap.  Everything applied
// counts as flushed unless HoldFlushes() says otherwise.
//
// Threads: locked.
// Owner:   the test.

#pragma once

#include <map>
#include <memory>
#include <string>

#include "common/base/mutex.h"
#include "storage_node/engine/engine.h"

namespace kvs {

class MemoryEngine : public Engine {
 public:
  using Map = std::map<std::string, std::string, std::less<>>;

  MemoryEngine();

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

  // For tests.  Makes writes fail from now on, as a sticky background error does, until Reopen().
  void FailWrites(const Status& error);
  void SetStalled(bool stalled);
  // While held, what is applied is not flushed, and Reopen() forgets it as a real engine does.
  void HoldFlushes(bool hold);

 private:
  Map* Mutable() KVS_REQUIRES(mu_);
  void NoteApplied(uint64_t lsn) KVS_REQUIRES(mu_);
  Status ApplyLocked(std::span<const EngineOp> ops, uint64_t lsn) KVS_REQUIRES(mu_);

  mutable Mutex mu_;
  std::shared_ptr<Map> map_ KVS_GUARDED_BY(mu_);
  std::shared_ptr<const Map> flushed_map_ KVS_GUARDED_BY(mu_);
  uint64_t applied_lsn_ KVS_GUARDED_BY(mu_) = 0;
  uint64_t flushed_lsn_ KVS_GUARDED_BY(mu_) = 0;
  bool hold_flushes_ KVS_GUARDED_BY(mu_) = false;
  bool stalled_ KVS_GUARDED_BY(mu_) = false;
  bool closed_ KVS_GUARDED_BY(mu_) = false;
  Status failure_ KVS_GUARDED_BY(mu_);
};

}  // namespace kvs
