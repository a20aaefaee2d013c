#include "common/cluster/cluster_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/base/random.h"

namespace kvs {
namespace {

// Where Redis Cluster's nodes talk to each other; clients only read the number.
constexpr int kBusPortOffset = 10'000;

int BusPort(uint16_t port) {
  return port + kBusPortOffset <= 65535 ? port + kBusPortOffset : 0;
}

bool IsName(std::string_view host) {
  return host.find(':') == std::string_view::npos &&
         host.find_first_not_of("0123456789.") != std::string_view::npos;
}

int SlotCount(const std::vector<SlotRange>& ranges) {
  int count = 0;
  for (const SlotRange& range : ranges) {
    count += range.last - range.first + 1;
  }
  return count;
}

void WriteSlotsNode(const ShardNode& node, RespWriter* reply) {
  reply->Array(4);
  reply->Bulk(node.address.host);
  reply->Integer(node.address.port);
  reply->Bulk(node.id);
  reply->Map(0);
}

void WriteShardsNode(const ShardNode& node, std::string_view role, RespWriter* reply) {
  const bool named = IsName(node.address.host);
  reply->Map(named ? 8 : 7);
  reply->Bulk("id");
  reply->Bulk(node.id);
  reply->Bulk("port");
  reply->Integer(node.address.port);
  reply->Bulk("ip");
  reply->Bulk(node.address.host);
  reply->Bulk("endpoint");
  reply->Bulk(node.address.host);
  if (named) {
    reply->Bulk("hostname");
    reply->Bulk(node.address.host);
  }
  reply->Bulk("role");
  reply->Bulk(role);
  reply->Bulk("replication-offset");
  reply->Integer(0);
  reply->Bulk("health");
  reply->Bulk("online");
}

}  // namespace

std::string DerivedNodeId(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  }
  Random random(hash);
  std::string id;
  while (id.size() < kNodeIdSize) {
    id += fmt::format("{:016x}", random.Next());
  }
  id.resize(kNodeIdSize);
  return id;
}

ClusterViewPtr ClusterView::OfNode(const std::string& id, const SlotMapPtr& map) {
  auto view = std::make_shared<ClusterView>();
  view->myself_ = id;
  if (map != nullptr) {
    view->epoch_ = map->epoch();
    view->shards_.assign(map->shards().begin(), map->shards().end());
  }
  if (view->FindByNode(id) == nullptr) {
    view->has_address_ = false;
    view->shards_.push_back({.id = id, .master = {id, {}}, .slaves = {}, .slots = {}});
  }
  return view;
}

ClusterViewPtr ClusterView::Single(const std::string& id, const NodeAddress& address,
                                   bool announced) {
  auto view = std::make_shared<ClusterView>();
  view->epoch_ = 1;
  view->myself_ = id;
  view->has_address_ = announced;
  view->shards_.push_back(
      {.id = id, .master = {id, address}, .slaves = {}, .slots = {{0, kSlotCount - 1}}});
  return view;
}

ClusterViewPtr ClusterView::Peers(const std::string& id, std::vector<ShardNode> peers,
                                  uint64_t epoch) {
  KVS_CHECK(!peers.empty() && peers.size() <= kMaxShards);
  std::sort(peers.begin(), peers.end(),
            [](const ShardNode& a, const ShardNode& b) { return a.id < b.id; });
  auto view = std::make_shared<ClusterView>();
  view->epoch_ = epoch;
  view->myself_ = id;
  const std::vector<SlotRange> slots = SpreadSlots(peers.size());
  for (size_t i = 0; i < peers.size(); ++i) {
    view->shards_.push_back(
        {.id = peers[i].id, .master = peers[i], .slaves = {}, .slots = {slots[i]}});
  }
  if (view->FindByNode(id) == nullptr) {
    view->has_address_ = false;
    view->shards_.push_back({.id = id, .master = {id, {}}, .slaves = {}, .slots = {}});
  }
  return view;
}

ClusterView ClusterView::For(std::string_view local) const {
  ClusterView view = *this;
  if (!has_address_) {
    const Result<NodeAddress> address = ParseAddress(local);
    for (Shard& shard : view.shards_) {
      if (shard.master.id == myself_) {
        if (address.ok()) {
          shard.master.address = *address;
        } else if (shard.master.address.empty()) {  // A unix socket; clients skip an empty host.
          shard.master.address = {"127.0.0.1", 0};
        }
      }
    }
  }
  return view;
}

const std::vector<SlotRange>& ClusterView::own_slots() const {
  const Shard* shard = FindByNode(myself_);
  KVS_CHECK(shard != nullptr);
  return shard->slots;
}

std::string ClusterView::ShardId(const Shard& shard) {
  return DerivedNodeId("shard/" + shard.id);
}

std::string ClusterView::NodeLine(const Shard& shard, const ShardNode& node) const {
  const bool master = node.id == shard.master.id;
  std::string line = fmt::format("{} {}:{}@{}{} {}{} {} 0 0 {} connected", node.id,
                                 node.address.host, node.address.port, BusPort(node.address.port),
                                 IsName(node.address.host) ? "," + node.address.host : "",
                                 node.id == myself_ ? "myself," : "", master ? "master" : "slave",
                                 master ? "-" : shard.master.id, epoch_);
  if (master) {
    for (const SlotRange& range : shard.slots) {
      line += range.first == range.last ? fmt::format(" {}", range.first)
                                        : fmt::format(" {}-{}", range.first, range.last);
    }
  }
  return line;
}

std::string ClusterView::NodesText() const {
  std::string text;
  for (const Shard& shard : shards_) {
    text += NodeLine(shard, shard.master) + "\n";
    for (const std::string& line : SlaveLines(shard)) {
      text += line + "\n";
    }
  }
  return text;
}

std::vector<std::string> ClusterView::SlaveLines(const Shard& shard) const {
  std::vector<std::string> lines;
  for (const ShardNode& slave : shard.slaves) {
    lines.push_back(NodeLine(shard, slave));
  }
  return lines;
}

std::string ClusterView::InfoText() const {
  int assigned = 0;
  size_t nodes = 0;
  int serving = 0;
  for (const Shard& shard : shards_) {
    assigned += SlotCount(shard.slots);
    nodes += 1 + shard.slaves.size();
    serving += shard.slots.empty() ? 0 : 1;
  }
  return fmt::format(
      "cluster_state:{}\r\ncluster_slots_assigned:{}\r\ncluster_slots_ok:{}\r\n"
      "cluster_slots_pfail:0\r\ncluster_slots_fail:0\r\ncluster_known_nodes:{}\r\n"
      "cluster_size:{}\r\ncluster_current_epoch:{}\r\ncluster_my_epoch:{}\r\n"
      "cluster_stats_messages_sent:0\r\ncluster_stats_messages_received:0\r\n"
      "total_cluster_links_buffer_limit_exceeded:0\r\n",
      assigned == kSlotCount ? "ok" : "fail", assigned, assigned, nodes, serving, epoch_, epoch_);
}

void ClusterView::WriteSlots(RespWriter* reply) const {
  std::vector<std::pair<SlotRange, const Shard*>> ranges;
  for (const Shard& shard : shards_) {
    for (const SlotRange& range : shard.slots) {
      ranges.emplace_back(range, &shard);
    }
  }
  std::sort(ranges.begin(), ranges.end(),
            [](const auto& a, const auto& b) { return a.first.first < b.first.first; });
  reply->Array(ranges.size());
  for (const auto& [range, shard] : ranges) {
    reply->Array(3 + shard->slaves.size());
    reply->Integer(range.first);
    reply->Integer(range.last);
    WriteSlotsNode(shard->master, reply);
    for (const ShardNode& slave : shard->slaves) {
      WriteSlotsNode(slave, reply);
    }
  }
}

void ClusterView::WriteShards(RespWriter* reply) const {
  reply->Array(shards_.size());
  for (const Shard& shard : shards_) {
    reply->Map(2);
    reply->Bulk("slots");
    reply->Array(2 * shard.slots.size());
    for (const SlotRange& range : shard.slots) {
      reply->Integer(range.first);
      reply->Integer(range.last);
    }
    reply->Bulk("nodes");
    reply->Array(1 + shard.slaves.size());
    WriteShardsNode(shard.master, "master", reply);
    for (const ShardNode& slave : shard.slaves) {
      WriteShardsNode(slave, "replica", reply);
    }
  }
}

}  // namespace kvs
