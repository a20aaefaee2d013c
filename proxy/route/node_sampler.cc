#include "proxy/route/node_sampler.h"

#include <algorithm>
#include <set>
#include <utility>

#include "common/base/strings.h"

namespace kvs {
namespace {

constexpr int kParts = 2;
constexpr std::string_view kAskStats = "*2\r\n$4\r\nINFO\r\n$5\r\nstats\r\n";
constexpr std::string_view kAskKeyspace = "*2\r\n$4\r\nINFO\r\n$8\r\nkeyspace\r\n";

int64_t Count(std::string_view text) {
  int64_t number = 0;
  return ParseInt64(text, &number) ? std::max<int64_t>(number, 0) : 0;
}

// keys=3,expires=1,avg_ttl=0
void ReadKeyspace(std::string_view text, NodeFigures* figures) {
  for (const std::string_view part : Split(text, ',')) {
    if (part.starts_with("keys=")) {
      figures->keys = Count(part.substr(5));
    } else if (part.starts_with("expires=")) {
      figures->expires = Count(part.substr(8));
    }
  }
}

}  // namespace

void ReadNodeFigures(std::string_view info, NodeFigures* figures) {
  for (const std::string_view raw : Split(info, '\n')) {
    const std::string_view line = TrimSpaces(raw);
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) {
      continue;
    }
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = line.substr(colon + 1);
    if (name == "db0") {
      ReadKeyspace(value, figures);
    } else if (name == "keyspace_hits") {
      figures->keyspace_hits = Count(value);
    } else if (name == "keyspace_misses") {
      figures->keyspace_misses = Count(value);
    } else if (name == "expired_keys") {
      figures->expired_keys = Count(value);
    } else if (name == "evicted_keys") {
      figures->evicted_keys = Count(value);
    }
  }
}

NodeSampler::NodeSampler(EventLoop* loop, LinkPool* links, Router* router, NodeSums* sums)
    : loop_(loop), links_(links), router_(router), sums_(sums) {
  loop_->Every(kAskedPeriodMs, [this] { Tick(); });
}

void NodeSampler::Stop() {
  stopped_ = true;
  asked_.clear();
}

void NodeSampler::Tick() {
  const int64_t now_ms = loop_->now_ms();
  const bool somebody_asks = now_ms - sums_->asked_ms() < kAskedMs;
  if (stopped_ || (!somebody_asks && now_ms - last_ms_ < kPeriodMs)) {
    return;
  }
  last_ms_ = now_ms;
  for (const auto& [tag, address] : std::exchange(asked_, {})) {
    figures_.erase(address);  // An answer that takes longer than a period is none.
  }
  answers_.clear();
  const std::vector<NodeAddress>& shards = router_->table()->shards;
  const std::set<NodeAddress> wanted(shards.begin(), shards.end());
  std::erase_if(figures_, [&](const auto& entry) { return !wanted.contains(entry.first); });
  for (const NodeAddress& address : wanted) {
    Ask(address, kAskStats);
    Ask(address, kAskKeyspace);
  }
  Publish();
}

void NodeSampler::Ask(const NodeAddress& address, std::string_view request) {
  const uint32_t tag = ++last_tag_;
  asked_.emplace(tag, address);
  if (!links_->Get(address)->Send(request, this, tag).ok()) {
    asked_.erase(tag);
    figures_.erase(address);
  }
}

void NodeSampler::OnReply(uint32_t tag, const ReplyFrame& frame) {
  const auto asked = asked_.extract(tag);
  if (asked.empty()) {
    return;
  }
  const NodeAddress& address = asked.mapped();
  if (frame.type() == '-') {
    figures_.erase(address);
  } else {
    Answer& answer = answers_[address];
    ReadNodeFigures(frame.view(), &answer.figures);
    if (++answer.parts == kParts) {
      figures_[address] = answer.figures;
    }
  }
  if (asked_.empty()) {
    Publish();
  }
}

void NodeSampler::OnFailure(uint32_t tag, const Status& /*status*/, bool /*sent*/) {
  const auto asked = asked_.extract(tag);
  if (!asked.empty()) {
    figures_.erase(asked.mapped());
    Publish();
  }
}

void NodeSampler::Publish() {
  NodeTotals totals;
  totals.sampled_ms = last_ms_;
  totals.answering = static_cast<int64_t>(figures_.size());
  const std::vector<NodeAddress>& shards = router_->table()->shards;
  totals.silent = static_cast<int64_t>(std::set<NodeAddress>(shards.begin(), shards.end()).size()) -
                  totals.answering;
  for (const auto& [address, figures] : figures_) {
    totals.sum.keys += figures.keys;
    totals.sum.expires += figures.expires;
    totals.sum.keyspace_hits += figures.keyspace_hits;
    totals.sum.keyspace_misses += figures.keyspace_misses;
    totals.sum.expired_keys += figures.expired_keys;
    totals.sum.evicted_keys += figures.evicted_keys;
  }
  sums_->Set(totals);
}

}  // namespace kvs
