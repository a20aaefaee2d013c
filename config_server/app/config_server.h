// ConfigServer: the config server as one object: store, topology, control links, HTTP.
//
// Everything runs on one loop.  Changes pass one after the other: planned from the state as it is,
// committed by the worker, applied, and then pushed to all whom they concern.
//
// Threads: loop-owned.
// Owner:   main, or a test.

#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/http/http_server.h"
#include "common/metrics/metrics.h"
#include "common/net/event_loop.h"
#include "config_server/api/config_api.h"
#include "config_server/app/config_options.h"
#include "config_server/app/control_server.h"
#include "config_server/app/members.h"
#include "config_server/app/meta_worker.h"
#include "config_server/meta/meta_store.h"
#include "config_server/topology/topology.h"

namespace kvs {

class ConfigServer : public ConfigApiBackend, private ControlHost {
 public:
  ConfigServer(EventLoop* loop, const ConfigOptions& options);
  ~ConfigServer() override;

  // Opens the store and both ports.
  // Returns what is wrong, with a remedy: secret file, store, bootstrap file, taken ports.
  Status Start();
  // Closes all links and the store.  Changes that were accepted are committed first.
  void Stop();

  uint16_t control_port() const { return control_->port(); }
  uint16_t http_port() const { return http_->port(); }

  // For ConfigApi.
  const Topology& topology() const override { return topology_; }
  std::vector<MemberView> Members(ControlKind kind) const override;
  void CreateNamespace(const NamespaceSpec& spec, Done done) override;
  void DeleteNamespace(const std::string& name, Done done) override;

 private:
  using Plan = std::function<Result<TopologyChange>()>;
  struct Change {
    Plan plan;
    Done done;
  };

  Status OpenStore();
  Status ReadBootstrap();
  Status OpenPorts(std::string secret);
  void AddMetricSources();
  Status Ready() const { return broken_; }

  void OnRegister(LinkId link, const Registration& registration) override;
  uint64_t OnHeartbeat(LinkId link, Heartbeat heartbeat) override;
  void OnLinkClosed(LinkId link) override;
  void Admit(LinkId link, const Registration& registration);

  void Submit(Plan plan, Done done);
  void RunChanges();
  void OnCommitted(const TopologyChange& change, const Status& status, int64_t micros);
  void FinishChange(const Status& status);
  void TryBootstrap();

  // Tells a member what has changed for it since it was told last, everything if `anew`.
  void Sync(Member* member, bool anew);
  void SyncAll();
  // Soon tells the proxies of each namespace of each other, where that has changed.
  void SyncProxiesSoon();
  void SyncProxies();

  EventLoop* const loop_;
  const ConfigOptions options_;
  MetricRegistry metrics_;
  MetricCells* const cells_;

  std::unique_ptr<MetaStore> store_;
  Topology topology_;
  kvs::Members members_;
  std::deque<Change> changes_;  // The first one is being committed if committing_.
  bool committing_ = false;
  Status broken_;  // Why no change is possible any more.
  std::optional<NamespaceSpec> bootstrap_;

  ConfigApi api_{this};
  std::unique_ptr<MetaWorker> worker_;
  std::unique_ptr<ControlServer> control_;
  std::unique_ptr<HttpServer> http_;
  TimerId forget_ = kNoTimer;
  TimerId sync_proxies_ = kNoTimer;
};

}  // namespace kvs
