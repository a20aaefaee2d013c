#include "storage_node/check/data_check.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>
#include <utility>

#include "common/base/file.h"
#include "common/base/strings.h"
#include "storage_node/binlog/binlog_reader.h"
#include "storage_node/binlog/binlog_recovery.h"
#include "storage_node/cache/record_cache.h"
#include "storage_node/commit/data_dir.h"
#include "storage_node/commit/slot_table.h"
#include "storage_node/commit/store.h"
#include "storage_node/engine/leveldb_engine.h"
#include "storage_node/keys/key_codec.h"

namespace kvs {
namespace {

constexpr size_t kBlockCacheBytes = size_t{8} << 20;

// An entry of the expiry index, as it is or as it should be.
struct Expiry {
  uint64_t time_ms = 0;
  std::string key;
  auto operator<=>(const Expiry&) const = default;
};

class DataChecker {
 public:
  explicit DataChecker(const DataDir& dir)
      : dir_(dir),
        engines_(static_cast<size_t>(dir.instance_count())),
        fresh_({.instance_count = dir.instance_count(), .clean_bytes = 0}) {}

  DataCheckReport Run() {
    OpenEngines();
    if (CheckLog()) {
      LoadFresh();
    }
    for (int slot = 0; slot < kNodeSlotCount; ++slot) {
      if (EngineFor(static_cast<uint16_t>(slot)) != nullptr) {
        CheckSlot(static_cast<uint16_t>(slot));
        CheckGapBehind(static_cast<uint16_t>(slot));
      }
    }
    return std::move(report_);
  }

 private:
  // What one slot has, seen in the order of its keys.
  struct SlotFindings {
    SlotMeta meta;
    uint64_t keys = 0;
    uint64_t expires = 0;
    std::vector<Expiry> wanted;  // By the metadata records.
    std::vector<Expiry> index;
  };

  template <typename... Args>
  void Problem(fmt::format_string<Args...> format, Args&&... args) {
    if (++report_.problem_count <= kMaxListedProblems) {
      report_.problems.push_back(fmt::format(format, std::forward<Args>(args)...));
    }
  }

  std::string EnginePath(int instance) const {
    return fmt::format("{}/engine/{}", dir_.path(), instance);
  }
  int InstanceOf(uint16_t slot) const { return slot % dir_.instance_count(); }
  Engine* EngineFor(uint16_t slot) { return engines_[static_cast<size_t>(InstanceOf(slot))].get(); }

  void OpenEngines();
  bool CheckLog();
  void LoadFresh();
  Status ReplayInto(RecordCache* fresh);
  void CheckSlot(uint16_t slot);
  std::optional<SlotMeta> ReadSlotMeta(uint16_t slot);
  void CheckRecord(uint16_t slot, const MergedIterator& it, SlotFindings* findings);
  void CheckMetadata(const DecodedKey& key, std::string_view value, SlotFindings* findings);
  void CompareSlot(uint16_t slot, SlotFindings* findings);
  void CompareIndex(uint16_t slot, SlotFindings* findings);
  void CheckGapBehind(uint16_t slot);

  const DataDir& dir_;
  DataCheckReport report_;
  std::vector<std::unique_ptr<Engine>> engines_;  // nullptr: cannot be opened.
  RecordCache fresh_;                             // What a start would replay.
};

void DataChecker::OpenEngines() {
  LevelDbOptions options;
  options.block_cache = NewSharedBlockCache(kBlockCacheBytes);
  for (int i = 0; i < dir_.instance_count(); ++i) {
    const std::string path = EnginePath(i);
    if (!FileSize(path + "/CURRENT").ok()) {
      Problem("{}: the instance is missing (it has no file CURRENT)", path);
      continue;
    }
    Result<std::unique_ptr<LevelDbEngine>> engine = LevelDbEngine::Open(path, options);
    if (!engine.ok()) {
      Problem("{}: cannot be opened: {}", path, engine.status().message());
      continue;
    }
    engines_[static_cast<size_t>(i)] = *std::move(engine);
  }
}

// Returns whether the log can be replayed.
bool DataChecker::CheckLog() {
  std::vector<uint64_t> applied;
  for (const auto& engine : engines_) {
    if (engine != nullptr) {
      applied.push_back(engine->AppliedLsn());
    }
  }
  const std::string dir = dir_.path() + "/binlog";
  const Result<RecoveredLog> log = ExamineBinlog(dir, applied);
  if (!log.ok()) {
    Problem("{}: cannot be read: {}", dir, log.status().message());
    return false;
  }
  report_.first_lsn = log->first_lsn;
  report_.last_lsn = log->last_lsn;
  if (log->damage.has_value()) {
    Problem("{} at offset {}: {}", log->damage->file, log->damage->offset, log->damage->reason);
    return false;
  }
  if (log->cut_bytes > 0) {
    report_.notes.push_back(fmt::format(
        "the log has a torn tail of {} bytes behind record {}, which the next start cuts off",
        log->cut_bytes, log->last_lsn));
  }
  return true;
}

void DataChecker::LoadFresh() {
  const Status status = ReplayInto(&fresh_);
  if (!status.ok()) {
    Problem("{}/binlog: cannot be replayed: {}", dir_.path(), status.message());
  }
}

Status DataChecker::ReplayInto(RecordCache* fresh) {
  std::vector<uint64_t> applied;
  for (const auto& engine : engines_) {
    applied.push_back(engine != nullptr ? engine->AppliedLsn() : report_.last_lsn);
  }
  const uint64_t from = *std::min_element(applied.begin(), applied.end()) + 1;
  if (from > report_.last_lsn) {
    return Status::Ok();
  }
  KVS_ASSIGN_OR_RETURN(const std::unique_ptr<BinlogReader> reader,
                       BinlogReader::Open(dir_.path() + "/binlog", from));
  while (reader->next_lsn() <= report_.last_lsn) {
    KVS_ASSIGN_OR_RETURN(const BinlogRecord record, reader->Next());
    BinlogOpIterator it = record.iterator();
    BinlogOp op;
    while (it.Next(&op)) {
      if (record.stamp.lsn > applied[static_cast<size_t>(InstanceOf(op.slot))]) {
        fresh->Apply(op.slot, {op.type == BinlogOpType::kDelete, op.key, op.value});
      }
    }
    ++report_.replay_records;
  }
  return Status::Ok();
}

std::optional<SlotMeta> DataChecker::ReadSlotMeta(uint16_t slot) {
  const std::string key = SlotMetaKey(slot);
  std::string value;
  RecordCache::Ticket ticket;
  if (fresh_.Get(slot, key, &value, &ticket) != RecordCache::Found::kValue) {
    const Status status = EngineFor(slot)->Get(key, &value);
    if (status.code() == Code::kNotFound) {
      return SlotMeta();
    }
    if (!status.ok()) {
      Problem("slot {}: its meta record cannot be read: {}", slot, status.message());
      return std::nullopt;
    }
  }
  Result<SlotMeta> meta = DecodeSlotMeta(value);
  if (!meta.ok()) {
    Problem("{}: slot {}: {}", EnginePath(InstanceOf(slot)), slot, meta.status().message());
    return std::nullopt;
  }
  return *std::move(meta);
}

void DataChecker::CheckSlot(uint16_t slot) {
  const std::optional<SlotMeta> meta = ReadSlotMeta(slot);
  if (!meta.has_value()) {
    return;
  }
  SlotFindings findings;
  findings.meta = *meta;
  const std::string lower = GenerationLower(slot, kMetaGeneration);
  const std::string upper = PrefixEnd(lower.substr(0, sizeof(slot)));
  Result<std::unique_ptr<EngineIterator>> engine =
      EngineFor(slot)->NewIterator({.range = {lower, upper}, .fill_cache = false});
  if (!engine.ok()) {
    Problem("slot {}: {}", slot, engine.status().message());
    return;
  }
  MergedIterator it(fresh_.FreshRange(slot, lower, upper), *std::move(engine));
  for (it.SeekToFirst(); it.Valid(); it.Next()) {
    report_.bytes += it.key().size() + it.value().size();
    CheckRecord(slot, it, &findings);
  }
  if (!it.status().ok()) {
    Problem("slot {}: {}", slot, it.status().message());
    return;
  }
  CompareSlot(slot, &findings);
}

void DataChecker::CheckRecord(uint16_t slot, const MergedIterator& it, SlotFindings* findings) {
  const Result<DecodedKey> key = DecodeKey(it.key());
  if (!key.ok()) {
    Problem("{}: slot {}: key {}: {}", EnginePath(InstanceOf(slot)), slot, QuoteForLog(it.key()),
            key.status().message());
    return;
  }
  if (key->tag == KeyTag::kSlotMeta) {
    return;  // Read before.
  }
  if (key->generation < findings->meta.live_generation) {
    ++report_.dead_records;
    return;
  }
  if (key->generation > findings->meta.live_generation) {
    Problem("{}: slot {}: key {} is of generation {}, and the slot is at {}",
            EnginePath(InstanceOf(slot)), slot, QuoteForLog(key->user_key), key->generation,
            findings->meta.live_generation);
    return;
  }
  switch (key->tag) {
    case KeyTag::kMetadata:
      CheckMetadata(*key, it.value(), findings);
      return;
    case KeyTag::kExpiry:
      findings->index.push_back({key->time_ms, std::string(key->user_key)});
      return;
    case KeyTag::kElement:
      Problem("{}: slot {}: key {} has an element, and no type of this release has any",
              EnginePath(InstanceOf(slot)), slot, QuoteForLog(key->user_key));
      return;
    case KeyTag::kSlotMeta:
      return;
  }
}

void DataChecker::CheckMetadata(const DecodedKey& key, std::string_view value,
                                SlotFindings* findings) {
  ++findings->keys;
  ++report_.keys;
  const Result<Metadata> metadata = DecodeMetadata(value);
  if (!metadata.ok()) {
    Problem("{}: slot {}: key {}: {}", EnginePath(InstanceOf(key.slot)), key.slot,
            QuoteForLog(key.user_key), metadata.status().message());
    return;
  }
  if (metadata->expire_at_ms != 0) {
    ++report_.expires;
    findings->wanted.push_back({metadata->expire_at_ms, std::string(key.user_key)});
  }
}

void DataChecker::CompareSlot(uint16_t slot, SlotFindings* findings) {
  const SlotMeta& meta = findings->meta;
  if (findings->keys != meta.key_count) {
    Problem("slot {}: it has {} keys, and its meta record says {}", slot, findings->keys,
            meta.key_count);
  }
  if (findings->wanted.size() != meta.expires_count) {
    Problem("slot {}: {} of its keys expire, and its meta record says {}", slot,
            findings->wanted.size(), meta.expires_count);
  }
  CompareIndex(slot, findings);
}

void DataChecker::CompareIndex(uint16_t slot, SlotFindings* findings) {
  std::vector<Expiry>& wanted = findings->wanted;
  std::sort(wanted.begin(), wanted.end());  // The index has this order already.
  std::vector<Expiry> missing;
  std::set_difference(wanted.begin(), wanted.end(), findings->index.begin(), findings->index.end(),
                      std::back_inserter(missing));
  std::vector<Expiry> stray;
  std::set_difference(findings->index.begin(), findings->index.end(), wanted.begin(), wanted.end(),
                      std::back_inserter(stray));
  for (const Expiry& expiry : missing) {
    Problem("slot {}: key {} expires at {}, and the expiry index does not have it", slot,
            QuoteForLog(expiry.key), expiry.time_ms);
  }
  for (const Expiry& expiry : stray) {
    Problem("slot {}: the expiry index has key {} at {}, and the key does not expire then", slot,
            QuoteForLog(expiry.key), expiry.time_ms);
  }
}

// Looks for what lies between this slot and the next one of the same instance.
void DataChecker::CheckGapBehind(uint16_t slot) {
  const int next = slot + dir_.instance_count();
  const auto first_behind = [](int s) { return GenerationLower(static_cast<uint16_t>(s), 0); };
  const bool is_first = slot < dir_.instance_count();
  std::vector<EngineRange> gaps;
  if (is_first) {
    gaps.push_back({"", first_behind(slot)});
  }
  gaps.push_back({PrefixEnd(first_behind(slot).substr(0, sizeof(slot))),
                  next < kNodeSlotCount ? first_behind(next) : ""});
  for (const EngineRange& gap : gaps) {
    const Result<std::unique_ptr<EngineIterator>> it =
        EngineFor(slot)->NewIterator({.range = gap, .fill_cache = false});
    if (!it.ok()) {
      return;  // The slot's own check has said so.
    }
    (*it)->SeekToFirst();
    if ((*it)->Valid()) {
      Problem("{}: key {} belongs to another instance", EnginePath(InstanceOf(slot)),
              QuoteForLog((*it)->key()));
    } else if (!(*it)->status().ok()) {
      Problem("behind slot {}: {}", slot, (*it)->status().message());
    }
  }
}

}  // namespace

Result<DataCheckReport> CheckData(const std::string& dir) {
  if (::access(dir.c_str(), W_OK) != 0 && errno == EROFS) {
    // Else each instance would be reported as damaged, which says nothing about the data.
    return Status::IoError(
        fmt::format("'{}' is on a read-only disk, and LevelDB writes a file of its own to open an "
                    "instance; check a copy",
                    dir));
  }
  KVS_ASSIGN_OR_RETURN(const DataDir data_dir, DataDir::OpenExisting(dir));
  return DataChecker(data_dir).Run();
}

std::string FormatDataCheck(const std::string& dir, const DataCheckReport& report) {
  std::string out;
  for (const std::string& problem : report.problems) {
    out += fmt::format("problem: {}\n", problem);
  }
  if (report.problem_count > report.problems.size()) {
    out +=
        fmt::format("problem: {} more like these\n", report.problem_count - report.problems.size());
  }
  for (const std::string& note : report.notes) {
    out += fmt::format("note: {}\n", note);
  }
  out += fmt::format("log: records {} to {}; a start replays {}\n", report.first_lsn,
                     report.last_lsn, report.replay_records);
  out += fmt::format("keys: {}, {} of them with an expiry; {} bytes; {} records to be swept\n",
                     report.keys, report.expires, report.bytes, report.dead_records);
  out += report.ok() ? fmt::format("{}: ok\n", dir)
                     : fmt::format("{}: {} problems\n", dir, report.problem_count);
  return out;
}

}  // namespace kvs
