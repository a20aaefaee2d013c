#include "common/service/diagnostics.h"

#include <utility>

namespace kvs {

// Commits and fsyncs are events themselves.
int64_t Diagnostics::KeepSlow(const CommandSpec& spec, std::vector<std::string> args,
                              const StageTimes& times, const ClientInfo& client, Clock* clock) {
  OnEvent(spec.Has(Cmd::kFast) ? "fast-command" : "command", times.own(), clock);
  if (!slow_log.IsSlow(times.total()) || spec.Has(Cmd::kSkipSlowLog)) {
    return kNoEntry;
  }
  SlowLogEntry entry;
  entry.unix_seconds = clock->WallMillis() / 1000;
  entry.times = times;
  entry.args = std::move(args);
  entry.address = client.address;
  entry.name = client.name();
  return slow_log.Add(std::move(entry));
}

}  // namespace kvs
