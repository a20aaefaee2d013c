// ProxyWorker: one io loop of the proxy: its listeners, sessions, router and links.
//
// Threads: loop-owned, except the constructor and what says that it may be called from elsewhere.
// Owner:   ProxyServer; outlives its loop's thread.

#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/base/thread.h"
#include "common/net/event_loop.h"
#include "common/net/listener.h"
#include "common/service/session_set.h"
#include "proxy/app/proxy_options.h"
#include "proxy/pubsub/pubsub_relay.h"
#include "proxy/pubsub/tracking_feed.h"
#include "proxy/route/node_sampler.h"
#include "proxy/route/replica_prober.h"
#include "proxy/session/drain_policy.h"
#include "proxy/session/proxy_session.h"

namespace kvs {

class ProxyWorker : public SessionHost, public TurnHook {
 public:
  // `index` differs between the workers of a proxy.
  ProxyWorker(std::string name, const ServiceContext& service, MemoryBudget* budget,
              MetricCells* metrics, ProxyOptionsPtr options, size_t index);
  // Before StartThread(), for one worker: keeps `sums` up to date.
  void SampleNodes(NodeSums* sums) {
    sampler_ = std::make_unique<NodeSampler>(&loop_, &links_, &router_, sums);
  }
  // The same: hears for all workers which keys are written.
  void FeedTracking(TrackingHub* hub) {
    tracking_feed_ = std::make_unique<TrackingFeed>(&loop_, &links_, &router_, hub);
  }
  ~ProxyWorker() override;

  // Before StartThread().
  Status Listen(UniqueFd socket);
  // Any thread, once the loop runs.
  void ListenLater(UniqueFd socket);
  // Before StartThread().  `on_failure` is called by the loop for each failure of a link, with how
  // many came in a row.
  using OnFailure = std::function<void(const NodeAddress& address, int failures_in_row)>;
  void WatchFailures(OnFailure on_failure) { on_failure_ = std::move(on_failure); }
  void StartThread();
  // Any thread, once: stops to accept, tells the clients that asked, and closes sessions as the
  // DrainPolicy says; calls `on_done` in the loop when none is left.
  struct DrainOrder {
    int64_t grace_ms = 0;
    bool handed_over = false;  // Another process has the listening sockets.
    int64_t number = 0;        // Of the MovingNotice.
    std::string endpoint;      // Where clients shall go; empty: to the address that they know.
    std::function<void()> on_done;
  };
  void BeginDrain(const DrainOrder& order);
  // Any thread: closes all that is open; Join() waits for the thread's end.
  void BeginStop();
  void Join() { thread_.Join(); }
  // Any thread.
  void SetTable(RouteTablePtr table);
  void SetOptions(ProxyOptionsPtr options);
  // What CLUSTER commands show from now on.
  void SetCluster(ClusterViewPtr cluster);
  // After a change of the users.  Any thread.
  void ReviewUsers();

  void OnTurnEnd() override;

  EventLoop* loop() override { return &loop_; }
  Router* router() override { return &router_; }
  ExchangePool* exchanges() override { return &exchanges_; }
  LinkPool* links() override { return &links_; }
  PubSubRelay* relay() override { return &relay_; }
  ServiceContext* service() override { return &service_; }
  const SessionLimits& limits() const override { return limits_; }
  const MemoryBudget& budget() const override { return *budget_; }
  SessionCounters* counters() override { return &counters_; }
  void MarkDirty(ProxySession* session) override;
  void CountCommand(const CommandSpec& spec, int64_t micros, bool failed) override;
  void OnClosed(ProxySession* session) override;
  void ResumeAfterPause(ProxySession* session) override { sessions_.ResumeAfterPause(session); }
  void UpdateMonitor(ProxySession* session) override { sessions_.UpdateMonitor(session); }
  void RetryLater(ProxySession* session) override;
  void Follow(int slot, std::string_view owner) override;
  bool MayLogSlow(int64_t micros) override;

 private:
  void OnAccept(UniqueFd fd);
  void ApplyOptions();
  LinkOptions MakeLinkOptions() const;
  // Tells the budget what the loop's buffers hold, and wakes who was not read for its sake.
  void UpdateBudget();
  void UpdateTracking();
  void PublishMetrics();
  void ReportFailures();
  void StartDrain(const DrainOrder& order);
  void Drain(const DrainPolicy& policy, const std::function<void()>& on_done);

  ServiceContext service_;
  MemoryBudget* const budget_;
  BudgetShare budget_share_{budget_};
  bool pressed_ = false;  // The budget was, when it was last looked at.
  MetricCells* const metrics_;
  ProxyOptionsPtr options_;
  SessionLimits limits_;
  SessionCounters counters_;
  EventLoop loop_;
  ExchangePool exchanges_;
  // Before the links, which may tell them of failures to the last.
  ReplicaProber prober_;
  std::unique_ptr<NodeSampler> sampler_;
  LinkPool links_;
  Router router_;
  PubSubRelay relay_;
  std::unique_ptr<TrackingFeed> tracking_feed_;  // Of one worker.
  std::vector<std::unique_ptr<Listener>> listeners_;
  SessionSet<ProxySession> sessions_;
  std::vector<ProxySession*> dirty_;
  std::vector<ProxySession*> retrying_;  // While retry_timer_ runs.
  TimerId retry_timer_ = kNoTimer;
  int slow_logged_ = 0;                 // Slow commands since the last deadline check,
  int64_t slowest_us_ = 0;              // and the slowest of them.
  std::map<int, int64_t> followed_ms_;  // When Follow() last changed the table for a slot.
  OnFailure on_failure_;
  std::map<NodeAddress, int> reported_failures_;
  Thread thread_;
};

}  // namespace kvs
