#include "proxy/route/route_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "common/base/strings.h"

namespace kvs {
namespace {

bool ParseSlot(std::string_view text, int* slot) {
  int64_t number = 0;
  if (!ParseInt64(text, &number) || number < 0 || number >= kSlotCount) {
    return false;
  }
  *slot = static_cast<int>(number);
  return true;
}

Result<SlotRange> ParseSlotRange(std::string_view text) {
  const size_t dash = text.find('-');
  SlotRange range;
  const bool good =
      ParseSlot(text.substr(0, dash), &range.first) &&
      ParseSlot(dash == std::string_view::npos ? text : text.substr(dash + 1), &range.last) &&
      range.first <= range.last;
  if (!good) {
    return Status::InvalidArgument(fmt::format(
        "'{}' in server-slots is no range of slots, such as 0-99, up to {}", text, kSlotCount - 1));
  }
  return range;
}

Status CheckCover(const std::vector<std::vector<SlotRange>>& slots) {
  std::vector<int> owners(kSlotCount, 0);
  for (const std::vector<SlotRange>& ranges : slots) {
    for (const SlotRange& range : ranges) {
      for (int slot = range.first; slot <= range.last; ++slot) {
        ++owners[static_cast<size_t>(slot)];
      }
    }
  }
  for (size_t slot = 0; slot < owners.size(); ++slot) {
    if (owners[slot] != 1) {
      return Status::InvalidArgument(fmt::format("server-slots gives slot {} to {} servers", slot,
                                                 owners[slot] == 0 ? "no" : "several"));
    }
  }
  return Status::Ok();
}

}  // namespace

Result<std::vector<std::vector<SlotRange>>> ParseServerSlots(const std::vector<std::string>& texts,
                                                             size_t server_count) {
  std::vector<std::vector<SlotRange>> slots;
  if (texts.empty()) {
    return slots;
  }
  if (texts.size() != server_count) {
    return Status::InvalidArgument(
        fmt::format("server-slots has {} entries for {} servers", texts.size(), server_count));
  }
  for (const std::string& text : texts) {
    slots.emplace_back();
    if (text == "-") {
      continue;  // A server that is to be emptied, or filled.
    }
    for (const std::string_view part : Split(text, '+')) {
      KVS_ASSIGN_OR_RETURN(const SlotRange range, ParseSlotRange(part));
      slots.back().push_back(range);
    }
  }
  KVS_RETURN_IF_ERROR(CheckCover(slots));
  return slots;
}

Result<std::vector<std::vector<NodeAddress>>> ParseReplicas(
    const std::vector<std::string>& texts, const std::vector<PoolServer>& servers) {
  std::vector<std::vector<NodeAddress>> replicas(texts.empty() ? 0 : servers.size());
  std::set<NodeAddress> seen;
  for (const PoolServer& server : servers) {
    seen.insert(server.address);
  }
  for (const std::string& text : texts) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos) {
      return Status::InvalidArgument(
          fmt::format("'{}' in replicas is not replica-host:port=master-host:port", text));
    }
    KVS_ASSIGN_OR_RETURN(const NodeAddress replica, ParseAddress(text.substr(0, equals)));
    KVS_ASSIGN_OR_RETURN(const NodeAddress master, ParseAddress(text.substr(equals + 1)));
    const auto found =
        std::find_if(servers.begin(), servers.end(),
                     [&master](const PoolServer& server) { return server.address == master; });
    if (found == servers.end()) {
      return Status::InvalidArgument(
          fmt::format("'{}' in replicas names a master that is not among servers", text));
    }
    if (!seen.insert(replica).second) {
      return Status::InvalidArgument(
          fmt::format("'{}' in replicas names a server that has a place already", text));
    }
    replicas[static_cast<size_t>(found - servers.begin())].push_back(replica);
  }
  return replicas;
}

void RoutePlan::SetPool(PoolSpec spec, int64_t now_ms) {
  std::vector<NodeAddress> failed;
  for (size_t i = 0; health_ != nullptr && i < pool_->servers.size(); ++i) {
    if (!health_->live()[i]) {
      failed.push_back(pool_->servers[i].address);
    }
  }
  map_ = nullptr;
  pool_ = std::move(spec);
  health_ = pool_->remove_failed
                ? std::make_unique<PoolHealth>(pool_->servers.size(), pool_->retry_ms)
                : nullptr;
  for (size_t i = 0; health_ != nullptr && i < pool_->servers.size(); ++i) {
    if (std::find(failed.begin(), failed.end(), pool_->servers[i].address) != failed.end()) {
      health_->OnFailure(i, now_ms);
    }
  }
  UseNames();
}

void RoutePlan::SetMap(const SlotMap& map) {
  pool_.reset();
  health_.reset();
  map_ = RouteTable::FromMap(map);
  UseNames();
}

void RoutePlan::SetNothing() {
  pool_.reset();
  health_.reset();
  map_ = std::make_shared<RouteTable>();
  UseNames();
}

void RoutePlan::UseNames() {
  std::vector<std::string> hosts;
  if (pool_.has_value()) {
    for (const PoolServer& server : pool_->servers) {
      hosts.push_back(server.address.host);
    }
  } else {
    for (const NodeAddress& address : map_->shards) {
      hosts.push_back(address.host);
    }
  }
  for (const auto& replicas : pool_.has_value() ? pool_->replicas : map_->replicas) {
    for (const NodeAddress& address : replicas) {
      hosts.push_back(address.host);
    }
  }
  names_.Use(hosts);
}

bool RoutePlan::OnFailure(const NodeAddress& address, int failures_in_row, int64_t now_ms) {
  bool changed = false;
  for (size_t i = 0; health_ != nullptr && i < pool_->servers.size(); ++i) {
    if (failures_in_row >= pool_->failure_limit && Resolved(pool_->servers[i].address) == address) {
      changed = health_->OnFailure(i, now_ms) || changed;
    }
  }
  return names_.OnFailure(address.host, now_ms) || changed;
}

RouteTablePtr RoutePlan::MakeTable() const {
  auto table = std::make_shared<RouteTable>(pool_.has_value() ? *MakePoolTable() : *map_);
  if (pool_.has_value()) {
    table->replicas = pool_->replicas;
  }
  for (NodeAddress& address : table->shards) {
    address = Resolved(address);
  }
  for (std::vector<NodeAddress>& replicas : table->replicas) {
    for (NodeAddress& address : replicas) {
      address = Resolved(address);
    }
  }
  return table;
}

RouteTablePtr RoutePlan::MakePoolTable() const {
  std::vector<NodeAddress> addresses;
  for (const PoolServer& server : pool_->servers) {
    addresses.push_back(server.address);
  }
  ServerRingPtr ring;
  if (pool_->ring.has_value()) {
    ring = std::make_shared<ServerRing>(
        *pool_->ring, pool_->servers,
        health_ == nullptr ? std::vector<bool>(addresses.size(), true) : health_->live());
  }
  return RouteTable::FromServers(addresses, std::move(ring), pool_->slots);
}

}  // namespace kvs
