#include "common/metrics/metrics.h"

#include <fmt/format.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <limits>

namespace kvs {

uint64_t HistogramCells::UpperBound(int bucket) {
  if (bucket < 4) {
    return static_cast<uint64_t>(bucket) + 1;
  }
  const int shift = bucket / 4 - 1;
  return static_cast<uint64_t>(bucket % 4 + 5) << shift;
}

void HistogramSum::Add(const HistogramCells& cells) {
  for (size_t i = 0; i < buckets.size(); ++i) {
    const uint64_t n = cells.buckets_[i].load(std::memory_order_relaxed);
    buckets[i] += n;
    count += n;
  }
  sum_micros += cells.sum_.load(std::memory_order_relaxed);
}

uint64_t HistogramSum::Quantile(double quantile) const {
  const auto wanted = static_cast<uint64_t>(quantile * static_cast<double>(count));
  uint64_t seen = 0;
  for (size_t i = 0; i < buckets.size(); ++i) {
    seen += buckets[i];
    if (seen > wanted || (seen == count && count > 0)) {
      return HistogramCells::UpperBound(static_cast<int>(i));
    }
  }
  return 0;
}

MetricCells::MetricCells(const std::vector<MetricRow>& rows, int command_count)
    : values_(rows.size()), commands_(static_cast<size_t>(command_count)) {
  for (const MetricRow& row : rows) {
    histograms_.push_back(row.kind == MetricKind::kHistogram ? std::make_unique<HistogramCells>()
                                                             : nullptr);
  }
}

MetricRegistry::MetricRegistry(std::string prefix, std::vector<MetricRow> rows,
                               std::vector<std::string> command_names)
    : prefix_(std::move(prefix)),
      rows_(std::move(rows)),
      command_names_(std::move(command_names)),
      sources_(rows_.size()),
      value_base_(rows_.size()),
      command_base_(command_names_.size()) {}

MetricCells* MetricRegistry::NewCells() {
  const MutexLock lock(&mu_);
  cells_.emplace_back(new MetricCells(rows_, static_cast<int>(command_names_.size())));
  return cells_.back().get();
}

void MetricRegistry::SetSource(int metric, std::function<int64_t()> source) {
  const MutexLock lock(&mu_);
  sources_[static_cast<size_t>(metric)] = std::move(source);
}

int64_t MetricRegistry::Value(int metric) const {
  const MutexLock lock(&mu_);
  return ValueLocked(metric);
}

int64_t MetricRegistry::ValueLocked(int metric) const {
  const auto index = static_cast<size_t>(metric);
  if (sources_[index]) {
    return sources_[index]() - value_base_[index];
  }
  int64_t sum = 0;
  for (const auto& cells : cells_) {
    sum += cells->values_[index].load(std::memory_order_relaxed);
  }
  return sum - value_base_[index];
}

HistogramSum MetricRegistry::Histogram(int metric) const {
  const MutexLock lock(&mu_);
  return HistogramLocked(metric);
}

HistogramSum MetricRegistry::HistogramLocked(int metric) const {
  HistogramSum sum;
  for (const auto& cells : cells_) {
    sum.Add(*cells->histograms_[static_cast<size_t>(metric)]);
  }
  return sum;
}

CommandSum MetricRegistry::Command(int command) const {
  const MutexLock lock(&mu_);
  return CommandLocked(command);
}

CommandSum MetricRegistry::CommandLocked(int command) const {
  const auto index = static_cast<size_t>(command);
  CommandSum sum;
  for (const auto& cells : cells_) {
    const CommandCells& cell = cells->commands_[index];
    sum.calls += cell.calls.load(std::memory_order_relaxed);
    sum.micros += cell.micros.load(std::memory_order_relaxed);
    sum.rejected += cell.rejected.load(std::memory_order_relaxed);
    sum.failed += cell.failed.load(std::memory_order_relaxed);
    for (size_t i = 0; i < sum.steps.size(); ++i) {
      sum.steps[i] += cell.steps[i].load(std::memory_order_relaxed);
    }
  }
  const CommandSum& base = command_base_[index];
  sum.calls -= base.calls;
  sum.micros -= base.micros;
  sum.rejected -= base.rejected;
  sum.failed -= base.failed;
  for (size_t i = 0; i < sum.steps.size(); ++i) {
    sum.steps[i] -= base.steps[i];
  }
  return sum;
}

uint64_t MetricRegistry::Errors(Code code) const {
  const MutexLock lock(&mu_);
  return ErrorsLocked(code);
}

uint64_t MetricRegistry::ErrorsLocked(Code code) const {
  uint64_t sum = 0;
  for (const auto& cells : cells_) {
    sum += cells->errors_[static_cast<size_t>(code)].load(std::memory_order_relaxed);
  }
  return sum - error_base_[static_cast<size_t>(code)];
}

void MetricRegistry::Reset() {
  const MutexLock lock(&mu_);
  for (size_t i = 0; i < rows_.size(); ++i) {
    if (rows_[i].kind == MetricKind::kCounter) {
      value_base_[i] += ValueLocked(static_cast<int>(i));
    }
  }
  for (size_t i = 0; i < command_base_.size(); ++i) {
    const CommandSum now = CommandLocked(static_cast<int>(i));
    command_base_[i].calls += now.calls;
    command_base_[i].micros += now.micros;
    command_base_[i].rejected += now.rejected;
    command_base_[i].failed += now.failed;
    for (size_t step = 0; step < now.steps.size(); ++step) {
      command_base_[i].steps[step] += now.steps[step];
    }
  }
  for (int i = 0; i < kCodeCount; ++i) {
    error_base_[static_cast<size_t>(i)] += ErrorsLocked(static_cast<Code>(i));
  }
}

std::vector<std::pair<std::string_view, int64_t>> MetricRegistry::Values() const {
  const MutexLock lock(&mu_);
  std::vector<std::pair<std::string_view, int64_t>> values;
  for (size_t i = 0; i < rows_.size(); ++i) {
    if (rows_[i].kind != MetricKind::kHistogram) {
      values.emplace_back(rows_[i].name, ValueLocked(static_cast<int>(i)));
    }
  }
  return values;
}

namespace {

prometheus::MetricFamily Family(std::string name, std::string_view help,
                                prometheus::MetricType type) {
  prometheus::MetricFamily family;
  family.name = std::move(name);
  family.help = help;
  family.type = type;
  return family;
}

prometheus::ClientMetric LabelledCounter(const char* label, std::string_view value, double number) {
  prometheus::ClientMetric metric;
  metric.label = {{label, std::string(value)}};
  metric.counter.value = number;
  return metric;
}

prometheus::ClientMetric ToPrometheus(const HistogramSum& sum) {
  prometheus::ClientMetric metric;
  metric.histogram.sample_count = sum.count;
  metric.histogram.sample_sum = static_cast<double>(sum.sum_micros) * 1e-6;
  uint64_t cumulative = 0;
  for (int i = 0; i < HistogramCells::kBuckets; ++i) {
    cumulative += sum.buckets[static_cast<size_t>(i)];
    if (i % 4 == 3) {  // One line for each power of two is enough for a dashboard.
      metric.histogram.bucket.push_back(
          {cumulative, static_cast<double>(HistogramCells::UpperBound(i)) * 1e-6});
    }
  }
  metric.histogram.bucket.push_back({sum.count, std::numeric_limits<double>::infinity()});
  return metric;
}

}  // namespace

std::string MetricRegistry::PrometheusText() const {
  const MutexLock lock(&mu_);
  std::vector<prometheus::MetricFamily> families;
  for (size_t i = 0; i < rows_.size(); ++i) {
    const MetricRow& row = rows_[i];
    const auto type = row.kind == MetricKind::kCounter ? prometheus::MetricType::Counter
                      : row.kind == MetricKind::kGauge ? prometheus::MetricType::Gauge
                                                       : prometheus::MetricType::Histogram;
    prometheus::MetricFamily family = Family(prefix_ + std::string(row.name), row.help, type);
    prometheus::ClientMetric metric;
    if (row.kind == MetricKind::kHistogram) {
      metric = ToPrometheus(HistogramLocked(static_cast<int>(i)));
    } else if (row.kind == MetricKind::kCounter) {
      metric.counter.value = static_cast<double>(ValueLocked(static_cast<int>(i)));
    } else {
      metric.gauge.value = static_cast<double>(ValueLocked(static_cast<int>(i)));
    }
    family.metric.push_back(std::move(metric));
    families.push_back(std::move(family));
  }
  auto calls = Family(prefix_ + "command_calls_total", "Calls of each command.",
                      prometheus::MetricType::Counter);
  auto seconds = Family(prefix_ + "command_seconds_total", "Time spent in each command.",
                        prometheus::MetricType::Counter);
  for (size_t i = 0; i < command_names_.size(); ++i) {
    const CommandSum sum = CommandLocked(static_cast<int>(i));
    if (sum.calls + sum.rejected > 0) {
      calls.metric.push_back(
          LabelledCounter("command", command_names_[i], static_cast<double>(sum.calls)));
      seconds.metric.push_back(
          LabelledCounter("command", command_names_[i], static_cast<double>(sum.micros) * 1e-6));
    }
  }
  auto errors = Family(prefix_ + "errors_total", "Errors sent to clients, by kind.",
                       prometheus::MetricType::Counter);
  for (int i = 1; i < kCodeCount; ++i) {
    errors.metric.push_back(
        LabelledCounter("code", CodeName(static_cast<Code>(i)),
                        static_cast<double>(ErrorsLocked(static_cast<Code>(i)))));
  }
  families.push_back(std::move(calls));
  families.push_back(std::move(seconds));
  families.push_back(std::move(errors));
  return prometheus::TextSerializer().Serialize(families);
}

std::string MetricsMarkdown(std::string_view prefix, const std::vector<MetricRow>& rows) {
  static constexpr std::string_view kKinds[] = {"counter", "gauge", "histogram"};
  std::string out = "| Metric | Kind | Meaning |\n|---|---|---|\n";
  for (const MetricRow& row : rows) {
    out += fmt::format("| `{}{}` | {} | {} |\n", prefix, row.name,
                       kKinds[static_cast<size_t>(row.kind)], row.help);
  }
  out += fmt::format(
      "| `{0}command_calls_total{{command}}` | counter | Calls of each command. |\n"
      "| `{0}command_seconds_total{{command}}` | counter | Time spent in each command. |\n"
      "| `{0}errors_total{{code}}` | counter | Errors sent to clients, by kind. |\n",
      prefix);
  return out;
}

}  // namespace kvs
