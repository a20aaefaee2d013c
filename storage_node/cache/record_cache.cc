#include "storage_node/cache/record_cache.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>

#include "common/base/check.h"
#include "common/base/random.h"
#include "storage_node/cache/ordered_index.h"
#include "storage_node/keys/key_codec.h"

namespace kvs {
namespace {

constexpr size_t kMinPartitions = 128;
constexpr size_t kMaxPartitions = 4096;
// Keeps the rehash of a partition's table to a millisecond; to a few when it has what others leave.
constexpr size_t kPartitionBytes = size_t{2} << 20;
constexpr size_t kFirstBuckets = 64;
// A hand-over lets others at the partition after so many entries.
constexpr size_t kEntriesPerLock = 128;
// A partition has at most so many times its share of the clean bytes.
constexpr size_t kMostShares = 8;
// Who evicts looks at so many buckets, and at so many other partitions, before others have a turn.
constexpr size_t kEvictSteps = 2048;
constexpr size_t kPartitionsLookedAt = 2;
// A reader passes so many records without copying them.
constexpr size_t kSkipSteps = 4096;
// A part of a range ends with the record that reaches this.
constexpr size_t kMaxRunBytes = size_t{64} << 10;
// What the ordered index takes for an entry, with its nodes half full.
constexpr size_t kIndexBytes = 32;

uint64_t Fold(uint64_t a, uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

uint64_t Load64(const char* p) {
  uint64_t word = 0;
  std::memcpy(&word, p, sizeof(word));
  return word;
}

size_t SubsOf(const RecordCacheOptions& options) {
  const size_t wanted =
      std::clamp(options.clean_bytes / kPartitionBytes, kMinPartitions, kMaxPartitions);
  return std::max<size_t>(wanted / static_cast<size_t>(options.instance_count), 1);
}

}  // namespace

// One allocation: this and, behind it, the bytes of key and value.
struct RecordCache::Entry {
  Entry* next;       // In the bucket.
  Entry* slot_prev;  // Among the slot's fresh entries, but for elements.
  Entry* slot_next;
  uint32_t hash;
  uint32_t fresh_index;  // Where Partition::fresh has it.
  uint32_t round;        // The partition's round in which it became fresh.
  uint32_t key_size;
  uint32_t value_size;
  uint32_t value_capacity;
  uint16_t slot;
  bool fresh;
  bool absent;
  bool element;        // Of a collection: the ordered index has it.
  bool orphan : 1;     // Replaced while it was handed over: nobody finds it any more.
  bool used : 1;       // Since the clock hand came by.
  bool unknown : 1;    // What is stored is not known: only a gap ends here.
  bool gap_known : 1;  // Nothing is stored between this element and the next one of the index.

  char* bytes() { return reinterpret_cast<char*>(this + 1); }
  const char* bytes() const { return reinterpret_cast<const char*>(this + 1); }
  std::string_view key() const { return {bytes(), key_size}; }
  std::string_view value() const { return {bytes() + key_size, value_size}; }
  // What the allocator takes for it: sizes have four steps to a power of two (jemalloc(3)).
  size_t memory() const {
    const size_t size = sizeof(Entry) + key_size + value_capacity;
    const size_t step = std::max<size_t>(16, std::bit_ceil(size) / 8);
    return (size + step - 1) / step * step;
  }
  size_t memory_with_index() const { return memory() + (element ? kIndexBytes : 0); }
  std::optional<std::string_view> content() const {
    return absent ? std::nullopt : std::optional(value());
  }

  static Entry* New(uint16_t slot, uint32_t hash, std::string_view key, size_t value_size) {
    auto* entry = new (::operator new(sizeof(Entry) + key.size() + value_size)) Entry{};
    entry->slot = slot;
    entry->hash = hash;
    entry->element = IsElementKey(key);
    entry->key_size = static_cast<uint32_t>(key.size());
    entry->value_capacity = static_cast<uint32_t>(value_size);
    if (!key.empty()) {
      std::memcpy(entry->bytes(), key.data(), key.size());
    }
    return entry;
  }
  static void Free(Entry* entry) { ::operator delete(entry); }

  // REQUIRES: value.size() <= value_capacity
  void SetValue(bool is_absent, std::string_view value) {
    absent = is_absent;
    unknown = false;
    value_size = static_cast<uint32_t>(value.size());
    if (!value.empty()) {
      std::memcpy(bytes() + key_size, value.data(), value.size());
    }
  }
};

// A hash table with chains.  Fresh entries are also in `fresh`, for the next hand-over; elements in
// the ordered index, and other fresh entries in the list of their slot, for iterations.  While a
// round is handed over its entries do not change: a new value of the same key gets an entry of its
// own and the old one becomes an orphan.
struct alignas(64) RecordCache::Partition {
  mutable Mutex mu;
  std::vector<Entry*> buckets KVS_GUARDED_BY(mu) = std::vector<Entry*>(kFirstBuckets);
  std::vector<Entry*> fresh KVS_GUARDED_BY(mu);
  // The first fresh entry of each slot; index: the slot's rank within the partition.
  std::vector<Entry*> slot_heads KVS_GUARDED_BY(mu);
  OrderedIndex<Entry> elements KVS_GUARDED_BY(mu);  // Of all slots.
  size_t rank_divisor = 1;
  size_t entry_count KVS_GUARDED_BY(mu) = 0;
  size_t orphans KVS_GUARDED_BY(mu) = 0;
  std::atomic<size_t> clean_bytes{0};  // Written under the lock.
  size_t hand KVS_GUARDED_BY(mu) = 0;
  uint32_t round KVS_GUARDED_BY(mu) = 0;
  uint64_t hand_overs KVS_GUARDED_BY(mu) = 0;
  uint64_t hits KVS_GUARDED_BY(mu) = 0;
  uint64_t misses KVS_GUARDED_BY(mu) = 0;
  uint64_t evicted KVS_GUARDED_BY(mu) = 0;

  ~Partition() KVS_NO_THREAD_SAFETY_ANALYSIS {
    for (Entry* entry : buckets) {
      while (entry != nullptr) {
        Entry* const next = entry->next;
        Entry::Free(entry);
        entry = next;
      }
    }
  }

  // Returns the link that points to the entry of `key`, or to the end of its chain.
  Entry** Find(uint32_t hash, std::string_view key) KVS_REQUIRES(mu) {
    Entry** link = &buckets[hash & (buckets.size() - 1)];
    while (*link != nullptr && ((*link)->hash != hash || (*link)->key() != key)) {
      link = &(*link)->next;
    }
    return link;
  }
  void Insert(Entry** link, Entry* entry) KVS_REQUIRES(mu) {
    entry->next = nullptr;
    *link = entry;
    ++entry_count;
    if (entry_count > buckets.size()) {
      Grow();
    }
  }
  void Grow() KVS_REQUIRES(mu) {
    std::vector<Entry*> larger(buckets.size() * 2);
    for (Entry* entry : buckets) {
      while (entry != nullptr) {
        Entry* const next = entry->next;
        Entry*& head = larger[entry->hash & (larger.size() - 1)];
        entry->next = head;
        head = entry;
        entry = next;
      }
    }
    buckets.swap(larger);
    hand = 0;
  }
  Entry*& SlotHead(uint16_t slot) KVS_REQUIRES(mu) {
    const size_t rank = slot / rank_divisor;
    if (rank >= slot_heads.size()) {
      slot_heads.resize(rank + 1);
    }
    return slot_heads[rank];
  }
  // Shows a new entry to iterations.
  void Show(Entry* entry) KVS_REQUIRES(mu) {
    if (entry->element) {
      // It divides a gap in two.
      const Entry* const before = elements.Insert(entry);
      entry->gap_known = before != nullptr && before->gap_known;
      return;
    }
    Entry*& head = SlotHead(entry->slot);
    entry->slot_prev = nullptr;
    entry->slot_next = head;
    if (head != nullptr) {
      head->slot_prev = entry;
    }
    head = entry;
  }
  void Hide(Entry* entry) KVS_REQUIRES(mu) {
    if (entry->element) {
      // Its place joins the gaps on both sides.
      Entry* const before = elements.Erase(entry);
      const bool is_empty = !entry->fresh && entry->absent && !entry->unknown;
      if (before != nullptr && !(is_empty && entry->gap_known)) {
        before->gap_known = false;
      }
      return;
    }
    (entry->slot_prev != nullptr ? entry->slot_prev->slot_next : SlotHead(entry->slot)) =
        entry->slot_next;
    if (entry->slot_next != nullptr) {
      entry->slot_next->slot_prev = entry->slot_prev;
    }
  }
  // Shows `entry` in the place of `old`, which has the same key.
  void ShowInstead(Entry* old, Entry* entry) KVS_REQUIRES(mu) {
    if (entry->element) {
      elements.Replace(old, entry);
      entry->gap_known = old->gap_known;
      return;
    }
    Hide(old);
    Show(entry);
  }
  // Lists the entry for the next hand-over.
  void AddToFresh(Entry* entry) KVS_REQUIRES(mu) {
    entry->fresh = true;
    entry->round = round;
    entry->fresh_index = static_cast<uint32_t>(fresh.size());
    fresh.push_back(entry);
  }
  bool InHandOver(const Entry* entry) const KVS_REQUIRES(mu) {
    return entry->fresh && entry->round != round;
  }
  void RemoveFromTable(Entry* entry) KVS_REQUIRES(mu) {
    Entry** link = Find(entry->hash, entry->key());
    KVS_CHECK(*link == entry);
    *link = entry->next;
    --entry_count;
  }

  void AddCleanBytes(const Entry* entry, InstanceState* instance) KVS_REQUIRES(mu) {
    clean_bytes.fetch_add(entry->memory_with_index(), std::memory_order_relaxed);
    instance->clean_bytes.fetch_add(entry->memory_with_index(), std::memory_order_relaxed);
  }
  void TakeCleanBytes(const Entry* entry, InstanceState* instance) KVS_REQUIRES(mu) {
    clean_bytes.fetch_sub(entry->memory_with_index(), std::memory_order_relaxed);
    instance->clean_bytes.fetch_sub(entry->memory_with_index(), std::memory_order_relaxed);
  }
  size_t CleanBytes() const { return clean_bytes.load(std::memory_order_relaxed); }
  // Moves the clock hand, by `steps` buckets at most, as long as the partition has far more than
  // its share, or has more and the instance too.
  void Evict(const CleanShare& share, InstanceState* instance, size_t steps) KVS_REQUIRES(mu) {
    for (; steps > 0 && (CleanBytes() > kMostShares * share.partition ||
                         (CleanBytes() > share.partition &&
                          instance->clean_bytes.load(std::memory_order_relaxed) > share.instance));
         --steps) {
      hand = (hand + 1) & (buckets.size() - 1);
      Entry** link = &buckets[hand];
      while (*link != nullptr) {
        Entry* const entry = *link;
        if (entry->fresh || entry->used) {
          entry->used = false;
          link = &entry->next;
          continue;
        }
        *link = entry->next;
        if (entry->element) {
          Hide(entry);
        }
        TakeCleanBytes(entry, instance);
        --entry_count;
        ++evicted;
        Entry::Free(entry);
      }
    }
  }

  // Whether nothing is stored under the key, which is not in the table.
  bool IsInKnownGap(std::string_view key) const KVS_REQUIRES(mu) {
    const auto before = elements.Before(key);
    if (!before.Valid() || !before.record()->gap_known) {
      return false;
    }
    before.record()->used = true;
    return true;
  }
  // Read the part at the begin, or at the end, of which all is known; false if there is none.
  bool ReadKnown(const ElementRange& range, ElementPart* part) const KVS_REQUIRES(mu);
  bool ReadKnownBackward(const ElementRange& range, ElementPart* part) const KVS_REQUIRES(mu);
  // Reads what is here.
  void ReadAny(const ElementRange& range, ElementPart* part) const KVS_REQUIRES(mu);
};

bool RecordCache::Partition::ReadKnown(const ElementRange& range, ElementPart* part) const {
  auto at = elements.LowerBound(range.lower);
  if (at.Valid() && at.record()->key() == range.lower) {
    if (at.record()->unknown) {
      return false;
    }
  } else {
    auto before = at;
    before.Valid() ? before.Prev() : void(before = elements.Before(range.lower));
    if (!before.Valid() || !before.record()->gap_known) {
      return false;
    }
    before.record()->used = true;
  }
  part->skipped = 0;
  for (size_t steps = 0;
       part->skipped < range.skip && at.Valid() && at.record()->key() < range.upper; at.Next()) {
    Entry* const entry = at.record();
    if (entry->unknown || !entry->gap_known || ++steps > kSkipSteps) {
      return false;
    }
    entry->used = true;
    part->skipped += entry->absent ? 0 : 1;
  }
  part->records.Reserve(range.max_count);
  while (at.Valid() && at.record()->key() < range.upper) {
    Entry* const entry = at.record();
    if (entry->unknown || part->records.size() == range.max_count ||
        part->records.byte_count() >= kMaxRunBytes) {
      part->more = true;
      part->edge = entry->key();
      break;
    }
    part->records.Add(entry->key(), entry->content());
    entry->used = true;
    if (!entry->gap_known) {
      part->edge = entry->key();
      part->edge.push_back('\0');
      part->more = part->edge < range.upper;
      break;
    }
    at.Next();
  }
  return true;
}

bool RecordCache::Partition::ReadKnownBackward(const ElementRange& range, ElementPart* part) const {
  auto at = elements.Before(range.upper);
  if (!at.Valid() || !at.record()->gap_known) {
    return false;
  }
  while (at.record()->key() >= range.lower) {
    Entry* const entry = at.record();
    if (entry->unknown || part->records.size() == range.max_count ||
        part->records.byte_count() >= kMaxRunBytes) {
      part->more = true;
      part->edge = entry->key();
      part->edge.push_back('\0');
      if (part->edge == range.upper) {
        return false;  // It tells of nothing.
      }
      break;
    }
    part->records.Add(entry->key(), entry->content());
    entry->used = true;
    if (entry->key() == range.lower) {
      break;
    }
    at.Prev();
    if (!at.Valid() || !at.record()->gap_known) {
      part->more = true;
      part->edge = entry->key();
      break;
    }
  }
  part->records.Reverse();
  return true;
}

void RecordCache::Partition::ReadAny(const ElementRange& range, ElementPart* part) const {
  auto at = range.from_end ? elements.Before(range.upper) : elements.LowerBound(range.lower);
  while (at.Valid() &&
         (range.from_end ? at.record()->key() >= range.lower : at.record()->key() < range.upper)) {
    Entry* const entry = at.record();
    if (!entry->unknown) {
      if (part->records.size() == range.max_count || part->records.byte_count() >= kMaxRunBytes) {
        part->more = true;
        break;
      }
      part->records.Add(entry->key(), entry->content());
      entry->used = true;
    }
    range.from_end ? at.Prev() : at.Next();
  }
  if (range.from_end) {
    part->records.Reverse();
  }
  if (part->more && range.from_end) {
    part->edge = part->records.key(0);
  } else if (part->more) {
    part->edge = part->records.key(part->records.size() - 1);
    part->edge.push_back('\0');
  }
}

RecordCache::RecordCache(const RecordCacheOptions& options)
    : max_clean_value_(options.max_clean_value),
      seed_(Random::FromKernel().Next()),
      clean_budget_(options.clean_bytes),
      instances_(static_cast<size_t>(options.instance_count)),
      subs_(SubsOf(options)),
      partition_count_(subs_ * instances_.size()),
      partitions_(new Partition[partition_count_]) {
  for (size_t i = 0; i < partition_count_; ++i) {
    partitions_[i].rank_divisor = partition_count_;
  }
}

RecordCache::~RecordCache() = default;

// Slot s belongs to instance s mod N; the partitions of an instance stand side by side.
size_t RecordCache::PartitionOf(uint16_t slot) const {
  const size_t count = instances_.size();
  return slot % count * subs_ + slot / count % subs_;
}

RecordCache::Partition& RecordCache::At(uint16_t slot) const {
  return partitions_[PartitionOf(slot)];
}

uint32_t RecordCache::HashOf(std::string_view key) const {
  constexpr uint64_t kFirst = 0x9e3779b97f4a7c15;
  constexpr uint64_t kSecond = 0xd6e8feb86659fd93;
  uint64_t hash = seed_ ^ Fold(key.size() + 1, kFirst);
  const char* p = key.data();
  size_t left = key.size();
  for (; left >= 8; p += 8, left -= 8) {
    hash = Fold(hash ^ Load64(p), kSecond);
  }
  uint64_t tail = 0;
  if (left > 0) {
    std::memcpy(&tail, p, left);
  }
  hash = Fold(hash ^ tail, kFirst);
  return static_cast<uint32_t>(hash ^ (hash >> 32));
}

RecordCache::Found RecordCache::Get(uint16_t slot, std::string_view key, std::string* value,
                                    Ticket* ticket) {
  const uint32_t hash = HashOf(key);
  Partition& partition = At(slot);
  const MutexLock lock(&partition.mu);
  Entry* const entry = *partition.Find(hash, key);
  if (entry == nullptr || entry->unknown) {
    if (entry == nullptr && IsElementKey(key) && partition.IsInKnownGap(key)) {
      ++partition.hits;
      return Found::kAbsent;
    }
    ++partition.misses;
    ticket->hand_overs = partition.hand_overs;
    return Found::kMiss;
  }
  ++partition.hits;
  entry->used = true;
  if (entry->absent) {
    return Found::kAbsent;
  }
  value->assign(entry->value());
  return Found::kValue;
}

void RecordCache::Fill(uint16_t slot, std::string_view key, std::optional<std::string_view> value,
                       const Ticket& ticket) {
  if (value.has_value() && value->size() > max_clean_value_) {
    return;
  }
  if (!KeepsClean()) {
    return;
  }
  Partition& partition = At(slot);
  const MutexLock lock(&partition.mu);
  // A change since the miss either is still here, or a hand-over has ended since.
  if (partition.hand_overs == ticket.hand_overs) {
    AddClean(&partition, slot, key, value, /*unknown=*/false);
    Evict(&partition, &InstanceFor(slot));
  }
}

// An entry that is there stays, unless only the new one has content.
RecordCache::Entry* RecordCache::AddClean(Partition* partition, uint16_t slot, std::string_view key,
                                          std::optional<std::string_view> content, bool unknown) {
  const uint32_t hash = HashOf(key);
  Entry** const link = partition->Find(hash, key);
  Entry* const old = *link;
  if (old != nullptr && (!old->unknown || unknown)) {
    return old;
  }
  const std::string_view bytes = content.value_or(std::string_view());
  Entry* const entry = Entry::New(slot, hash, key, bytes.size());
  entry->SetValue(!content.has_value(), bytes);
  entry->unknown = unknown;
  entry->element |= unknown;  // The end of a generation's elements is no element's key.
  InstanceState& instance = InstanceFor(slot);
  partition->AddCleanBytes(entry, &instance);
  if (old != nullptr) {
    entry->next = old->next;
    *link = entry;
    partition->ShowInstead(old, entry);
    partition->TakeCleanBytes(old, &instance);
    Entry::Free(old);
    return entry;
  }
  partition->Insert(link, entry);
  if (entry->element) {
    partition->Show(entry);
  }
  return entry;
}

void RecordCache::Apply(uint16_t slot, const EngineOp& op) {
  const uint32_t hash = HashOf(op.key);
  InstanceState& instance = InstanceFor(slot);
  Partition& partition = At(slot);
  const MutexLock lock(&partition.mu);
  Entry** const link = partition.Find(hash, op.key);
  Entry* const old = *link;
  const bool fits = old != nullptr && op.value.size() <= old->value_capacity &&
                    old->value_capacity <= 2 * op.value.size() + 64;
  if (fits && !partition.InHandOver(old)) {
    if (!old->fresh) {
      partition.TakeCleanBytes(old, &instance);
      instance.fresh_bytes.fetch_add(old->memory_with_index(), std::memory_order_acq_rel);
      partition.AddToFresh(old);
      if (!old->element) {
        partition.Show(old);
      }
    }
    old->SetValue(op.is_delete, op.value);
    old->used = true;
    return;
  }
  Entry* const entry = Entry::New(slot, hash, op.key, op.value.size());
  entry->SetValue(op.is_delete, op.value);
  entry->used = true;
  instance.fresh_bytes.fetch_add(entry->memory_with_index(), std::memory_order_acq_rel);
  if (old == nullptr) {
    partition.Insert(link, entry);
    partition.AddToFresh(entry);
    partition.Show(entry);
    return;
  }
  entry->next = old->next;
  *link = entry;
  if (!old->fresh) {
    partition.TakeCleanBytes(old, &instance);
    partition.AddToFresh(entry);
    if (entry->element) {
      partition.ShowInstead(old, entry);
    } else {
      partition.Show(entry);
    }
    Entry::Free(old);
  } else if (partition.InHandOver(old)) {
    partition.ShowInstead(old, entry);
    old->orphan = true;  // EndHandOver() frees it.
    ++partition.orphans;
    partition.AddToFresh(entry);
  } else {
    partition.ShowInstead(old, entry);
    entry->fresh = true;
    entry->round = old->round;
    entry->fresh_index = old->fresh_index;
    partition.fresh[entry->fresh_index] = entry;
    instance.fresh_bytes.fetch_sub(old->memory_with_index(), std::memory_order_acq_rel);
    Entry::Free(old);
  }
}

void RecordCache::Restore(uint16_t slot, const EngineOp& op) {
  {
    const uint32_t hash = HashOf(op.key);
    Partition& partition = At(slot);
    const MutexLock lock(&partition.mu);
    const Entry* const entry = *partition.Find(hash, op.key);
    if (entry != nullptr && entry->fresh) {
      return;
    }
  }
  Apply(slot, op);
}

FreshRun RecordCache::FreshRange(uint16_t slot, std::string_view lower,
                                 std::string_view upper) const {
  FreshRun run;
  {
    Partition& partition = At(slot);
    const MutexLock lock(&partition.mu);
    for (const Entry* entry = partition.SlotHead(slot); entry != nullptr;
         entry = entry->slot_next) {
      const std::string_view key = entry->key();
      if (key >= lower && (upper.empty() || key < upper)) {
        run.Add(key, entry->content());
      }
    }
    for (auto at = partition.elements.LowerBound(lower); at.Valid(); at.Next()) {
      const Entry* const entry = at.record();
      if (!upper.empty() && entry->key() >= upper) {
        break;
      }
      if (entry->slot == slot && entry->fresh) {
        run.Add(entry->key(), entry->content());
      }
    }
  }
  run.Sort();
  return run;
}

bool RecordCache::IsElementRange(std::string_view lower, std::string_view upper) {
  if (!IsElementKey(lower)) {
    return false;
  }
  const std::string_view prefix = lower.substr(0, kKeyPrefixSize);
  return upper.starts_with(prefix) || upper == PrefixEnd(prefix);
}

void RecordCache::ReadElements(uint16_t slot, const ElementRange& range, ElementPart* part) const {
  part->records.Clear();
  part->more = false;
  const Partition& partition = At(slot);
  const MutexLock lock(&partition.mu);
  part->ticket.hand_overs = partition.hand_overs;
  part->known = range.known_first && (range.from_end ? partition.ReadKnownBackward(range, part)
                                                     : partition.ReadKnown(range, part));
  if (!part->known) {
    part->more = false;
    partition.ReadAny(range, part);
  }
}

void RecordCache::FillElements(uint16_t slot, const ElementFill& range, const FreshRun& records,
                               const Ticket& ticket) {
  if (!KeepsClean()) {
    return;
  }
  Partition& partition = At(slot);
  const MutexLock lock(&partition.mu);
  if (partition.hand_overs != ticket.hand_overs) {
    return;  // What is not here may have been handed over after the engine was read.
  }
  std::string low(range.low);
  for (size_t i = 0; i < records.size(); ++i) {
    const FreshRecord record = records[i];
    if (!record.value.has_value()) {
      continue;
    }
    if (record.value->size() > max_clean_value_) {
      // The range is known up to here, and behind.
      Connect(&partition, slot, {.low = low, .high = record.key});
      low = record.key;
      low.push_back('\0');
    } else {
      AddClean(&partition, slot, record.key, record.value, /*unknown=*/false);
    }
  }
  if (low <= range.high) {
    Connect(&partition, slot, {.low = low, .high = range.high, .with_high = range.with_high});
  }
  Evict(&partition, &InstanceFor(slot));
}

void RecordCache::NoteEmpty(uint16_t slot, std::string_view lower, std::string_view upper) {
  if (!KeepsClean()) {
    return;
  }
  Partition& partition = At(slot);
  const MutexLock lock(&partition.mu);
  Connect(&partition, slot, {.low = lower, .high = upper});
  Evict(&partition, &InstanceFor(slot));
}

void RecordCache::Connect(Partition* partition, uint16_t slot, const ElementFill& range) {
  if (!range.with_high && range.low >= range.high) {
    return;
  }
  const auto& elements = partition->elements;
  const auto is_at = [&elements](std::string_view key) {
    const auto at = elements.LowerBound(key);
    return at.Valid() && at.record()->key() == key;
  };
  // First, while what is known still ends where it did.
  if (!is_at(range.high) && !partition->IsInKnownGap(range.high)) {
    AddClean(partition, slot, range.high, std::nullopt, /*unknown=*/!range.with_high);
  }
  if (!is_at(range.low)) {
    const auto before = elements.Before(range.low);
    // No key lies between one and the same with a zero behind it.
    const bool is_next = before.Valid() && range.low.size() == before.record()->key().size() + 1 &&
                         range.low.back() == '\0' && range.low.starts_with(before.record()->key());
    if (is_next) {
      before.record()->gap_known = true;
    } else if (!before.Valid() || !before.record()->gap_known) {
      AddClean(partition, slot, range.low, std::nullopt, /*unknown=*/false);
    }
  }
  for (auto at = elements.LowerBound(range.low); at.Valid() && at.record()->key() < range.high;
       at.Next()) {
    Entry* const entry = at.record();
    entry->gap_known = true;
    if (entry->unknown) {
      entry->SetValue(/*is_absent=*/true, {});
    }
  }
}

RecordCache::Ticket RecordCache::TicketOf(uint16_t slot) const {
  Partition& partition = At(slot);
  const MutexLock lock(&partition.mu);
  return {partition.hand_overs};
}

bool RecordCache::HasOrphans(uint16_t slot) const {
  const Partition& partition = At(slot);
  const MutexLock lock(&partition.mu);
  return partition.orphans > 0;
}

bool RecordCache::DropFresh(uint16_t slot, std::string_view lower, std::string_view upper) {
  // An older value of the range may be on its way, and nobody finds that one here.
  const bool nothing_hidden = !HasOrphans(slot);
  const bool all_elements = DropElements(slot, lower, upper);
  return (IsElementRange(lower, upper) || DropListed(slot, lower, upper)) && all_elements &&
         nothing_hidden;
}

bool RecordCache::DropListed(uint16_t slot, std::string_view lower, std::string_view upper) {
  bool all = true;
  Partition& partition = At(slot);
  const MutexLock lock(&partition.mu);
  Entry* next = nullptr;
  for (Entry* entry = partition.SlotHead(slot); entry != nullptr; entry = next) {
    next = entry->slot_next;
    if (entry->key() < lower || entry->key() >= upper) {
      continue;
    }
    if (partition.InHandOver(entry)) {
      all = false;
      continue;
    }
    DropEntry(&partition, entry);
  }
  return all;
}

// There may be very many: others get their turn in between.
bool RecordCache::DropElements(uint16_t slot, std::string_view lower, std::string_view upper) {
  bool all = true;
  Partition& partition = At(slot);
  std::string from(lower);
  while (true) {
    std::vector<Entry*> entries;
    const MutexLock lock(&partition.mu);
    auto at = partition.elements.LowerBound(from);
    for (; at.Valid() && at.record()->key() < upper && entries.size() < kEntriesPerLock;
         at.Next()) {
      entries.push_back(at.record());
    }
    if (entries.empty()) {
      return all;
    }
    from = entries.back()->key();
    from.push_back('\0');
    for (Entry* entry : entries) {
      if (entry->slot != slot) {
        continue;
      }
      if (partition.InHandOver(entry)) {
        all = false;
      } else if (entry->fresh || !entry->absent || entry->key() != lower) {
        DropEntry(&partition, entry);
      }  // Else the gap before the range ends here.
    }
  }
}

void RecordCache::DropEntry(Partition* partition, Entry* entry) {
  InstanceState& instance = InstanceFor(entry->slot);
  if (entry->fresh) {
    Entry* const last = partition->fresh.back();
    last->fresh_index = entry->fresh_index;
    partition->fresh[entry->fresh_index] = last;
    partition->fresh.pop_back();
    instance.fresh_bytes.fetch_sub(entry->memory_with_index(), std::memory_order_acq_rel);
  } else {
    partition->TakeCleanBytes(entry, &instance);
  }
  partition->Hide(entry);
  partition->RemoveFromTable(entry);
  Entry::Free(entry);
}

void RecordCache::BeginHandOver(int instance, HandOver* hand_over) {
  hand_over->instance_ = instance;
  hand_over->ops_.clear();
  hand_over->entries_.assign(subs_, {});
  for (size_t sub = 0; sub < subs_; ++sub) {
    Partition& partition = partitions_[static_cast<size_t>(instance) * subs_ + sub];
    const MutexLock lock(&partition.mu);
    hand_over->entries_[sub].swap(partition.fresh);
    ++partition.round;
  }
}

// The entries are constant until the end of the hand-over, but for links and marks, which are
// guarded by the lock and not looked at here.
void RecordCache::Prepare(HandOver* hand_over) {
  size_t count = 0;
  for (const auto& entries : hand_over->entries_) {
    count += entries.size();
  }
  hand_over->ops_.reserve(count);
  for (const auto& entries : hand_over->entries_) {
    for (const Entry* entry : entries) {
      hand_over->ops_.push_back({entry->absent, entry->key(), entry->value()});
    }
  }
  std::sort(hand_over->ops_.begin(), hand_over->ops_.end(),
            [](const EngineOp& a, const EngineOp& b) { return a.key < b.key; });
}

void RecordCache::EndHandOver(HandOver* hand_over, bool written) {
  hand_over->ops_.clear();
  for (size_t sub = 0; sub < subs_; ++sub) {
    Partition& partition = partitions_[static_cast<size_t>(hand_over->instance_) * subs_ + sub];
    const std::vector<Entry*>& entries = hand_over->entries_[sub];
    for (size_t begin = 0; begin < entries.size(); begin += kEntriesPerLock) {
      const MutexLock lock(&partition.mu);
      // Before the first clean entry can be evicted: a reader that missed it must not fill in.
      ++partition.hand_overs;
      const size_t end = std::min(begin + kEntriesPerLock, entries.size());
      for (size_t i = begin; i < end; ++i) {
        FinishEntry(&partition, entries[i], written);
      }
      Evict(&partition, &instances_[static_cast<size_t>(hand_over->instance_)]);
    }
  }
  hand_over->entries_.clear();
  // Some had their turn before there was too much.
  const CleanShare share = ShareOf(clean_budget_.load(std::memory_order_relaxed));
  const auto instance = static_cast<size_t>(hand_over->instance_);
  for (size_t sub = 0; sub < subs_; ++sub) {
    Partition& partition = partitions_[instance * subs_ + sub];
    if (partition.CleanBytes() > share.partition) {
      const MutexLock lock(&partition.mu);
      partition.Evict(share, &instances_[instance], kEvictSteps);
    }
  }
}

void RecordCache::FinishEntry(Partition* partition, Entry* entry, bool written) {
  InstanceState& instance = InstanceFor(entry->slot);
  if (!written && !entry->orphan) {
    partition->AddToFresh(entry);
    return;
  }
  instance.fresh_bytes.fetch_sub(entry->memory_with_index(), std::memory_order_acq_rel);
  if (entry->orphan) {
    --partition->orphans;
    Entry::Free(entry);
    return;
  }
  entry->fresh = false;
  if (!entry->element) {
    partition->Hide(entry);
  }
  // A record without a value (a deletion, an entry of an index) is of no use to a reader, if it is
  // no element: those are read in ranges.
  if (entry->absent || (entry->value_size == 0 && !entry->element) ||
      entry->value_capacity > max_clean_value_ || !KeepsClean()) {
    if (entry->element) {
      partition->Hide(entry);
    }
    partition->RemoveFromTable(entry);
    Entry::Free(entry);
    return;
  }
  partition->AddCleanBytes(entry, &instance);
}

RecordCache::CleanShare RecordCache::ShareOf(size_t clean_bytes) const {
  const size_t instance = clean_bytes / instances_.size();
  return {.instance = instance, .partition = instance / subs_};
}

// Larger ones than this one first, so that none keeps for ever what it once had.
void RecordCache::Evict(Partition* partition, InstanceState* instance) {
  const CleanShare share = ShareOf(clean_budget_.load(std::memory_order_relaxed));
  EvictOthers(*partition, share, std::max(partition->CleanBytes(), share.partition), instance);
  partition->Evict(share, instance, kEvictSteps);
  EvictOthers(*partition, share, share.partition, instance);
}

void RecordCache::EvictOthers(const Partition& partition, const CleanShare& share,
                              size_t larger_than, InstanceState* instance) {
  KVS_CHECK(subs_ > 0);
  const auto number = static_cast<size_t>(instance - instances_.data());
  for (size_t i = 0; i < kPartitionsLookedAt &&
                     instance->clean_bytes.load(std::memory_order_relaxed) > share.instance;
       ++i) {
    const size_t sub = instance->trim_hand.fetch_add(1, std::memory_order_relaxed) % subs_;
    Partition& other = partitions_[number * subs_ + sub];
    if (&other != &partition && other.CleanBytes() > larger_than && other.mu.TryLock()) {
      other.Evict(share, instance, kEvictSteps);
      other.mu.Unlock();
    }
  }
}

void RecordCache::SetCleanBytes(size_t bytes) {
  if (clean_budget_.exchange(bytes, std::memory_order_relaxed) <= bytes) {
    return;
  }
  const CleanShare share = ShareOf(bytes);
  for (size_t i = 0; i < partition_count_; ++i) {
    Partition& partition = partitions_[i];
    const MutexLock lock(&partition.mu);
    // Two rounds of the hand see every entry once without its mark; more would find no clean ones.
    partition.Evict(share, &instances_[i / subs_], 2 * partition.buckets.size());
  }
}

RecordCacheStats RecordCache::stats() const {
  RecordCacheStats stats;
  for (size_t i = 0; i < partition_count_; ++i) {
    const Partition& partition = partitions_[i];
    const MutexLock lock(&partition.mu);
    stats.entries += partition.entry_count;
    stats.clean_bytes += partition.CleanBytes();
    stats.hits += partition.hits;
    stats.misses += partition.misses;
    stats.evicted += partition.evicted;
  }
  for (const InstanceState& instance : instances_) {
    stats.fresh_bytes += instance.fresh_bytes.load(std::memory_order_relaxed);
  }
  return stats;
}

}  // namespace kvs
