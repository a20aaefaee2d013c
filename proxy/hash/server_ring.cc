#include "proxy/hash/server_ring.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "common/base/check.h"
#include "common/base/strings.h"
#include "proxy/hash/md5.h"

namespace kvs {
namespace {

constexpr uint16_t kMemcachedPort = 11'211;
constexpr float kPointsPerServer = 160;
constexpr uint32_t kPointsPerDigest = 4;

Status BadEntry(std::string_view text) {
  return Status::InvalidArgument(
      fmt::format("'{}' is not host:port, host:port:weight or host:port:weight name, with a weight "
                  "from 1 to {} "
                  "and a name of at most {} characters",
                  text, kMaxServerWeight, kMaxServerName));
}

// In floats and their order of rounding as twemproxy counts, so that the rings are equal.
uint32_t DigestsOf(uint32_t weight, uint32_t total_weight, size_t live_count) {
  const float share = static_cast<float>(weight) / static_cast<float>(total_weight);
  const float digests = share * kPointsPerServer / static_cast<float>(kPointsPerDigest) *
                        static_cast<float>(live_count);
  return static_cast<uint32_t>(
      std::floor(static_cast<float>(static_cast<double>(digests) + 0.0000000001)));
}

uint32_t WordOf(const std::array<uint8_t, 16>& digest, size_t index) {
  uint32_t word = 0;
  for (size_t i = 4; i > 0; --i) {
    word = (word << 8) | digest[4 * index + i - 1];
  }
  return word;
}

}  // namespace

Result<PoolServer> ParsePoolServer(std::string_view text) {
  PoolServer server;
  const size_t space = text.find(' ');
  std::string_view place = text.substr(0, space);
  server.name = space == std::string_view::npos ? "" : std::string(TrimSpaces(text.substr(space)));
  Result<NodeAddress> address = ParseAddress(place);
  const size_t colon = place.rfind(':');
  if (!address.ok() && colon != std::string_view::npos) {
    int64_t weight = 0;
    if (!ParseInt64(place.substr(colon + 1), &weight) || weight < 1 || weight > kMaxServerWeight) {
      return BadEntry(text);
    }
    server.weight = static_cast<uint32_t>(weight);
    place = place.substr(0, colon);
    address = ParseAddress(place);
  }
  if (!address.ok() || server.name.size() > kMaxServerName) {
    return BadEntry(text);
  }
  server.address = *address;
  if (server.name.empty()) {
    server.name = server.address.port == kMemcachedPort ? server.address.host : std::string(place);
  }
  return server;
}

ServerRing::ServerRing(Options options, const std::vector<PoolServer>& servers,
                       std::vector<bool> live)
    : options_(std::move(options)), live_(std::move(live)) {
  KVS_CHECK(!servers.empty() && servers.size() <= kMaxPoolServers &&
            live_.size() == servers.size());
  KVS_CHECK(options_.hash_tag.empty() || options_.hash_tag.size() == 2);
  if (options_.kind == Kind::kKetama) {
    AddKetamaPoints(servers);
  } else {
    AddModulaPoints(servers);
  }
}

void ServerRing::AddKetamaPoints(const std::vector<PoolServer>& servers) {
  uint32_t total_weight = 0;
  for (size_t i = 0; i < servers.size(); ++i) {
    total_weight += live_[i] ? servers[i].weight : 0;
  }
  const auto live_count = static_cast<size_t>(std::count(live_.begin(), live_.end(), true));
  for (size_t i = 0; i < servers.size(); ++i) {
    const uint32_t digests = live_[i] ? DigestsOf(servers[i].weight, total_weight, live_count) : 0;
    for (uint32_t number = 0; number < digests; ++number) {
      const auto digest = Md5(fmt::format("{}-{}", servers[i].name, number));
      for (uint32_t word = 0; word < kPointsPerDigest; ++word) {
        points_.push_back({WordOf(digest, word), static_cast<int32_t>(i)});
      }
    }
  }
  std::stable_sort(points_.begin(), points_.end(),
                   [](const Point& a, const Point& b) { return a.value < b.value; });
}

void ServerRing::AddModulaPoints(const std::vector<PoolServer>& servers) {
  for (size_t i = 0; i < servers.size(); ++i) {
    points_.insert(points_.end(), live_[i] ? servers[i].weight : 0, {0, static_cast<int32_t>(i)});
  }
}

std::string_view ServerRing::HashedPart(std::string_view key) const {
  if (options_.hash_tag.empty()) {
    return key;
  }
  const size_t open = key.find(options_.hash_tag[0]);
  if (open == std::string_view::npos) {
    return key;
  }
  const size_t close = key.find(options_.hash_tag[1], open + 1);
  return close == std::string_view::npos || close == open + 1
             ? key
             : key.substr(open + 1, close - open - 1);
}

int ServerRing::Find(std::string_view key) const {
  if (points_.empty()) {
    return -1;
  }
  const uint32_t hash = HashKey(options_.hash, HashedPart(key));
  if (options_.kind == Kind::kModula) {
    return points_[hash % points_.size()].server;
  }
  const auto point =
      std::lower_bound(points_.begin(), points_.end(), hash,
                       [](const Point& a, uint32_t value) { return a.value < value; });
  return point == points_.end() ? points_.front().server : point->server;
}

}  // namespace kvs
