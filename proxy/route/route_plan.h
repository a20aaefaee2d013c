// RoutePlan: where requests go, worked out from what is known: the servers of a pool or the config
// server's map, the addresses of their names, and which servers have failed.
//
// It takes facts and makes RouteTables.  Whoever owns it looks the names up that it wants to know,
// and publishes a new table whenever it says that something has changed.
//
// Threads: main-only; no clock, socket or thread of its own.
// Owner:   ProxyServer.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/net/name_book.h"
#include "common/slot/slot_map.h"
#include "proxy/hash/pool_health.h"
#include "proxy/hash/server_ring.h"
#include "proxy/route/route_table.h"

namespace kvs {

// Plain servers, without a config server.
struct PoolSpec {
  std::vector<PoolServer> servers;
  // Of each server; none: the slots are spread evenly.
  std::vector<std::vector<SlotRange>> slots;
  std::vector<std::vector<NodeAddress>> replicas;  // Of each server; may be shorter.
  std::optional<ServerRing::Options> ring;         // Says whose a key is, instead of the slots.
  bool remove_failed = false;                      // Servers that fail are left out for a while.
  int failure_limit = 2;                           // After so many failures in a row.
  int64_t retry_ms = 30'000;
};

// Reads one entry for each server, such as "0-99+5461-10922".
//   kInvalidArgument: it is malformed, or a slot has no server, or two
Result<std::vector<std::vector<SlotRange>>> ParseServerSlots(const std::vector<std::string>& texts,
                                                             size_t server_count);

// Reads entries such as "replica:6379=master:6379" and returns the replicas of each server.
//   kInvalidArgument: one is malformed, names no server as its master, or is named twice
Result<std::vector<std::vector<NodeAddress>>> ParseReplicas(const std::vector<std::string>& texts,
                                                            const std::vector<PoolServer>& servers);

class RoutePlan {
 public:
  explicit RoutePlan(int64_t lookup_interval_ms) : names_(lookup_interval_ms) {}

  // One of these says what holds from now on.  Servers that were left out and are still in the pool
  // stay so for the retry time.
  void SetPool(PoolSpec spec, int64_t now_ms);
  void SetMap(const SlotMap& map);
  void SetNothing();

  void set_lookup_interval_ms(int64_t interval_ms) { names_.set_interval_ms(interval_ms); }
  std::vector<std::string> TakeLookups(int64_t now_ms) { return names_.TakeDue(now_ms); }
  // Whether no name waits for its first answer.
  bool complete() const { return names_.complete(); }

  // These return whether the table has changed.
  bool OnAddresses(const std::string& host, const Result<std::vector<std::string>>& addresses) {
    return names_.OnAnswer(host, addresses);
  }
  // A link to a server, under its numeric address, has failed so often in a row.
  bool OnFailure(const NodeAddress& address, int failures_in_row, int64_t now_ms);
  bool OnTime(int64_t now_ms) { return health_ != nullptr && health_->OnTime(now_ms); }

  // Names without an address stand as they are: links to them fail, and others serve.
  RouteTablePtr MakeTable() const;

 private:
  void UseNames();
  // With names as they are.
  RouteTablePtr MakePoolTable() const;
  NodeAddress Resolved(const NodeAddress& address) const {
    return {names_.AddressOf(address.host), address.port};
  }

  NameBook names_;
  std::optional<PoolSpec> pool_;
  std::unique_ptr<PoolHealth> health_;  // Of a pool whose failed servers are removed.
  RouteTablePtr map_ = std::make_shared<RouteTable>();  // As it came; of a pool nothing.
};

}  // namespace kvs
