#include "common/tracking/tracking_hub.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace kvs {
namespace {

// Of a key that several have changed.
constexpr uint64_t kSeveral = std::numeric_limits<uint64_t>::max();

// Leaves each key once, at the place where it was changed first.
void JoinWrites(std::vector<TrackedWrite>* writes) {
  std::unordered_map<std::string_view, TrackedWrite*> seen;
  std::vector<TrackedWrite> joined;
  joined.reserve(writes->size());  // So that what is seen stays where it is.
  for (TrackedWrite& write : *writes) {
    const auto found = seen.find(write.key);
    if (found == seen.end()) {
      TrackedWrite* const kept = &joined.emplace_back(std::move(write));
      seen.emplace(kept->key, kept);
    } else if (found->second->client != write.client) {
      found->second->client = kSeveral;
    }
  }
  *writes = std::move(joined);
}

}  // namespace

void TrackingHub::RemovePrefixes(uint64_t client, const Client& settings) {
  for (const std::string& prefix : settings.prefixes) {
    const auto found = prefixes_.find(prefix);
    found->second.erase(client);
    if (found->second.empty()) {
      prefixes_.erase(found);
    }
  }
}

void TrackingHub::Set(uint64_t client, const TrackingSettings& settings) {
  const MutexLock lock(&mu_);
  Client& entry = clients_[client];
  RemovePrefixes(client, entry);
  entry = {.bcast = settings.bcast,
           .no_loop = settings.no_loop,
           .redirect = settings.redirect,
           .prefixes = settings.prefixes};
  for (const std::string& prefix : settings.prefixes) {
    prefixes_[prefix].insert(client);
  }
  prefix_count_.store(prefixes_.size(), std::memory_order_seq_cst);
  count_.store(clients_.size(), std::memory_order_seq_cst);
}

void TrackingHub::End(uint64_t client) {
  bool last = false;
  {
    const MutexLock lock(&mu_);
    const auto found = clients_.find(client);
    if (found == clients_.end()) {
      return;
    }
    RemovePrefixes(client, found->second);
    clients_.erase(found);
    last = clients_.empty();
    prefix_count_.store(prefixes_.size(), std::memory_order_seq_cst);
    count_.store(clients_.size(), std::memory_order_seq_cst);
  }
  if (last) {
    // One that comes meanwhile may lose what it has read in this moment: it is told so.
    for (Shard& shard : shards_) {
      const MutexLock lock(&shard.mu);
      shard.table.Clear();
    }
    if (active()) {
      OnEverything();
    }
  }
}

void TrackingHub::Track(uint64_t client, std::string_view key) {
  const size_t max_keys = max_keys_.load(std::memory_order_relaxed);
  std::vector<TrackingTable::Entry> given_up;
  {
    Shard& shard = ShardOf(key);
    const MutexLock lock(&shard.mu);
    shard.table.Add(client, key);
    if (max_keys != 0) {
      given_up = shard.table.Shrink(max_keys / kShards + 1);
    }
  }
  if (given_up.empty()) {
    return;
  }
  std::vector<Parcel> parcels;
  {
    const MutexLock lock(&mu_);
    for (const TrackingTable::Entry& entry : given_up) {
      TellReaders(entry.clients, entry.key, 0, &parcels);
    }
  }
  Send(parcels);
}

void TrackingHub::TellReaders(const TrackingTable::Clients& readers, const std::string& key,
                              uint64_t writer, std::vector<Parcel>* parcels) const {
  InvalidationPtr invalidation;
  for (const uint64_t reader : readers) {
    const auto found = clients_.find(reader);
    if (found == clients_.end() || found->second.bcast ||
        (found->second.no_loop && reader == writer)) {
      continue;
    }
    if (invalidation == nullptr) {
      invalidation = std::make_shared<const Invalidation>(
          Invalidation{.kind = Invalidation::Kind::kKeys, .keys = {key}});
    }
    parcels->push_back({reader, found->second.redirect, invalidation});
  }
}

// One message for each prefix, with the keys in their order; a client that does not want to hear of
// its own writes gets one of its own.
void TrackingHub::TellPrefixes(const std::vector<TrackedWrite>& writes,
                               std::vector<Parcel>* parcels) const {
  if (prefixes_.empty()) {
    return;
  }
  std::map<std::string_view, uint64_t> writers;  // Of each key.
  for (const TrackedWrite& write : writes) {
    writers.emplace(write.key, write.client);
  }
  for (const auto& [prefix, clients] : prefixes_) {
    const auto begin = writers.lower_bound(prefix);
    auto end = begin;
    std::vector<std::string> keys;
    for (; end != writers.end() && end->first.starts_with(prefix); ++end) {
      keys.emplace_back(end->first);
    }
    if (keys.empty()) {
      continue;
    }
    const auto all = std::make_shared<const Invalidation>(
        Invalidation{.kind = Invalidation::Kind::kKeys, .keys = std::move(keys)});
    for (const uint64_t id : clients) {
      const Client& client = clients_.at(id);
      InvalidationPtr its = all;
      const auto is_own = [id = id](const auto& write) { return write.second == id; };
      if (client.no_loop && std::any_of(begin, end, is_own)) {
        std::vector<std::string> others;
        for (auto it = begin; it != end; ++it) {
          if (!is_own(*it)) {
            others.emplace_back(it->first);
          }
        }
        if (others.empty()) {
          continue;
        }
        its = std::make_shared<const Invalidation>(
            Invalidation{.kind = Invalidation::Kind::kKeys, .keys = std::move(others)});
      }
      parcels->push_back({id, client.redirect, std::move(its)});
    }
  }
}

void TrackingHub::OnWrites(std::vector<TrackedWrite> writes) {
  if (writes.empty() || !active()) {
    return;
  }
  JoinWrites(&writes);
  std::vector<TrackingTable::Clients> readers;
  readers.reserve(writes.size());
  bool any_reader = false;
  for (const TrackedWrite& write : writes) {
    Shard& shard = ShardOf(write.key);
    const MutexLock lock(&shard.mu);
    readers.push_back(shard.table.Take(write.key));
    any_reader = any_reader || !readers.back().empty();
  }
  if (!any_reader && prefix_count_.load(std::memory_order_seq_cst) == 0) {
    return;
  }
  std::vector<Parcel> parcels;
  {
    const MutexLock lock(&mu_);
    for (size_t i = 0; i < writes.size(); ++i) {
      TellReaders(readers[i], writes[i].key, writes[i].client, &parcels);
    }
    TellPrefixes(writes, &parcels);
  }
  Send(parcels);
}

void TrackingHub::OnEverything() {
  if (!active()) {
    return;
  }
  for (Shard& shard : shards_) {
    const MutexLock lock(&shard.mu);
    shard.table.Clear();
  }
  const auto everything =
      std::make_shared<const Invalidation>(Invalidation{.kind = Invalidation::Kind::kEverything});
  std::vector<Parcel> parcels;
  {
    const MutexLock lock(&mu_);
    for (const auto& [id, client] : clients_) {
      parcels.push_back({id, client.redirect, everything});
    }
  }
  Send(parcels);
}

void TrackingHub::Send(const std::vector<Parcel>& parcels) const {
  for (const Parcel& parcel : parcels) {
    if (parcel.redirect == 0) {
      (void)deliver_({.client = parcel.client, .invalidation = parcel.invalidation});
      continue;
    }
    if (!deliver_({.client = static_cast<uint64_t>(parcel.redirect),
                   .invalidation = parcel.invalidation,
                   .redirected = true})) {
      on_broken_(parcel.client);
      const auto broken = std::make_shared<const Invalidation>(
          Invalidation{.kind = Invalidation::Kind::kRedirectBroken, .redirect = parcel.redirect});
      (void)deliver_({.client = parcel.client, .invalidation = broken});
    }
  }
}

TrackingCounts TrackingHub::counts() const {
  TrackingCounts counts;
  for (const Shard& shard : shards_) {
    const MutexLock lock(&shard.mu);
    counts.keys += shard.table.keys();
    counts.readers += shard.table.readers();
  }
  const MutexLock lock(&mu_);
  counts.clients = clients_.size();
  counts.prefixes = prefixes_.size();
  return counts;
}

}  // namespace kvs
