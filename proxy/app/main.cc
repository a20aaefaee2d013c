// kv_proxy: the stateless proxy in front of a namespace or of plain Redis servers.

#include <signal.h>

#include <memory>

#include "common/http/http_server.h"
#include "common/http/standard_routes.h"
#include "common/net/signals.h"
#include "common/net/socket.h"
#include "common/program/program.h"
#include "proxy/app/proxy_options.h"
#include "proxy/app/proxy_server.h"

namespace kvs {
namespace {

constexpr int kHttpPortOffset = 100;

Result<std::unique_ptr<HttpServer>> StartHttp(EventLoop* loop, const ProxyOptions& options,
                                              ProxyServer* proxy) {
  const int64_t port =
      options.http_port >= 0
          ? options.http_port
          : (proxy->port() + kHttpPortOffset <= 65535 ? proxy->port() + kHttpPortOffset : 0);
  KVS_ASSIGN_OR_RETURN(UniqueFd socket,
                       ListenTcp(options.bind.front(), static_cast<uint16_t>(port), {}));
  auto http = std::make_unique<HttpServer>(loop, std::move(socket));
  AddStandardRoutes(http.get(),
                    {.health = [] { return Status::Ok(); },
                     .ready = [proxy] { return proxy->Ready(); },
                     .metrics = [proxy] { return proxy->metrics()->PrometheusText(); }});
  KVS_RETURN_IF_ERROR(http->Start());
  return http;
}

Status Serve(const CommandLine& line, ConfigStore<ProxyOptions>* config) {
  const ProxyOptionsPtr options = config->current();
  EventLoop loop("main");
  ProxyServer proxy(&loop, config);
  SignalWatcher signals(&loop, {SIGTERM, SIGINT, SIGHUP, SIGUSR1}, [&](int signal) {
    if (signal == SIGHUP) {
      Status status = config->Reload(line);
      KVS_LOG(kInfo, "reload: {}", status.ToString());
      (void)ReopenLog().ok();
    } else if (signal == SIGUSR1) {
      KVS_LOG(kInfo, "state:\n{}", FormatInfo(proxy.Info(), {}));
    } else {
      KVS_LOG(kInfo, "stopping");
      loop.Stop();
    }
  });
  KVS_RETURN_IF_ERROR(signals.Start());
  KVS_RETURN_IF_ERROR(proxy.Start());
  KVS_ASSIGN_OR_RETURN(const std::unique_ptr<HttpServer> http, StartHttp(&loop, *options, &proxy));
  loop.Run();
  proxy.Stop();
  return Status::Ok();
}

// Options of Redis that tools ask for and that have one truthful answer here.
ConfigPairs Constants(const ProxyOptions& options) {
  return {{"save", ""},
          {"appendonly", "no"},
          {"databases", "1"},
          {"maxmemory", "0"},
          {"cluster-enabled", options.cluster_emulation == "no" ? "no" : "yes"},
          {"enable-debug-command", "no"}};
}

std::string Reference() {
  return "## Metrics of `kv_proxy`\n\n" + MetricsMarkdown("kvs_proxy_", ProxyMetricRows());
}

}  // namespace
}  // namespace kvs

int main(int argc, char** argv) {
  const kvs::ProgramSpec<kvs::ProxyOptions> spec = {
      .name = "kv_proxy",
      .summary = "a proxy that makes many nodes look like one Redis",
      .rows = &kvs::ProxyOptionRows,
      .validate = &kvs::ValidateProxyOptions,
      .reference = &kvs::Reference,
      .constants = &kvs::Constants};
  return kvs::RunProgram(spec, argc, argv, &kvs::Serve);
}
