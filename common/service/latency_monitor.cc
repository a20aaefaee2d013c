#include "common/service/latency_monitor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

namespace kvs {
namespace {

constexpr size_t kMaxSamples = 160;
constexpr size_t kColumns = 80;
constexpr int kRows = 4;
constexpr std::string_view kLevels = "_o#";  // From low to high in one row.

std::string Age(int64_t seconds) {
  if (seconds < 60) {
    return fmt::format("{}s", seconds);
  }
  if (seconds < 3600) {
    return fmt::format("{}m", seconds / 60);
  }
  return seconds < 86400 ? fmt::format("{}h", seconds / 3600) : fmt::format("{}d", seconds / 86400);
}

struct Column {
  int64_t ms;
  std::string label;
};

char Cell(const Column& column, int64_t low, int64_t range, int row) {
  const int levels = static_cast<int>(kLevels.size());
  const int steps = levels * kRows;
  const auto step =
      static_cast<int>(std::min<int64_t>((column.ms - low) * steps / range, steps - 1));
  const int level = step - (kRows - row - 1) * levels;
  if (level < 0) {
    return ' ';
  }
  return level < levels ? kLevels[static_cast<size_t>(level)] : '|';
}

// The bars, an empty line, and the labels from top to bottom.
void DrawRange(const Column* columns, size_t count, int64_t low, int64_t high, std::string* out) {
  const int64_t range = std::max<int64_t>(high - low, 1);
  size_t label_rows = 0;
  for (size_t i = 0; i < count; ++i) {
    label_rows = std::max(label_rows, columns[i].label.size());
  }
  for (int row = 0; row < kRows; ++row) {
    for (size_t i = 0; i < count; ++i) {
      *out += Cell(columns[i], low, range, row);
    }
    *out += '\n';
  }
  *out += std::string(count, ' ') + "\n";
  for (size_t row = 0; row < label_rows; ++row) {
    for (size_t i = 0; i < count; ++i) {
      *out += row < columns[i].label.size() ? columns[i].label[row] : ' ';
    }
    *out += '\n';
  }
}

// "1. command: 3 latency spikes (...)"
std::string EventLine(size_t number, const LatencyEvent& event, int64_t now_seconds) {
  const auto count = static_cast<int64_t>(event.samples.size());
  int64_t sum = 0;
  for (const LatencySample& sample : event.samples) {
    sum += sample.ms;
  }
  const int64_t average = sum / count;
  int64_t deviation = 0;
  for (const LatencySample& sample : event.samples) {
    deviation += std::abs(sample.ms - average);
  }
  const auto period = static_cast<double>(now_seconds - event.samples.front().unix_seconds);
  return fmt::format(
      "{}. {}: {} latency spikes (average {}ms, mean deviation {}ms, period {:.2f} sec). Worst all "
      "time event {}ms.\n",
      number, event.name, count, average, deviation / count, period / static_cast<double>(count),
      event.worst_ms);
}

}  // namespace

void LatencyMonitor::Add(std::string_view event, int64_t ms, int64_t unix_seconds) {
  const MutexLock lock(&mu_);
  auto found = events_.find(event);
  if (found == events_.end()) {
    found = events_.emplace(event, LatencyEvent{std::string(event), {}, 0}).first;
  }
  LatencyEvent& kept = found->second;
  kept.worst_ms = std::max(kept.worst_ms, ms);
  if (!kept.samples.empty() && kept.samples.back().unix_seconds == unix_seconds) {
    kept.samples.back().ms = std::max(kept.samples.back().ms, ms);
    return;
  }
  kept.samples.push_back({unix_seconds, ms});
  if (kept.samples.size() > kMaxSamples) {
    kept.samples.pop_front();
  }
}

std::vector<LatencyEvent> LatencyMonitor::Events() const {
  const MutexLock lock(&mu_);
  std::vector<LatencyEvent> events;
  for (const auto& [name, event] : events_) {
    events.push_back(event);
  }
  return events;
}

LatencyEvent LatencyMonitor::Find(std::string_view event) const {
  const MutexLock lock(&mu_);
  const auto found = events_.find(event);
  return found == events_.end() ? LatencyEvent() : found->second;
}

int64_t LatencyMonitor::Reset(const std::vector<std::string_view>& events) {
  const MutexLock lock(&mu_);
  if (events.empty()) {
    const auto count = static_cast<int64_t>(events_.size());
    events_.clear();
    return count;
  }
  int64_t count = 0;
  for (const std::string_view event : events) {
    const auto found = events_.find(event);
    if (found != events_.end()) {
      events_.erase(found);
      ++count;
    }
  }
  return count;
}

std::string DrawLatency(const LatencyEvent& event, int64_t now_seconds) {
  std::vector<Column> columns;
  int64_t low = event.samples.front().ms;
  int64_t high = low;
  for (const LatencySample& sample : event.samples) {
    low = std::min(low, sample.ms);
    high = std::max(high, sample.ms);
    columns.push_back({sample.ms, Age(now_seconds - sample.unix_seconds)});
  }
  std::string text = fmt::format("{} - high {} ms, low {} ms (all time high {} ms)\n", event.name,
                                 high, low, event.worst_ms);
  text += std::string(kColumns, '-') + "\n";
  for (size_t i = 0; i < columns.size(); i += kColumns) {
    text += i == 0 ? "" : "\n";
    DrawRange(&columns[i], std::min(kColumns, columns.size() - i), low, high, &text);
  }
  return text;
}

std::string LatencyReport(const LatencyMonitor& monitor, int64_t slower_than, int64_t now_seconds) {
  const std::vector<LatencyEvent> events = monitor.Events();
  if (events.empty() && monitor.threshold_ms() == 0) {
    return "I'm sorry, Dave, I can't do that. Latency monitoring is disabled in this Redis "
           "instance. You may use \"CONFIG SET latency-monitor-threshold <milliseconds>.\" in "
           "order "
           "to enable it. If we weren't in a deep space mission I'd suggest to take a look at "
           "https://redis.io/topics/latency-monitor.\n";
  }
  if (events.empty()) {
    return "Dave, no latency spike was observed during the lifetime of this Redis instance, not in "
           "the slightest bit. I honestly think you ought to sit down calmly, take a stress pill, "
           "and think things over.\n";
  }
  std::string text =
      "Dave, I have observed latency spikes in this Redis instance. You don't mind talking about "
      "it, do you Dave?\n\n";
  for (size_t i = 0; i < events.size(); ++i) {
    text += EventLine(i + 1, events[i], now_seconds);
  }
  text += "\nI have a few advices for you:\n\n";
  if (slower_than < 0 || slower_than / 1000 > monitor.threshold_ms()) {
    text += fmt::format(
        "- The slow log leaves out commands that latency monitoring counts. Please use 'CONFIG SET "
        "slowlog-log-slower-than {}'.\n",
        monitor.threshold_ms() * 1000);
  }
  return text +
         "- Look with SLOWLOG GET at the commands that are too slow.\n"
         "- Look at the load of the machine and of its disks.\n";
}

}  // namespace kvs
