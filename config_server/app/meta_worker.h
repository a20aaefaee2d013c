// MetaWorker: the thread that waits for the disk, so that the loop does not.
//
// Transactions are committed one after the other; each answer is posted to the loop.
//
// Threads: loop-owned; the worker's thread is its own.
// Owner:   ConfigServer.  After the destructor no answer arrives any more.

#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>

#include "common/base/mutex.h"
#include "common/base/thread.h"
#include "common/net/event_loop.h"
#include "config_server/meta/meta_store.h"

namespace kvs {

class MetaWorker {
 public:
  // The time that the commit took, in microseconds.
  using Done = std::function<void(const Status& status, int64_t micros)>;

  // Starts the thread.  `store` outlives it.
  MetaWorker(EventLoop* loop, MetaStore* store);
  // Commits what was handed over, drops the answers and joins the thread.
  ~MetaWorker();

  // Commits `transaction` and then calls `done` on the loop.
  void Commit(MetaTransaction transaction, Done done) KVS_EXCLUDES(mu_);

 private:
  struct Job {
    MetaTransaction transaction;
    std::shared_ptr<Done> done;
  };

  void Run() KVS_EXCLUDES(mu_);

  EventLoop* const loop_;
  MetaStore* const store_;
  // A posted answer holds this weakly: it finds it gone if the worker is.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  Mutex mu_;
  CondVar wake_;
  std::deque<Job> jobs_ KVS_GUARDED_BY(mu_);
  bool stopping_ KVS_GUARDED_BY(mu_) = false;
  Thread thread_;  // Last: it uses all of the above.
};

}  // namespace kvs
