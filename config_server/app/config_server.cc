#include "config_server/app/config_server.h"

#include <fmt/format.h>

#include <utility>

#include "common/base/file.h"
#include "common/base/logging.h"
#include "common/control/secret_file.h"
#include "common/http/standard_routes.h"
#include "common/net/socket.h"
#include "config_server/app/config_metrics.h"
#include "config_server/meta/leveldb_meta_store.h"

namespace kvs {
namespace {

// Operators and registrations; more than this is a flood.
constexpr size_t kMaxWaitingChanges = kMaxControlLinks + 1024;
constexpr int64_t kForgetMillis = 60'000;
// Proxies that come and go together are told of in one message.
constexpr int64_t kSyncProxiesMillis = 20;
constexpr uint64_t kMaxBootstrapBytes = 1 << 20;

}  // namespace

ConfigServer::ConfigServer(EventLoop* loop, const ConfigOptions& options)
    : loop_(loop),
      options_(options),
      metrics_(std::string(kConfigMetricPrefix), ConfigMetricRows(), {}),
      cells_(metrics_.NewCells()) {}

ConfigServer::~ConfigServer() {
  Stop();
}

Status ConfigServer::Start() {
  loop_->AssertInLoop();
  KVS_ASSIGN_OR_RETURN(std::string secret, ReadSecretFile(options_.cluster_secret_file));
  KVS_RETURN_IF_ERROR(OpenStore());
  KVS_RETURN_IF_ERROR(ReadBootstrap());
  worker_ = std::make_unique<MetaWorker>(loop_, store_.get());
  KVS_RETURN_IF_ERROR(OpenPorts(std::move(secret)));
  AddMetricSources();
  forget_ = loop_->Every(kForgetMillis, [this] { members_.Forget(loop_->now_ms()); });
  KVS_LOG(kInfo, "config server: control port {}, http port {}, {} namespaces, {} nodes known",
          control_port(), http_port(), topology_.maps().size(), topology_.nodes().size());
  return Status::Ok();
}

void ConfigServer::Stop() {
  loop_->AssertInLoop();
  loop_->Cancel(std::exchange(forget_, kNoTimer));
  http_.reset();
  control_.reset();
  loop_->Cancel(std::exchange(sync_proxies_, kNoTimer));
  worker_.reset();
  changes_.clear();
  store_.reset();
}

Status ConfigServer::OpenStore() {
  KVS_RETURN_IF_ERROR(CreateDirs(options_.dir, 0700));
  KVS_ASSIGN_OR_RETURN(store_, LevelDbMetaStore::Open(options_.dir + "/meta"));
  KVS_ASSIGN_OR_RETURN(const std::vector<MetaRecord> records, store_->List(""));
  KVS_ASSIGN_OR_RETURN(topology_, Topology::Load(records));
  return Status::Ok();
}

Status ConfigServer::ReadBootstrap() {
  if (options_.bootstrap.empty()) {
    return Status::Ok();
  }
  const auto read = [this]() -> Result<NamespaceSpec> {
    KVS_ASSIGN_OR_RETURN(const std::string text, ReadFile(options_.bootstrap, kMaxBootstrapBytes));
    KVS_ASSIGN_OR_RETURN(const Json json, Json::Parse(text));
    return NamespaceSpec::FromJson(json);
  };
  const Result<NamespaceSpec> spec = read();
  if (!spec.ok()) {
    return spec.status().WithContext(fmt::format("bootstrap file '{}'", options_.bootstrap));
  }
  if (!topology_.ever_had_namespace()) {
    bootstrap_ = *spec;
  }
  return Status::Ok();
}

Status ConfigServer::OpenPorts(std::string secret) {
  KVS_ASSIGN_OR_RETURN(UniqueFd control,
                       ListenTcp(options_.bind, static_cast<uint16_t>(options_.port), {}));
  KVS_ASSIGN_OR_RETURN(UniqueFd http,
                       ListenTcp(options_.bind, static_cast<uint16_t>(options_.http_port), {}));
  ControlServerOptions control_options;
  control_options.secret = std::move(secret);
  control_options.silence_ms = options_.node_timeout.count();
  ControlHost* const host = this;  // A private base, which make_unique could not see.
  control_ = std::make_unique<ControlServer>(loop_, std::move(control), std::move(control_options),
                                             host, cells_);
  http_ = std::make_unique<HttpServer>(loop_, std::move(http));
  api_.AddRoutes(http_.get());
  AddStandardRoutes(http_.get(), {.health = [] { return Status::Ok(); },
                                  .ready = [this] { return Ready(); },
                                  .metrics = [this] { return metrics_.PrometheusText(); }});
  KVS_RETURN_IF_ERROR(control_->Start());
  return http_->Start();
}

// Read by /metrics only, which runs on the loop.
void ConfigServer::AddMetricSources() {
  metrics_.SetSource(kConfig_namespaces,
                     [this] { return static_cast<int64_t>(topology_.maps().size()); });
  metrics_.SetSource(kConfig_nodes,
                     [this] { return static_cast<int64_t>(topology_.nodes().size()); });
  metrics_.SetSource(kConfig_nodes_online, [this] {
    return static_cast<int64_t>(members_.OnlineCount(ControlKind::kNode));
  });
  metrics_.SetSource(kConfig_proxies_online, [this] {
    return static_cast<int64_t>(members_.OnlineCount(ControlKind::kProxy));
  });
  metrics_.SetSource(kConfig_control_links, [this] {
    return static_cast<int64_t>(control_ == nullptr ? 0 : control_->link_count());
  });
}

std::vector<MemberView> ConfigServer::Members(ControlKind kind) const {
  return members_.Views(kind, topology_, loop_->now_ms());
}

void ConfigServer::CreateNamespace(const NamespaceSpec& spec, Done done) {
  Submit([this, spec] { return topology_.PlanCreate(spec, members_.OnlineNodes()); },
         std::move(done));
}

void ConfigServer::DeleteNamespace(const std::string& name, Done done) {
  Submit([this, name] { return topology_.PlanDelete(name); }, std::move(done));
}

void ConfigServer::OnRegister(LinkId link, const Registration& registration) {
  Submit(
      [this, registration] { return topology_.PlanRegister(registration, members_.OnlineNodes()); },
      [this, link, registration](const Status& status) {
        if (!status.ok()) {
          return control_->FinishRegistration(link, status);
        }
        Admit(link, registration);
      });
}

void ConfigServer::Admit(LinkId link, const Registration& registration) {
  if (!control_->IsOpen(link)) {
    return;  // It did not wait.
  }
  const LinkId replaced = members_.Attach(registration, link, loop_->now_ms());
  if (replaced != kNoLink) {
    KVS_LOG(kWarning, "{} {} registered again from {}; its older link is closed",
            ControlKindName(registration.kind), registration.id,
            FormatAddress(registration.address));
    control_->Close(replaced);
  }
  Member* const member = members_.FindByLink(link);
  RegistrationReply reply;
  reply.namespace_name = members_.NamespaceOf(*member, topology_);
  reply.epoch = reply.namespace_name.empty() ? 0 : topology_.LastEpoch(reply.namespace_name);
  KVS_LOG(kInfo, "{} {} at {} registered: namespace '{}', has epoch {} of '{}'",
          ControlKindName(registration.kind), registration.id, FormatAddress(registration.address),
          reply.namespace_name, registration.epoch, registration.map_namespace);
  control_->FinishRegistration(link, reply);
  Sync(member, /*anew=*/true);
  SyncProxiesSoon();
  TryBootstrap();
}

uint64_t ConfigServer::OnHeartbeat(LinkId link, Heartbeat heartbeat) {
  Member* const member = members_.FindByLink(link);
  KVS_CHECK(member != nullptr);
  member->last_seen_ms = loop_->now_ms();
  member->heartbeat = std::move(heartbeat);
  const std::string name = members_.NamespaceOf(*member, topology_);
  return name.empty() ? 0 : topology_.LastEpoch(name);
}

void ConfigServer::OnLinkClosed(LinkId link) {
  if (const Member* const member = members_.FindByLink(link); member != nullptr) {
    KVS_LOG(kInfo, "{} {} at {} is offline", ControlKindName(member->registration.kind),
            member->registration.id, FormatAddress(member->registration.address));
    members_.Detach(link, loop_->now_ms());
    SyncProxiesSoon();
  }
}

void ConfigServer::Submit(Plan plan, Done done) {
  loop_->AssertInLoop();
  if (changes_.size() >= kMaxWaitingChanges) {
    return done(Status::Busy("too many changes wait; try again"));
  }
  changes_.push_back({std::move(plan), std::move(done)});
  // What a change's end submits is taken up by the loop that ends it.
  if (!committing_) {
    RunChanges();
  }
}

void ConfigServer::RunChanges() {
  committing_ = true;
  while (!changes_.empty()) {
    Result<TopologyChange> planned = changes_.front().plan();
    if (!planned.ok()) {
      FinishChange(planned.status());
      continue;
    }
    if (!planned->warning.empty()) {
      KVS_LOG(kWarning, "{}", planned->warning);
    }
    if (planned->empty() || !broken_.ok()) {
      FinishChange(planned->empty() ? Status::Ok() : broken_);
      continue;
    }
    MetaTransaction transaction = planned->transaction;
    worker_->Commit(std::move(transaction),
                    [this, change = *std::move(planned)](const Status& status, int64_t micros) {
                      OnCommitted(change, status, micros);
                    });
    return;
  }
  committing_ = false;
}

void ConfigServer::OnCommitted(const TopologyChange& change, const Status& status, int64_t micros) {
  cells_->Observe(kConfig_commit_seconds, micros);
  if (status.ok()) {
    cells_->Increment(kConfig_changes_total);
    topology_.Apply(change);
    SyncAll();
  } else {
    // Whether it was written is known only to the next one who opens the store.
    broken_ =
        Status::Misconf(fmt::format("the meta store takes no changes: {}; restart the config "
                                    "server when that is mended",
                                    status.message()));
    KVS_LOG(kError, "{}", broken_.message());
  }
  FinishChange(status.ok() ? Status::Ok() : broken_);
  RunChanges();
}

void ConfigServer::FinishChange(const Status& status) {
  if (!status.ok()) {
    cells_->Increment(kConfig_change_failures_total);
    cells_->CountError(status.code());
  }
  const Done done = std::move(changes_.front().done);
  changes_.pop_front();
  done(status);
}

void ConfigServer::TryBootstrap() {
  if (!bootstrap_.has_value()) {
    return;
  }
  CreateNamespace(*bootstrap_, [this](const Status& status) {
    if (status.code() == Code::kUnavailable || status.code() == Code::kNotFound) {
      KVS_LOG(kInfo, "bootstrap waits: {}", status.message());
      return;
    }
    if (!status.ok() && bootstrap_.has_value()) {
      KVS_LOG(kError, "bootstrap is given up: {}", status.message());
    }
    bootstrap_.reset();
  });
}

void ConfigServer::Sync(Member* member, bool anew) {
  const std::string name = members_.NamespaceOf(*member, topology_);
  std::string push;
  if (!name.empty()) {
    const SlotMapPtr map = topology_.FindMap(name);
    if (!anew && member->pushed_namespace == name && member->pushed_epoch == map->epoch()) {
      return;
    }
    EncodeMapPush(*map, &push);
    cells_->Increment(kConfig_maps_pushed_total);
    member->pushed_namespace = name;
    member->pushed_epoch = map->epoch();
  } else if (topology_.IsDead(member->pushed_namespace, member->pushed_epoch)) {
    EncodeFreePush(member->pushed_namespace, &push);
    member->pushed_namespace.clear();
    member->pushed_epoch = 0;
  }
  if (!push.empty()) {
    control_->Push(member->link, push);
  }
}

void ConfigServer::SyncAll() {
  // A push may close a link that does not read, which changes no entry but its own.
  for (auto& [key, member] : members_.all()) {
    if (member.online()) {
      Sync(&member, /*anew=*/false);
    }
  }
  SyncProxiesSoon();
}

// A push may close a link, and many come and go at a time: so in a turn of its own, for all of
// them.
void ConfigServer::SyncProxiesSoon() {
  if (sync_proxies_ == kNoTimer) {
    sync_proxies_ = loop_->After(kSyncProxiesMillis, [this] {
      sync_proxies_ = kNoTimer;
      SyncProxies();
    });
  }
}

void ConfigServer::SyncProxies() {
  const std::map<std::string, std::string> pushes = members_.ProxiesPushes(topology_);
  for (auto& [key, member] : members_.all()) {
    if (!member.online() || member.registration.kind != ControlKind::kProxy) {
      continue;
    }
    const auto push = pushes.find(members_.NamespaceOf(member, topology_));
    if (push != pushes.end() && push->second != member.pushed_proxies) {
      member.pushed_proxies = push->second;
      control_->Push(member.link, push->second);
    }
  }
}

}  // namespace kvs
