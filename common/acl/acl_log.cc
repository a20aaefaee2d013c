#include "common/acl/acl_log.h"

#include <algorithm>
#include <utility>

namespace kvs {
namespace {

constexpr int64_t kSameWithinMs = 60'000;
// How many of the latest are looked at for the same refusal.
constexpr ptrdiff_t kLookedAt = 10;

}  // namespace

std::string_view ReasonName(AclDenial reason) {
  switch (reason) {
    case AclDenial::kCommand:
      return "command";
    case AclDenial::kKey:
      return "key";
    case AclDenial::kChannel:
      return "channel";
    case AclDenial::kAuth:
      return "auth";
    case AclDenial::kNone:
      break;
  }
  return "unknown";
}

std::string_view ContextName(AclContext context) {
  switch (context) {
    case AclContext::kTopLevel:
      return "toplevel";
    case AclContext::kMulti:
      return "multi";
    case AclContext::kLua:
      return "lua";
  }
  return "unknown";
}

void AclLog::Configure(int64_t max_length) {
  const MutexLock lock(&mu_);
  max_length_ = static_cast<size_t>(max_length);
  entries_.resize(std::min(entries_.size(), max_length_));
}

void AclLog::Add(AclLogEntry entry) {
  for (std::string* text : {&entry.object, &entry.username}) {
    text->resize(std::min(text->size(), kMaxTextBytes));
  }
  const MutexLock lock(&mu_);
  const auto end = entries_.begin() + std::min(kLookedAt, static_cast<ptrdiff_t>(entries_.size()));
  const auto same = std::find_if(entries_.begin(), end, [&entry](const AclLogEntry& one) {
    return one.reason == entry.reason && one.context == entry.context &&
           entry.updated_ms - one.updated_ms <= kSameWithinMs && one.object == entry.object &&
           one.username == entry.username;
  });
  if (same != end) {
    entry.id = same->id;
    entry.count = same->count + 1;
    entry.created_ms = same->created_ms;
    entries_.erase(same);
  } else {
    entry.id = next_id_++;
  }
  entries_.push_front(std::move(entry));
  entries_.resize(std::min(entries_.size(), max_length_));
}

std::vector<AclLogEntry> AclLog::Latest(size_t count) const {
  const MutexLock lock(&mu_);
  const auto end = entries_.begin() + static_cast<ptrdiff_t>(std::min(count, entries_.size()));
  return {entries_.begin(), end};
}

void AclLog::Reset() {
  const MutexLock lock(&mu_);
  entries_.clear();
}

}  // namespace kvs
