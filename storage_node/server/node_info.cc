// The text of a node's INFO.

#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "common/base/build_info.h"
#include "common/service/memory_commands.h"
#include "storage_node/server/node_server.h"

namespace kvs {
namespace {

InfoSection ServerSection(const NodeOptions& options, const std::string& run_id,
                          const std::string& node_id, uint16_t port, int64_t uptime_seconds) {
  utsname system{};
  ::uname(&system);
  InfoSection section("Server");
  section.Add("redis_version", kRedisVersion)
      .Add("redis_git_sha1", "0")
      .Add("redis_git_dirty", "0")
      .Add("redis_build_id", kBuildCommit)
      .Add("redis_mode", options.config_servers.empty() ? "standalone" : "cluster")
      .Add("kvstore_version", kBuildVersion)
      .Add("os", fmt::format("{} {} {}", system.sysname, system.release, system.machine))
      .Add("arch_bits", 64)
      .Add("multiplexing_api", "epoll")
      .Add("process_id", ::getpid())
      .Add("run_id", run_id)
      .Add("node_id", node_id)
      .Add("tcp_port", port)
      .Add("uptime_in_seconds", uptime_seconds)
      .Add("uptime_in_days", uptime_seconds / 86400)
      .Add("hz", 10)
      .Add("io_threads", IoThreadCount(options))
      .Add("executable", "kv_node");
  return section;
}

// Returns the upper bound in microseconds of the step in which the quantile lies.
int64_t CallQuantile(const CommandSum& sum, double quantile) {
  const auto wanted = static_cast<uint64_t>(static_cast<double>(sum.calls) * quantile);
  uint64_t seen = 0;
  for (int step = 0; step < CommandSteps::kSteps; ++step) {
    seen += sum.steps[static_cast<size_t>(step)];
    if (seen > wanted) {
      return CommandSteps::UpperBound(step);
    }
  }
  return CommandSteps::UpperBound(CommandSteps::kSteps - 1);
}

}  // namespace

std::vector<MemoryPart> NodeServer::MemoryParts() const {
  return {{"record-cache", static_cast<int64_t>(metrics_.Value(kNode_record_cache_bytes))},
          {"write-behind", static_cast<int64_t>(metrics_.Value(kNode_write_behind_bytes))},
          {"memtable", static_cast<int64_t>(metrics_.Value(kNode_memtable_bytes))},
          {"block-cache", static_cast<int64_t>(metrics_.Value(kNode_block_cache_bytes))}};
}

InfoSection NodeServer::ClientsSection(const NodeOptions& options) const {
  InfoSection section("Clients");
  section.Add("connected_clients", static_cast<int64_t>(clients_.count()))
      .Add("cluster_connections", 0)
      .Add("maxclients", options.maxclients)
      .Add("blocked_clients", static_cast<int64_t>(blocked_.count().load()))
      .Add("tracking_clients", static_cast<int64_t>(tracking_.counts().clients))
      .Add("clients_in_timeout_table", 0)
      .Add("total_blocking_keys", static_cast<int64_t>(blocked_.key_count()))
      .Add("total_blocking_keys_on_nokey", 0);
  return section;
}

InfoSection NodeServer::MemorySection(const NodeOptions& options) const {
  InfoSection section("Memory");
  AddMemoryInfo(ReadMemoryFigures(clients_, MemoryParts()), ToInt(options.maxmemory_soft),
                &section);
  const bool runs_scripts = scripts_ != nullptr;
  const FunctionSetPtr functions = functions_.current();
  section.Add("used_memory_functions", static_cast<int64_t>(functions->bytes()))
      .Add("number_of_functions", static_cast<int64_t>(functions->function_count()))
      .Add("number_of_libraries", static_cast<int64_t>(functions->libraries().size()))
      .Add("number_of_cached_scripts", runs_scripts ? static_cast<int64_t>(scripts_->count()) : 0)
      .Add("used_memory_scripts", runs_scripts ? static_cast<int64_t>(scripts_->bytes()) : 0);
  section.Add("record_cache_bytes", metrics_.Value(kNode_record_cache_bytes))
      .Add("record_cache_budget", metrics_.Value(kNode_record_cache_budget))
      .Add("record_cache_entries", metrics_.Value(kNode_record_cache_entries))
      .Add("write_behind_bytes", metrics_.Value(kNode_write_behind_bytes))
      .Add("memtable_bytes", metrics_.Value(kNode_memtable_bytes))
      .Add("block_cache_bytes", metrics_.Value(kNode_block_cache_bytes));
  return section;
}

InfoSection NodeServer::PersistenceSection(const NodeOptions& options) const {
  const Status refusal = store_->WriteHealth();
  const Status health = refusal.ok() ? store_->pipeline().LastWrite() : refusal;
  InfoSection section("Persistence");
  section.Add("loading", 0)
      .Add("async_loading", 0)
      .Add("rdb_changes_since_last_save", 0)
      .Add("rdb_bgsave_in_progress", 0)
      .Add("rdb_last_save_time", loop_->clock()->WallMillis() / 1000)
      .Add("rdb_last_bgsave_status", "ok")
      .Add("rdb_last_bgsave_time_sec", -1)
      .Add("rdb_current_bgsave_time_sec", -1)
      .Add("aof_enabled", 0)
      .Add("aof_rewrite_in_progress", 0)
      .Add("aof_rewrite_scheduled", 0)
      .Add("aof_last_rewrite_time_sec", -1)
      .Add("aof_current_rewrite_time_sec", -1)
      .Add("aof_last_bgrewrite_status", "ok")
      .Add("aof_last_write_status", health.ok() ? "ok" : "err")
      .Add("aof_delayed_fsync", metrics_.Value(kNode_binlog_delayed_total))
      .Add("binlog_sync", options.binlog_sync)
      .Add("binlog_appended_lsn", metrics_.Value(kNode_binlog_appended_lsn))
      .Add("binlog_synced_lsn", metrics_.Value(kNode_binlog_synced_lsn))
      .Add("binlog_watermark_lsn", metrics_.Value(kNode_binlog_watermark_lsn))
      .Add("binlog_bytes", metrics_.Value(kNode_binlog_bytes))
      .Add("binlog_replayed_records", static_cast<int64_t>(store_->replayed_records()))
      .Add("binlog_short_suspect", store_->recovered().short_suspect ? 1 : 0)
      .Add("write_refusal", health.message());
  return section;
}

InfoSection NodeServer::StatsSection() const {
  const auto value = [this](NodeMetric metric) { return metrics_.Value(metric); };
  uint64_t calls = 0;
  for (size_t i = 0; i < kCommandCount; ++i) {
    calls += metrics_.Command(static_cast<int>(i)).calls;
  }
  uint64_t errors = 0;
  for (int i = 1; i < kCodeCount; ++i) {
    errors += metrics_.Errors(static_cast<Code>(i));
  }
  const auto count = [this](ChannelKind kind) {
    return static_cast<int64_t>(pubsub_.NameCount(kind));
  };
  const TrackingCounts tracked = tracking_.counts();
  InfoSection section("Stats");
  section.Add("total_connections_received", value(kNode_connections_total))
      .Add("total_commands_processed", static_cast<int64_t>(calls))
      .Add("instantaneous_ops_per_sec", static_cast<int64_t>(rates_.requests.PerSecond()))
      .Add("total_net_input_bytes", value(kNode_input_bytes_total))
      .Add("total_net_output_bytes", value(kNode_output_bytes_total))
      .AddFixed("instantaneous_input_kbps", rates_.input_bytes.PerSecond() / 1024)
      .AddFixed("instantaneous_output_kbps", rates_.output_bytes.PerSecond() / 1024)
      .Add("rejected_connections", value(kNode_connections_rejected_total))
      .Add("sync_full", 0)
      .Add("sync_partial_ok", 0)
      .Add("sync_partial_err", 0)
      .Add("expired_keys", value(kNode_expired_keys_total))
      .Add("expired_stale_perc", "0.00")
      .Add("expired_time_cap_reached_count", 0)
      .Add("swept_records", value(kNode_swept_records_total))
      .Add("evicted_keys", 0)
      .Add("evicted_clients", 0)
      .Add("keyspace_hits", value(kNode_keyspace_hits_total))
      .Add("keyspace_misses", value(kNode_keyspace_misses_total))
      .Add("pubsub_channels", count(ChannelKind::kChannel))
      .Add("pubsub_patterns", count(ChannelKind::kPattern))
      .Add("pubsubshard_channels", count(ChannelKind::kShard))
      .Add("latest_fork_usec", 0)
      .Add("total_forks", 0)
      .Add("migrate_cached_sockets", 0)
      .Add("slave_expires_tracked_keys", 0)
      .Add("active_defrag_hits", 0)
      .Add("active_defrag_misses", 0)
      .Add("active_defrag_key_hits", 0)
      .Add("active_defrag_key_misses", 0)
      .Add("tracking_total_keys", static_cast<int64_t>(tracked.keys))
      .Add("tracking_total_items", static_cast<int64_t>(tracked.readers))
      .Add("tracking_total_prefixes", static_cast<int64_t>(tracked.prefixes))
      .Add("unexpected_error_replies", 0)
      .Add("total_error_replies", static_cast<int64_t>(errors))
      .Add("stalled_writes", value(kNode_stalled_writes_total))
      .Add("redirects", value(kNode_redirects_total));
  return section;
}

InfoSection NodeServer::ReplicationSection() const {
  InfoSection section("Replication");
  section.Add("role", "master")
      .Add("connected_slaves", 0)
      .Add("master_failover_state", "no-failover")
      .Add("master_replid", run_id_)
      .Add("master_replid2", std::string(run_id_.size(), '0'))
      .Add("master_repl_offset", metrics_.Value(kNode_binlog_appended_lsn))
      .Add("second_repl_offset", -1)
      .Add("repl_backlog_active", 0)
      .Add("repl_backlog_size", metrics_.Value(kNode_binlog_bytes))
      .Add("repl_backlog_first_byte_offset", 0)
      .Add("repl_backlog_histlen", 0);
  return section;
}

InfoSection NodeServer::CommandStatsSection() const {
  InfoSection section("Commandstats", /*in_default=*/false);
  for (size_t i = 0; i < kCommandCount; ++i) {
    const CommandSum sum = metrics_.Command(static_cast<int>(i));
    if (sum.calls + sum.rejected > 0) {
      const double micros_per_call =
          sum.calls == 0 ? 0.0 : static_cast<double>(sum.micros) / static_cast<double>(sum.calls);
      section.Add(
          fmt::format("cmdstat_{}", kCommands[i].name),
          fmt::format("calls={},usec={},usec_per_call={:.2f},rejected_calls={},failed_calls={}",
                      sum.calls, sum.micros, micros_per_call, sum.rejected, sum.failed));
    }
  }
  return section;
}

InfoSection NodeServer::ErrorStatsSection() const {
  InfoSection section("Errorstats");
  for (int i = 1; i < kCodeCount; ++i) {
    const uint64_t count = metrics_.Errors(static_cast<Code>(i));
    if (count > 0) {
      section.Add(fmt::format("errorstat_{}", CodeName(static_cast<Code>(i))),
                  fmt::format("count={}", count));
    }
  }
  return section;
}

InfoSection NodeServer::LatencyStatsSection() const {
  InfoSection section("Latencystats", /*in_default=*/false);
  for (size_t i = 0; i < kCommandCount; ++i) {
    const CommandSum sum = metrics_.Command(static_cast<int>(i));
    if (sum.calls > 0) {
      section.Add(fmt::format("latency_percentiles_usec_{}", kCommands[i].name),
                  fmt::format("p50={}.000,p99={}.000,p99.9={}.000", CallQuantile(sum, 0.5),
                              CallQuantile(sum, 0.99), CallQuantile(sum, 0.999)));
    }
  }
  return section;
}

InfoSection NodeServer::KeyspaceSection() const {
  InfoSection section("Keyspace");
  const int64_t keys = metrics_.Value(kNode_keys);
  if (keys > 0) {  // Redis shows no line for an empty database, and tools rely on that.
    section.Add("db0",
                fmt::format("keys={},expires={},avg_ttl=0", keys, metrics_.Value(kNode_expires)));
  }
  return section;
}

std::vector<InfoSection> NodeServer::Info() const {
  const NodeOptionsPtr options = config_->current();
  const int64_t uptime = (loop_->clock()->WallMillis() - started_ms_) / 1000;
  InfoSection cpu("CPU");
  AddProcessCpu(&cpu);
  InfoSection cluster("Cluster");
  cluster.Add("cluster_enabled", start_options_->config_servers.empty() ? 0 : 1)
      .Add("map_epoch", metrics_.Value(kNode_map_epoch));
  std::vector<InfoSection> sections;
  sections.push_back(ServerSection(*options, run_id_, node_id_, port_, uptime));
  sections.push_back(ClientsSection(*options));
  sections.push_back(MemorySection(*options));
  sections.push_back(PersistenceSection(*options));
  sections.push_back(StatsSection());
  sections.push_back(ReplicationSection());
  sections.push_back(std::move(cpu));
  sections.push_back(CommandStatsSection());
  sections.push_back(ErrorStatsSection());
  sections.push_back(LatencyStatsSection());
  sections.push_back(std::move(cluster));
  sections.push_back(KeyspaceSection());
  return sections;
}

}  // namespace kvs
