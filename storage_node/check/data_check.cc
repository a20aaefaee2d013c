#include "storage_node/check/data_check.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "common/base/check.h"
#include "common/base/file.h"
#include "common/base/strings.h"
#include "storage_node/binlog/binlog_reader.h"
#include "storage_node/binlog/binlog_recovery.h"
#include "storage_node/cache/record_cache.h"
#include "storage_node/check/list_audit.h"
#include "storage_node/check/set_audit.h"
#include "storage_node/check/stream_audit.h"
#include "storage_node/check/string_audit.h"
#include "storage_node/check/zset_audit.h"
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
  bool operator==(const Expiry& other) const {
    return time_ms == other.time_ms && key == other.key;
  }
  bool operator<(const Expiry& other) const {
    return std::tie(time_ms, key) < std::tie(other.time_ms, other.key);
  }
};

// A part of what another iterator sees, which stays where it is afterwards.
class BorrowedIterator : public EngineIterator {
 public:
  // REQUIRES: `all` has no range of its own, and outlives this
  BorrowedIterator(EngineIterator* all, EngineRange range) : all_(all), range_(std::move(range)) {}

  bool Valid() const override {
    return all_->Valid() && all_->key() >= range_.lower &&
           (range_.upper.empty() || all_->key() < range_.upper);
  }
  void SeekToFirst() override { Seek(range_.lower); }
  void SeekToLast() override { KVS_CHECK(false); }  // Nobody walks backward here.
  void Seek(std::string_view target) override {
    all_->Seek(std::max<std::string_view>(target, range_.lower));
  }
  void Next() override { all_->Next(); }
  void Prev() override { KVS_CHECK(false); }
  std::string_view key() const override { return all_->key(); }
  std::string_view value() const override { return all_->value(); }
  Status status() const override { return all_->status(); }

 private:
  EngineIterator* const all_;
  const EngineRange range_;
};

class DataChecker {
 public:
  explicit DataChecker(const DataDir& dir)
      : dir_(dir),
        engines_(static_cast<size_t>(dir.instance_count())),
        probes_(static_cast<size_t>(dir.instance_count())),
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
    std::map<uint64_t, uint64_t> elements;        // Element records by version.
    std::map<uint64_t, std::string> collections;  // Keys by the version of their elements.
    // By version, whosever elements they are,
    std::map<uint64_t, ZSetAudit> zset_audits;
    std::map<uint64_t, ListAudit> list_audits;
    std::map<uint64_t, SetAudit> set_audits;
    std::map<uint64_t, StreamAudit> stream_audits;
    std::map<uint64_t, StringAudit> string_audits;
    // ...and what the keys tell.
    std::map<uint64_t, std::pair<uint64_t, ZSetHeader>> sorted_sets;
    std::map<uint64_t, std::pair<uint64_t, ListHeader>> lists;
    std::map<uint64_t, std::pair<uint64_t, StreamHeader>> streams;
    std::map<uint64_t, std::pair<uint64_t, uint8_t>> sets;
    std::map<uint64_t, uint64_t> strings;  // The lengths of those in chunks.
    std::set<uint64_t> dead_versions;
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
  // Whether the slot's instance has a key in the range, or may have one as far as can be read.
  // Asked in the order of the keys, so that no block is read twice for the slots in front of its
  // keys.
  bool MayHave(uint16_t slot, const EngineRange& range);
  // Returns an iterator of the slot's range: a part of the instance's one as long as that has met
  // no damage, which it would tell of at every slot behind.
  Result<std::unique_ptr<EngineIterator>> IterateSlot(uint16_t slot, const EngineRange& range);
  Status GetRecord(uint16_t slot, const std::string& key, std::string* value);
  bool CheckLog();
  void LoadFresh();
  Status ReplayInto(RecordCache* fresh);
  void CheckSlot(uint16_t slot);
  std::optional<SlotMeta> ReadSlotMeta(uint16_t slot);
  void CheckRecord(uint16_t slot, const MergedIterator& it, SlotFindings* findings);
  void CheckMetadata(const DecodedKey& key, std::string_view value, SlotFindings* findings);
  void CompareSlot(uint16_t slot, SlotFindings* findings);
  void CompareIndex(uint16_t slot, SlotFindings* findings);
  void CompareVersions(uint16_t slot, const SlotFindings& findings);
  void CheckSortedSet(const DecodedKey& key, const Metadata& metadata, SlotFindings* findings);
  void CheckSet(const DecodedKey& key, const Metadata& metadata, SlotFindings* findings);
  void CheckList(const DecodedKey& key, const Metadata& metadata, SlotFindings* findings);
  void CheckStream(const DecodedKey& key, const Metadata& metadata, SlotFindings* findings);
  // Compares what the elements are with what their keys tell.
  template <typename Audit, typename Told>
  void CompareTyped(uint16_t slot, const SlotFindings& findings, std::string_view type,
                    const std::map<uint64_t, Audit>& audits,
                    const std::map<uint64_t, std::pair<uint64_t, Told>>& all_told);
  void CompareStrings(uint16_t slot, const SlotFindings& findings);
  void CheckGapBehind(uint16_t slot);
  void CheckGap(uint16_t slot, const EngineRange& gap);
  // What the node has beside its slots.
  void CheckLibraries();

  const DataDir& dir_;
  DataCheckReport report_;
  std::vector<std::unique_ptr<Engine>> engines_;         // nullptr: cannot be opened.
  std::vector<std::unique_ptr<EngineIterator>> probes_;  // Of each engine: see MayHave().
  RecordCache fresh_;                                    // What a start would replay.
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

// A string of hundreds of megabytes is one block, which a fresh iterator reads to find the first
// key at or behind a place, and thousands of empty slots may lie in front of it.
bool DataChecker::MayHave(uint16_t slot, const EngineRange& range) {
  std::unique_ptr<EngineIterator>& probe = probes_[static_cast<size_t>(InstanceOf(slot))];
  if (probe == nullptr) {
    Result<std::unique_ptr<EngineIterator>> made =
        EngineFor(slot)->NewIterator({.fill_cache = false});
    if (!made.ok()) {
      return true;  // Who looks closer says why.
    }
    probe = *std::move(made);
    probe->SeekToFirst();
  }
  if (range.lower.empty()) {
    probe->SeekToFirst();
  } else if (probe->Valid() && probe->key() < range.lower) {
    probe->Seek(range.lower);
  }
  if (!probe->status().ok()) {
    return true;
  }
  return probe->Valid() && (range.upper.empty() || probe->key() < range.upper);
}

Result<std::unique_ptr<EngineIterator>> DataChecker::IterateSlot(uint16_t slot,
                                                                 const EngineRange& range) {
  EngineIterator* const probe = probes_[static_cast<size_t>(InstanceOf(slot))].get();
  if (probe != nullptr && probe->status().ok()) {
    return std::unique_ptr<EngineIterator>(std::make_unique<BorrowedIterator>(probe, range));
  }
  return EngineFor(slot)->NewIterator({.range = range, .fill_cache = false});
}

// Reads a key that no key of the slot stands in front of.
Status DataChecker::GetRecord(uint16_t slot, const std::string& key, std::string* value) {
  const bool may_have = MayHave(slot, {key, key + '\0'});
  const std::unique_ptr<EngineIterator>& probe = probes_[static_cast<size_t>(InstanceOf(slot))];
  if (probe == nullptr || !probe->status().ok()) {
    return EngineFor(slot)->Get(key, value);
  }
  if (!may_have) {
    return Status::NotFound();
  }
  value->assign(probe->value());
  return Status::Ok();
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
    const Status status = GetRecord(slot, key, &value);
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
  const std::string lower = GenerationLower(slot, kMetaGeneration);
  const std::string upper = PrefixEnd(lower.substr(0, sizeof(slot)));
  if (!MayHave(slot, {lower, upper}) && fresh_.FreshRange(slot, lower, upper).empty()) {
    return;
  }
  const std::optional<SlotMeta> meta = ReadSlotMeta(slot);
  if (!meta.has_value()) {
    return;
  }
  SlotFindings findings;
  findings.meta = *meta;
  Result<std::unique_ptr<EngineIterator>> engine = IterateSlot(slot, {lower, upper});
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
      ++findings->elements[key->version];
      findings->zset_audits[key->version].Add(key->element, it.value());
      findings->list_audits[key->version].Add(key->element, it.value());
      findings->set_audits[key->version].Add(key->element, it.value());
      findings->stream_audits[key->version].Add(key->element, it.value());
      findings->string_audits[key->version].Add(key->element, it.value());
      return;
    case KeyTag::kDeadVersion:
      findings->dead_versions.insert(key->version);
      return;
    case KeyTag::kSlotMeta:
    case KeyTag::kLibrary:  // No slot has one.
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
  if (metadata->version != 0) {
    const auto [other, is_new] = findings->collections.emplace(metadata->version, key.user_key);
    if (!is_new) {
      Problem("slot {}: keys {} and {} have the same version {}", key.slot,
              QuoteForLog(other->second), QuoteForLog(key.user_key), metadata->version);
    }
  }
  if (metadata->is_chunked()) {
    findings->strings[metadata->version] = metadata->count;
  }
  if (metadata->type == DataType::kZSet) {
    CheckSortedSet(key, *metadata, findings);
  }
  if (metadata->type == DataType::kSet) {
    CheckSet(key, *metadata, findings);
  }
  if (metadata->type == DataType::kList) {
    CheckList(key, *metadata, findings);
  }
  if (metadata->type == DataType::kStream) {
    CheckStream(key, *metadata, findings);
  }
  if (metadata->expire_at_ms != 0) {
    ++report_.expires;
    findings->wanted.push_back({metadata->expire_at_ms, std::string(key.user_key)});
  }
}

void DataChecker::CheckSortedSet(const DecodedKey& key, const Metadata& metadata,
                                 SlotFindings* findings) {
  const Result<ZSetHeader> header = DecodeZSetHeader(
      metadata.version != 0 ? metadata.rest : metadata.rest.substr(0, kZSetHeaderSize));
  if (!header.ok()) {
    Problem("slot {}: sorted set {}: {}", key.slot, QuoteForLog(key.user_key),
            header.status().message());
    return;
  }
  if (metadata.version != 0) {
    findings->sorted_sets[metadata.version] = {metadata.count, *header};
    return;
  }
  const std::string verdict =
      ZSetAudit::VerdictOfPacked(metadata.rest.substr(kZSetHeaderSize), metadata.count);
  if (!verdict.empty()) {
    Problem("slot {}: sorted set {} {}", key.slot, QuoteForLog(key.user_key), verdict);
  }
}

void DataChecker::CheckList(const DecodedKey& key, const Metadata& metadata,
                            SlotFindings* findings) {
  if (metadata.rest.size() < kListHeaderSize) {
    Problem("slot {}: list {} has no header", key.slot, QuoteForLog(key.user_key));
    return;
  }
  const ListHeader header = DecodeListHeader(metadata.rest.substr(0, kListHeaderSize));
  if (metadata.version != 0) {
    findings->lists[metadata.version] = {metadata.count, header};
    return;
  }
  const std::string verdict =
      ListAudit::VerdictOfPacked(metadata.rest.substr(kListHeaderSize), metadata.count, header);
  if (!verdict.empty()) {
    Problem("slot {}: list {} {}", key.slot, QuoteForLog(key.user_key), verdict);
  }
}

void DataChecker::CheckStream(const DecodedKey& key, const Metadata& metadata,
                              SlotFindings* findings) {
  if (metadata.rest.size() < kStreamHeaderSize) {
    Problem("slot {}: stream {} has no header", key.slot, QuoteForLog(key.user_key));
    return;
  }
  const Result<StreamHeader> header =
      DecodeStreamHeader(metadata.rest.substr(0, kStreamHeaderSize));
  if (!header.ok()) {
    Problem("slot {}: stream {}: {}", key.slot, QuoteForLog(key.user_key),
            header.status().message());
    return;
  }
  if (metadata.version != 0) {
    findings->streams[metadata.version] = {metadata.count, *header};
    return;
  }
  const std::string verdict = StreamAudit::VerdictOfPacked(metadata.rest.substr(kStreamHeaderSize),
                                                           metadata.count, *header);
  if (!verdict.empty()) {
    Problem("slot {}: stream {} {}", key.slot, QuoteForLog(key.user_key), verdict);
  }
}

template <typename Audit, typename Told>
void DataChecker::CompareTyped(uint16_t slot, const SlotFindings& findings, std::string_view type,
                               const std::map<uint64_t, Audit>& audits,
                               const std::map<uint64_t, std::pair<uint64_t, Told>>& all_told) {
  for (const auto& [version, told] : all_told) {
    const auto audit = audits.find(version);
    const std::string verdict =
        (audit != audits.end() ? audit->second : Audit()).Verdict(told.first, told.second);
    if (!verdict.empty()) {
      Problem("slot {}: {} {} {}", slot, type, QuoteForLog(findings.collections.at(version)),
              verdict);
    }
  }
}

void DataChecker::CheckSet(const DecodedKey& key, const Metadata& metadata,
                           SlotFindings* findings) {
  if (metadata.version != 0) {
    findings->sets[metadata.version] = {metadata.count, metadata.encoding};
    return;
  }
  const std::string verdict =
      SetAudit::VerdictOfPacked(metadata.rest, metadata.count, metadata.encoding);
  if (!verdict.empty()) {
    Problem("slot {}: set {} {}", key.slot, QuoteForLog(key.user_key), verdict);
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
  CompareVersions(slot, *findings);
  CompareTyped(slot, *findings, "sorted set", findings->zset_audits, findings->sorted_sets);
  CompareTyped(slot, *findings, "list", findings->list_audits, findings->lists);
  CompareTyped(slot, *findings, "set", findings->set_audits, findings->sets);
  CompareTyped(slot, *findings, "stream", findings->stream_audits, findings->streams);
  CompareStrings(slot, *findings);
}

void DataChecker::CompareStrings(uint16_t slot, const SlotFindings& findings) {
  for (const auto& [version, length] : findings.strings) {
    const auto audit = findings.string_audits.find(version);
    const std::string verdict =
        audit != findings.string_audits.end() ? audit->second.Verdict(length) : "";
    if (!verdict.empty()) {
      Problem("slot {}: string {} {}", slot, QuoteForLog(findings.collections.at(version)),
              verdict);
    }
  }
}

// Every element belongs to a collection, or to one that the sweeper knows to be gone.
void DataChecker::CompareVersions(uint16_t slot, const SlotFindings& findings) {
  for (const auto& [version, count] : findings.elements) {
    if (findings.dead_versions.contains(version)) {
      report_.dead_records += count;
    } else if (!findings.collections.contains(version)) {
      Problem("slot {}: {} elements of version {}, which no key has", slot, count, version);
    }
  }
  for (const auto& [version, key] : findings.collections) {
    if (findings.dead_versions.contains(version)) {
      Problem("slot {}: version {} of key {} is to be swept", slot, version, QuoteForLog(key));
    }
    if (version >= findings.meta.next_version) {
      Problem("slot {}: key {} has version {}, and the slot's next one is {}", slot,
              QuoteForLog(key), version, findings.meta.next_version);
    }
  }
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
  const std::string behind = PrefixEnd(first_behind(slot).substr(0, sizeof(slot)));
  if (slot < dir_.instance_count()) {
    CheckGap(slot, {"", first_behind(slot)});
  }
  if (next < kNodeSlotCount) {
    CheckGap(slot, {behind, first_behind(next)});
  } else if (InstanceOf(slot) != InstanceOf(kNodeSlot)) {
    CheckGap(slot, {behind, ""});
  } else {
    CheckGap(slot, {behind, LibraryPrefix()});
    CheckLibraries();
    CheckGap(slot, {PrefixEnd(LibraryPrefix()), ""});
  }
}

void DataChecker::CheckGap(uint16_t slot, const EngineRange& gap) {
  if (!MayHave(slot, gap)) {
    return;
  }
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

void DataChecker::CheckLibraries() {
  const std::string prefix = LibraryPrefix();
  Result<std::unique_ptr<EngineIterator>> engine = EngineFor(kNodeSlot)->NewIterator(
      {.range = {prefix, PrefixEnd(prefix)}, .fill_cache = false});
  if (!engine.ok()) {
    return;  // A slot's check has said so.
  }
  MergedIterator it(fresh_.FreshRange(kNodeSlot, prefix, PrefixEnd(prefix)), *std::move(engine));
  for (it.SeekToFirst(); it.Valid(); it.Next()) {
    report_.bytes += it.key().size() + it.value().size();
    ++report_.libraries;
    const Result<DecodedKey> key = DecodeKey(it.key());
    const Result<std::string_view> text = DecodeLibrary(it.value());
    if (!key.ok() || !text.ok()) {
      Problem("{}: library of functions {}: {}", EnginePath(InstanceOf(kNodeSlot)),
              QuoteForLog(it.key().substr(prefix.size())),
              (key.ok() ? text.status() : key.status()).message());
    }
  }
  if (!it.status().ok()) {
    Problem("the libraries of functions: {}", it.status().message());
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
  if (report.libraries > 0) {
    out += fmt::format("libraries of functions: {}\n", report.libraries);
  }
  out += report.ok() ? fmt::format("{}: ok\n", dir)
                     : fmt::format("{}: {} problems\n", dir, report.problem_count);
  return out;
}

}  // namespace kvs
