// ReplicaBook: which copy of each shard answers reads, by policy and by what probes have told.
//
// A probe is INFO replication, sent to each replica once a second.  A replica may be read from
// while the data that it holds are surely no older than the bound: it is a slave, no full copy is
// under way, and the last time of which we know that it heard from its master is within the bound,
// also if its link has broken since.  Plain Redis masters speak to idle slaves every ten seconds
// (repl-ping-replica-period), so a smaller bound shuts those out.
//
// Every choice holds for all slots of a shard until the next probe, so that the requests of one
// loop for one slot keep to one connection.
//
// Threads: one owner; pure.
// Owner:   ReplicaProber.

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/address.h"

namespace kvs {

enum class ReadFrom : uint8_t { kMaster, kPreferMaster, kPreferSlave, kNearest };

// Returns the policy of option read-from.  REQUIRES: the option's table allows the name
ReadFrom ParseReadFrom(std::string_view name);

// What a server says about its replication.
struct ReplicationReport {
  bool is_slave = false;
  bool link_up = false;
  bool full_copy = false;  // It receives one.
  int64_t silent_ms = 0;   // Since it last heard from its master, rounded up.
  std::string master;      // host:port, as the server knows it.
};

// Reads the text of INFO replication.  What is missing or makes no sense reads as unusable.
ReplicationReport ParseReplicationInfo(std::string_view text);

class ReplicaBook {
 public:
  struct Shard {
    NodeAddress master;
    std::vector<NodeAddress> replicas;
  };

  // Starts anew with these shards; what is known of servers that stay is kept.
  void SetShards(std::vector<Shard> shards);
  const std::vector<Shard>& shards() const { return shards_; }

  // A probe that was sent at `sent_ms` has been answered after `rtt_micros`, or has failed.
  // `connection` differs between connections to the server: what was known of it does not outlive
  // one, since it may have been restarted with older data.
  void OnReport(const NodeAddress& address, const ReplicationReport& report, int64_t rtt_micros,
                int64_t sent_ms, uint64_t connection);
  void OnFailure(const NodeAddress& address);

  // Returns the replica that answers reads of the shard, or nullptr for its master.  `turn` spreads
  // the loops over replicas that are equally good.
  const NodeAddress* Choose(size_t shard, ReadFrom policy, int64_t max_staleness_ms, int64_t now_ms,
                            size_t turn) const;
  // Whether the replica may be read from.
  bool IsFresh(const NodeAddress& replica, int64_t max_staleness_ms, int64_t now_ms) const;

 private:
  static constexpr int64_t kNever = INT64_MIN / 2;

  struct Server {
    bool answers = false;
    ReplicationReport report;
    int64_t heard_ms = kNever;  // It surely heard from its master then.
    uint64_t connection = 0;
    int64_t rtt_micros = 0;  // Smoothed; 0: unknown.
  };

  const Server* Find(const NodeAddress& address) const;

  std::vector<Shard> shards_;
  std::map<NodeAddress, Server> servers_;
};

}  // namespace kvs
