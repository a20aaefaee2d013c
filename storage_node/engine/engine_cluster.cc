#include "storage_node/engine/engine_cluster.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>

#include "common/base/thread.h"

namespace kvs {
namespace {

// Runs `work` for 0..count-1, each on its own thread, and returns the first error by index.
Status SideBySide(int count, const std::function<Status(int)>& work) {
  std::vector<Status> results(static_cast<size_t>(count));
  {
    std::vector<Thread> threads;
    threads.reserve(results.size());
    for (int i = 0; i < count; ++i) {
      threads.emplace_back("engine-work",
                           [i, &work, &results] { results[static_cast<size_t>(i)] = work(i); });
    }
  }
  for (Status& result : results) {
    KVS_RETURN_IF_ERROR(std::move(result));
  }
  return Status::Ok();
}

}  // namespace

void EngineGroup::Clear() {
  for (auto& ops : ops_) {
    ops.clear();
  }
}

bool EngineGroup::empty() const {
  return std::all_of(ops_.begin(), ops_.end(), [](const auto& ops) { return ops.empty(); });
}

EngineCluster::EngineCluster(std::vector<std::unique_ptr<Engine>> engines)
    : engines_(std::move(engines)) {
  KVS_CHECK(!engines_.empty());
}

Result<std::unique_ptr<EngineCluster>> EngineCluster::Open(const EngineClusterOptions& options) {
  KVS_CHECK(options.instance_count > 0);
  LevelDbOptions leveldb = options.leveldb;
  leveldb.block_cache = NewSharedBlockCache(options.block_cache_bytes);
  leveldb.background_slots = std::make_shared<BackgroundSlots>(options.max_background_jobs);
  std::vector<std::unique_ptr<Engine>> engines(static_cast<size_t>(options.instance_count));
  KVS_RETURN_IF_ERROR(SideBySide(options.instance_count, [&](int i) -> Status {
    const std::string path = options.dir + "/" + std::to_string(i);
    KVS_ASSIGN_OR_RETURN(engines[static_cast<size_t>(i)], LevelDbEngine::Open(path, leveldb));
    return Status::Ok();
  }));
  return std::make_unique<EngineCluster>(std::move(engines));
}

Status EngineCluster::Apply(const EngineGroup& group, uint64_t last_lsn) {
  KVS_CHECK(group.instance_count() == instance_count());
  Status first_error;
  for (int i = 0; i < instance_count(); ++i) {
    if (group.ops(i).empty()) {
      continue;
    }
    Status applied = engine(i)->Apply(group.ops(i), last_lsn);
    if (!applied.ok() && first_error.ok()) {
      first_error = std::move(applied);
    }
  }
  return first_error;
}

std::vector<uint64_t> EngineCluster::AppliedLsns() const {
  std::vector<uint64_t> lsns;
  lsns.reserve(engines_.size());
  for (const auto& engine : engines_) {
    lsns.push_back(engine->AppliedLsn());
  }
  return lsns;
}

uint64_t EngineCluster::MinAppliedLsn() const {
  const std::vector<uint64_t> lsns = AppliedLsns();
  return *std::min_element(lsns.begin(), lsns.end());
}

uint64_t EngineCluster::MaxAppliedLsn() const {
  const std::vector<uint64_t> lsns = AppliedLsns();
  return *std::max_element(lsns.begin(), lsns.end());
}

uint64_t EngineCluster::MinFlushedLsn(uint64_t applied_through,
                                      const std::function<bool(int)>& has_more) const {
  uint64_t min_lsn = applied_through;
  for (int i = 0; i < instance_count(); ++i) {
    // In this order: what comes between two of the reads makes the engine look busy, never idle.  A
    // failed engine has lost what its position does not tell.
    const bool waits = has_more && has_more(i);
    const uint64_t applied = engine(i)->AppliedLsn();
    const uint64_t flushed = engine(i)->FlushedLsn();
    const bool idle = !waits && flushed >= applied && engine(i)->Health().ok();
    if (!idle) {
      min_lsn = std::min(min_lsn, flushed);
    }
  }
  return min_lsn;
}

Status EngineCluster::PersistIdlePositions(uint64_t up_to_lsn) {
  for (const auto& engine : engines_) {
    if (engine->FlushedLsn() >= up_to_lsn) {
      continue;
    }
    KVS_RETURN_IF_ERROR(engine->MarkPosition(up_to_lsn));
    KVS_RETURN_IF_ERROR(engine->Flush());
    if (engine->FlushedLsn() < up_to_lsn) {
      return Status::IoError("an engine's position did not reach the disk");
    }
  }
  return Status::Ok();
}

Status EngineCluster::Flush() {
  return SideBySide(instance_count(), [this](int i) { return engine(i)->Flush(); });
}

Status EngineCluster::Close() {
  return SideBySide(instance_count(), [this](int i) { return engine(i)->Close(); });
}

}  // namespace kvs
