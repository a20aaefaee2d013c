#include "config_server/app/meta_worker.h"

#include <utility>

namespace kvs {

MetaWorker::MetaWorker(EventLoop* loop, MetaStore* store)
    : loop_(loop), store_(store), thread_("meta", [this] { Run(); }) {}

MetaWorker::~MetaWorker() {
  loop_->AssertInLoop();
  {
    const MutexLock lock(&mu_);
    stopping_ = true;
  }
  wake_.NotifyOne();
  thread_.Join();
}

void MetaWorker::Commit(MetaTransaction transaction, Done done) {
  loop_->AssertInLoop();
  {
    const MutexLock lock(&mu_);
    jobs_.push_back({std::move(transaction), std::make_shared<Done>(std::move(done))});
  }
  wake_.NotifyOne();
}

void MetaWorker::Run() {
  // Taken here: a weak reference made later could race with the destructor.
  const std::weak_ptr<bool> alive = alive_;
  while (true) {
    Job job;
    {
      const MutexLock lock(&mu_);
      while (jobs_.empty() && !stopping_) {
        wake_.Wait(&mu_);
      }
      if (jobs_.empty()) {
        return;
      }
      job = std::move(jobs_.front());
      jobs_.pop_front();
    }
    const int64_t begin = loop_->clock()->MonotonicMicros();
    Status status = store_->Commit(job.transaction);
    const int64_t micros = loop_->clock()->MonotonicMicros() - begin;
    loop_->PostAlways([alive, done = std::move(job.done), status = std::move(status), micros] {
      if (!alive.expired()) {
        (*done)(status, micros);
      }
    });
  }
}

}  // namespace kvs
