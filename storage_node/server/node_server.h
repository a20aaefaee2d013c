// NodeServer: the process kv_node: opens the store, runs the loops, answers for the whole.
//
// Threads: main-only; the object lives on the main loop.
// Owner:   main().

#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/base/file.h"
#include "common/config/config_store.h"
#include "common/metrics/rate_meter.h"
#include "common/net/event_loop.h"
#include "common/service/client_registry.h"
#include "storage_node/cache/memory_governor.h"
#include "storage_node/commit/data_dir.h"
#include "storage_node/commit/store.h"
#include "storage_node/server/blocked_clients.h"
#include "storage_node/server/io_worker.h"
#include "storage_node/server/migrate_pool.h"
#include "storage_node/server/node_options.h"
#include "storage_node/server/script_worker.h"
#include "storage_node/types/sweeper_thread.h"

namespace kvs {

class NodeServer {
 public:
  // `config` outlives the server.
  NodeServer(EventLoop* loop, ConfigStore<NodeOptions>* config);
  ~NodeServer();

  // Opens the data directory and the sockets.  Clients may connect and wait.
  Status Start();
  // Begins to answer clients: when nothing can fail any more.  REQUIRES: Start() was OK
  void Serve();
  // Stops serving, flushes and closes the data.
  Status Stop();

  const std::string& node_id() const { return node_id_; }
  uint16_t port() const { return port_; }
  std::vector<InfoSection> Info() const;
  std::vector<MemoryPart> MemoryParts() const;
  MetricRegistry* metrics() { return &metrics_; }
  // OK if the node serves reads and writes.
  Status Health() const;

  // Takes over a map from the config server, keeps it in map.json, and tells the loops.
  // Ignores a map whose epoch is not above the one in force.
  Status SetMap(SlotMapPtr map);
  // Owns no slot any more, because the namespace is gone.
  Status LeaveNamespace(const std::string& name);
  const NodeTopology& topology() const { return *topology_; }
  // Any thread.
  int64_t map_epoch() const { return map_epoch_.load(std::memory_order_relaxed); }
  // The address under which others reach the node.
  std::string announced_address() const;

 private:
  Status OpenDirectory();
  Status LoadOrMakeNodeId();
  Status LoadMap();
  Status OpenStore();
  void LoadFunctions();
  Status StartWorkers();
  Status ListenAll();
  void ConnectMetrics();
  InfoSection ClientsSection(const NodeOptions& options) const;
  InfoSection MemorySection(const NodeOptions& options) const;
  InfoSection PersistenceSection(const NodeOptions& options) const;
  InfoSection StatsSection() const;
  InfoSection ReplicationSection() const;
  InfoSection CommandStatsSection() const;
  InfoSection ErrorStatsSection() const;
  InfoSection LatencyStatsSection() const;
  InfoSection KeyspaceSection() const;
  void SampleRates();
  void GovernMemory();
  // Any thread.  As SIGTERM; refuses if writes are refused and so the data may not be safe.
  Status Shutdown(bool force);
  void PublishTopology(NodeTopologyPtr topology);
  void SetEventKinds(const NodeOptions& options);
  void OnOptions(const NodeOptions& before, const NodeOptionsPtr& after);

  EventLoop* const loop_;
  ConfigStore<NodeOptions>* const config_;
  const NodeOptionsPtr start_options_;
  const int64_t started_ms_;
  std::string dir_;
  std::string node_id_;
  const std::string run_id_;
  std::unique_ptr<DataDir> data_dir_;
  uint16_t port_ = 0;
  std::string unix_socket_;  // Empty: none.
  MetricRegistry metrics_;
  ClientRegistry clients_;
  AclStore acl_;
  BlockedClients blocked_;
  ClientPause pause_;
  Diagnostics diagnostics_;
  MonitorFeed monitors_;
  PubSubHub pubsub_;
  TrackingHub tracking_;
  std::unique_ptr<ScriptCache> scripts_;
  FunctionRegistry functions_;
  RunningScripts running_scripts_;
  RenamedCommands renames_;
  NodeTopologyPtr topology_;
  std::atomic<int64_t> map_epoch_{0};
  std::unique_ptr<Store> store_;
  MemoryGovernor governor_;
  std::atomic<uint64_t> cache_budget_{0};
  struct {
    RateMeter requests;
    RateMeter input_bytes;
    RateMeter output_bytes;
  } rates_;
  TimerId rate_timer_ = kNoTimer;
  TimerId memory_timer_ = kNoTimer;
  std::unique_ptr<ScanCursors> scan_cursors_;
  std::unique_ptr<SweeperThread> sweeper_;
  std::unique_ptr<ScriptWorker> script_worker_;
  std::unique_ptr<MigratePool> migrate_pool_;
  std::vector<std::unique_ptr<IoWorker>> workers_;
};

}  // namespace kvs
