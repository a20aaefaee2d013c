// NodeSampler: what the nodes count, added up: keys, hits and misses, for the proxy's own INFO.
//
// Every kPeriodMs, and each second while somebody asks, each master gets INFO stats and INFO
// keyspace.  A node that does not answer is left out of the sums, and counted as silent.
//
// Threads: NodeSums thread-safe; NodeSampler loop-owned.
// Owner:   NodeSums ProxyServer; NodeSampler the first ProxyWorker, it outlives the links.

#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <string_view>

#include "common/base/mutex.h"
#include "common/net/event_loop.h"
#include "proxy/backend/link_pool.h"
#include "proxy/route/router.h"

namespace kvs {

struct NodeFigures {
  int64_t keys = 0;
  int64_t expires = 0;
  int64_t keyspace_hits = 0;
  int64_t keyspace_misses = 0;
  int64_t expired_keys = 0;
  int64_t evicted_keys = 0;

  bool operator==(const NodeFigures&) const = default;
};

// Takes what there is of them from a node's INFO; of databases the first alone.
void ReadNodeFigures(std::string_view info, NodeFigures* figures);

struct NodeTotals {
  NodeFigures sum;
  int64_t answering = 0;
  int64_t silent = 0;
  int64_t sampled_ms = -1;  // Monotonic; -1: never.
};

// The last totals, for whoever shows them.
class NodeSums {
 public:
  // Returns the totals and notes that somebody asked.
  NodeTotals Ask(int64_t now_ms) {
    asked_ms_.store(now_ms, std::memory_order_relaxed);
    const MutexLock lock(&mu_);
    return totals_;
  }
  int64_t asked_ms() const { return asked_ms_.load(std::memory_order_relaxed); }
  void Set(const NodeTotals& totals) {
    const MutexLock lock(&mu_);
    totals_ = totals;
  }

 private:
  std::atomic<int64_t> asked_ms_{INT64_MIN / 2};
  Mutex mu_;
  NodeTotals totals_ KVS_GUARDED_BY(mu_);
};

class NodeSampler : public ReplySink {
 public:
  static constexpr int64_t kPeriodMs = 5000;
  static constexpr int64_t kAskedPeriodMs = 1000;
  // For so long after a question the period is the shorter one.
  static constexpr int64_t kAskedMs = 10'000;

  NodeSampler(EventLoop* loop, LinkPool* links, Router* router, NodeSums* sums);

  // Asks nobody any more, and heeds no answer: the router and the links may go.
  void Stop();

  void OnReply(uint32_t tag, const ReplyFrame& frame) override;
  void OnFailure(uint32_t tag, const Status& status, bool sent) override;

 private:
  void Tick();
  void Ask(const NodeAddress& address, std::string_view request);
  void Publish();

  EventLoop* const loop_;
  LinkPool* const links_;
  Router* const router_;
  NodeSums* const sums_;
  bool stopped_ = false;
  int64_t last_ms_ = INT64_MIN / 2;
  uint32_t last_tag_ = 0;
  std::map<uint32_t, NodeAddress> asked_;  // By tag.
  struct Answer {
    NodeFigures figures;
    int parts = 0;  // Of the two that make it whole.
  };
  std::map<NodeAddress, Answer> answers_;
  // What each node of the table has said; those that are silent have no entry.
  std::map<NodeAddress, NodeFigures> figures_;
};

}  // namespace kvs
