// IoWorker: one io loop of a node: its connections and its turn.
//
// All requests of a loop turn share a Txn, which is committed at the turn's end: one record in the
// log for whatever the turn's clients have written.  Then the replies leave, as far as the
// watermark allows; the others are parked until OnWatermark().
//
// Threads: loop-owned, except the constructor, OnWatermark(), OnUnblocked() and what is said to be
//          posted.
// Owner:   NodeServer; outlives its loop's thread.

#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/base/thread.h"
#include "common/net/event_loop.h"
#include "common/net/listener.h"
#include "common/service/connection_commands.h"
#include "common/service/session_set.h"
#include "storage_node/command/scan_cursors.h"
#include "storage_node/commit/txn.h"
#include "storage_node/pubsub/pubsub_hub.h"
#include "storage_node/server/blocked_clients.h"
#include "storage_node/server/dispatcher.h"
#include "storage_node/server/node_metrics.h"
#include "storage_node/server/node_options.h"
#include "storage_node/server/node_session.h"
#include "storage_node/server/node_topology.h"
#include "storage_node/types/sweeper_thread.h"

namespace kvs {

class IoWorker : public TurnHook,
                 public WatermarkListener,
                 public DispatcherHost,
                 public UnblockHost {
 public:
  struct Parts {
    Store* store;
    ScanCursors* scan_cursors;
    SweeperThread* sweeper;
    BlockedClients* blocked;
    MetricCells* metrics;
    PubSubHub* pubsub;
    TrackingHub* tracking;
    ScriptCache* scripts;
    FunctionRegistry* functions;
    RunningScripts* running_scripts;
    ScriptJobs* script_jobs;
    MigrateJobs* migrations;
    ServiceContext service;
    NodeOptionsPtr options;
    NodeTopologyPtr topology;
  };

  IoWorker(std::string name, const Parts& parts);
  ~IoWorker() override;

  void StartThread();
  // Takes over a listening socket; before StartThread().
  Status Listen(UniqueFd socket);
  // Closes listeners and connections and ends the thread.  Replies that are parked are lost.
  void Stop();

  // Posted by the main loop.
  void SetOptions(NodeOptionsPtr options);
  void SetTopology(NodeTopologyPtr topology);
  // After a change of the users.  Any thread.
  void ReviewUsers();

  // Runs the commands that wait for a key which is gone without a command.  Any thread.
  void OfferKey(const std::string& key);

  void OnTurnEnd() override;
  void OnWatermark(uint64_t lsn) override;
  void OnUnblocked(WaitTicket ticket, Unblocked unblocked) override;

  EventLoop* loop() { return &loop_; }

  // For sessions.
  Dispatcher* dispatcher() { return &dispatcher_; }
  void EnterTurn(NodeSession* session);
  // Calls session->Resume() at the next turn.
  void ResumeSoon(NodeSession* session);
  void OnClosed(NodeSession* session);
  void EndSubscriptions(NodeSession* session) override;
  TrackingHub* tracking() { return service_.tracking; }
  // The time of the session's command is up; its reply comes by OnUnblocked().
  void OnWaitTimeout(WaitTicket ticket);
  // Commits the turn so far, if the session's replies depend on it.
  void SettleTurn(NodeSession* session);
  void NoteUnblocked(const CommandSpec& spec, int64_t micros, bool failed) {
    metrics_->CountCommand(static_cast<int>(IdOf(spec)), micros, failed);
  }
  // Replies of the session wait for the watermark.
  void OnParked(NodeSession* session);
  uint64_t watermark() const { return store_->pipeline().watermark(); }
  const CommitPipeline& pipeline() const { return store_->pipeline(); }
  const NodeOptions& options() const { return *options_; }
  MetricCells* metrics() { return metrics_; }
  Diagnostics* diagnostics() { return service_.diagnostics; }
  Txn* txn() { return &txn_; }
  RequestLimits Limits(bool authenticated) const;

 private:
  void OnAccept(UniqueFd fd);
  void OnCommit(const Status& status, uint64_t lsn);
  void ResumeLater(NodeSession* session) override;
  void ResumeAfterPause(NodeSession* session) override { sessions_.ResumeAfterPause(session); }
  void UpdateMonitor(NodeSession* session) override { sessions_.UpdateMonitor(session); }
  void Subscribe(NodeSession* session, ChannelKind kind, std::string_view name) override;
  void Unsubscribe(NodeSession* session, ChannelKind kind, std::string_view name) override;
  void DeliverMessages();
  void OnBlocked(NodeSession* session, WaitTicket ticket, int64_t timeout_ms) override;
  void OfferLater() override;
  UnblockHost* unblock_host() override { return this; }
  // Ends what waits for keys that this node does not serve any more.
  void RedirectBlocked();
  void RefuseBlocked();
  void ResumeStalled();

  Store* const store_;
  MetricCells* const metrics_;
  ServiceContext service_;
  NodeOptionsPtr options_;

  EventLoop loop_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  PubSubHub* const pubsub_;
  PubSubOutlet outlet_;
  SubscriptionTable subscriptions_;
  SessionSet<NodeSession> sessions_;
  std::vector<NodeSession*> parked_;   // Sessions whose replies wait for the watermark.
  std::vector<NodeSession*> turn_;     // Sessions with replies in this turn.
  std::vector<NodeSession*> stalled_;  // Sessions that wait for an instance.
  BlockedClients* const blocked_;
  MigrateJobs* const migrations_;
  std::unordered_map<WaitTicket, NodeSession*> waiting_;  // Sessions whose commands wait for keys.
  TimerId stall_timer_ = kNoTimer;
  TimerId offer_timer_ = kNoTimer;
  std::atomic<bool> watermark_posted_{false};
  Txn txn_;
  Dispatcher dispatcher_;
  Thread thread_;
};

}  // namespace kvs
