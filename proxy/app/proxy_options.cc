#include "proxy/app/proxy_options.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/base/address.h"
#include "common/command/renamed_commands.h"
#include "common/net/socket.h"

namespace kvs {

const std::vector<OptionRow>& ProxyOptionRows() {
  static const std::vector<OptionRow> rows = {
#define KVS_OPTION(type, field, fallback, ...) \
  MakeOptionRow<ProxyOptions, &ProxyOptions::field>(#field, OptionSpec{__VA_ARGS__}),
#include "proxy/app/options.def"
#undef KVS_OPTION
  };
  return rows;
}

namespace {

bool IsWildcard(std::string_view host) {
  return host == "0.0.0.0" || host == "::" || host == "*";
}

Status ValidatePoolOptions(const ProxyOptions& options) {
  KVS_ASSIGN_OR_RETURN(const std::vector<PoolServer> servers, ParsePool(options));
  if (!options.hash_tag.empty() && options.hash_tag.size() != 2) {
    return Status::InvalidArgument("hash-tag has two characters, or none");
  }
  KVS_RETURN_IF_ERROR(ParseServerSlots(options.server_slots, servers.size()).status());
  KVS_RETURN_IF_ERROR(ParseReplicas(options.replicas, servers).status());
  if (!options.server_slots.empty() && options.distribution != "slots") {
    return Status::InvalidArgument("server-slots needs distribution slots");
  }
  if (options.distribution != "slots") {
    return servers.empty() ? Status::InvalidArgument("distribution needs servers") : Status::Ok();
  }
  if (options.server_failure != "error" || !options.hash_tag.empty()) {
    return Status::InvalidArgument(
        "server-failure remove and hash-tag need distribution ketama or modula");
  }
  for (const PoolServer& server : servers) {
    if (server.weight != 1) {
      return Status::InvalidArgument("weights of servers need distribution ketama or modula");
    }
  }
  return Status::Ok();
}

Status ValidateClusterOptions(const ProxyOptions& options) {
  if (options.cluster_emulation != "peers") {
    return options.cluster_peers.empty()
               ? Status::Ok()
               : Status::InvalidArgument("cluster-peers needs cluster-emulation peers");
  }
  if (options.announce.empty() && !options.bind.empty() && IsWildcard(options.bind.front())) {
    return Status::InvalidArgument(
        "cluster-emulation peers needs announce: clients cannot connect to a wildcard address");
  }
  if (options.servers.empty() != options.cluster_peers.empty()) {
    return Status::InvalidArgument(
        "cluster-emulation peers needs cluster-peers with servers, and not with config-servers");
  }
  for (const std::string& text : options.cluster_peers) {
    KVS_RETURN_IF_ERROR(ParseAddress(text).status());
  }
  if (!options.cluster_peers.empty() &&
      std::count(options.cluster_peers.begin(), options.cluster_peers.end(), options.announce) !=
          1) {
    return Status::InvalidArgument("cluster-peers needs announce, and has to name it once");
  }
  return Status::Ok();
}

}  // namespace

Status ValidateProxyOptions(const ProxyOptions& options) {
  if (options.servers.empty() == options.config_servers.empty()) {
    return Status::InvalidArgument(
        "give either config-servers (a cluster) or servers (plain Redis servers)");
  }
  for (const std::string& text : options.config_servers) {
    KVS_RETURN_IF_ERROR(ParseAddress(text).status());
  }
  KVS_RETURN_IF_ERROR(ValidatePoolOptions(options));
  if (!options.config_servers.empty() && options.cluster_secret_file.empty()) {
    return Status::InvalidArgument(
        "config-servers needs cluster-secret-file: the config server refuses strangers");
  }
  KVS_RETURN_IF_ERROR(ValidateClusterOptions(options));
  KVS_RETURN_IF_ERROR(ModeFromOctalDigits(options.unixsocketperm).status());
  KVS_RETURN_IF_ERROR(RenamedCommands::Make(options.rename_command).status());
  if (ToInt(options.proto_max_bulk_len) > ToInt(options.client_query_buffer_limit)) {
    return Status::InvalidArgument(
        "proto-max-bulk-len must not be above client-query-buffer-limit");
  }
  return Status::Ok();
}

Result<std::vector<PoolServer>> ParsePool(const ProxyOptions& options) {
  if (options.servers.size() > kMaxPoolServers) {
    return Status::InvalidArgument(
        fmt::format("servers has more than {} entries", kMaxPoolServers));
  }
  std::vector<PoolServer> servers;
  for (const std::string& text : options.servers) {
    KVS_ASSIGN_OR_RETURN(PoolServer server, ParsePoolServer(text));
    servers.push_back(std::move(server));
  }
  return servers;
}

Result<PoolSpec> MakePoolSpec(const ProxyOptions& options) {
  PoolSpec spec;
  KVS_ASSIGN_OR_RETURN(spec.servers, ParsePool(options));
  KVS_ASSIGN_OR_RETURN(spec.slots, ParseServerSlots(options.server_slots, spec.servers.size()));
  KVS_ASSIGN_OR_RETURN(spec.replicas, ParseReplicas(options.replicas, spec.servers));
  if (options.distribution != "slots") {
    KVS_ASSIGN_OR_RETURN(const KeyHash hash, ParseKeyHash(options.hash));
    spec.ring =
        ServerRing::Options{.kind = options.distribution == "ketama" ? ServerRing::Kind::kKetama
                                                                     : ServerRing::Kind::kModula,
                            .hash = hash,
                            .hash_tag = options.hash_tag};
  }
  spec.remove_failed = options.server_failure == "remove";
  spec.failure_limit = static_cast<int>(options.server_failure_limit);
  spec.retry_ms = options.server_retry_timeout.count();
  return spec;
}

Status ValidateProxyChange(const ProxyOptions& before, const ProxyOptions& after) {
  if (before.servers.empty() != after.servers.empty()) {
    return Status::InvalidArgument(
        "a running proxy cannot change between config-servers and servers");
  }
  return Status::Ok();
}

std::vector<MetricRow> ProxyMetricRows() {
  return {
#define KVS_METRIC(kind, name, help) {MetricKind::kind, #name, help},
#include "proxy/app/metrics.def"
#undef KVS_METRIC
  };
}

}  // namespace kvs
