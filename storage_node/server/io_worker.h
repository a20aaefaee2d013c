// IoWorker: one io loop of a node: its connections, its turn, its dispatcher.
//
// All requests of a loop turn share a Txn, which is committed at the turn's end: one record in the
// log for whatever the turn's clients have written.  Then the replies leave, as far as the
// watermark allows; the others are parked until OnWatermark().
//
// Threads: loop-owned, except the constructor, OnWatermark() and what is said to be posted.
// Owner:   NodeServer; outlives its loop's thread.

#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "common/base/thread.h"
#include "common/net/event_loop.h"
#include "common/net/listener.h"
#include "common/service/connection_commands.h"
#include "common/service/session_set.h"
#include "storage_node/command/scan_cursors.h"
#include "storage_node/commit/txn.h"
#include "storage_node/server/node_metrics.h"
#include "storage_node/server/node_options.h"
#include "storage_node/server/node_session.h"
#include "storage_node/server/node_topology.h"
#include "storage_node/types/sweeper_thread.h"

namespace kvs {

class IoWorker : public TurnHook, public WatermarkListener {
 public:
  struct Parts {
    Store* store;
    ScanCursors* scan_cursors;
    SweeperThread* sweeper;
    MetricCells* metrics;
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

  void OnTurnEnd() override;
  void OnWatermark(uint64_t lsn) override;

  EventLoop* loop() { return &loop_; }

  // For sessions.
  enum class Outcome : uint8_t {
    kDone,  // A reply was written (or the session is closing).
    kHeld,  // Not executed: the storage instance is busy, or clients pause.  Resume() will come.
  };
  Outcome Execute(NodeSession* session, CommandArgs args);
  void EnterTurn(NodeSession* session);
  // Calls session->Resume() at the next turn.
  void ResumeSoon(NodeSession* session);
  void OnClosed(NodeSession* session);
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
  // Calls session->Resume() when the instance may have room, or when the pause is over.
  void ResumeLater(NodeSession* session);
  void ResumeStalled();

  void RefuseUnknown(NodeSession* session, CommandArgs args, std::string_view error);
  // Whether the command has to wait; the session is then on a list for Resume().
  bool Hold(NodeSession* session, const CommandSpec& spec, CommandArgs args);
  bool Refuse(NodeSession* session, const CommandSpec& spec, CommandArgs args);
  // Returns an empty text if this node serves all keys of the request.
  std::string CheckSlots(const CommandSpec& spec, CommandArgs args) const;
  bool AllowsDebug(NodeSession* session) const;
  bool AnyStalled(const CommandSpec& spec, CommandArgs args) const;
  void AnswerHere(NodeSession* session, const CommandSpec& spec, CommandArgs args);
  Outcome RunHandler(NodeSession* session, const CommandSpec& spec, CommandArgs args);
  void DeleteExpired(NodeSession* session, const std::vector<std::string>& keys);
  void LockKeys(const CommandSpec& spec, CommandArgs args);

  Store* const store_;
  ScanCursors* const scan_cursors_;
  SweeperThread* const sweeper_;
  MetricCells* const metrics_;
  ServiceContext service_;
  NodeOptionsPtr options_;
  NodeTopologyPtr topology_;

  EventLoop loop_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  SessionSet<NodeSession> sessions_;
  std::vector<NodeSession*> parked_;   // Sessions whose replies wait for the watermark.
  std::vector<NodeSession*> turn_;     // Sessions with replies in this turn.
  std::vector<NodeSession*> stalled_;  // Sessions that wait for an instance.
  TimerId stall_timer_ = kNoTimer;
  std::vector<std::string_view> lock_keys_;  // Scratch.
  std::vector<std::string_view> renamed_;    // The same, of a request with another name.
  std::atomic<bool> watermark_posted_{false};
  Txn txn_;
  Thread thread_;
};

}  // namespace kvs
