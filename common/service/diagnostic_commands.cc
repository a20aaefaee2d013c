// SLOWLOG, LATENCY and HOTKEYS.

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "common/base/strings.h"
#include "common/command/command_docs.h"
#include "common/service/connection_call.h"

namespace kvs {
namespace {

constexpr int64_t kDefaultSlowLogCount = 10;
constexpr int64_t kDefaultHotKeyCount = 10;

// Returns the entries that GET and STAGES are about, or nothing after an error reply.
std::optional<std::vector<SlowLogEntry>> WantedEntries(ConnectionCall* call) {
  int64_t count = kDefaultSlowLogCount;
  if (call->args.size() > 3) {
    FailArgumentCount(call);
    return std::nullopt;
  }
  if (call->args.size() == 3 && (!ParseInt64(call->args[2], &count) || count < -1)) {
    call->Fail("ERR count should be greater than or equal to -1");
    return std::nullopt;
  }
  const SlowLog& log = call->service->diagnostics->slow_log;
  return log.Latest(count < 0 ? SIZE_MAX : static_cast<size_t>(count));
}

void SlowLogGet(ConnectionCall* call) {
  const std::optional<std::vector<SlowLogEntry>> entries = WantedEntries(call);
  if (!entries.has_value()) {
    return;
  }
  call->reply.Array(entries->size());
  for (const SlowLogEntry& entry : *entries) {
    call->reply.Array(6);
    call->reply.Integer(entry.id);
    call->reply.Integer(entry.unix_seconds);
    call->reply.Integer(entry.times.total());
    call->reply.Array(entry.args.size());
    for (const std::string& argument : entry.args) {
      call->reply.Bulk(argument);
    }
    call->reply.Bulk(entry.address);
    call->reply.Bulk(entry.name);
  }
}

// An entry is its id and a map of microseconds.
void SlowLogStages(ConnectionCall* call) {
  const std::optional<std::vector<SlowLogEntry>> entries = WantedEntries(call);
  if (!entries.has_value()) {
    return;
  }
  RespWriter* reply = &call->reply;
  reply->Array(entries->size());
  for (const SlowLogEntry& entry : *entries) {
    const StageTimes& times = entry.times;
    const std::pair<std::string_view, int64_t> stages[] = {
        {"client", times.client}, {"queue", times.queue + times.unsent},
        {"lock", times.lock},     {"engine", times.engine},
        {"commit", times.commit}, {"fsync", times.fsync},
        {"link", times.link},     {"node", times.node},
        {"merge", times.merge}};
    reply->Array(2);
    reply->Integer(entry.id);
    reply->Map(std::size(stages));
    for (const auto& [name, micros] : stages) {
      reply->Bulk(name);
      reply->Integer(micros);
    }
  }
}

int64_t NowSeconds(const ConnectionCall& call) {
  return call.service->clock->WallMillis() / 1000;
}

void LatencyLatest(ConnectionCall* call) {
  const std::vector<LatencyEvent> events = call->service->diagnostics->latency.Events();
  call->reply.Array(events.size());
  for (const LatencyEvent& event : events) {
    call->reply.Array(4);
    call->reply.Bulk(event.name);
    call->reply.Integer(event.samples.back().unix_seconds);
    call->reply.Integer(event.samples.back().ms);
    call->reply.Integer(event.worst_ms);
  }
}

void LatencyHistory(ConnectionCall* call) {
  const LatencyEvent event = call->service->diagnostics->latency.Find(call->args[2]);
  call->reply.Array(event.samples.size());
  for (const LatencySample& sample : event.samples) {
    call->reply.Array(2);
    call->reply.Integer(sample.unix_seconds);
    call->reply.Integer(sample.ms);
  }
}

void LatencyGraph(ConnectionCall* call) {
  const LatencyEvent event = call->service->diagnostics->latency.Find(call->args[2]);
  if (event.samples.empty()) {
    return call->Fail("ERR No samples available for event '" + std::string(call->args[2]) + "'");
  }
  call->reply.Verbatim("txt", DrawLatency(event, NowSeconds(*call)));
}

struct CommandHistogram {
  const CommandSpec* spec;
  CommandSum sum;
};

// Adds the command, or the subcommands of a container, if it was called.
void AddHistograms(const MetricRegistry& metrics, const CommandSpec& spec,
                   std::vector<CommandHistogram>* histograms) {
  const CommandSum sum = metrics.Command(static_cast<int>(IdOf(spec)));
  if (sum.calls > 0) {
    histograms->push_back({&spec, sum});
  }
  for (const CommandSpec& subcommand : SubcommandsOf(spec)) {
    AddHistograms(metrics, subcommand, histograms);
  }
}

// Counts of calls up to each bound; bounds at which nothing is added are left out.
void WriteHistogram(const CommandHistogram& histogram, RespWriter* reply) {
  reply->Bulk(histogram.spec->name);
  reply->Map(2);
  reply->Bulk("calls");
  reply->Integer(static_cast<int64_t>(histogram.sum.calls));
  reply->Bulk("histogram_usec");
  size_t used = 0;
  for (const uint64_t count : histogram.sum.steps) {
    used += count > 0 ? 1 : 0;
  }
  reply->Map(used);
  uint64_t cumulative = 0;
  for (int step = 0; step < CommandSteps::kSteps; ++step) {
    const uint64_t count = histogram.sum.steps[static_cast<size_t>(step)];
    cumulative += count;
    if (count > 0) {
      reply->Integer(CommandSteps::UpperBound(step));
      reply->Integer(static_cast<int64_t>(cumulative));
    }
  }
}

void LatencyHistogram(ConnectionCall* call) {
  const MetricRegistry& metrics = *call->service->metrics;
  std::vector<CommandHistogram> histograms;
  for (const std::string_view name : call->args.subspan(2)) {
    if (const CommandSpec* spec = FindCommand(name)) {
      AddHistograms(metrics, *spec, &histograms);
    }
  }
  if (call->args.size() == 2) {
    for (const CommandSpec& spec : kCommands) {
      if (!IsSubcommand(spec)) {
        AddHistograms(metrics, spec, &histograms);
      }
    }
  }
  call->reply.Map(histograms.size());
  for (const CommandHistogram& histogram : histograms) {
    WriteHistogram(histogram, &call->reply);
  }
}

// A key, its estimated requests a second, and their share of all.
void HotKeysGet(ConnectionCall* call) {
  int64_t count = kDefaultHotKeyCount;
  if (call->args.size() > 3) {
    return FailArgumentCount(call);
  }
  if (call->args.size() == 3 && (!ParseInt64(call->args[2], &count) || count < 1)) {
    return call->Fail("ERR count should be greater than 0");
  }
  const int64_t now_ms = call->service->clock->MonotonicMillis();
  const std::vector<HotKey> hot = call->service->diagnostics->hot_keys.Top(
      static_cast<size_t>(std::min<int64_t>(count, 2 * HotKeys::kCapacity)), now_ms);
  call->reply.Array(hot.size());
  for (const HotKey& key : hot) {
    call->reply.Array(3);
    call->reply.Bulk(key.key);
    call->reply.Integer(std::llround(key.per_second));
    call->reply.Double(key.share);
  }
}

}  // namespace

void AnswerHotKeys(CommandId id, ConnectionCall* call) {
  HotKeys* hot_keys = &call->service->diagnostics->hot_keys;
  switch (id) {
    case CommandId::kHotKeysGet:
      return HotKeysGet(call);
    case CommandId::kHotKeysReset:
      hot_keys->Reset(call->service->clock->MonotonicMillis());
      return call->reply.Ok();
    default:
      return WriteHelp(GetCommand(CommandId::kHotKeys), &call->reply);
  }
}

void AnswerSlowLog(CommandId id, ConnectionCall* call) {
  SlowLog* log = &call->service->diagnostics->slow_log;
  switch (id) {
    case CommandId::kSlowLogGet:
      return SlowLogGet(call);
    case CommandId::kSlowLogStages:
      return SlowLogStages(call);
    case CommandId::kSlowLogLen:
      return call->reply.Integer(static_cast<int64_t>(log->size()));
    case CommandId::kSlowLogReset:
      log->Reset();
      return call->reply.Ok();
    default:
      return WriteHelp(GetCommand(CommandId::kSlowLog), &call->reply);
  }
}

void AnswerLatency(CommandId id, ConnectionCall* call) {
  Diagnostics* diagnostics = call->service->diagnostics;
  switch (id) {
    case CommandId::kLatencyDoctor:
      return call->reply.Verbatim(
          "txt", LatencyReport(diagnostics->latency, diagnostics->slow_log.slower_than(),
                               NowSeconds(*call)));
    case CommandId::kLatencyGraph:
      return LatencyGraph(call);
    case CommandId::kLatencyHistogram:
      return LatencyHistogram(call);
    case CommandId::kLatencyHistory:
      return LatencyHistory(call);
    case CommandId::kLatencyLatest:
      return LatencyLatest(call);
    case CommandId::kLatencyReset: {
      const CommandArgs events = call->args.subspan(2);
      return call->reply.Integer(diagnostics->latency.Reset({events.begin(), events.end()}));
    }
    default:
      return WriteHelp(GetCommand(CommandId::kLatency), &call->reply);
  }
}

}  // namespace kvs
