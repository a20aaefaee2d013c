#include "common/service/monitor_feed.h"

#include <fmt/format.h>

#include <utility>

#include "common/base/random.h"
#include "common/base/strings.h"
#include "common/service/slow_log.h"

namespace kvs {
namespace {

// A line of a command with a large value shows its beginning.
constexpr size_t kMaxArgumentBytes = 64 * 1024;
constexpr size_t kMaxArguments = 1024;

// Redis puts the family before the path of a unix socket.
std::string Source(const ClientInfo& client) {
  if (client.address.ends_with(":0")) {
    return "unix:" + client.address.substr(0, client.address.size() - 2);
  }
  return client.address;
}

}  // namespace

std::string MonitorOutlet::Take(bool* overflown) {
  const MutexLock lock(&mu_);
  *overflown = std::exchange(overflown_, false);
  return std::exchange(lines_, {});
}

void MonitorOutlet::Push(std::string_view line) {
  const MutexLock lock(&mu_);
  const bool asleep = lines_.empty() && !overflown_;
  if (lines_.size() + line.size() > kMaxWaiting) {
    overflown_ = true;
  } else {
    lines_ += line;
  }
  if (asleep) {
    wake_();
  }
}

void MonitorFeed::Add(MonitorOutlet* outlet) {
  const MutexLock lock(&mu_);
  outlets_.push_back(outlet);
  outlet_count_.store(outlets_.size(), std::memory_order_relaxed);
}

void MonitorFeed::Remove(MonitorOutlet* outlet) {
  const MutexLock lock(&mu_);
  std::erase(outlets_, outlet);
  outlet_count_.store(outlets_.size(), std::memory_order_relaxed);
}

bool MonitorFeed::IsSampled() const {
  const int64_t every = sample_every_.load(std::memory_order_relaxed);
  thread_local Random random = Random::FromKernel();
  return every <= 1 || random.Uniform(static_cast<uint64_t>(every)) == 0;
}

// Commands of administrators are not shown.
void MonitorFeed::Publish(const CommandSpec& spec, CommandArgs args, const ClientInfo& client,
                          int64_t wall_micros) {
  if (spec.Has(Cmd::kAdmin)) {
    return;
  }
  std::string line = fmt::format("+{}.{:06} [0 {}]", wall_micros / 1'000'000,
                                 wall_micros % 1'000'000, Source(client));
  for (const std::string& argument :
       TrimArguments(RedactSecrets(spec, args), kMaxArguments, kMaxArgumentBytes)) {
    line += " " + QuoteForLog(argument);
  }
  line += "\r\n";
  const MutexLock lock(&mu_);
  for (MonitorOutlet* outlet : outlets_) {
    outlet->Push(line);
  }
}

}  // namespace kvs
