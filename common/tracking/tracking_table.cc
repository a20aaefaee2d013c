#include "common/tracking/tracking_table.h"

#include <algorithm>
#include <functional>

namespace kvs {
namespace {

// What a key may take on average, and by how many clients it may be read, before the table is as
// full as if it had too many keys.
constexpr size_t kBytesPerKey = 1024;
constexpr size_t kReadersPerKey = 64;

}  // namespace

void TrackingTable::Add(uint64_t client, std::string_view key) {
  auto found = table_.find(key);
  if (found == table_.end()) {
    found = table_.emplace(std::string(key), Clients()).first;
    key_bytes_ += key.size();
  }
  Clients& clients = found->second;
  const auto place = std::lower_bound(clients.begin(), clients.end(), client);
  if (place == clients.end() || *place != client) {
    clients.insert(place, client);
    ++readers_;
  }
}

TrackingTable::Entry TrackingTable::TakeAt(Table::iterator at) {
  auto node = table_.extract(at);
  Entry entry{std::move(node.key()), std::move(node.mapped())};
  readers_ -= entry.clients.size();
  key_bytes_ -= entry.key.size();
  return entry;
}

TrackingTable::Clients TrackingTable::Take(std::string_view key) {
  const auto found = table_.find(key);
  return found == table_.end() ? Clients() : TakeAt(found).clients;
}

std::vector<TrackingTable::Entry> TrackingTable::Shrink(size_t max_keys) {
  std::vector<Entry> given_up;
  while (!table_.empty() && (table_.size() > max_keys || readers_ > max_keys * kReadersPerKey ||
                             key_bytes_ > std::max<size_t>(max_keys, 1) * kBytesPerKey)) {
    if (table_.size() < table_.bucket_count() / 8) {
      table_.rehash(0);  // Most buckets would be empty.
    }
    hand_ = (hand_ + 1) % table_.bucket_count();
    if (table_.begin(hand_) != table_.end(hand_)) {
      given_up.push_back(TakeAt(table_.find(table_.begin(hand_)->first)));
    }
  }
  return given_up;
}

void TrackingTable::Clear() {
  Table().swap(table_);
  readers_ = 0;
  key_bytes_ = 0;
}

}  // namespace kvs
