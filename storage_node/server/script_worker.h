// ScriptWorker: the thread of scripts that take long.
//
// A loop runs a script itself for a moment.  One that is not done by then has changed nothing that
// anybody sees: it is started anew here, where it holds up nobody but those who need its keys.
//
// Threads: Submit() is called by the loops; the rest lives on the worker's own loop, except the
//          constructor, StartThread() and Stop().
// Owner:   NodeServer; outlives the loops.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/base/thread.h"
#include "common/net/event_loop.h"
#include "storage_node/commit/txn.h"
#include "storage_node/server/dispatcher.h"

namespace kvs {

class ScriptWorker : public ScriptJobs, public DispatcherHost {
 public:
  // `parts` without loop, Txn and host, which are the worker's own.
  ScriptWorker(Dispatcher::Parts parts, const ServiceContext& service, NodeOptionsPtr options,
               NodeTopologyPtr topology);
  ~ScriptWorker() override { Stop(); }

  void StartThread();
  // Ends the script that runs, and the thread.  Replies that are due are lost.
  void Stop();

  void SetOptions(NodeOptionsPtr options);
  void SetTopology(NodeTopologyPtr topology);

  void Submit(ScriptJob job) override;

 private:
  // No session has the worker as its loop.
  void ResumeLater(NodeSession* /*session*/) override {}
  void ResumeAfterPause(NodeSession* /*session*/) override {}
  void UpdateMonitor(NodeSession* /*session*/) override {}
  void Subscribe(NodeSession* /*session*/, ChannelKind /*kind*/,
                 std::string_view /*name*/) override {}
  void Unsubscribe(NodeSession* /*session*/, ChannelKind /*kind*/,
                   std::string_view /*name*/) override {}
  void EndSubscriptions(NodeSession* /*session*/) override {}
  void OnBlocked(NodeSession* /*session*/, WaitTicket /*ticket*/, int64_t /*timeout_ms*/) override {
  }
  void OfferLater() override {}  // The worker's Txn waits for whatever it needs.
  UnblockHost* unblock_host() override { return nullptr; }

  RunningScripts* const running_;
  ServiceContext service_;
  EventLoop loop_;
  Txn txn_;
  Dispatcher dispatcher_;
  Thread thread_;
};

}  // namespace kvs
