#include "common/tracking/invalidation.h"

#include <fmt/format.h>

#include <iterator>

namespace kvs {
namespace {

void AppendBulk(std::string_view text, std::string* out) {
  fmt::format_to(std::back_inserter(*out), "${}\r\n", text.size());
  *out += text;
  *out += "\r\n";
}

void AppendKeys(const std::vector<std::string>& keys, std::string* out) {
  fmt::format_to(std::back_inserter(*out), "*{}\r\n", keys.size());
  for (const std::string& key : keys) {
    AppendBulk(key, out);
  }
}

}  // namespace

size_t Invalidation::bytes() const {
  size_t bytes = sizeof(Invalidation);
  for (const std::string& key : keys) {
    bytes += sizeof(std::string) + key.size();
  }
  return bytes;
}

void AppendInvalidationPush(const Invalidation& invalidation, std::string* out) {
  *out += ">2\r\n";
  if (invalidation.kind == Invalidation::Kind::kRedirectBroken) {
    AppendBulk("tracking-redir-broken", out);
    fmt::format_to(std::back_inserter(*out), ":{}\r\n", invalidation.redirect);
    return;
  }
  AppendBulk("invalidate", out);
  if (invalidation.kind == Invalidation::Kind::kEverything) {
    *out += "_\r\n";
  } else {
    AppendKeys(invalidation.keys, out);
  }
}

// One whose redirection is broken has nobody left who speaks RESP2 to tell.
void AppendInvalidationMessage(const Invalidation& invalidation, std::string* out) {
  if (invalidation.kind == Invalidation::Kind::kRedirectBroken) {
    return;
  }
  *out += "*3\r\n";
  AppendBulk("message", out);
  AppendBulk(kInvalidationChannel, out);
  if (invalidation.kind == Invalidation::Kind::kEverything) {
    *out += "$-1\r\n";
  } else {
    AppendKeys(invalidation.keys, out);
  }
}

void InvalidationOutlet::Push(InvalidationOrder order) {
  bool asleep = false;
  {
    const MutexLock lock(&mu_);
    asleep = orders_.empty() && losers_.empty();
    // What several are told is there once.
    const bool shared = !orders_.empty() && orders_.back().invalidation == order.invalidation;
    const size_t bytes = sizeof(InvalidationOrder) + (shared ? 0 : order.invalidation->bytes());
    if (bytes_ + bytes > kMaxWaitingBytes && !orders_.empty()) {
      losers_.insert(order.client);
    } else {
      bytes_ += bytes;
      orders_.push_back(std::move(order));
    }
  }
  if (asleep) {
    wake_();
  }
}

std::vector<InvalidationOrder> InvalidationOutlet::Take(std::set<uint64_t>* losers) {
  const MutexLock lock(&mu_);
  losers->merge(losers_);
  losers_.clear();
  bytes_ = 0;
  return std::exchange(orders_, {});
}

}  // namespace kvs
