// TrackingHub: which of a process's clients track keys, what they have read, and whom a change has
// to be told.
//
// Whoever runs a read for a client calls Track() before it looks, and whoever has changed keys
// calls OnWrites() when the change can be seen: so a client that has got an old value is told, and
// always behind that value.  At worst it is told of a change that it has seen.
//
// While nobody tracks, reads and writes cost one load.
//
// Threads: thread-safe.  Deliver is called without a lock.
// Owner:   NodeServer, ProxyServer; outlives their loops.

#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/base/mutex.h"
#include "common/tracking/invalidation.h"
#include "common/tracking/tracking_settings.h"
#include "common/tracking/tracking_table.h"

namespace kvs {

// A key that was changed, and by whom; 0: by no client.
struct TrackedWrite {
  uint64_t client = 0;
  std::string key;
};

struct TrackingCounts {
  size_t clients = 0;
  size_t keys = 0;      // That somebody has read.
  size_t readers = 0;   // Of all of them together.
  size_t prefixes = 0;  // That somebody tracks.
};

class TrackingHub {
 public:
  // Takes it to the client's loop.  Returns false if there is no such client.
  using Deliver = std::function<bool(InvalidationOrder order)>;
  // Is told that the client has nobody any more whom its messages could be redirected to.
  using OnBroken = std::function<void(uint64_t client)>;
  TrackingHub(Deliver deliver, OnBroken on_broken)
      : deliver_(std::move(deliver)), on_broken_(std::move(on_broken)) {}

  // How many clients track; for those who ask often.
  const std::atomic<size_t>& count() const { return count_; }
  // Sequentially consistent: who turns tracking on and then reads an old value is seen by whoever
  // asks behind the write.
  bool active() const { return count_.load(std::memory_order_seq_cst) > 0; }

  // The client's settings are these now.  REQUIRES: settings.on
  void Set(uint64_t client, const TrackingSettings& settings) KVS_EXCLUDES(mu_);
  void End(uint64_t client) KVS_EXCLUDES(mu_);

  // The client is about to read the key, and keeps what it gets.
  void Track(uint64_t client, std::string_view key);
  void OnWrites(std::vector<TrackedWrite> writes) KVS_EXCLUDES(mu_);
  // Any key may have changed.
  void OnEverything() KVS_EXCLUDES(mu_);

  // Whether every write is told.  While that is not so, nobody may keep what it reads: whoever runs
  // reads tells the reader at once that it is out of date.  It is so unless somebody says
  // otherwise.
  bool complete() const { return complete_.load(std::memory_order_acquire); }
  void set_complete(bool complete) { complete_.store(complete, std::memory_order_release); }
  // 0: no limit.  Takes effect with the next read.
  void set_max_keys(size_t max_keys) { max_keys_.store(max_keys, std::memory_order_relaxed); }
  TrackingCounts counts() const KVS_EXCLUDES(mu_);

 private:
  static constexpr size_t kShards = 64;
  struct Shard {
    mutable Mutex mu;
    TrackingTable table KVS_GUARDED_BY(mu);
  };
  struct Client {
    bool bcast = false;
    bool no_loop = false;
    int64_t redirect = 0;
    TrackingSettings::Prefixes prefixes;
  };
  struct Parcel {
    uint64_t client = 0;  // Who tracks.
    int64_t redirect = 0;
    InvalidationPtr invalidation;
  };

  Shard& ShardOf(std::string_view key) {
    return shards_[std::hash<std::string_view>()(key) % kShards];
  }
  // Of those who have read it.  `writer` may not want to hear of it.
  void TellReaders(const TrackingTable::Clients& readers, const std::string& key, uint64_t writer,
                   std::vector<Parcel>* parcels) const KVS_REQUIRES(mu_);
  void TellPrefixes(const std::vector<TrackedWrite>& writes, std::vector<Parcel>* parcels) const
      KVS_REQUIRES(mu_);
  void RemovePrefixes(uint64_t client, const Client& settings) KVS_REQUIRES(mu_);
  void Send(const std::vector<Parcel>& parcels) const;

  const Deliver deliver_;
  const OnBroken on_broken_;
  std::atomic<size_t> count_{0};
  std::atomic<size_t> max_keys_{0};
  std::atomic<bool> complete_{true};
  std::atomic<size_t> prefix_count_{0};
  std::array<Shard, kShards> shards_;
  mutable Mutex mu_;  // Never taken with a shard's.
  std::unordered_map<uint64_t, Client> clients_ KVS_GUARDED_BY(mu_);
  std::map<std::string, std::set<uint64_t>, std::less<>> prefixes_ KVS_GUARDED_BY(mu_);
};

}  // namespace kvs
