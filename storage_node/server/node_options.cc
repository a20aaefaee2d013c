#include "storage_node/server/node_options.h"

#include <algorithm>

#include "common/base/thread.h"
#include "common/command/renamed_commands.h"
#include "common/net/socket.h"

namespace kvs {

const std::vector<OptionRow>& NodeOptionRows() {
  static const std::vector<OptionRow> rows = {
#define KVS_OPTION(type, field, fallback, ...) \
  MakeOptionRow<NodeOptions, &NodeOptions::field>(#field, OptionSpec{__VA_ARGS__}),
#include "storage_node/server/options.def"
#undef KVS_OPTION
  };
  return rows;
}

Status ValidateNodeOptions(const NodeOptions& options) {
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

std::vector<std::pair<std::string, std::string>> NodeConfigConstants(const NodeOptions& options) {
  // There are no snapshots and no append-only file: the binlog is always on.
  return {{"save", ""},
          {"appendonly", "no"},
          {"databases", "1"},
          {"maxmemory", "0"},
          {"maxmemory-policy", "noeviction"},
          {"appendfsync", "everysec"},
          {"cluster-enabled", options.config_servers.empty() ? "no" : "yes"}};
}

int64_t IoThreadCount(const NodeOptions& options) {
  return options.io_threads > 0 ? options.io_threads : std::max(1, ProcessorCount() / 2);
}

int64_t BackgroundJobCount(const NodeOptions& options) {
  return options.max_background_jobs > 0 ? options.max_background_jobs
                                         : std::max(1, ProcessorCount() / 2);
}

}  // namespace kvs
