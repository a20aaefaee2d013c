// The text of a node's INFO.

#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "common/base/build_info.h"
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
      .Add("redis_mode", "standalone")
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
      .Add("io_threads", options.io_threads)
      .Add("executable", "kv_node")
      .Add("config_file", "");
  return section;
}

}  // namespace

std::vector<MemoryPart> NodeServer::MemoryParts() const {
  return {{"record-cache", static_cast<int64_t>(metrics_.Value(kNode_record_cache_bytes))},
          {"write-behind", static_cast<int64_t>(metrics_.Value(kNode_write_behind_bytes))},
          {"memtable", static_cast<int64_t>(metrics_.Value(kNode_memtable_bytes))},
          {"block-cache", static_cast<int64_t>(metrics_.Value(kNode_block_cache_bytes))}};
}

std::vector<InfoSection> NodeServer::Info() const {
  const NodeOptionsPtr options = config_->current();
  const auto value = [this](NodeMetric metric) { return metrics_.Value(metric); };
  const int64_t uptime = (loop_->clock()->WallMillis() - started_ms_) / 1000;
  std::vector<InfoSection> sections;
  sections.push_back(ServerSection(*options, run_id_, node_id_, port_, uptime));

  InfoSection clients("Clients");
  clients.Add("connected_clients", static_cast<int64_t>(clients_.count()))
      .Add("cluster_connections", 0)
      .Add("maxclients", options->maxclients)
      .Add("blocked_clients", 0)
      .Add("tracking_clients", 0);
  sections.push_back(std::move(clients));

  InfoSection memory("Memory");
  AddProcessMemory(&memory);
  memory.Add("record_cache_bytes", value(kNode_record_cache_bytes))
      .Add("record_cache_entries", value(kNode_record_cache_entries))
      .Add("write_behind_bytes", value(kNode_write_behind_bytes))
      .Add("memtable_bytes", value(kNode_memtable_bytes))
      .Add("block_cache_bytes", value(kNode_block_cache_bytes));
  sections.push_back(std::move(memory));

  InfoSection persistence("Persistence");
  const Status health = store_->WriteHealth();
  persistence.Add("loading", 0)
      .Add("rdb_changes_since_last_save", 0)
      .Add("rdb_bgsave_in_progress", 0)
      .Add("rdb_last_bgsave_status", "ok")
      .Add("aof_enabled", 0)
      .Add("aof_rewrite_in_progress", 0)
      .Add("aof_last_write_status", health.ok() ? "ok" : "err")
      .Add("binlog_sync", options->binlog_sync)
      .Add("binlog_appended_lsn", value(kNode_binlog_appended_lsn))
      .Add("binlog_synced_lsn", value(kNode_binlog_synced_lsn))
      .Add("binlog_watermark_lsn", value(kNode_binlog_watermark_lsn))
      .Add("binlog_bytes", value(kNode_binlog_bytes))
      .Add("binlog_replayed_records", static_cast<int64_t>(store_->replayed_records()))
      .Add("binlog_short_suspect", store_->recovered().short_suspect ? 1 : 0)
      .Add("write_refusal", health.message());
  sections.push_back(std::move(persistence));

  uint64_t calls = 0;
  for (size_t i = 0; i < kCommandCount; ++i) {
    calls += metrics_.Command(static_cast<int>(i)).calls;
  }
  InfoSection stats("Stats");
  stats.Add("total_connections_received", value(kNode_connections_total))
      .Add("total_commands_processed", static_cast<int64_t>(calls))
      .Add("instantaneous_ops_per_sec", 0)
      .Add("total_net_input_bytes", value(kNode_input_bytes_total))
      .Add("total_net_output_bytes", value(kNode_output_bytes_total))
      .Add("instantaneous_input_kbps", "0.00")
      .Add("instantaneous_output_kbps", "0.00")
      .Add("rejected_connections", value(kNode_connections_rejected_total))
      .Add("expired_keys", value(kNode_expired_keys_total) +
                               static_cast<int64_t>(sweeper_ ? sweeper_->stats().expired_keys : 0))
      .Add("evicted_keys", 0)
      .Add("keyspace_hits", value(kNode_keyspace_hits_total))
      .Add("keyspace_misses", value(kNode_keyspace_misses_total))
      .Add("pubsub_channels", 0)
      .Add("pubsub_patterns", 0)
      .Add("total_error_replies",
           [this] {
             uint64_t errors = 0;
             for (int i = 1; i < kCodeCount; ++i) {
               errors += metrics_.Errors(static_cast<Code>(i));
             }
             return static_cast<int64_t>(errors);
           }())
      .Add("stalled_writes", value(kNode_stalled_writes_total))
      .Add("redirects", value(kNode_redirects_total));
  sections.push_back(std::move(stats));

  InfoSection replication("Replication");
  replication.Add("role", "master")
      .Add("connected_slaves", 0)
      .Add("master_failover_state", "no-failover")
      .Add("master_replid", run_id_)
      .Add("master_repl_offset", value(kNode_binlog_appended_lsn));
  sections.push_back(std::move(replication));

  InfoSection cpu("CPU");
  AddProcessCpu(&cpu);
  sections.push_back(std::move(cpu));

  InfoSection commands("Commandstats", /*in_default=*/false);
  for (size_t i = 0; i < kCommandCount; ++i) {
    const CommandSum sum = metrics_.Command(static_cast<int>(i));
    if (sum.calls + sum.rejected > 0) {
      commands.Add(
          fmt::format("cmdstat_{}", kCommands[i].name),
          fmt::format("calls={},usec={},usec_per_call={:.2f},rejected_calls={},failed_calls={}",
                      sum.calls, sum.micros,
                      sum.calls == 0
                          ? 0.0
                          : static_cast<double>(sum.micros) / static_cast<double>(sum.calls),
                      sum.rejected, sum.failed));
    }
  }
  sections.push_back(std::move(commands));

  InfoSection errors("Errorstats");
  for (int i = 1; i < kCodeCount; ++i) {
    const uint64_t count = metrics_.Errors(static_cast<Code>(i));
    if (count > 0) {
      errors.Add(fmt::format("errorstat_{}", CodeName(static_cast<Code>(i))),
                 fmt::format("count={}", count));
    }
  }
  sections.push_back(std::move(errors));

  InfoSection cluster("Cluster");
  cluster.Add("cluster_enabled", 0).Add("map_epoch", static_cast<int64_t>(value(kNode_map_epoch)));
  sections.push_back(std::move(cluster));

  InfoSection keyspace("Keyspace");
  if (value(kNode_keys) > 0) {
    keyspace.Add("db0", fmt::format("keys={},expires={},avg_ttl=0", value(kNode_keys),
                                    value(kNode_expires)));
  }
  sections.push_back(std::move(keyspace));
  return sections;
}

}  // namespace kvs
