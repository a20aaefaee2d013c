// TrackingTable: which clients have read which keys and have not been told of a change since.
//
// It holds a bounded number of keys, and of bytes: beyond that it gives up keys of its own choice,
// whose readers are then to be told as if the keys had changed.  Clients that are gone stay in it
// until their keys change or are given up.
//
// Threads: not thread-safe.
// Owner:   TrackingHub, which has several, each under a lock.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace kvs {

class TrackingTable {
 public:
  using Clients = std::vector<uint64_t>;  // Ascending.
  struct Entry {
    std::string key;
    Clients clients;
  };

  // Remembers that the client has read the key, unless it does already.
  void Add(uint64_t client, std::string_view key);
  // Forgets the key, and returns who has read it.
  Clients Take(std::string_view key);
  // Gives up keys until there are at most so many, with so many readers and bytes.
  std::vector<Entry> Shrink(size_t max_keys);
  void Clear();

  size_t keys() const { return table_.size(); }
  // Of all keys together.
  size_t readers() const { return readers_; }

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view key) const { return std::hash<std::string_view>()(key); }
  };
  using Table = std::unordered_map<std::string, Clients, Hash, std::equal_to<>>;

  Entry TakeAt(Table::iterator at);

  Table table_;
  size_t readers_ = 0;
  size_t key_bytes_ = 0;
  size_t hand_ = 0;  // The bucket that the next key is given up from.
};

}  // namespace kvs
