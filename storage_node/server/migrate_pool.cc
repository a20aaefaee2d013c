#include "storage_node/server/migrate_pool.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/resp/resp_writer.h"

namespace kvs {

MigratePool::MigratePool(const MigrateWorker::Parts& parts, const NodeTopologyPtr& topology) {
  for (size_t i = 0; i < kThreads; ++i) {
    workers_.push_back(
        std::make_unique<MigrateWorker>(fmt::format("migrate-{}", i + 1), parts, topology,
                                        [this](MigrateWorker* worker) { OnIdle(worker); }));
    idle_.push_back(workers_.back().get());
  }
}

void MigratePool::StartThreads() {
  for (const auto& worker : workers_) {
    worker->StartThread();
  }
}

void MigratePool::Stop() {
  {
    const MutexLock lock(&mu_);
    stopped_ = true;
    waiting_.clear();
  }
  // All first: one may wait for keys that another one has.
  for (const auto& worker : workers_) {
    worker->BeginStop();
  }
  for (const auto& worker : workers_) {
    worker->Join();
  }
}

void MigratePool::SetTopology(const NodeTopologyPtr& topology) {
  for (const auto& worker : workers_) {
    worker->SetTopology(topology);
  }
}

bool MigratePool::Submit(MigrateJob job) {
  const MutexLock lock(&mu_);
  if (stopped_ || (idle_.empty() && waiting_.size() >= kMaxWaiting)) {
    return false;
  }
  if (idle_.empty()) {
    waiting_.push_back(std::move(job));
    return true;
  }
  // In turns: one whose look-ups of names do not end is not asked each time.
  MigrateWorker* const worker = idle_.front();
  idle_.pop_front();
  running_[job.ticket] = worker;
  worker->Start(std::move(job));
  return true;
}

void MigratePool::OnIdle(MigrateWorker* worker) {
  const MutexLock lock(&mu_);
  std::erase_if(running_, [worker](const auto& entry) { return entry.second == worker; });
  if (waiting_.empty()) {
    idle_.push_back(worker);
    return;
  }
  MigrateJob job = std::move(waiting_.front());
  waiting_.pop_front();
  running_[job.ticket] = worker;
  worker->Start(std::move(job));
}

bool MigratePool::Remove(WaitTicket ticket, MigrateJob* job) {
  const MutexLock lock(&mu_);
  const auto found = std::find_if(waiting_.begin(), waiting_.end(),
                                  [ticket](const MigrateJob& one) { return one.ticket == ticket; });
  if (found == waiting_.end()) {
    return false;
  }
  *job = std::move(*found);
  waiting_.erase(found);
  return true;
}

void MigratePool::GiveUp(WaitTicket ticket) {
  MigrateJob job;
  if (Remove(ticket, &job)) {
    return;
  }
  const MutexLock lock(&mu_);
  if (const auto found = running_.find(ticket); found != running_.end()) {
    found->second->GiveUp(ticket);
  }
}

void MigratePool::Expire(WaitTicket ticket) {
  MigrateJob job;
  if (Remove(ticket, &job)) {
    Unblocked unblocked{.reply = {}, .failed = true};
    RespWriter(job.protocol, &unblocked.reply)
        .Error("IOERR timeout waiting for other MIGRATE commands of this node");
    job.host->OnUnblocked(ticket, std::move(unblocked));
  }
}

}  // namespace kvs
