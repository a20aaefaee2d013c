#include "common/service/slow_log.h"

#include <algorithm>
#include <utility>

#include "common/base/strings.h"

namespace kvs {
namespace {

constexpr size_t kMaxArguments = 32;
constexpr size_t kMaxArgumentBytes = 128;
constexpr std::string_view kRedacted = "(redacted)";

bool IsSecretOption(std::string_view name) {
  return EqualsIgnoreCase(name, "requirepass") || EqualsIgnoreCase(name, "masterauth") ||
         EqualsIgnoreCase(name, "backend-auth");
}

// What stands behind KEYS is no option.
void RedactMigrate(CommandArgs args, std::vector<std::string_view>* shown) {
  for (size_t i = 6; i < args.size() && !EqualsIgnoreCase(args[i], "keys"); ++i) {
    const size_t secrets = EqualsIgnoreCase(args[i], "auth")    ? 1
                           : EqualsIgnoreCase(args[i], "auth2") ? 2
                                                                : 0;
    for (size_t end = std::min(i + secrets, args.size() - 1); i < end;) {
      (*shown)[++i] = kRedacted;
    }
  }
}

}  // namespace

void SlowLog::Configure(int64_t slower_than, int64_t max_length) {
  slower_than_.store(slower_than, std::memory_order_relaxed);
  max_length_.store(max_length, std::memory_order_relaxed);
  const MutexLock lock(&mu_);
  if (entries_.size() > static_cast<size_t>(max_length)) {
    entries_.resize(static_cast<size_t>(max_length));
  }
}

int64_t SlowLog::Add(SlowLogEntry entry) {
  const auto limit = static_cast<size_t>(max_length());
  const MutexLock lock(&mu_);
  const int64_t id = next_id_++;
  entry.id = id;
  entries_.push_front(std::move(entry));
  if (entries_.size() > limit) {
    entries_.resize(limit);
  }
  return id;
}

// Ids follow one another, so the entry's place is known.
void SlowLog::AddTimes(int64_t id, int64_t commit, int64_t fsync) {
  const MutexLock lock(&mu_);
  const int64_t place = entries_.empty() ? -1 : entries_.front().id - id;
  if (place >= 0 && place < static_cast<int64_t>(entries_.size())) {
    StageTimes& times = entries_[static_cast<size_t>(place)].times;
    times.commit += commit;
    times.fsync += fsync;
  }
}

std::vector<SlowLogEntry> SlowLog::Latest(size_t count) const {
  const MutexLock lock(&mu_);
  const size_t size = std::min(count, entries_.size());
  return {entries_.begin(), entries_.begin() + static_cast<ptrdiff_t>(size)};
}

size_t SlowLog::size() const {
  const MutexLock lock(&mu_);
  return entries_.size();
}

void SlowLog::Reset() {
  const MutexLock lock(&mu_);
  entries_.clear();
}

std::vector<std::string_view> RedactSecrets(const CommandSpec& spec, CommandArgs args) {
  std::vector<std::string_view> shown(args.begin(), args.end());
  if (IdOf(spec) == CommandId::kAuth) {
    std::fill(shown.begin() + 1, shown.end(), kRedacted);
  } else if (IdOf(spec) == CommandId::kHello) {
    for (size_t i = 2; i + 2 < args.size(); ++i) {
      if (EqualsIgnoreCase(args[i], "auth")) {
        shown[i + 1] = kRedacted;
        shown[i + 2] = kRedacted;
        i += 2;
      }
    }
  } else if (IdOf(spec) == CommandId::kMigrate) {
    RedactMigrate(args, &shown);
  } else if (IdOf(spec) == CommandId::kAclSetUser || IdOf(spec) == CommandId::kAclGetUser ||
             IdOf(spec) == CommandId::kAclDelUser) {
    std::fill(shown.begin() + 2, shown.end(), kRedacted);
  } else if (IdOf(spec) == CommandId::kConfigSet) {
    for (size_t i = 2; i + 1 < args.size(); i += 2) {
      if (IsSecretOption(args[i])) {
        shown[i + 1] = kRedacted;
      }
    }
  }
  return shown;
}

std::vector<std::string> SlowLogArguments(const CommandSpec& spec, CommandArgs args) {
  return TrimArguments(RedactSecrets(spec, args), kMaxArguments, kMaxArgumentBytes);
}

}  // namespace kvs
