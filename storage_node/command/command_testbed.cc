#include "storage_node/command/command_testbed.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "gtest/gtest.h"

#include "common/base/check.h"
#include "common/base/file.h"
#include "common/base/random.h"
#include "common/base/strings.h"
#include "common/command/sort_request.h"
#include "storage_node/check/data_check.h"
#include "storage_node/command/command_handlers.h"
#include "storage_node/commit/data_dir.h"
#include "storage_node/types/keyspace.h"

namespace kvs {
namespace {

constexpr int kInstances = 2;

}  // namespace

CommandTestbed::CommandTestbed() : dir_(testing::TempDir() + "kvs_command_" + RandomHex(8)) {
  owned_slots_.set();
  KVS_CHECK(DataDir::OpenOrCreate(dir_, kInstances).ok());  // For CheckStoredData().
  Open();
}

CommandTestbed::~CommandTestbed() {
  sweeper_.reset();
  store_.reset();
  KVS_CHECK(RemoveTree(dir_).ok());
}

void CommandTestbed::Open() {
  StoreOptions options;
  options.dir = dir_;
  options.instance_count = kInstances;
  options.sync_policy = SyncPolicy::kNo;
  options.binlog_segment_size = 1 << 20;
  options.engines.block_cache_bytes = 8 << 20;
  Result<std::unique_ptr<Store>> store = Store::Open(options, &clock_);
  KVS_CHECK(store.ok());
  store_ = *std::move(store);
  cursors_ = std::make_unique<ScanCursors>();
  sweeper_ = std::make_unique<SweeperThread>(store_.get(), &clock_);
}

void CommandTestbed::Crash() {
  sweeper_.reset();
  store_.reset();
  Open();
}

void CommandTestbed::Restart() {
  KVS_CHECK(store_->Close().ok());
  Crash();
}

std::string CommandTestbed::CheckStoredData() {
  sweeper_.reset();
  store_.reset();
  std::string problems;
  const Result<DataCheckReport> report = CheckData(dir_);
  if (!report.ok()) {
    problems = report.status().ToString();
  } else if (!report->ok()) {
    problems = FormatDataCheck(dir_, *report);
  }
  Open();
  return problems;
}

std::string CommandTestbed::Run(std::string_view line) {
  std::vector<std::string> args;
  KVS_CHECK(SplitArguments(line, &args));
  return Run(args);
}

std::string CommandTestbed::Run(const std::vector<std::string>& args) {
  CommandClient client(this, 2);
  std::string reply = OnOneLine(client.RunRaw(args));
  hits_ = client.hits();
  misses_ = client.misses();
  return reply;
}

std::string CommandTestbed::CheckBookkeeping() {
  for (int i = 0; i < kSlotCount; ++i) {
    const auto slot = static_cast<uint16_t>(i);
    const SlotTable& slots = store_->slots();
    const uint32_t generation = slots.generation(slot);
    Result<std::unique_ptr<MergedIterator>> it = store_->NewIterator(
        slot, GenerationLower(slot, generation), GenerationUpper(slot, generation));
    KVS_CHECK(it.ok());
    uint64_t key_count = 0;
    std::set<std::pair<uint64_t, std::string>> expiries;
    std::set<std::pair<uint64_t, std::string>> index;
    std::set<uint64_t> unowned;  // Versions of elements, but those of keys and dead ones.
    for ((*it)->SeekToFirst(); (*it)->Valid(); (*it)->Next()) {
      const Result<DecodedKey> key = DecodeKey((*it)->key());
      KVS_CHECK(key.ok());
      if (key->tag == KeyTag::kExpiry) {
        index.emplace(key->time_ms, key->user_key);
        continue;
      }
      if (key->tag == KeyTag::kElement) {  // They come before what owns them.
        unowned.insert(key->version);
        continue;
      }
      if (key->tag == KeyTag::kDeadVersion) {
        unowned.erase(key->version);
        continue;
      }
      ++key_count;
      const Result<Metadata> metadata = DecodeMetadata((*it)->value());
      KVS_CHECK(metadata.ok());
      unowned.erase(metadata->version);
      if (metadata->expire_at_ms != 0) {
        expiries.emplace(metadata->expire_at_ms, key->user_key);
      }
    }
    const std::string where = "slot " + std::to_string(i) + ": ";
    if (key_count != slots.key_count(slot)) {
      return where + "key count " + std::to_string(slots.key_count(slot)) + ", has " +
             std::to_string(key_count);
    }
    if (expiries.size() != slots.expire_count(slot) || expiries != index) {
      return where + "the expiry index or count does not fit the records";
    }
    if (!unowned.empty()) {
      return where + "there are elements of no key";
    }
    if (!index.empty() && slots.due_ms(slot) > static_cast<int64_t>(index.begin()->first)) {
      return where + "is due too late";
    }
  }
  return "";
}

std::string CommandClient::Run(std::string_view line) {
  std::vector<std::string> args;
  KVS_CHECK(SplitArguments(line, &args));
  return OnOneLine(RunRaw(args));
}

std::string CommandClient::RunRaw(const std::vector<std::string>& args) {
  const std::vector<std::string_view> views(args.begin(), args.end());
  std::string out;
  const CommandSpec* spec = ResolveCommand(views);
  if (spec == nullptr) {
    RespWriter(protocol_, &out).Error(CommandError(views));
    return out;
  }
  txn_.Begin();
  std::vector<std::string_view> keys;
  (void)ForEachKey(*spec, views, [&keys](std::string_view key) { keys.push_back(key); });
  const bool locks = spec->is_write() || keys.size() > 1;
  if (ReadsKeysByPattern(*spec, views)) {
    txn_.LockAll();
  } else if (locks) {
    txn_.Lock(keys);
  }
  CommandContext ctx{.spec = *spec,
                     .args = views,
                     .txn = &txn_,
                     .reply = RespWriter(protocol_, &out),
                     .owned_slots = &testbed_->owned_slots(),
                     .scan_cursors = &testbed_->cursors(),
                     .sweeper = &testbed_->sweeper(),
                     .in_cluster = testbed_->in_cluster_,
                     .debug_allowed = testbed_->debug_allowed_,
                     .max_pattern_keys = testbed_->max_pattern_keys_,
                     .type_limits = testbed_->type_limits_};
  const Status status = HandlerOf(IdOf(*spec))(ctx);
  if (!locks && !keys.empty()) {
    txn_.Observe(keys[0]);
  }
  for (const std::string& key : ctx.expired_keys) {
    KVS_CHECK(DeleteIfExpired(&txn_, key).ok());
  }
  if (!status.ok()) {
    out.clear();
    ctx.reply.Error(status);
  }
  hits_ = ctx.keyspace_hits;
  misses_ = ctx.keyspace_misses;
  return out;
}

void CommandClient::Commit() {
  KVS_CHECK(txn_.Commit().ok());
}

std::string OnOneLine(std::string_view reply) {
  std::string line;
  for (size_t i = 0; i < reply.size(); ++i) {
    if (reply[i] == '\r' && i + 1 < reply.size() && reply[i + 1] == '\n') {
      ++i;
      line.append(i + 1 == reply.size() ? "" : " ");
    } else if (reply[i] >= ' ' && reply[i] <= '~') {
      line.push_back(reply[i]);
    } else {
      static constexpr char kHex[] = "0123456789abcdef";
      const auto byte = static_cast<unsigned char>(reply[i]);
      line.append("\\x").append({kHex[byte >> 4], kHex[byte & 15]});
    }
  }
  return line;
}

}  // namespace kvs
