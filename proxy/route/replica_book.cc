#include "proxy/route/replica_book.h"

#include <algorithm>
#include <utility>

#include "common/base/strings.h"

namespace kvs {
namespace {

// Copies whose round trips differ by less than this are equally near.
constexpr int64_t kNearMicros = 200;

std::string_view TrimEnd(std::string_view line) {
  while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) {
    line.remove_suffix(1);
  }
  return line;
}

}  // namespace

ReadFrom ParseReadFrom(std::string_view name) {
  if (name == "prefer-master") {
    return ReadFrom::kPreferMaster;
  }
  if (name == "prefer-slave") {
    return ReadFrom::kPreferSlave;
  }
  return name == "nearest" ? ReadFrom::kNearest : ReadFrom::kMaster;
}

ReplicationReport ParseReplicationInfo(std::string_view text) {
  ReplicationReport report;
  bool heard = false;
  std::string host;
  std::string port;
  for (const std::string_view raw : Split(text, '\n')) {
    const std::string_view line = TrimEnd(raw);
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) {
      continue;
    }
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = line.substr(colon + 1);
    int64_t number = 0;
    if (name == "role") {
      report.is_slave = value == "slave";
    } else if (name == "master_link_status") {
      report.link_up = value == "up";
    } else if (name == "master_sync_in_progress") {
      report.full_copy = value != "0";
    } else if (name == "master_host") {
      host = value;
    } else if (name == "master_port") {
      port = value;
    } else if (name == "master_last_io_seconds_ago" && ParseInt64(value, &number) && number >= 0 &&
               number < INT32_MAX) {
      heard = true;
      report.silent_ms = (number + 1) * 1000 - 1;  // It is given in whole seconds.
    }
  }
  report.link_up = report.link_up && heard;
  report.master = host + ":" + port;
  return report;
}

void ReplicaBook::SetShards(std::vector<Shard> shards) {
  shards_ = std::move(shards);
  std::map<NodeAddress, Server> servers;
  for (const Shard& shard : shards_) {
    servers[shard.master] = servers_[shard.master];
    for (const NodeAddress& replica : shard.replicas) {
      servers[replica] = servers_[replica];
    }
  }
  servers_ = std::move(servers);
}

void ReplicaBook::OnReport(const NodeAddress& address, const ReplicationReport& report,
                           int64_t rtt_micros, int64_t sent_ms, uint64_t connection) {
  const auto found = servers_.find(address);
  if (found == servers_.end()) {
    return;
  }
  Server& server = found->second;
  if (connection != server.connection || report.master != server.report.master) {
    server.heard_ms = kNever;
  }
  server.answers = true;
  server.connection = connection;
  server.report = report;
  if (report.link_up) {
    server.heard_ms = std::max(server.heard_ms, sent_ms - report.silent_ms);
  }
  server.rtt_micros =
      server.rtt_micros == 0 ? rtt_micros : (3 * server.rtt_micros + rtt_micros) / 4;
}

void ReplicaBook::OnFailure(const NodeAddress& address) {
  const auto found = servers_.find(address);
  if (found != servers_.end()) {
    found->second.answers = false;
    found->second.heard_ms = kNever;
  }
}

const ReplicaBook::Server* ReplicaBook::Find(const NodeAddress& address) const {
  const auto found = servers_.find(address);
  return found == servers_.end() ? nullptr : &found->second;
}

bool ReplicaBook::IsFresh(const NodeAddress& replica, int64_t max_staleness_ms,
                          int64_t now_ms) const {
  const Server* const server = Find(replica);
  if (server == nullptr || !server->answers) {
    return false;
  }
  return server->report.is_slave && !server->report.full_copy &&
         now_ms - server->heard_ms <= max_staleness_ms;
}

const NodeAddress* ReplicaBook::Choose(size_t shard, ReadFrom policy, int64_t max_staleness_ms,
                                       int64_t now_ms, size_t turn) const {
  const Shard& copies = shards_[shard];
  const Server* const master = Find(copies.master);
  const bool master_answers = master != nullptr && master->answers;
  if (policy == ReadFrom::kMaster || (policy == ReadFrom::kPreferMaster && master_answers)) {
    return nullptr;
  }
  std::vector<std::pair<int64_t, const NodeAddress*>> fresh;  // With their round trips.
  for (const NodeAddress& replica : copies.replicas) {
    if (IsFresh(replica, max_staleness_ms, now_ms)) {
      fresh.emplace_back(Find(replica)->rtt_micros, &replica);
    }
  }
  if (policy == ReadFrom::kNearest) {
    if (master_answers) {
      fresh.emplace_back(master->rtt_micros, nullptr);
    }
    const auto nearest = std::min_element(fresh.begin(), fresh.end());
    const int64_t limit = nearest == fresh.end() ? 0 : nearest->first + kNearMicros;
    std::erase_if(fresh, [limit](const auto& copy) { return copy.first > limit; });
  }
  return fresh.empty() ? nullptr : fresh[turn % fresh.size()].second;
}

}  // namespace kvs
