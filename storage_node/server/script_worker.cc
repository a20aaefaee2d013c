#include "storage_node/server/script_worker.h"

#include <utility>

namespace kvs {

ScriptWorker::ScriptWorker(Dispatcher::Parts parts, const ServiceContext& service,
                           NodeOptionsPtr options, NodeTopologyPtr topology)
    : running_(parts.running_scripts),
      service_(service),
      loop_("scripts"),
      txn_(
          parts.store,
          [this](const Status& status, uint64_t lsn) { dispatcher_.OnCommit(status, lsn); },
          Txn::Manner::kHoldsLong),
      dispatcher_(
          [&] {
            parts.service = &service_;
            parts.loop = &loop_;
            parts.txn = &txn_;
            parts.host = this;
            parts.script_jobs = nullptr;
            return parts;
          }(),
          std::move(options), std::move(topology)) {
  txn_.set_gives_up_when([this] { return dispatcher_.ScriptGivesUp(); });
}

void ScriptWorker::StartThread() {
  thread_ = Thread(loop_.name(), [this] { loop_.Run(); });
}

void ScriptWorker::Stop() {
  running_->Close();
  if (thread_.joinable()) {
    loop_.PostAlways([this] { loop_.Stop(); });
    thread_.Join();
  }
}

void ScriptWorker::SetOptions(NodeOptionsPtr options) {
  loop_.PostAlways([this, options = std::move(options)]() mutable {
    dispatcher_.SetOptions(std::move(options));
  });
}

void ScriptWorker::SetTopology(NodeTopologyPtr topology) {
  loop_.PostAlways([this, topology = std::move(topology)]() mutable {
    service_.cluster = topology->cluster;
    dispatcher_.SetTopology(std::move(topology));
  });
}

void ScriptWorker::Submit(ScriptJob job) {
  loop_.PostAlways([this, job = std::make_shared<const ScriptJob>(std::move(job))] {
    dispatcher_.RunJob(*job);
  });
}

}  // namespace kvs
