#include "storage_node/server/node_options.h"

#include "common/base/thread.h"
#include "common/command/renamed_commands.h"
#include "common/net/socket.h"
#include "storage_node/commit/key_events.h"

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
  return ThreadCount(options.io_threads);
}

TypeLimits TypeLimitsOf(const NodeOptions& options) {
  return {.packed_size = ToInt(options.packed_collection_size),
          .hash_max_listpack_entries = static_cast<uint64_t>(options.hash_max_listpack_entries),
          .hash_max_listpack_value = ToInt(options.hash_max_listpack_value),
          .hll_sparse_max_bytes = ToInt(options.hll_sparse_max_bytes),
          .set_max_intset_entries = static_cast<uint64_t>(options.set_max_intset_entries),
          .set_max_listpack_entries = static_cast<uint64_t>(options.set_max_listpack_entries),
          .set_max_listpack_value = ToInt(options.set_max_listpack_value),
          .list_max_listpack_size = options.list_max_listpack_size,
          .zset_max_listpack_entries = static_cast<uint64_t>(options.zset_max_listpack_entries),
          .zset_max_listpack_value = ToInt(options.zset_max_listpack_value)};
}

int64_t BackgroundJobCount(const NodeOptions& options) {
  return ThreadCount(options.max_background_jobs);
}

}  // namespace kvs
