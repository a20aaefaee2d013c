#include "storage_node/server/node_server.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "common/base/allocator.h"
#include "common/base/build_info.h"
#include "common/base/logging.h"
#include "common/base/random.h"
#include "common/base/strings.h"
#include "common/net/socket.h"

namespace kvs {
namespace {

constexpr int64_t kRatePeriodMs = 100;
constexpr int64_t kMemoryPeriodMs = 1000;

std::vector<std::string> CommandNames() {
  std::vector<std::string> names;
  for (const CommandSpec& spec : kCommands) {
    names.emplace_back(spec.name);
  }
  return names;
}

// Keeps a text that is written once: returns the file's content, or writes `fresh`.
Result<std::string> LoadOrWrite(const std::string& path, const std::string& fresh) {
  Result<std::string> content = ReadFile(path, 4096);
  if (content.ok()) {
    return std::string(TrimSpaces(*content));
  }
  if (content.status().code() != Code::kNotFound) {
    return content.status();
  }
  KVS_RETURN_IF_ERROR(WriteFileAtomic(path, fresh + "\n"));
  return fresh;
}

}  // namespace

NodeServer::NodeServer(EventLoop* loop, ConfigStore<NodeOptions>* config)
    : loop_(loop),
      config_(config),
      start_options_(config->current()),
      started_ms_(loop->clock()->WallMillis()),
      run_id_(RandomHexId()),
      metrics_("kvs_node_", NodeMetricRows(), CommandNames()),
      topology_(NodeTopology::Standalone()) {}

NodeServer::~NodeServer() {
  workers_.clear();
  sweeper_.reset();
}

Status NodeServer::Start() {
  KVS_RETURN_IF_ERROR(OpenDirectory());
  KVS_RETURN_IF_ERROR(LoadMap());
  KVS_RETURN_IF_ERROR(OpenStore());
  ConnectMetrics();
  sweeper_ = std::make_unique<SweeperThread>(store_.get(), loop_->clock());
  diagnostics_.Configure(*start_options_);
  config_->AddListener([this](const NodeOptionsPtr& before, const NodeOptionsPtr& after) {
    diagnostics_.Configure(*after);
    loop_->PostAlways([this, before, after] { OnOptions(*before, after); });
  });
  KVS_RETURN_IF_ERROR(StartWorkers());
  if (store_->has_binlog()) {
    sweeper_->Start();
  }
  GovernMemory();
  rate_timer_ = loop_->Every(kRatePeriodMs, [this] { SampleRates(); });
  memory_timer_ = loop_->Every(kMemoryPeriodMs, [this] { GovernMemory(); });
  return Status::Ok();
}

void NodeServer::Serve() {
  for (const auto& worker : workers_) {
    worker->StartThread();
  }
  KVS_LOG(kInfo, "node {} serves on port {} with {} keys; log replayed: {} records", node_id_,
          port_, store_->slots().total_keys(), store_->replayed_records());
}

Status NodeServer::Stop() {
  loop_->Cancel(std::exchange(rate_timer_, kNoTimer));
  loop_->Cancel(std::exchange(memory_timer_, kNoTimer));
  if (sweeper_ != nullptr) {
    sweeper_->Stop();
  }
  for (const auto& worker : workers_) {
    worker->Stop();
  }
  workers_.clear();
  if (!unix_socket_.empty()) {
    (void)RemoveFile(std::exchange(unix_socket_, {})).ok();
  }
  return store_ == nullptr ? Status::Ok() : store_->Close();
}

Status NodeServer::OpenDirectory() {
  dir_ = start_options_->dir;
  if (dir_.empty()) {
    return Status::InvalidArgument("no data directory: give --dir");
  }
  KVS_ASSIGN_OR_RETURN(DataDir data_dir,
                       DataDir::OpenOrCreate(dir_, static_cast<int>(start_options_->instances)));
  data_dir_ = std::make_unique<DataDir>(std::move(data_dir));
  return LoadOrMakeNodeId();
}

Status NodeServer::LoadOrMakeNodeId() {
  KVS_ASSIGN_OR_RETURN(node_id_, LoadOrWrite(dir_ + "/node-id", RandomHexId()));
  const bool hex = node_id_.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (node_id_.size() != 40 || !hex) {
    return Status::Corruption(
        fmt::format("'{}/node-id' does not hold 40 hexadecimal digits", dir_));
  }
  return Status::Ok();
}

Status NodeServer::LoadMap() {
  if (start_options_->config_servers.empty()) {
    return Status::Ok();
  }
  SlotMapPtr map;
  const Result<std::string> text = ReadFile(dir_ + "/map.json");
  if (text.ok()) {
    KVS_ASSIGN_OR_RETURN(map, SlotMap::Parse(*text));
  } else if (text.status().code() != Code::kNotFound) {
    return text.status();
  }
  PublishTopology(NodeTopology::Managed(node_id_, std::move(map)));
  return Status::Ok();
}

Status NodeServer::OpenStore() {
  StoreOptions options;
  options.dir = dir_;
  options.instance_count = data_dir_->instance_count();
  options.binlog_segment_size = ToInt(start_options_->binlog_segment_size);
  options.max_replay_bytes = ToInt(start_options_->binlog_max_replay);
  options.keep_log_bytes = ToInt(start_options_->binlog_keep_size);
  options.keep_log_ms = start_options_->binlog_keep_time.count();
  options.sync_policy = ParseSyncPolicy(start_options_->binlog_sync);
  options.record_cache_bytes = ToInt(start_options_->record_cache_size);
  options.write_behind_bytes = ToInt(start_options_->write_behind_size);
  options.engines.block_cache_bytes = ToInt(start_options_->block_cache_size);
  options.engines.max_background_jobs = static_cast<int>(BackgroundJobCount(*start_options_));
  options.engines.leveldb.write_buffer_size = ToInt(start_options_->write_buffer_size);
  options.engines.leveldb.max_open_files = static_cast<int>(start_options_->max_open_files);
  options.engines.leveldb.compression = start_options_->compression;
  KVS_ASSIGN_OR_RETURN(store_, Store::Open(options, loop_->clock()));
  scan_cursors_ = std::make_unique<ScanCursors>();
  return Status::Ok();
}

Status NodeServer::StartWorkers() {
  KVS_ASSIGN_OR_RETURN(renames_, RenamedCommands::Make(start_options_->rename_command));
  ServiceContext service;
  service.config = config_;
  service.clients = &clients_;
  service.pause = &pause_;
  service.diagnostics = &diagnostics_;
  service.monitors = &monitors_;
  service.renames = &renames_;
  service.metrics = &metrics_;
  service.clock = loop_->clock();
  service.requirepass = start_options_->requirepass;
  service.cluster = topology_->cluster;
  service.mode = start_options_->config_servers.empty() ? "standalone" : "cluster";
  service.info_sections = [this] { return Info(); };
  service.memory_parts = [this] { return MemoryParts(); };
  service.shutdown = [this](bool force) { return Shutdown(force); };
  const int64_t threads = IoThreadCount(*start_options_);
  for (int64_t i = 0; i < threads; ++i) {
    workers_.push_back(std::make_unique<IoWorker>(
        fmt::format("io-{}", i + 1), IoWorker::Parts{.store = store_.get(),
                                                     .scan_cursors = scan_cursors_.get(),
                                                     .sweeper = sweeper_.get(),
                                                     .metrics = metrics_.NewCells(),
                                                     .service = service,
                                                     .options = start_options_,
                                                     .topology = topology_}));
  }
  return ListenAll();
}

// Every loop has a listener of its own on the TCP port; the kernel spreads the connections.
Status NodeServer::ListenAll() {
  auto port = static_cast<uint16_t>(start_options_->port);
  if (start_options_->bind.empty()) {
    return Status::InvalidArgument("no address to listen on: give --bind");
  }
  // SO_REUSEPORT would let two programs share the port unnoticed: the first bind is exclusive.
  {
    KVS_ASSIGN_OR_RETURN(const UniqueFd probe,
                         ListenTcp(start_options_->bind.front(), port, ListenOptions{}));
    port = LocalPort(probe.get());
  }
  port_ = port;
  for (const std::string& host : start_options_->bind) {
    for (const auto& worker : workers_) {
      KVS_ASSIGN_OR_RETURN(UniqueFd socket, ListenTcp(host, port, {.reuse_port = true}));
      KVS_RETURN_IF_ERROR(worker->Listen(std::move(socket)));
    }
  }
  if (!start_options_->unixsocket.empty()) {
    KVS_ASSIGN_OR_RETURN(const int mode, ModeFromOctalDigits(start_options_->unixsocketperm));
    KVS_ASSIGN_OR_RETURN(UniqueFd socket, ListenUnix(start_options_->unixsocket, mode, {}));
    unix_socket_ = start_options_->unixsocket;
    KVS_RETURN_IF_ERROR(workers_.front()->Listen(std::move(socket)));
  }
  return Status::Ok();
}

void NodeServer::OnOptions(const NodeOptions& before, const NodeOptionsPtr& after) {
  if (before.loglevel != after->loglevel) {
    const Result<LogLevel> level = ParseLogLevel(after->loglevel);
    if (level.ok()) {
      SetLogLevel(*level);
    }
  }
  GovernMemory();
  store_->SetLogRetention(ToInt(after->binlog_keep_size), after->binlog_keep_time.count());
  if (before.binlog_sync != after->binlog_sync) {
    store_->pipeline().SetPolicy(ParseSyncPolicy(after->binlog_sync));
  }
  for (const auto& worker : workers_) {
    worker->SetOptions(after);
  }
}

void NodeServer::SampleRates() {
  const int64_t now_ms = loop_->clock()->MonotonicMillis();
  const auto sample = [&](RateMeter* meter, NodeMetric metric) {
    meter->Sample(now_ms, static_cast<uint64_t>(metrics_.Value(metric)));
  };
  sample(&rates_.requests, kNode_requests_total);
  sample(&rates_.input_bytes, kNode_input_bytes_total);
  sample(&rates_.output_bytes, kNode_output_bytes_total);
}

void NodeServer::GovernMemory() {
  const NodeOptionsPtr options = config_->current();
  MemoryState state{.resident = 0,
                    .limit = ToInt(options->maxmemory_soft),
                    .wanted_cache = ToInt(options->record_cache_size),
                    .cache = 0};
  if (state.limit != 0) {
    state.resident = ReadProcessMemory().resident;
    state.cache = store_->cache().stats().clean_bytes;
  }
  const bool was_exhausted = governor_.exhausted();
  const uint64_t budget = governor_.Decide(state);
  const bool cut = cache_budget_.exchange(budget, std::memory_order_relaxed) > budget;
  store_->cache().SetCleanBytes(budget);
  if (cut) {
    // Records that wait for the engine lie between those that went, and hold their pages.
    for (int i = 0; i < store_->engines().instance_count(); ++i) {
      store_->pipeline().RequestHandOver(i);
    }
    (void)PurgeAllocator();
  }
  if (governor_.exhausted() && !was_exhausted) {
    KVS_LOG(kWarning,
            "the process takes {} bytes with an empty record cache, and maxmemory-soft is {}: give "
            "it more, or lower block-cache-size, write-behind-size or write-buffer-size",
            state.resident, state.limit);
  }
}

Status NodeServer::SetMap(SlotMapPtr map) {
  if (map->epoch() <= topology_->epoch && topology_->map != nullptr &&
      map->name() == topology_->map->name()) {
    return Status::Ok();
  }
  // Persisted before it is acted on: epochs never run backwards, not over a crash either.
  KVS_RETURN_IF_ERROR(WriteFileAtomic(dir_ + "/map.json", map->ToJson().ToString() + "\n"));
  PublishTopology(NodeTopology::Managed(node_id_, std::move(map)));
  KVS_LOG(kInfo, "map of epoch {} in force: {} slots are owned here", topology_->epoch,
          topology_->owned.count());
  return Status::Ok();
}

Status NodeServer::LeaveNamespace(const std::string& name) {
  if (topology_->map == nullptr || topology_->map->name() != name) {
    return Status::Ok();
  }
  KVS_RETURN_IF_ERROR(RemoveFile(dir_ + "/map.json"));
  PublishTopology(NodeTopology::Managed(node_id_, nullptr));
  KVS_LOG(kInfo, "namespace {} is gone: no slot is owned here", name);
  return Status::Ok();
}

void NodeServer::PublishTopology(NodeTopologyPtr topology) {
  topology_ = std::move(topology);
  map_epoch_.store(static_cast<int64_t>(topology_->epoch), std::memory_order_relaxed);
  for (const auto& worker : workers_) {
    worker->SetTopology(topology_);
  }
}

std::string NodeServer::announced_address() const {
  if (!start_options_->announce.empty()) {
    return start_options_->announce;
  }
  return fmt::format("{}:{}", start_options_->bind.front(), port_);
}

Status NodeServer::Shutdown(bool force) {
  Status health = Health();
  if (!health.ok() && !force) {
    KVS_LOG(kWarning, "SHUTDOWN without FORCE is refused: {}", health.message());
    return health;
  }
  KVS_LOG(kInfo, "stopping: a client asked for it");
  loop_->Stop();
  return Status::Ok();
}

Status NodeServer::Health() const {
  return store_->WriteHealth();
}

void NodeServer::ConnectMetrics() {
  const auto stats = [this](auto member) {
    return [this, member] { return static_cast<int64_t>(store_->pipeline().stats().*member); };
  };
  metrics_.SetSource(kNode_binlog_records_total, stats(&CommitStats::records));
  metrics_.SetSource(kNode_binlog_appends_total, stats(&CommitStats::appends));
  metrics_.SetSource(kNode_binlog_syncs_total, stats(&CommitStats::syncs));
  metrics_.SetSource(kNode_binlog_delayed_total, stats(&CommitStats::delayed));
  metrics_.SetSource(kNode_commit_failures_total, stats(&CommitStats::failed));
  const auto source = [this](int metric, auto function) {
    metrics_.SetSource(metric, [function] { return static_cast<int64_t>(function()); });
  };
  source(kNode_keys, [this] { return store_->slots().total_keys(); });
  source(kNode_expires, [this] { return store_->slots().total_expires(); });
  source(kNode_binlog_appended_lsn, [this] { return store_->pipeline().appended_lsn(); });
  source(kNode_binlog_synced_lsn,
         [this] { return store_->has_binlog() ? store_->binlog().synced_lsn() : 0; });
  source(kNode_binlog_watermark_lsn, [this] { return store_->pipeline().watermark(); });
  source(kNode_binlog_bytes,
         [this] { return store_->has_binlog() ? store_->binlog().TotalBytes() : 0; });
  source(kNode_memtable_bytes, [this] {
    uint64_t bytes = 0;
    for (int i = 0; i < store_->engines().instance_count(); ++i) {
      bytes += store_->engines().engine(i)->Stats().memtable_bytes;
    }
    return bytes;
  });
  const auto cache = [this](int metric, uint64_t RecordCacheStats::*field) {
    metrics_.SetSource(
        metric, [this, field] { return static_cast<int64_t>(store_->cache().stats().*field); });
  };
  cache(kNode_record_cache_bytes, &RecordCacheStats::clean_bytes);
  cache(kNode_record_cache_entries, &RecordCacheStats::entries);
  cache(kNode_write_behind_bytes, &RecordCacheStats::fresh_bytes);
  cache(kNode_record_cache_hits_total, &RecordCacheStats::hits);
  cache(kNode_record_cache_misses_total, &RecordCacheStats::misses);
  cache(kNode_record_cache_evictions_total, &RecordCacheStats::evicted);
  source(kNode_record_cache_budget,
         [this] { return cache_budget_.load(std::memory_order_relaxed); });
  source(kNode_block_cache_bytes,
         [this] { return store_->engines().engine(0)->Stats().block_cache_bytes; });
}

}  // namespace kvs
