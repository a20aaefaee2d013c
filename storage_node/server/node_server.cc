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
#include "storage_node/keys/key_codec.h"
#include "storage_node/script/function_interpreter.h"
#include "storage_node/server/key_event_messages.h"
#include "storage_node/server/tracked_writes.h"

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

// Libraries that are on the disk have been loaded before: they get more time than by a client.
constexpr int64_t kLoadingMicros = 10'000'000;

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
      tracking_(DeliverTo(&clients_), NoteBrokenIn(&clients_)),
      topology_(NodeTopology::Standalone()) {}

NodeServer::~NodeServer() {
  if (migrate_pool_ != nullptr) {
    migrate_pool_->Stop();
  }
  if (script_worker_ != nullptr) {
    script_worker_->Stop();
  }
  if (sweeper_ != nullptr) {
    sweeper_->Stop();
  }
  workers_.clear();
  sweeper_.reset();
}

Status NodeServer::Start() {
  KVS_RETURN_IF_ERROR(OpenDirectory());
  KVS_RETURN_IF_ERROR(LoadMap());
  KVS_RETURN_IF_ERROR(OpenStore());
  LoadFunctions();
  ConnectMetrics();
  sweeper_ = std::make_unique<SweeperThread>(store_.get(), loop_->clock());
  diagnostics_.Configure(*start_options_);
  monitors_.set_sample(start_options_->monitor_sample);
  config_->AddListener([this](const NodeOptionsPtr& before, const NodeOptionsPtr& after) {
    diagnostics_.Configure(*after);
    monitors_.set_sample(after->monitor_sample);
    SetEventKinds(*after);  // At once: what comes after CONFIG SET is told.
    ConfigureAcl(*before, *after, &acl_);
    loop_->PostAlways([this, before, after] { OnOptions(*before, after); });
  });
  SetEventKinds(*config_->current());
  sweeper_->set_event_sink([this](KeyEventKinds kinds, std::vector<KeyEvent> events) {
    for (KeyEvent& event : events) {
      for (Message& message : MessagesOf(kinds, std::move(event))) {
        pubsub_.Publish(std::move(message));
      }
    }
  });
  tracking_.set_max_keys(static_cast<size_t>(start_options_->tracking_table_max_keys));
  sweeper_->set_tracked_sink(&tracking_.count(), [this](Txn::TrackedWrites writes) {
    TellTrackedWrites(std::move(writes), &tracking_);
  });
  KVS_RETURN_IF_ERROR(StartWorkers());
  sweeper_->set_on_expired([this, cells = metrics_.NewCells()](const std::string& key) {
    cells->Increment(kNode_expired_keys_total);
    if (blocked_.HasAnEnd(key)) {
      workers_.front()->OfferKey(key);
    }
  });
  if (store_->has_binlog()) {
    sweeper_->Start();
  }
  GovernMemory();
  rate_timer_ = loop_->Every(kRatePeriodMs, [this] { SampleRates(); });
  memory_timer_ = loop_->Every(kMemoryPeriodMs, [this] { GovernMemory(); });
  return Status::Ok();
}

void NodeServer::Serve() {
  script_worker_->StartThread();
  migrate_pool_->StartThreads();
  for (const auto& worker : workers_) {
    worker->StartThread();
  }
  KVS_LOG(kInfo, "node {} serves on port {} with {} keys; log replayed: {} records", node_id_,
          port_, store_->slots().total_keys(), store_->replayed_records());
}

Status NodeServer::Stop() {
  loop_->Cancel(std::exchange(rate_timer_, kNoTimer));
  loop_->Cancel(std::exchange(memory_timer_, kNoTimer));
  if (migrate_pool_ != nullptr) {
    migrate_pool_->Stop();  // First: others may wait for what it holds, a script too.
  }
  if (script_worker_ != nullptr) {
    script_worker_->Stop();  // Likewise.
  }
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

// One that cannot be loaded is told in the log, and stays on the disk until it is replaced or
// flushed: the node serves without it.
void NodeServer::LoadFunctions() {
  const std::string prefix = LibraryPrefix();
  const Result<std::unique_ptr<MergedIterator>> it =
      store_->NewIterator(kNodeSlot, prefix, PrefixEnd(prefix));
  if (!it.ok()) {
    KVS_LOG(kError, "the libraries of functions cannot be read: {}", it.status().message());
    return;
  }
  FunctionInterpreter interpreter(ToInt(start_options_->script_memory_limit));
  FunctionSet set;
  for ((*it)->SeekToFirst(); (*it)->Valid(); (*it)->Next()) {
    const std::string name((*it)->key().substr(prefix.size()));
    LoadingHost host(loop_->clock(), loop_->clock()->MonotonicMicros() + kLoadingMicros);
    const Status status = [&]() -> Status {
      KVS_ASSIGN_OR_RETURN(const std::string_view text, DecodeLibrary((*it)->value()));
      KVS_ASSIGN_OR_RETURN(const LibraryPtr library, interpreter.Load(text, &host));
      return library->name == name ? set.Add(library, SIZE_MAX)
                                   : Status::Corruption("its text has another name");
    }();
    interpreter.Retain(FunctionSet());  // Each was loaded by itself once.
    if (!status.ok()) {
      KVS_LOG(kError, "the library of functions {} cannot be loaded, FCALL does not find it: {}",
              QuoteForLog(name), status.message());
    }
  }
  if (!(*it)->status().ok()) {
    KVS_LOG(kError, "some libraries of functions cannot be read: {}", (*it)->status().message());
  }
  if (!set.libraries().empty()) {
    KVS_LOG(kInfo, "{} libraries with {} functions are loaded", set.libraries().size(),
            set.function_count());
    functions_.Publish(std::make_shared<const FunctionSet>(std::move(set)));
  }
}

Status NodeServer::StartWorkers() {
  KVS_ASSIGN_OR_RETURN(renames_, RenamedCommands::Make(start_options_->rename_command));
  ServiceContext service;
  service.config = config_;
  service.clients = &clients_;
  service.pause = &pause_;
  service.diagnostics = &diagnostics_;
  service.monitors = &monitors_;
  service.tracking = &tracking_;
  service.renames = &renames_;
  service.metrics = &metrics_;
  service.clock = loop_->clock();
  KVS_RETURN_IF_ERROR(acl_.Open(start_options_->aclfile,
                                DefaultChannelsOf(start_options_->acl_pubsub_default),
                                start_options_->requirepass));
  acl_.log()->Configure(start_options_->acllog_max_len);
  service.acl = &acl_;
  service.cluster = topology_->cluster;
  service.mode = start_options_->config_servers.empty() ? "standalone" : "cluster";
  service.unblock = [this](uint64_t client_id, bool with_error) {
    return blocked_.Unblock(client_id, with_error);
  };
  service.info_sections = [this] { return Info(); };
  service.log_offset = [this] { return store_->pipeline().appended_lsn(); };
  service.memory_parts = [this] { return MemoryParts(); };
  service.shutdown = [this](bool force) { return Shutdown(force); };
  scripts_ = std::make_unique<ScriptCache>(ToInt(start_options_->script_cache_size));
  script_worker_ =
      std::make_unique<ScriptWorker>(Dispatcher::Parts{.store = store_.get(),
                                                       .scan_cursors = scan_cursors_.get(),
                                                       .sweeper = sweeper_.get(),
                                                       .blocked = &blocked_,
                                                       .metrics = metrics_.NewCells(),
                                                       .pubsub = &pubsub_,
                                                       .tracking = &tracking_,
                                                       .scripts = scripts_.get(),
                                                       .functions = &functions_,
                                                       .running_scripts = &running_scripts_,
                                                       .script_jobs = nullptr,
                                                       .migrations = nullptr,
                                                       .service = nullptr,
                                                       .loop = nullptr,
                                                       .txn = nullptr,
                                                       .host = nullptr},
                                     service, start_options_, topology_);
  migrate_pool_ = std::make_unique<MigratePool>(
      MigrateWorker::Parts{
          .store = store_.get(),
          .blocked = &blocked_,
          .pubsub = &pubsub_,
          .tracking = &tracking_,
          .config = config_,
          .offer = [this](const std::string& key) { workers_.front()->OfferKey(key); }},
      topology_);
  const int64_t threads = IoThreadCount(*start_options_);
  for (int64_t i = 0; i < threads; ++i) {
    workers_.push_back(std::make_unique<IoWorker>(
        fmt::format("io-{}", i + 1), IoWorker::Parts{.store = store_.get(),
                                                     .scan_cursors = scan_cursors_.get(),
                                                     .sweeper = sweeper_.get(),
                                                     .blocked = &blocked_,
                                                     .metrics = metrics_.NewCells(),
                                                     .pubsub = &pubsub_,
                                                     .tracking = &tracking_,
                                                     .scripts = scripts_.get(),
                                                     .functions = &functions_,
                                                     .running_scripts = &running_scripts_,
                                                     .script_jobs = script_worker_.get(),
                                                     .migrations = migrate_pool_.get(),
                                                     .service = service,
                                                     .options = start_options_,
                                                     .topology = topology_}));
  }
  acl_.AddListener([this] {
    for (const auto& worker : workers_) {
      worker->ReviewUsers();
    }
  });
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

void NodeServer::SetEventKinds(const NodeOptions& options) {
  const Result<KeyEventKinds> kinds = ParseKeyEventKinds(options.notify_keyspace_events);
  store_->SetEventKinds(kinds.ok() ? *kinds : 0);  // The option's letters have been checked.
}

void NodeServer::OnOptions(const NodeOptions& before, const NodeOptionsPtr& after) {
  if (before.loglevel != after->loglevel) {
    const Result<LogLevel> level = ParseLogLevel(after->loglevel);
    if (level.ok()) {
      SetLogLevel(*level);
    }
  }
  GovernMemory();
  tracking_.set_max_keys(static_cast<size_t>(after->tracking_table_max_keys));
  store_->SetLogRetention(ToInt(after->binlog_keep_size), after->binlog_keep_time.count());
  if (before.binlog_sync != after->binlog_sync) {
    store_->pipeline().SetPolicy(ParseSyncPolicy(after->binlog_sync));
  }
  script_worker_->SetOptions(after);
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
  if (script_worker_ != nullptr) {
    script_worker_->SetTopology(topology_);
    migrate_pool_->SetTopology(topology_);
  }
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
  source(kNode_swept_records_total,
         [this] { return sweeper_ != nullptr ? sweeper_->stats().dead_records : 0; });
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
