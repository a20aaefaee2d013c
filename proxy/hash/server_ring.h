// ServerRing: which server of a static pool has a key, as twemproxy says it.
//
// ketama puts points of each server on a ring of 32-bit numbers, in proportion to its weight; a key
// belongs to the server of the first point at or behind its hash.  modula takes the hash modulo the
// sum of the weights.  Servers that are removed for a while have no points; the others' stay where
// they are but for rounding, as twemproxy rounds.
//
// Threads: immutable; pure functions.
// Owner:   the RouteTable.

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/address.h"
#include "proxy/hash/key_hash.h"

namespace kvs {

// One entry of a pool: "host:port", "host:port:weight" or "host:port:weight name".
struct PoolServer {
  NodeAddress address;
  uint32_t weight = 1;
  // What ketama hashes: the given name, else host:port, or the host alone for port 11211, as
  // libmemcached does.
  std::string name;
};

inline constexpr uint32_t kMaxServerWeight = 65'536;
inline constexpr size_t kMaxServerName = 64;
inline constexpr size_t kMaxPoolServers = 1024;

// Returns kInvalidArgument that quotes the entry.
Result<PoolServer> ParsePoolServer(std::string_view text);

class ServerRing {
 public:
  enum class Kind : uint8_t { kKetama, kModula };
  struct Options {
    Kind kind = Kind::kKetama;
    KeyHash hash = KeyHash::kFnv64a;
    // Two characters: if both stand in a key with something between, only that is hashed.  Empty:
    // the whole key is.
    std::string hash_tag;
  };

  // `live` says for each server whether it takes part.
  // REQUIRES: as many as servers; 1 to kMaxPoolServers of them
  ServerRing(Options options, const std::vector<PoolServer>& servers, std::vector<bool> live);

  // Returns the index of the key's server, -1 if none is live.
  int Find(std::string_view key) const;
  bool live(size_t server) const { return live_[server]; }
  size_t point_count() const { return points_.size(); }

 private:
  struct Point {
    uint32_t value;
    int32_t server;
  };

  std::string_view HashedPart(std::string_view key) const;
  void AddKetamaPoints(const std::vector<PoolServer>& servers);
  void AddModulaPoints(const std::vector<PoolServer>& servers);

  const Options options_;
  const std::vector<bool> live_;
  std::vector<Point> points_;
};
using ServerRingPtr = std::shared_ptr<const ServerRing>;

}  // namespace kvs
