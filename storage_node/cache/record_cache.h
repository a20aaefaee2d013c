// RecordCache: the engine's hot records in a hash table, and every record that it does not have
// yet.
//
// The commit leader puts each change in here and nowhere else: reads find it at once, and it stays
// ("fresh") until it has been handed over to its engine instance, in the order of the keys and with
// everything that was overwritten meanwhile left out.  That is far cheaper than an insertion into
// LevelDB's skiplist for each write; the log makes it safe.  What the engine has may stay as a copy
// ("clean") that a byte budget and a clock hand evict.  Absent keys are remembered too.
//
// Elements of collections are read in ranges all the time: all of them that are here, fresh or
// clean, are in an ordered index of their partition, and a range is read from it in parts.  Of two
// neighbours in it the cache may know that nothing is stored between them (a known gap): where all
// gaps of a range are known, the engine need not be asked.  The gaps of a new collection are known
// from the start, others become so when a walk over the engine has filled them in, and are lost
// again when one of their ends is evicted.  Other fresh records are only listed by slot, which is
// all that a walk over a slot needs.
//
// Partitions: each belongs to one instance and to some of its slots, and has a lock of its own.
//
//   RecordCache::Ticket ticket;
//   switch (cache.Get(slot, key, &value, &ticket)) { ... }   // A miss: read the engine, then
//   cache.Fill(slot, key, value_or_nothing, ticket);
//
// Threads: thread-safe.  Apply() comes from one thread at a time, and BeginHandOver() never runs
//          beside it (CommitPipeline's apply lock).
// Owner:   Store.

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/mutex.h"
#include "storage_node/cache/fresh_run.h"
#include "storage_node/engine/engine.h"

namespace kvs {

struct RecordCacheOptions {
  int instance_count = 8;
  // What clean records may take, in bytes, bookkeeping included; fresh ones are not counted here.
  size_t clean_bytes = size_t{256} << 20;
  // A longer value is not kept once the engine has it.
  size_t max_clean_value = size_t{16} << 10;
};

struct RecordCacheStats {
  uint64_t entries = 0;
  uint64_t clean_bytes = 0;
  uint64_t fresh_bytes = 0;
  uint64_t hits = 0;  // Of reads that found a value, or that there is none.
  uint64_t misses = 0;
  uint64_t evicted = 0;
};

class RecordCache {
 private:
  struct Entry;

 public:
  enum class Found { kMiss, kValue, kAbsent };

  // Tells whether what was read from the engine may have become outdated: while it stays the same,
  // no record of the partition has left the fresh ones.
  struct Ticket {
    uint64_t hand_overs = 0;
    bool operator==(const Ticket&) const = default;
  };

  // A range of elements' keys, [lower, upper), of which the first records are wanted, or the last.
  struct ElementRange {
    std::string_view lower;
    std::string_view upper;
    bool from_end = false;
    size_t max_count = 1;
    // Whether a shorter part will do, if it is one of which all is known.
    bool known_first = true;
    // So many records at the begin are passed, if all is known up to there and not `from_end`.
    uint64_t skip = 0;
  };
  // What ReadElements() has found of a range, from its begin or its end on.
  struct ElementPart {
    FreshRun records = {};
    Ticket ticket = {};  // As of the same moment.
    // Whether nothing else is stored in this part.  Else the engine may have other records there,
    // and nothing was skipped.
    bool known = false;
    // Whether the range goes on: behind the part, at `edge`; or, if it was read from its end,
    // before `edge`, where the part begins.
    bool more = false;
    std::string edge = {};
    uint64_t skipped = 0;  // Records that were passed, if all is known.
  };
  // A range of elements' keys that somebody has walked through, [low, high) or up to `high`.
  struct ElementFill {
    std::string_view low;
    std::string_view high;
    bool with_high = false;
  };

  // The fresh records of one instance on their way to the engine.  `ops` are sorted by key and
  // point into the cache until EndHandOver().
  class HandOver {
   public:
    const std::vector<EngineOp>& ops() const { return ops_; }

   private:
    friend class RecordCache;
    int instance_ = 0;
    std::vector<std::vector<Entry*>> entries_;  // By partition of the instance.
    std::vector<EngineOp> ops_;
  };

  explicit RecordCache(const RecordCacheOptions& options);
  ~RecordCache();
  RecordCache(const RecordCache&) = delete;
  RecordCache& operator=(const RecordCache&) = delete;

  // Looks for a record.  After kMiss `*ticket` serves for Fill().
  Found Get(uint16_t slot, std::string_view key, std::string* value, Ticket* ticket);
  // Remembers what the engine said after a miss, unless the key has been changed since.
  void Fill(uint16_t slot, std::string_view key, std::optional<std::string_view> value,
            const Ticket& ticket);
  // Makes the change the newest state of its key.
  void Apply(uint16_t slot, const EngineOp& op);
  // Makes the change the newest state of its key unless a fresh record is newer: for changes that
  // the engine had and has lost.
  // REQUIRES: no Apply() and no hand-over of the instance meanwhile
  void Restore(uint16_t slot, const EngineOp& op);

  // Returns copies of the slot's fresh records in [lower, upper), in the order of the keys.  Looks
  // at all fresh records of the slot that are not elements.
  FreshRun FreshRange(uint16_t slot, std::string_view lower, std::string_view upper) const;

  // Whether [lower, upper) can hold nothing but elements, all of one generation.
  static bool IsElementRange(std::string_view lower, std::string_view upper);
  // Reads the records that are wanted and here, fewer if they are large; at least one if there is
  // any, or a part that is known to hold none.
  // REQUIRES: IsElementRange(lower, upper), and max_count > 0
  void ReadElements(uint16_t slot, const ElementRange& range, ElementPart* part) const;
  // Remembers that a range holds just these records, unless it may have been changed since the
  // ticket: what is here is newer.  The engine was opened for reading after the ticket was taken.
  // REQUIRES: the records are in order, and within the range
  void FillElements(uint16_t slot, const ElementFill& range, const FreshRun& records,
                    const Ticket& ticket);
  // Remembers that nothing is stored in [lower, upper).
  // REQUIRES: IsElementRange(lower, upper); nothing is, nor was since the cache was made
  void NoteEmpty(uint16_t slot, std::string_view lower, std::string_view upper);
  Ticket TicketOf(uint16_t slot) const;
  // Whether clean records are kept at all, and how long a value may be that is.
  bool KeepsClean() const { return clean_budget_.load(std::memory_order_relaxed) > 0; }
  size_t max_clean_value() const { return max_clean_value_; }

  // Forgets the slot's records in [lower, upper), which nobody can see any more; the engine never
  // gets those that are fresh.  Returns false if some are perhaps being handed over just now, and
  // stay. REQUIRES: nobody adds to the range meanwhile
  bool DropFresh(uint16_t slot, std::string_view lower, std::string_view upper);

  // Takes all fresh records of an instance; they can be read as before.  The caller sorts them with
  // Prepare(), which needs no lock, writes them and calls EndHandOver().
  // REQUIRES: no other hand-over of the instance is under way, and no Apply()
  void BeginHandOver(int instance, HandOver* hand_over);
  static void Prepare(HandOver* hand_over);
  // Makes them clean, or with `written` false fresh again.
  void EndHandOver(HandOver* hand_over, bool written);

  // What the instance's fresh records take, those that are being handed over included.
  size_t fresh_bytes(int instance) const {
    return instances_[static_cast<size_t>(instance)].fresh_bytes.load(std::memory_order_acquire);
  }
  // Changes the budget and lets go at once of what is beyond it, one partition after the other.
  void SetCleanBytes(size_t bytes);
  RecordCacheStats stats() const;

 private:
  struct Partition;
  struct alignas(64) InstanceState {
    std::atomic<size_t> fresh_bytes{0};
    std::atomic<size_t> clean_bytes{0};
    std::atomic<size_t> trim_hand{0};  // The partition that is looked at next, by its number there.
  };

  size_t PartitionOf(uint16_t slot) const;
  Partition& At(uint16_t slot) const;
  uint32_t HashOf(std::string_view key) const;
  InstanceState& InstanceFor(uint16_t slot) { return instances_[slot % instances_.size()]; }
  struct CleanShare {
    size_t instance;
    size_t partition;
  };
  CleanShare ShareOf(size_t clean_bytes) const;
  // Lets go of clean records of the partition, or of others, while its instance has more than its
  // share.
  void Evict(Partition* partition, InstanceState* instance) KVS_NO_THREAD_SAFETY_ANALYSIS;
  // Looks at some others of the instance, and lets go of records of those that are larger.
  void EvictOthers(const Partition& partition, const CleanShare& share, size_t larger_than,
                   InstanceState* instance) KVS_NO_THREAD_SAFETY_ANALYSIS;
  bool HasOrphans(uint16_t slot) const;
  bool DropElements(uint16_t slot, std::string_view lower, std::string_view upper);
  bool DropListed(uint16_t slot, std::string_view lower, std::string_view upper);
  // Forgets a fresh entry that is not being handed over.
  void DropEntry(Partition* partition, Entry* entry) KVS_NO_THREAD_SAFETY_ANALYSIS;
  void FinishEntry(Partition* partition, Entry* entry, bool written) KVS_NO_THREAD_SAFETY_ANALYSIS;
  // Adds a clean record; or, without content, an entry that only marks an end of a gap.
  Entry* AddClean(Partition* partition, uint16_t slot, std::string_view key,
                  std::optional<std::string_view> content,
                  bool unknown) KVS_NO_THREAD_SAFETY_ANALYSIS;
  // Makes all gaps of a range known.
  void Connect(Partition* partition, uint16_t slot,
               const ElementFill& range) KVS_NO_THREAD_SAFETY_ANALYSIS;

  const size_t max_clean_value_;
  const uint64_t seed_;
  std::atomic<size_t> clean_budget_;
  mutable std::vector<InstanceState> instances_;
  const size_t subs_;  // Partitions of an instance.
  const size_t partition_count_;
  const std::unique_ptr<Partition[]> partitions_;
};

}  // namespace kvs
