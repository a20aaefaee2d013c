#include "proxy/route/replica_prober.h"

#include <utility>

#include "common/base/logging.h"

namespace kvs {
namespace {

constexpr std::string_view kProbe = "*2\r\n$4\r\nINFO\r\n$11\r\nreplication\r\n";

}  // namespace

ReplicaProber::ReplicaProber(EventLoop* loop, LinkPool* links, Router* router, size_t turn)
    : loop_(loop), links_(links), router_(router), turn_(turn) {
  loop_->Every(kPeriodMs, [this] { Tick(); });
}

void ReplicaProber::SetPolicy(ReadFrom policy, int64_t max_staleness_ms) {
  const bool starts = policy_ == ReadFrom::kMaster && policy != ReadFrom::kMaster;
  policy_ = policy;
  max_staleness_ms_ = max_staleness_ms;
  starts ? OnTable() : Choose();
}

void ReplicaProber::Stop() {
  policy_ = ReadFrom::kMaster;
  probes_.clear();
}

void ReplicaProber::OnTable() {
  if (policy_ == ReadFrom::kMaster) {
    return;
  }
  const RouteTable& table = *router_->table();
  std::vector<ReplicaBook::Shard> shards;
  for (size_t i = 0; i < table.shards.size(); ++i) {
    shards.push_back({table.shards[i],
                      i < table.replicas.size() ? table.replicas[i] : std::vector<NodeAddress>{}});
  }
  book_.SetShards(std::move(shards));
  Choose();
  Tick();
}

void ReplicaProber::Tick() {
  if (policy_ == ReadFrom::kMaster) {
    return;
  }
  for (const ReplicaBook::Shard& shard : book_.shards()) {
    if (shard.replicas.empty()) {
      continue;
    }
    Ask(shard.master);
    for (const NodeAddress& replica : shard.replicas) {
      Ask(replica);
    }
  }
  Choose();  // Answers that did not come have grown too old.
}

void ReplicaProber::Ask(const NodeAddress& address) {
  const uint32_t tag = ++last_tag_;
  if (links_->Get(address)->Send(kProbe, this, tag).ok()) {
    probes_[tag] = {address, loop_->clock()->MonotonicMicros()};
  } else {
    book_.OnFailure(address);
  }
}

void ReplicaProber::OnReply(uint32_t tag, const ReplyFrame& frame) {
  const auto probe = probes_.extract(tag);
  if (probe.empty()) {
    return;
  }
  const int64_t now_micros = loop_->clock()->MonotonicMicros();
  if (frame.type() == '-') {
    book_.OnFailure(probe.mapped().address);
  } else {
    book_.OnReport(probe.mapped().address, ParseReplicationInfo(frame.view()),
                   now_micros - probe.mapped().sent_micros, probe.mapped().sent_micros / 1000,
                   links_->Get(probe.mapped().address)->stats().connects);
  }
  Choose();
}

void ReplicaProber::OnFailure(uint32_t tag, const Status& /*status*/, bool /*sent*/) {
  const auto probe = probes_.extract(tag);
  if (!probe.empty()) {
    book_.OnFailure(probe.mapped().address);
    Choose();
  }
}

void ReplicaProber::Choose() {
  std::vector<NodeLink*> readers;
  if (policy_ != ReadFrom::kMaster) {
    const int64_t now_ms = loop_->clock()->MonotonicMillis();
    for (size_t i = 0; i < book_.shards().size(); ++i) {
      const NodeAddress* const chosen = book_.Choose(i, policy_, max_staleness_ms_, now_ms, turn_);
      readers.push_back(chosen == nullptr ? nullptr : links_->Get(*chosen));
    }
  }
  router_->SetReaders(std::move(readers));
}

}  // namespace kvs
