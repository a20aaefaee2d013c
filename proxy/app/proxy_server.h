// ProxyServer: the process kv_proxy: its loops, its slot map, its answers for the whole.
//
// Threads: main-only; Info() is thread-safe.
// Owner:   main().

#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "common/config/config_store.h"
#include "common/control/control_client.h"
#include "common/metrics/rate_meter.h"
#include "common/net/event_loop.h"
#include "common/service/client_registry.h"
#include "proxy/app/proxy_options.h"
#include "proxy/app/proxy_worker.h"
#include "proxy/hash/pool_health.h"

namespace kvs {

class ProxyServer {
 public:
  // `config` outlives the server.
  ProxyServer(EventLoop* loop, ConfigStore<ProxyOptions>* config);
  ~ProxyServer();

  Status Start();
  // Waits for requests in flight, for at most `shutdown-timeout`, and closes everything.
  void Stop();

  uint16_t port() const { return port_; }
  std::vector<InfoSection> Info() const;
  MetricRegistry* metrics() { return &metrics_; }
  // OK if the proxy knows where to send requests.
  Status Ready() const;

 private:
  Status LoadId();
  Status StartWorkers();
  Status ListenAll();
  Status StartRouting();
  Status StartPool();
  // Routes by the servers of the pool that take part now.
  void RoutePool();
  void OnServerFailure(const NodeAddress& address);
  void RetryServers();
  Status StartControl();
  void SetMap(const SlotMapPtr& map, bool keep);
  void LeaveNamespace(const std::string& name);
  void SetTable(RouteTablePtr table);
  void PublishControlStatus();
  void SampleRates();
  NodeAddress AnnouncedAddress() const;
  Status StartEmulation();
  // Shows the proxies to clients as the nodes of a cluster.
  void SetPeers(const std::vector<ShardNode>& proxies);
  void SetCluster(const ClusterViewPtr& cluster);

  EventLoop* const loop_;
  ConfigStore<ProxyOptions>* const config_;
  const ProxyOptionsPtr start_options_;
  const int64_t started_ms_;
  std::string id_;
  uint16_t port_ = 0;
  std::string unix_socket_;  // Empty: none.
  MetricRegistry metrics_;
  ClientRegistry clients_;
  ClientPause pause_;
  Diagnostics diagnostics_;
  MonitorFeed monitors_;
  RenamedCommands renames_;
  MemoryBudget budget_;
  std::vector<std::unique_ptr<ProxyWorker>> workers_;
  std::unique_ptr<ControlClient> control_;
  TimerId status_timer_ = kNoTimer;
  TimerId retry_timer_ = kNoTimer;
  // Of option servers; their addresses are resolved.
  std::vector<PoolServer> pool_;
  std::vector<NodeAddress> pool_addresses_;
  std::unique_ptr<PoolHealth> pool_health_;
  TimerId rate_timer_ = kNoTimer;
  RateMeter request_rate_;
  RateMeter input_rate_;
  RateMeter output_rate_;

  // What Info() shows, also to other threads.
  mutable Mutex mu_;
  RouteTablePtr table_ KVS_GUARDED_BY(mu_);
  ControlStatus control_status_ KVS_GUARDED_BY(mu_);
};

}  // namespace kvs
