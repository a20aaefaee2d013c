// ReplicaProber: asks the copies of each shard how they are, and tells the router whom to read
// from.
//
// While option read-from is `master` it does nothing.  Otherwise every kPeriodMs each master with
// replicas and each replica gets INFO replication over the loop's own link to it, so what the
// answer says is true of the link that the reads would take.
//
// Threads: loop-owned.
// Owner:   ProxyWorker; outlives the links.

#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "common/net/event_loop.h"
#include "proxy/backend/link_pool.h"
#include "proxy/route/replica_book.h"
#include "proxy/route/router.h"

namespace kvs {

class ReplicaProber : public ReplySink {
 public:
  static constexpr int64_t kPeriodMs = 1000;

  // `turn` differs between loops: it spreads them over the replicas.
  ReplicaProber(EventLoop* loop, LinkPool* links, Router* router, size_t turn);

  void SetPolicy(ReadFrom policy, int64_t max_staleness_ms);
  // Asks nobody any more, and heeds no answer: the router and the links may go.
  void Stop();
  // After Router::SetTable().
  void OnTable();

  void OnReply(uint32_t tag, const ReplyFrame& frame) override;
  void OnFailure(uint32_t tag, const Status& status, bool sent) override;

 private:
  struct Probe {
    NodeAddress address;
    int64_t sent_micros;
  };

  void Tick();
  void Ask(const NodeAddress& address);
  // Tells the router, if the choice has changed.
  void Choose();

  EventLoop* const loop_;
  LinkPool* const links_;
  Router* const router_;
  const size_t turn_;
  ReadFrom policy_ = ReadFrom::kMaster;
  int64_t max_staleness_ms_ = 0;
  ReplicaBook book_;
  std::map<uint32_t, Probe> probes_;  // By tag.
  uint32_t last_tag_ = 0;
};

}  // namespace kvs
