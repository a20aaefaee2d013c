// kv_proxy: the stateless proxy in front of a namespace or of plain Redis servers.

#include <signal.h>

#include <memory>
#include <utility>

#include "common/http/http_server.h"
#include "common/http/standard_routes.h"
#include "common/net/signals.h"
#include "common/program/program.h"
#include "proxy/app/proxy_options.h"
#include "proxy/app/proxy_server.h"

namespace kvs {
namespace {

Result<std::unique_ptr<HttpServer>> StartHttp(EventLoop* loop, ProxyServer* proxy) {
  KVS_ASSIGN_OR_RETURN(UniqueFd socket, proxy->OpenHttp());
  auto http = std::make_unique<HttpServer>(loop, std::move(socket));
  AddStandardRoutes(http.get(),
                    {.health = [] { return Status::Ok(); },
                     .ready = [proxy] { return proxy->Ready(); },
                     .metrics = [proxy] { return proxy->metrics()->PrometheusText(); }});
  KVS_RETURN_IF_ERROR(http->Start());
  return http;
}

Status Serve(const CommandLine& line, ConfigStore<ProxyOptions>* config) {
  EventLoop loop("main");
  PidFile pid_file;
  std::unique_ptr<HttpServer> http;
  ProxyServer proxy(&loop, config,
                    {.on_serving = [&] { return pid_file.Write(config->current()->pidfile); },
                     .on_handed_over = [&] { http->Stop(); }});
  bool stopping = false;
  SignalWatcher signals(&loop, {SIGTERM, SIGINT, SIGHUP, SIGUSR1}, [&](int signal) {
    if (signal == SIGHUP) {
      ReloadOptions(line, config);
      (void)ReopenLog().ok();
    } else if (signal == SIGUSR1) {
      KVS_LOG(kInfo, "state:\n{}", FormatInfo(proxy.Info(), {}));
    } else if (!std::exchange(stopping, true)) {
      proxy.Drain();
    } else {
      KVS_LOG(kInfo, "stopping at once");
      loop.Stop();
    }
  });
  KVS_RETURN_IF_ERROR(signals.Start());
  KVS_RETURN_IF_ERROR(proxy.Open());
  KVS_ASSIGN_OR_RETURN(http, StartHttp(&loop, &proxy));
  KVS_RETURN_IF_ERROR(proxy.Start());
  loop.Run();
  http.reset();
  return proxy.Stop();
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
      .constants = &kvs::Constants,
      .own_pid_file = true,
      .validate_change = &kvs::ValidateProxyChange};
  return kvs::RunProgram(spec, argc, argv, &kvs::Serve);
}
