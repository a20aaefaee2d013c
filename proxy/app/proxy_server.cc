#include "proxy/app/proxy_server.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "common/base/build_info.h"
#include "common/base/logging.h"
#include "common/base/random.h"
#include "common/base/thread.h"
#include "common/control/secret_file.h"
#include "common/net/socket.h"

namespace kvs {
namespace {

constexpr int64_t kRatePeriodMs = 100;
constexpr int64_t kStatusPeriodMs = 500;
constexpr int64_t kRoutePeriodMs = 100;
// How long a new table waits for the first answers about its names.
constexpr int64_t kFirstLookupMs = 1000;
constexpr int64_t kReadyPeriodMs = 10;

std::vector<std::string> CommandNames() {
  std::vector<std::string> names;
  for (const CommandSpec& spec : kCommands) {
    names.emplace_back(spec.name);
  }
  return names;
}

// With peers a client has to look who serves a slot, alone it sees one server: clients that find a
// cluster refuse commands over several slots, which the proxy takes.
std::string RedisMode(const ProxyOptions& options) {
  return options.cluster_emulation == "peers" ? "cluster" : "standalone";
}

// Whether the options that MakePoolSpec() reads are the same.
bool SamePool(const ProxyOptions& a, const ProxyOptions& b) {
  const auto of_pool = [](const ProxyOptions& options) {
    return std::tie(options.servers, options.server_slots, options.replicas, options.distribution,
                    options.hash, options.hash_tag, options.server_failure,
                    options.server_failure_limit, options.server_retry_timeout);
  };
  return of_pool(a) == of_pool(b);
}

}  // namespace

ProxyServer::ProxyServer(EventLoop* loop, ConfigStore<ProxyOptions>* config, Hooks hooks)
    : loop_(loop),
      config_(config),
      start_options_(config->current()),
      started_ms_(loop->clock()->WallMillis()),
      hooks_(std::move(hooks)),
      metrics_("kvs_proxy_", ProxyMetricRows(), CommandNames()),
      resolver_(loop),
      plan_(start_options_->dns_refresh_interval.count()),
      table_(std::make_shared<RouteTable>()) {}

ProxyServer::~ProxyServer() {
  (void)Stop().ok();
}

Status ProxyServer::Open() {
  KVS_RETURN_IF_ERROR(LoadId());
  KVS_RETURN_IF_ERROR(MakeWorkers());
  return OpenSockets();
}

Status ProxyServer::Start() {
  KVS_RETURN_IF_ERROR(StartEmulation(*start_options_));
  KVS_RETURN_IF_ERROR(StartRouting());
  for (const auto& worker : workers_) {
    worker->StartThread();
  }
  diagnostics_.Configure(*start_options_);
  monitors_.set_sample(start_options_->monitor_sample);
  config_->AddListener([this](const ProxyOptionsPtr& before, const ProxyOptionsPtr& after) {
    diagnostics_.Configure(*after);
    monitors_.set_sample(after->monitor_sample);
    budget_.set_limit(ToInt(after->buffer_memory_limit));
    tracking_.set_max_keys(static_cast<size_t>(after->tracking_table_max_keys));
    ConfigureAcl(*before, *after, &acl_);
    if (before->loglevel != after->loglevel) {
      const Result<LogLevel> level = ParseLogLevel(after->loglevel);
      if (level.ok()) {
        SetLogLevel(*level);
      }
    }
    for (const auto& worker : workers_) {
      worker->SetOptions(after);
    }
    loop_->PostAlways([this, before, after] { OnOptions(*before, *after); });
  });
  rate_timer_ = loop_->Every(kRatePeriodMs, [this] { SampleRates(); });
  // The addresses of a pool's names are known, or given up, in a moment; a map may never come.
  if (successor_ == nullptr && (Ready().ok() || start_options_->servers.empty())) {
    return StartServing();
  }
  ready_timer_ = loop_->Every(kReadyPeriodMs, [this] { StartWhenReady(); });
  return Status::Ok();
}

// A running process serves until this one can.
void ProxyServer::StartWhenReady() {
  if (!Ready().ok()) {
    return;
  }
  loop_->Cancel(std::exchange(ready_timer_, kNoTimer));
  if (failure_ = StartServing(); !failure_.ok()) {
    loop_->Stop();
  }
}

Status ProxyServer::StartServing() {
  const std::string& path = start_options_->takeover_socket;
  if (!path.empty()) {
    predecessor_ =
        std::make_unique<Predecessor>(loop_, std::exchange(copies_, {}),
                                      Predecessor::Hooks{.on_taken = [this] { OnHandedOver(); },
                                                         .on_replaced = [this] { OnReplaced(); }});
    KVS_RETURN_IF_ERROR(predecessor_->Start(path));
  }
  copies_.clear();
  // Before the process before this one hears of it: when it ends, the pid file is not its own.  And
  // before this one has clients, who would suffer if it failed.
  KVS_RETURN_IF_ERROR(hooks_.on_serving());
  for (auto& [worker, socket] : sockets_) {
    KVS_RETURN_IF_ERROR(ListenOnBound(socket.get(), {}));
    workers_[worker]->ListenLater(std::move(socket));
  }
  sockets_.clear();
  if (successor_ != nullptr) {
    successor_->sockets()->clear();  // What was not needed of them.
    if (Status status = successor_->Confirm(); status.ok()) {
      successor_.reset();
    } else {
      KVS_LOG(kWarning, "the process before this one: {}", status.message());  // It sees us live.
    }
    unix_socket_ = start_options_->unixsocket;
  }
  KVS_LOG(kInfo, "proxy {} serves on port {}", id_, port_);
  return Status::Ok();
}

void ProxyServer::OnHandedOver() {
  unix_socket_.clear();  // The successor listens there.
  hooks_.on_handed_over();
  BeginDrain(/*handed_over=*/true);
}

// A successor has died in the middle.
void ProxyServer::OnReplaced() {
  if (Status status = hooks_.on_serving(); !status.ok()) {
    KVS_LOG(kWarning, "the pid file names another process: {}", status.message());
  }
}

void ProxyServer::Drain() {
  KVS_LOG(kInfo, "stopping: connections in use may go on for {} s",
          config_->current()->shutdown_timeout.count() / 1000);
  BeginDrain(/*handed_over=*/false);
}

void ProxyServer::BeginDrain(bool handed_over) {
  if (std::exchange(draining_, true)) {
    return;
  }
  loop_->Cancel(std::exchange(ready_timer_, kNoTimer));
  // A successor may have our id: one of the two is to be registered.
  loop_->Cancel(std::exchange(status_timer_, kNoTimer));
  control_.reset();
  sockets_.clear();
  copies_.clear();
  successor_.reset();
  if (!handed_over) {
    predecessor_.reset();
  }
  undrained_ = workers_.size();
  const ProxyWorker::DrainOrder order = {
      .grace_ms = config_->current()->shutdown_timeout.count(),
      .handed_over = handed_over,
      .number = loop_->clock()->WallMillis(),
      .endpoint = handed_over ? start_options_->announce : MovingEndpoint(),
      .on_done = [this] {
        loop_->PostAlways([this] {
          if (--undrained_ == 0) {
            loop_->Stop();
          }
        });
      }};
  for (const auto& worker : workers_) {
    worker->BeginDrain(order);
  }
}

// Another proxy, if clients know of several; else whoever serves under this one's address next.
std::string ProxyServer::MovingEndpoint() const {
  if (cluster_ == nullptr) {
    return "";
  }
  for (const Shard& shard : cluster_->shards()) {
    if (shard.master.id != cluster_->myself()) {
      return FormatAddress(shard.master.address);
    }
  }
  return "";
}

Status ProxyServer::Stop() {
  loop_->Cancel(std::exchange(status_timer_, kNoTimer));
  loop_->Cancel(std::exchange(route_timer_, kNoTimer));
  loop_->Cancel(std::exchange(rate_timer_, kNoTimer));
  loop_->Cancel(std::exchange(ready_timer_, kNoTimer));
  control_.reset();
  predecessor_.reset();
  for (const auto& worker : workers_) {
    worker->BeginStop();
  }
  for (const auto& worker : workers_) {
    worker->Join();
  }
  workers_.clear();
  if (!unix_socket_.empty()) {
    (void)RemoveFile(std::exchange(unix_socket_, {})).ok();
  }
  return failure_;
}

Status ProxyServer::LoadId() {
  id_ = RandomHexId();
  const std::string& path = start_options_->proxy_id_file;
  if (path.empty()) {
    return Status::Ok();
  }
  const Result<std::string> text = ReadFile(path, 4096);
  if (text.ok()) {
    id_ = TrimSpaces(*text);
    if (!IsValidNodeId(id_)) {
      return Status::Corruption(
          fmt::format("'{}' does not hold 40 hexadecimal digits; remove it", path));
    }
    return Status::Ok();
  }
  return text.status().code() == Code::kNotFound ? WriteFileAtomic(path, id_ + "\n")
                                                 : text.status();
}

Status ProxyServer::MakeWorkers() {
  KVS_ASSIGN_OR_RETURN(renames_, RenamedCommands::Make(start_options_->rename_command));
  ServiceContext service;
  service.config = config_;
  service.clients = &clients_;
  service.pause = &pause_;
  service.diagnostics = &diagnostics_;
  service.monitors = &monitors_;
  service.tracking = &tracking_;
  service.renames = &renames_;
  service.metrics = &metrics_;
  service.clock = loop_->clock();
  KVS_RETURN_IF_ERROR(acl_.Open(start_options_->aclfile,
                                DefaultChannelsOf(start_options_->acl_pubsub_default),
                                start_options_->requirepass));
  acl_.log()->Configure(start_options_->acllog_max_len);
  service.acl = &acl_;
  service.mode = RedisMode(*start_options_);
  service.tells_moving = true;
  service.unblock = [this](uint64_t client_id, bool with_error) {
    bool unblocked = false;
    clients_.ForEach([&](const ClientInfo& client) {
      unblocked = unblocked || (client.id == client_id && client.AskUnblock(with_error));
    });
    return unblocked;
  };
  service.info_sections = [this] { return Info(); };
  service.shutdown = [this](bool /*force*/) {
    KVS_LOG(kInfo, "a client asks for the end");
    loop_->PostAlways([this] { Drain(); });
    return Status::Ok();
  };
  budget_.set_limit(ToInt(start_options_->buffer_memory_limit));
  for (int64_t i = 0; i < ThreadCount(start_options_->io_threads); ++i) {
    workers_.push_back(std::make_unique<ProxyWorker>(fmt::format("io-{}", i + 1), service, &budget_,
                                                     metrics_.NewCells(), start_options_,
                                                     static_cast<size_t>(i)));
  }
  acl_.AddListener([this] {
    for (const auto& worker : workers_) {
      worker->ReviewUsers();
    }
  });
  workers_.front()->SampleNodes(&node_sums_);
  tracking_.set_complete(false);  // Until the feed says so.
  tracking_.set_max_keys(static_cast<size_t>(start_options_->tracking_table_max_keys));
  workers_.front()->FeedTracking(&tracking_);
  return Status::Ok();
}

Status ProxyServer::StartRouting() {
  for (const auto& worker : workers_) {
    worker->WatchFailures([this](const NodeAddress& address, int failures_in_row) {
      loop_->PostAlways([this, address, failures_in_row] {
        unpublished_ |=
            plan_.OnFailure(address, failures_in_row, loop_->clock()->MonotonicMillis());
        UpdateRoutes();
      });
    });
  }
  route_timer_ = loop_->Every(kRoutePeriodMs, [this] { UpdateRoutes(); });
  if (start_options_->servers.empty()) {
    return StartControl(*start_options_);
  }
  KVS_ASSIGN_OR_RETURN(PoolSpec pool, MakePoolSpec(*start_options_));
  plan_.SetPool(std::move(pool), loop_->clock()->MonotonicMillis());
  FollowPlan();
  return Status::Ok();
}

void ProxyServer::FollowPlan() {
  unpublished_ = true;
  plan_since_ms_ = loop_->clock()->MonotonicMillis();
  UpdateRoutes();
}

// Names that nobody answers for hold a new table up for a moment only: other servers serve.
void ProxyServer::UpdateRoutes() {
  const int64_t now_ms = loop_->clock()->MonotonicMillis();
  unpublished_ |= plan_.OnTime(now_ms);
  for (const std::string& host : plan_.TakeLookups(now_ms)) {
    resolver_.Resolve(host, [this, host](const Result<std::vector<std::string>>& addresses) {
      if (!addresses.ok()) {
        KVS_LOG(kWarning, "{}", addresses.status().message());
      }
      unpublished_ |= plan_.OnAddresses(host, addresses);
      UpdateRoutes();
    });
  }
  if (unpublished_ && (plan_.complete() || now_ms - plan_since_ms_ >= kFirstLookupMs)) {
    unpublished_ = false;
    SetTable(plan_.MakeTable());
  }
}

// All that is not read by the workers; the options are valid.
void ProxyServer::OnOptions(const ProxyOptions& before, const ProxyOptions& after) {
  if (draining_) {
    return;
  }
  plan_.set_lookup_interval_ms(after.dns_refresh_interval.count());
  if (before.cluster_peers != after.cluster_peers) {
    if (Status status = StartEmulation(after); !status.ok()) {
      KVS_LOG(kError, "the peers stay as they are: {}", status.message());
    }
  }
  if (!after.servers.empty()) {
    if (SamePool(before, after)) {
      return;
    }
    Result<PoolSpec> pool = MakePoolSpec(after);
    KVS_CHECK(pool.ok());
    plan_.SetPool(*std::move(pool), loop_->clock()->MonotonicMillis());
    return FollowPlan();
  }
  if (before.config_servers != after.config_servers) {
    if (Status status = StartControl(after); !status.ok()) {
      KVS_LOG(kError, "the config servers stay as they are: {}", status.message());
    }
  }
}

NodeAddress ProxyServer::AnnouncedAddress() const {
  const Result<NodeAddress> announced = ParseAddress(start_options_->announce);
  return announced.ok() ? *announced : NodeAddress{start_options_->bind.front(), port_};
}

// A proxy that has not heard of its peers yet shows itself alone, which serves as well.
Status ProxyServer::StartEmulation(const ProxyOptions& options) {
  const std::string& emulation = options.cluster_emulation;
  if (emulation == "no") {
    return Status::Ok();
  }
  if (emulation == "single" || options.cluster_peers.empty()) {
    const bool announced = ParseAddress(start_options_->announce).ok();
    SetCluster(ClusterView::Single(id_, AnnouncedAddress(), announced));
    return Status::Ok();
  }
  std::vector<ShardNode> peers;
  for (const std::string& text : options.cluster_peers) {
    KVS_ASSIGN_OR_RETURN(const NodeAddress address, ParseAddress(text));
    peers.push_back({DerivedNodeId(text), address});
  }
  SetCluster(ClusterView::Peers(DerivedNodeId(start_options_->announce), std::move(peers), 1));
  return Status::Ok();
}

void ProxyServer::SetPeers(const std::vector<ShardNode>& proxies) {
  if (start_options_->cluster_emulation == "peers") {
    SetCluster(ClusterView::Peers(id_, proxies, control_->status().epoch));
  }
}

void ProxyServer::SetCluster(const ClusterViewPtr& cluster) {
  cluster_ = cluster;
  for (const auto& worker : workers_) {
    worker->SetCluster(cluster);
  }
}

Status ProxyServer::StartControl(const ProxyOptions& options) {
  ControlClientOptions control;
  for (const std::string& text : options.config_servers) {
    KVS_ASSIGN_OR_RETURN(const NodeAddress address, ParseAddress(text));
    control.servers.push_back(address);
  }
  KVS_ASSIGN_OR_RETURN(control.secret, ReadSecretFile(start_options_->cluster_secret_file));
  control.kind = ControlKind::kProxy;
  control.id = id_;
  control.address = AnnouncedAddress();
  control.namespace_name = start_options_->namespace_;
  control.version = kBuildVersion;
  if (control_ != nullptr) {
    control.known_namespace = control_->status().namespace_name;
    control.known_epoch = control_->status().epoch;
  } else if (!start_options_->map_cache_file.empty()) {
    const Result<std::string> text = ReadFile(start_options_->map_cache_file);
    if (text.ok()) {
      KVS_ASSIGN_OR_RETURN(const SlotMapPtr map, SlotMap::Parse(*text));
      SetMap(map, /*keep=*/false);
      control.known_namespace = map->name();
      control.known_epoch = map->epoch();
    }
  }
  control.on_map = [this](const SlotMapPtr& map) { SetMap(map, /*keep=*/true); };
  control.on_proxies = [this](const std::vector<ShardNode>& proxies) { SetPeers(proxies); };
  control.on_free = [this](const std::string& name) { LeaveNamespace(name); };
  control.stats = [this] {
    Json stats = Json::MakeObject();
    stats.Set("clients", static_cast<int64_t>(clients_.count()));
    return stats;
  };
  control_ = std::make_unique<ControlClient>(loop_, std::move(control));
  control_->Start();
  loop_->Cancel(status_timer_);
  status_timer_ = loop_->Every(kStatusPeriodMs, [this] { PublishControlStatus(); });
  return Status::Ok();
}

void ProxyServer::SampleRates() {
  const int64_t now_ms = loop_->clock()->MonotonicMillis();
  const auto sample = [&](RateMeter* meter, ProxyMetric metric) {
    meter->Sample(now_ms, static_cast<uint64_t>(metrics_.Value(metric)));
  };
  sample(&request_rate_, kProxy_requests_total);
  sample(&input_rate_, kProxy_input_bytes_total);
  sample(&output_rate_, kProxy_output_bytes_total);
}

void ProxyServer::PublishControlStatus() {
  const MutexLock lock(&mu_);
  control_status_ = control_->status();
}

void ProxyServer::SetMap(const SlotMapPtr& map, bool keep) {
  if (keep && !start_options_->map_cache_file.empty()) {
    if (Status status =
            WriteFileAtomic(start_options_->map_cache_file, map->ToJson().ToString() + "\n");
        !status.ok()) {
      KVS_LOG(kWarning, "cannot keep the map for the next start: {}", status.message());
    }
  }
  KVS_LOG(kInfo, "map of namespace {}, epoch {}, with {} shards in force", map->name(),
          map->epoch(), map->shards().size());
  plan_.SetMap(*map);
  FollowPlan();
}

void ProxyServer::LeaveNamespace(const std::string& name) {
  KVS_LOG(kWarning, "namespace {} is gone: no request can be routed", name);
  if (!start_options_->map_cache_file.empty()) {
    (void)RemoveFile(start_options_->map_cache_file).ok();
  }
  plan_.SetNothing();
  FollowPlan();
}

void ProxyServer::SetTable(RouteTablePtr table) {
  for (const auto& worker : workers_) {
    worker->SetTable(table);
  }
  const MutexLock lock(&mu_);
  table_ = std::move(table);
}

Status ProxyServer::Ready() const {
  if (draining_) {
    return Status::Unavailable("the proxy is stopping");
  }
  const MutexLock lock(&mu_);
  if (!table_->known) {
    return Status::Unavailable("no slot map yet; is the config server running");
  }
  return Status::Ok();
}

std::vector<InfoSection> ProxyServer::Info() const {
  const ProxyOptionsPtr options = config_->current();
  const auto value = [this](ProxyMetric metric) { return metrics_.Value(metric); };
  RouteTablePtr table;
  ControlStatus control;
  {
    const MutexLock lock(&mu_);
    table = table_;
    control = control_status_;
  }
  const int64_t uptime = (loop_->clock()->WallMillis() - started_ms_) / 1000;
  const int64_t now_ms = loop_->clock()->MonotonicMillis();
  const NodeTotals nodes = node_sums_.Ask(now_ms);
  std::vector<InfoSection> sections;

  InfoSection server("Server");
  server.Add("redis_version", kRedisVersion)
      .Add("redis_build_id", kBuildCommit)
      .Add("redis_mode", RedisMode(*start_options_))
      .Add("kvstore_version", kBuildVersion)
      .Add("arch_bits", 64)
      .Add("multiplexing_api", "epoll")
      .Add("process_id", ::getpid())
      .Add("run_id", id_)
      .Add("tcp_port", port_)
      .Add("uptime_in_seconds", uptime)
      .Add("uptime_in_days", uptime / 86400)
      .Add("io_threads", ThreadCount(options->io_threads))
      .Add("executable", "kv_proxy");
  sections.push_back(std::move(server));

  int64_t blocked = 0;
  clients_.ForEach([&blocked](const ClientInfo& client) {
    blocked += client.blocked.load(std::memory_order_relaxed) ? 1 : 0;
  });
  const TrackingCounts tracked = tracking_.counts();
  InfoSection clients("Clients");
  clients.Add("connected_clients", static_cast<int64_t>(clients_.count()))
      .Add("maxclients", options->maxclients)
      .Add("tracking_clients", static_cast<int64_t>(tracked.clients))
      .Add("blocked_clients", blocked);
  sections.push_back(std::move(clients));

  InfoSection memory("Memory");
  AddMemoryInfo(ReadMemoryFigures(clients_, {}), 0, &memory);
  for (const char* name : {"number_of_cached_scripts", "used_memory_scripts", "number_of_functions",
                           "number_of_libraries", "used_memory_functions"}) {
    memory.Add(name, 0);  // The nodes have them.
  }
  sections.push_back(std::move(memory));

  InfoSection persistence("Persistence");
  persistence.Add("loading", 0).Add("rdb_bgsave_in_progress", 0).Add("aof_rewrite_in_progress", 0);
  sections.push_back(std::move(persistence));

  InfoSection stats("Stats");
  stats.Add("total_connections_received", value(kProxy_connections_total))
      .Add("total_commands_processed", value(kProxy_requests_total))
      .Add("instantaneous_ops_per_sec", static_cast<int64_t>(request_rate_.PerSecond()))
      .Add("total_net_input_bytes", value(kProxy_input_bytes_total))
      .Add("total_net_output_bytes", value(kProxy_output_bytes_total))
      .AddFixed("instantaneous_input_kbps", input_rate_.PerSecond() / 1024)
      .AddFixed("instantaneous_output_kbps", output_rate_.PerSecond() / 1024)
      .Add("rejected_connections", value(kProxy_connections_rejected_total))
      .Add("total_error_replies", value(kProxy_error_replies_total))
      .Add("tracking_complete", tracking_.complete() ? 1 : 0)
      .Add("tracking_total_keys", static_cast<int64_t>(tracked.keys))
      .Add("tracking_total_items", static_cast<int64_t>(tracked.readers))
      .Add("tracking_total_prefixes", static_cast<int64_t>(tracked.prefixes))
      .Add("expired_keys", nodes.sum.expired_keys)
      .Add("evicted_keys", nodes.sum.evicted_keys)
      .Add("keyspace_hits", nodes.sum.keyspace_hits)
      .Add("keyspace_misses", nodes.sum.keyspace_misses);
  sections.push_back(std::move(stats));

  InfoSection replication("Replication");
  replication.Add("role", "master").Add("connected_slaves", 0).Add("master_repl_offset", 0);
  sections.push_back(std::move(replication));

  InfoSection cpu("CPU");
  AddProcessCpu(&cpu);
  sections.push_back(std::move(cpu));

  InfoSection commands("Commandstats", /*in_default=*/false);
  for (size_t i = 0; i < kCommandCount; ++i) {
    const CommandSum sum = metrics_.Command(static_cast<int>(i));
    if (sum.calls > 0) {
      commands.Add(
          fmt::format("cmdstat_{}", kCommands[i].name),
          fmt::format("calls={},usec={},usec_per_call={:.2f},rejected_calls={},failed_calls={}",
                      sum.calls, sum.micros,
                      static_cast<double>(sum.micros) / static_cast<double>(sum.calls),
                      sum.rejected, sum.failed));
    }
  }
  sections.push_back(std::move(commands));

  InfoSection cluster("Cluster");
  cluster.Add("cluster_enabled", start_options_->cluster_emulation == "no" ? 0 : 1);
  sections.push_back(std::move(cluster));

  InfoSection keyspace("Keyspace");
  if (nodes.sum.keys > 0) {
    keyspace.Add("db0",
                 fmt::format("keys={},expires={},avg_ttl=0", nodes.sum.keys, nodes.sum.expires));
  }
  sections.push_back(std::move(keyspace));

  InfoSection kvstore("Kvstore", /*in_default=*/false);
  kvstore.Add("namespace", table->name)
      .Add("nodes_answering", nodes.answering)
      .Add("nodes_silent", nodes.silent)
      .Add("nodes_sampled_milliseconds_ago", nodes.sampled_ms < 0 ? -1 : now_ms - nodes.sampled_ms)
      .Add("map_epoch", static_cast<int64_t>(table->epoch))
      .Add("map_known", table->known ? 1 : 0)
      .Add("config_server_connected", control.connected ? 1 : 0)
      .Add("config_server", control.server)
      .Add("config_server_last_error", control.last_error)
      .Add("backend_requests", value(kProxy_backend_requests_total))
      .Add("backend_failures", value(kProxy_backend_failures_total))
      .Add("backend_timeouts", value(kProxy_backend_timeouts_total))
      .Add("backend_connections", value(kProxy_backend_connections))
      .Add("requests_in_flight", value(kProxy_requests_in_flight))
      .Add("buffer_bytes", static_cast<int64_t>(budget_.used()))
      .Add("dropped_replies", value(kProxy_dropped_replies_total));
  for (size_t i = 0; i < table->shards.size(); ++i) {
    const auto slots = std::count(table->slot_to_shard.begin(), table->slot_to_shard.end(),
                                  static_cast<int16_t>(i));
    kvstore.Add(fmt::format("shard{}", i),
                fmt::format("address={},{}={}", FormatAddress(table->shards[i]),
                            table->ring == nullptr ? "slots" : "live",
                            table->ring == nullptr ? slots
                            : table->ring->live(i) ? 1
                                                   : 0));
  }
  sections.push_back(std::move(kvstore));
  return sections;
}

}  // namespace kvs
