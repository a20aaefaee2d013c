// MigrateWorker: one thread that runs MIGRATE, one at a time.
//
// The keys are locked from before they are dumped until those that the target has acknowledged are
// deleted, in one record of the log; nobody changes them in between, and loops that want them come
// again later.  While a name is looked up and a connection made, nothing is locked.
//
// Threads: Start(), GiveUp(), SetTopology() and BeginStop() are called by any; the rest lives on
//          the worker's own loop, except the constructor, StartThread() and Join().
// Owner:   MigratePool.

#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/thread.h"
#include "common/config/config_store.h"
#include "common/net/event_loop.h"
#include "common/tracking/tracking_hub.h"
#include "storage_node/commit/txn.h"
#include "storage_node/migrate/migration.h"
#include "storage_node/migrate/target_link.h"
#include "storage_node/pubsub/pubsub_hub.h"
#include "storage_node/server/migrate_job.h"
#include "storage_node/server/node_options.h"
#include "storage_node/server/node_topology.h"

namespace kvs {

class MigrateWorker : private TargetLink::Owner {
 public:
  // All of it outlives the worker.
  struct Parts {
    Store* store;
    BlockedClients* blocked;
    PubSubHub* pubsub;
    TrackingHub* tracking;
    const ConfigStore<NodeOptions>* config;
    // Offers a key that is gone to those who wait for its end.
    std::function<void(const std::string& key)> offer;
  };
  using OnIdle = std::function<void(MigrateWorker* worker)>;

  MigrateWorker(std::string name, const Parts& parts, NodeTopologyPtr topology, OnIdle on_idle);
  ~MigrateWorker() override;

  void StartThread();
  void BeginStop();
  void Join();

  // REQUIRES: it is idle
  void Start(MigrateJob job);
  // Ends the job, if it is the one that runs, as if the target were lost.
  void GiveUp(WaitTicket ticket);
  void SetTopology(NodeTopologyPtr topology);

 private:
  // The job that runs; its words are what the rest points into.
  struct Running {
    explicit Running(MigrateJob its_job);
    const MigrateJob job;
    const std::vector<std::string_view> args;
    const MigrateRequest request;
    Migration migration;
    int64_t begun_micros = 0;
    int64_t waits_since_ms = 0;  // For its keys.
    bool locked = false;         // To stay so until it ends.
    uint64_t seen_lsn = 0;       // The answer may show it.
  };

  void OnConnected() override;
  void OnInput() override;
  void OnSent() override { Pump(); }
  void OnLost(TargetLoss loss) override;

  void Begin(MigrateJob job);
  // Looks whether there is anything to send, and connects.
  void Look();
  // Locks the keys and sends them.
  void SendKeys();
  // Returns false if it has to come again, by `again`, or is over.
  bool LockKeys(void (MigrateWorker::*again)());
  std::string WhyNotServed() const;
  void Pump();
  void SendNext();
  Status Dump(std::string_view key, bool* exists, int64_t* ttl_ms, std::string* payload);
  // Deletes what the target has, and answers.
  void Finish();
  Status DeleteAcknowledged();
  void Answer(std::string_view reply);
  void OnCommit(const Status& status);

  const Parts parts_;
  const OnIdle on_idle_;
  EventLoop loop_;
  NodeTopologyPtr topology_;
  Txn txn_;
  std::unique_ptr<Running> running_;
  TimerId lock_timer_ = kNoTimer;
  TimerId total_timer_ = kNoTimer;
  std::vector<KeyEvent> events_;
  TargetLink link_;
  Thread thread_;
};

}  // namespace kvs
