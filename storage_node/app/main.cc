// kv_node: a storage node.

#include <signal.h>
#include <unistd.h>

#include <memory>

#include "common/base/build_info.h"
#include "common/control/control_client.h"
#include "common/control/secret_file.h"
#include "common/http/http_server.h"
#include "common/http/standard_routes.h"
#include "common/net/signals.h"
#include "common/net/socket.h"
#include "common/program/program.h"
#include "storage_node/check/data_check.h"
#include "storage_node/server/node_metrics.h"
#include "storage_node/server/node_options.h"
#include "storage_node/server/node_server.h"

namespace kvs {
namespace {

constexpr int kHttpPortOffset = 10000;

Result<std::unique_ptr<HttpServer>> StartHttp(EventLoop* loop, const NodeOptions& options,
                                              NodeServer* node) {
  const int64_t port =
      options.http_port >= 0
          ? options.http_port
          : (node->port() + kHttpPortOffset <= 65535 ? node->port() + kHttpPortOffset : 0);
  KVS_ASSIGN_OR_RETURN(UniqueFd socket,
                       ListenTcp(options.bind.front(), static_cast<uint16_t>(port), {}));
  auto http = std::make_unique<HttpServer>(loop, std::move(socket));
  AddStandardRoutes(http.get(), {.health = [] { return Status::Ok(); },
                                 .ready = [node] { return node->Health(); },
                                 .metrics = [node] { return node->metrics()->PrometheusText(); }});
  KVS_RETURN_IF_ERROR(http->Start());
  return http;
}

Result<std::unique_ptr<ControlClient>> StartControl(EventLoop* loop, const NodeOptions& options,
                                                    NodeServer* node) {
  ControlClientOptions control;
  for (const std::string& text : options.config_servers) {
    KVS_ASSIGN_OR_RETURN(const NodeAddress address, ParseAddress(text));
    control.servers.push_back(address);
  }
  KVS_ASSIGN_OR_RETURN(control.secret, ReadSecretFile(options.cluster_secret_file));
  KVS_ASSIGN_OR_RETURN(control.address, ParseAddress(node->announced_address()));
  control.kind = ControlKind::kNode;
  control.id = node->node_id();
  control.namespace_name = options.namespace_;
  control.version = kBuildVersion;
  if (node->topology().map != nullptr) {
    control.known_namespace = node->topology().map->name();
    control.known_epoch = node->topology().epoch;
  }
  control.on_map = [node](SlotMapPtr map) {
    if (Status status = node->SetMap(std::move(map)); !status.ok()) {
      KVS_LOG(kError, "cannot take over a map: {}", status.message());
    }
  };
  control.on_free = [node](const std::string& name) {
    if (Status status = node->LeaveNamespace(name); !status.ok()) {
      KVS_LOG(kError, "cannot leave namespace {}: {}", name, status.message());
    }
  };
  control.stats = [node] {
    Json stats = Json::MakeObject();
    stats.Set("keys", node->metrics()->Value(kNode_keys));
    stats.Set("connections", node->metrics()->Value(kNode_client_connections));
    return stats;
  };
  auto client = std::make_unique<ControlClient>(loop, std::move(control));
  client->Start();
  return client;
}

Status Serve(const CommandLine& line, ConfigStore<NodeOptions>* config) {
  const NodeOptionsPtr options = config->current();
  EventLoop loop("main");
  NodeServer node(&loop, config);
  SignalWatcher signals(&loop, {SIGTERM, SIGINT, SIGHUP, SIGUSR1}, [&](int signal) {
    if (signal == SIGHUP) {
      ReloadOptions(line, config);
      (void)ReopenLog().ok();
    } else if (signal == SIGUSR1) {
      KVS_LOG(kInfo, "state:\n{}", FormatInfo(node.Info(), {}));
    } else {
      KVS_LOG(kInfo, "stopping");
      loop.Stop();
    }
  });
  KVS_RETURN_IF_ERROR(signals.Start());
  KVS_RETURN_IF_ERROR(node.Start());
  KVS_ASSIGN_OR_RETURN(const std::unique_ptr<HttpServer> http, StartHttp(&loop, *options, &node));
  node.Serve();
  std::unique_ptr<ControlClient> control;
  if (!options->config_servers.empty()) {
    KVS_ASSIGN_OR_RETURN(control, StartControl(&loop, *options, &node));
    node.metrics()->SetSource(kNode_map_epoch, [&node] { return node.map_epoch(); });
  }
  loop.Run();
  control.reset();
  return node.Stop();
}

std::string Reference() {
  return "## Metrics of `kv_node`\n\n" + MetricsMarkdown("kvs_node_", NodeMetricRows());
}

int Check(const std::string& dir) {
  const Result<DataCheckReport> report = CheckData(dir);
  if (!report.ok()) {
    fmt::print(stderr, "kv_node: {}\n", report.status().message());
    return kExitFailure;
  }
  fmt::print("{}", FormatDataCheck(dir, *report));
  return report->ok() ? kExitOk : kExitFailure;
}

}  // namespace
}  // namespace kvs

int main(int argc, char** argv) {
  const kvs::ProgramSpec<kvs::NodeOptions> spec = {
      .name = "kv_node",
      .summary = "a storage node: Redis data on LevelDB, with one log",
      .rows = &kvs::NodeOptionRows,
      .validate = &kvs::ValidateNodeOptions,
      .reference = &kvs::Reference,
      .constants = &kvs::NodeConfigConstants,
      .tools = {{.flag = {.name = "check",
                          .argument = "DIR",
                          .doc = "Reads the data directory of a node that does not run and says "
                                 "what is wrong with it; exits 0 if nothing is."},
                 .run = &kvs::Check}}};
  return kvs::RunProgram(spec, argc, argv, &kvs::Serve);
}
