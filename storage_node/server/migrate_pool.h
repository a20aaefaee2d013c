// MigratePool: the threads that run MIGRATE, and those that wait for one.
//
// Each runs one at a time, from its first look at the keys to its reply.  Others wait in order, for
// as long as they would let their target be silent.
//
// Threads: thread-safe, except the constructor, StartThreads() and Stop().
// Owner:   NodeServer; outlives the loops.

#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "common/base/mutex.h"
#include "storage_node/server/migrate_job.h"
#include "storage_node/server/migrate_worker.h"

namespace kvs {

class MigratePool : public MigrateJobs {
 public:
  MigratePool(const MigrateWorker::Parts& parts, const NodeTopologyPtr& topology);
  ~MigratePool() override { Stop(); }

  void StartThreads();
  // Ends what runs, as if the targets were lost; nothing else begins.  Replies that are due are
  // lost.
  void Stop() KVS_EXCLUDES(mu_);

  void SetTopology(const NodeTopologyPtr& topology);

  bool Submit(MigrateJob job) override KVS_EXCLUDES(mu_);
  void GiveUp(WaitTicket ticket) override KVS_EXCLUDES(mu_);
  void Expire(WaitTicket ticket) override KVS_EXCLUDES(mu_);

  // A target that does not answer takes one of them away from the others, but no loop.
  static constexpr size_t kThreads = 4;
  static constexpr size_t kMaxWaiting = 256;

 private:
  // Of a worker that is done with one.
  void OnIdle(MigrateWorker* worker) KVS_EXCLUDES(mu_);
  // Takes it off those that wait.  Returns whether it was there.
  bool Remove(WaitTicket ticket, MigrateJob* job) KVS_EXCLUDES(mu_);

  std::vector<std::unique_ptr<MigrateWorker>> workers_;
  Mutex mu_;
  bool stopped_ KVS_GUARDED_BY(mu_) = false;
  std::deque<MigrateJob> waiting_ KVS_GUARDED_BY(mu_);
  std::deque<MigrateWorker*> idle_ KVS_GUARDED_BY(mu_);
  std::map<WaitTicket, MigrateWorker*> running_ KVS_GUARDED_BY(mu_);
};

}  // namespace kvs
