#include "common/base/address.h"

#include <algorithm>

#include "common/base/strings.h"

namespace kvs {
namespace {

bool IsAlphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool IsNameByte(char c) {
  return IsAlphanumeric(c) || c == '.' || c == '-' || c == '_';
}

// '%' and what follows it is a zone, as in fe80::1%eth0.
bool IsIpv6Byte(char c) {
  return IsNameByte(c) || c == ':' || c == '%';
}

Status BadAddress(std::string_view text) {
  return Status::InvalidArgument("address " + QuoteForLog(text.substr(0, kMaxHostSize)) +
                                 " is not host:port or [ipv6]:port");
}

}  // namespace

Result<NodeAddress> ParseAddress(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) {
    return BadAddress(text);
  }
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) {
    host = host.substr(1, host.size() - 2);
  }
  if (host.empty() || host.size() > kMaxHostSize ||
      (bracketed && host.find(':') == std::string_view::npos) ||
      !std::all_of(host.begin(), host.end(), bracketed ? IsIpv6Byte : IsNameByte)) {
    return BadAddress(text);
  }
  uint64_t port = 0;
  if (!ParseUint64(text.substr(colon + 1), &port) || port == 0 || port > UINT16_MAX) {
    return BadAddress(text);
  }
  return NodeAddress{.host = std::string(host), .port = static_cast<uint16_t>(port)};
}

std::string FormatAddress(const NodeAddress& address) {
  const bool is_ipv6 = address.host.find(':') != std::string::npos;
  const std::string host = is_ipv6 ? "[" + address.host + "]" : address.host;
  return host + ":" + std::to_string(address.port);
}

}  // namespace kvs
