#include "proxy/app/proxy_options.h"

#include <fmt/format.h>

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

Status ValidateProxyOptions(const ProxyOptions& options) {
  if (options.servers.empty() == options.config_servers.empty()) {
    return Status::InvalidArgument(
        "give either config-servers (a cluster) or servers (plain Redis servers)");
  }
  for (const StringList* list : {&options.servers, &options.config_servers}) {
    for (const std::string& text : *list) {
      const Result<NodeAddress> address = ParseAddress(text);
      if (!address.ok()) {
        return address.status();
      }
    }
  }
  if (!options.config_servers.empty() && options.cluster_secret_file.empty()) {
    return Status::InvalidArgument(
        "config-servers needs cluster-secret-file: the config server refuses strangers");
  }
  KVS_RETURN_IF_ERROR(ModeFromOctalDigits(options.unixsocketperm).status());
  KVS_RETURN_IF_ERROR(RenamedCommands::Make(options.rename_command).status());
  if (ToInt(options.proto_max_bulk_len) > ToInt(options.client_query_buffer_limit)) {
    return Status::InvalidArgument(
        "proto-max-bulk-len must not be above client-query-buffer-limit");
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
