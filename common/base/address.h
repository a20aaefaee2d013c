// NodeAddress: where a process listens, "host:port" in text, "[host]:port" for IPv6.
//
// Threads: pure functions, no state.

#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/status.h"

namespace kvs {

struct NodeAddress {
  std::string host;   // A name or an address; IPv6 without its brackets.
  uint16_t port = 0;  // Never 0 in a parsed address.

  bool empty() const { return host.empty(); }
  auto operator<=>(const NodeAddress&) const = default;  // NOLINT(modernize-use-nullptr)
};

// A host name has at most 253 characters in DNS.
inline constexpr size_t kMaxHostSize = 253;

// Reads "host:port" or "[ipv6]:port".
// Returns kInvalidArgument if the host is empty, too long or holds other characters than those of
// names and addresses, or if the port is not in [1, 65535].
Result<NodeAddress> ParseAddress(std::string_view text);

std::string FormatAddress(const NodeAddress& address);

}  // namespace kvs
