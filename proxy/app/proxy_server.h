// ProxyServer: the process kv_proxy: its loops, its slot map, its answers for the whole.
//
// Threads: main-only; Info() is thread-safe.
// Owner:   main().

#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/config/config_store.h"
#include "common/control/control_client.h"
#include "common/metrics/rate_meter.h"
#include "common/net/event_loop.h"
#include "common/net/resolver.h"
#include "common/service/client_registry.h"
#include "proxy/app/proxy_options.h"
#include "proxy/app/proxy_worker.h"
#include "proxy/app/takeover.h"
#include "proxy/route/route_plan.h"

namespace kvs {

class ProxyServer {
 public:
  struct Hooks {
    std::function<Status()> on_serving;    // Clients are accepted from now on.
    std::function<void()> on_handed_over;  // Another process serves from now on.
  };

  // `config` outlives the server.
  ProxyServer(EventLoop* loop, ConfigStore<ProxyOptions>* config, Hooks hooks);
  ~ProxyServer();

  // Opens the listening sockets, or gets them from a running process.
  Status Open();
  // Between Open() and Start(): the HTTP port, which goes over to a successor as the clients' do.
  Result<UniqueFd> OpenHttp();
  // Serves at once, or, in the place of a running process, as soon as requests can be routed.
  Status Start();
  // Accepts no more clients and closes connections as the DrainPolicy says, for at most
  // `shutdown-timeout`; then ends the loop.
  void Drain();
  // Closes everything.  Returns why the loop ended if nobody has asked for it.
  Status Stop();

  std::vector<InfoSection> Info() const;
  MetricRegistry* metrics() { return &metrics_; }
  // OK if the proxy knows where to send requests.
  Status Ready() const;

 private:
  Status LoadId();
  Status MakeWorkers();
  // Asks a running process for its sockets.
  Status AskPredecessor();
  Status OpenSockets();
  Status OpenPort(const std::string& host);
  Status OpenUnixSocket();
  // Returns an inherited socket for the purpose, or an invalid one.
  UniqueFd TakeInherited(std::string_view purpose, const std::function<bool(int fd)>& fits);
  Status AddSocket(size_t worker, UniqueFd socket);
  void StartWhenReady();
  Status StartServing();
  void OnHandedOver();
  void OnReplaced();
  void BeginDrain(bool handed_over);
  std::string MovingEndpoint() const;
  Status StartRouting();
  // Called after something about the plan has changed, and from time to time: looks names up that
  // are due, and publishes a new table.
  void UpdateRoutes();
  // Routes by a plan that has just been made.
  void FollowPlan();
  Status StartControl(const ProxyOptions& options);
  void OnOptions(const ProxyOptions& before, const ProxyOptions& after);
  void SetMap(const SlotMapPtr& map, bool keep);
  void LeaveNamespace(const std::string& name);
  void SetTable(RouteTablePtr table);
  void PublishControlStatus();
  void SampleRates();
  NodeAddress AnnouncedAddress() const;
  Status StartEmulation(const ProxyOptions& options);
  // Shows the proxies to clients as the nodes of a cluster.
  void SetPeers(const std::vector<ShardNode>& proxies);
  void SetCluster(const ClusterViewPtr& cluster);

  EventLoop* const loop_;
  ConfigStore<ProxyOptions>* const config_;
  const ProxyOptionsPtr start_options_;
  const int64_t started_ms_;
  const Hooks hooks_;
  std::string id_;
  uint16_t port_ = 0;
  std::string unix_socket_;               // Empty: none.
  std::unique_ptr<Successor> successor_;  // Until this process serves; null: it was the first.
  std::unique_ptr<Predecessor>
      predecessor_;  // Waits for a process that takes over; null: none may.
  // Which worker listens on which socket, until they serve; and copies of all for a successor.
  std::vector<std::pair<size_t, UniqueFd>> sockets_;
  std::vector<ListeningSocket> copies_;
  TimerId ready_timer_ = kNoTimer;
  size_t undrained_ = 0;  // Workers that have sessions.
  bool draining_ = false;
  Status failure_;
  MetricRegistry metrics_;
  ClientRegistry clients_;
  TrackingHub tracking_{DeliverTo(&clients_), NoteBrokenIn(&clients_)};
  AclStore acl_;
  ClientPause pause_;
  Diagnostics diagnostics_;
  MonitorFeed monitors_;
  RenamedCommands renames_;
  MemoryBudget budget_;
  mutable NodeSums node_sums_;  // INFO notes that it was asked for.
  std::vector<std::unique_ptr<ProxyWorker>> workers_;
  std::unique_ptr<ControlClient> control_;
  ClusterViewPtr cluster_;  // What clients are shown; null: nothing.
  TimerId status_timer_ = kNoTimer;
  TimerId route_timer_ = kNoTimer;
  Resolver resolver_;
  RoutePlan plan_;
  bool unpublished_ = false;   // The plan makes another table than the one in force.
  int64_t plan_since_ms_ = 0;  // When the plan was made.
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
