// Metrics: one row each in a program's metrics.def makes the enumerator, the Prometheus name, the
// JSON field and the documentation.
//
//   KVS_METRIC(kCounter, requests_total, "Requests received from clients.")
//
// Every thread writes cells of its own with plain relaxed stores; readers sum them.  No lock and no
// shared cache line on the hot path.  Series per command are arrays indexed by command id.
//
// Threads: MetricCells has one writing thread; reading and MetricRegistry are thread-safe.
// Owner:   the program owns the registry, the registry owns the cells; both live to the end.

#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/status.h"

namespace kvs {

enum class MetricKind : uint8_t {
  kCounter,    // Only grows.
  kGauge,      // Goes up and down.
  kHistogram,  // Durations, observed in microseconds and shown in seconds.
};

struct MetricRow {
  MetricKind kind;
  std::string_view name;
  std::string_view help;
};

// A log-linear histogram of microseconds: four buckets in each power of two, so a quantile is
// within 25 % of the truth.  Up to about 67 seconds; longer counts as that.
class HistogramCells {
 public:
  static constexpr int kBuckets = 108;

  void Observe(int64_t micros) {
    Bump(&buckets_[static_cast<size_t>(BucketOf(micros))], 1);
    Bump(&sum_, micros < 0 ? 0 : static_cast<uint64_t>(micros));
  }
  static int BucketOf(int64_t micros) {
    if (micros < 4) {
      return micros < 0 ? 0 : static_cast<int>(micros);
    }
    const auto value = static_cast<uint64_t>(micros);
    const int shift =
        static_cast<int>(std::bit_width(value)) - 3;  // Leaves the leading one and two bits.
    const int bucket = shift * 4 + static_cast<int>(value >> shift);
    return bucket < kBuckets ? bucket : kBuckets - 1;
  }
  // Returns the smallest value that lies above the bucket.
  static uint64_t UpperBound(int bucket);

 private:
  friend struct HistogramSum;
  // One writer: a load and a store are enough, and cheaper than a locked add.
  static void Bump(std::atomic<uint64_t>* cell, uint64_t by) {
    cell->store(cell->load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
  }
  std::array<std::atomic<uint64_t>, kBuckets> buckets_{};
  std::atomic<uint64_t> sum_{0};
};

// The sum of several threads' histograms.
struct HistogramSum {
  std::array<uint64_t, HistogramCells::kBuckets> buckets{};
  uint64_t count = 0;
  uint64_t sum_micros = 0;
  void Add(const HistogramCells& cells);
  // Returns the value in microseconds below which `quantile` (0 to 1) of the observations lie.
  uint64_t Quantile(double quantile) const;
};

// The durations of a command in the steps of LATENCY HISTOGRAM: powers of two of 1024 nanoseconds,
// each a little larger as Redis's histogram rounds.  The last step also takes what is longer.
struct CommandSteps {
  static constexpr int kSteps = 21;
  // Returns the largest duration in microseconds that belongs to the step.
  static constexpr int64_t UpperBound(int step) { return ((int64_t{1032} << step) - 1) / 1000; }
  static constexpr int StepOf(int64_t micros) {
    if (micros <= 1) {
      return 0;
    }
    const int step = static_cast<int>(std::bit_width(static_cast<uint64_t>(micros - 1)));
    const int fit = micros <= UpperBound(step - 1) ? step - 1 : step;
    return fit < kSteps ? fit : kSteps - 1;
  }
};

struct CommandCells {
  std::atomic<uint64_t> calls{0};
  std::atomic<uint64_t> micros{0};
  std::atomic<uint64_t> rejected{0};  // Refused before it ran.
  std::atomic<uint64_t> failed{0};    // Ran and answered with an error.
  std::array<std::atomic<uint64_t>, CommandSteps::kSteps> steps{};
};

struct CommandSum {
  uint64_t calls = 0;
  uint64_t micros = 0;
  uint64_t rejected = 0;
  uint64_t failed = 0;
  std::array<uint64_t, CommandSteps::kSteps> steps{};  // Calls whose time fell into each step.
};

// The cells of one thread.
class MetricCells {
 public:
  void Add(int metric, int64_t by) { Bump(&values_[static_cast<size_t>(metric)], by); }
  void Increment(int metric) { Add(metric, 1); }
  // For gauges that only this thread knows.
  void Set(int metric, int64_t value) {
    values_[static_cast<size_t>(metric)].store(value, std::memory_order_relaxed);
  }
  void Observe(int metric, int64_t micros) {
    histograms_[static_cast<size_t>(metric)]->Observe(micros);
  }
  void CountCommand(int command, int64_t micros, bool failed) {
    CommandCells& cells = commands_[static_cast<size_t>(command)];
    Bump(&cells.calls, 1);
    Bump(&cells.micros, static_cast<uint64_t>(micros));
    Bump(&cells.steps[static_cast<size_t>(CommandSteps::StepOf(micros))], 1);
    if (failed) {
      Bump(&cells.failed, 1);
    }
  }
  void CountRejected(int command) { Bump(&commands_[static_cast<size_t>(command)].rejected, 1); }
  void CountError(Code code) { Bump(&errors_[static_cast<size_t>(code)], 1); }

 private:
  friend class MetricRegistry;
  MetricCells(const std::vector<MetricRow>& rows, int command_count);
  template <typename T>
  static void Bump(std::atomic<T>* cell, T by) {
    cell->store(cell->load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
  }
  static void Bump(std::atomic<uint64_t>* cell, int by) { Bump(cell, static_cast<uint64_t>(by)); }

  std::vector<std::atomic<int64_t>> values_;
  std::vector<std::unique_ptr<HistogramCells>> histograms_;
  std::vector<CommandCells> commands_;
  std::array<std::atomic<uint64_t>, kCodeCount> errors_{};
};

class MetricRegistry {
 public:
  // `prefix` begins each Prometheus name: "kvs_node_".  `command_names` are the labels of the
  // series per command, indexed by command id.
  MetricRegistry(std::string prefix, std::vector<MetricRow> rows,
                 std::vector<std::string> command_names);

  // Makes the cells of one more thread.
  MetricCells* NewCells() KVS_EXCLUDES(mu_);
  // Makes a metric's value come from a function, called when somebody reads.  Any thread may call
  // it.
  void SetSource(int metric, std::function<int64_t()> source) KVS_EXCLUDES(mu_);

  int64_t Value(int metric) const KVS_EXCLUDES(mu_);
  HistogramSum Histogram(int metric) const KVS_EXCLUDES(mu_);
  CommandSum Command(int command) const KVS_EXCLUDES(mu_);
  uint64_t Errors(Code code) const KVS_EXCLUDES(mu_);
  // Makes all counters count from now on, as CONFIG RESETSTAT does; gauges stay.
  void Reset() KVS_EXCLUDES(mu_);

  // Returns everything in Prometheus's text format.
  std::string PrometheusText() const KVS_EXCLUDES(mu_);
  // Returns name and value of counters and gauges, for JSON and INFO.
  std::vector<std::pair<std::string_view, int64_t>> Values() const KVS_EXCLUDES(mu_);
  const std::vector<MetricRow>& rows() const { return rows_; }
  const std::vector<std::string>& command_names() const { return command_names_; }

 private:
  int64_t ValueLocked(int metric) const KVS_REQUIRES(mu_);
  HistogramSum HistogramLocked(int metric) const KVS_REQUIRES(mu_);
  CommandSum CommandLocked(int command) const KVS_REQUIRES(mu_);
  uint64_t ErrorsLocked(Code code) const KVS_REQUIRES(mu_);

  const std::string prefix_;
  const std::vector<MetricRow> rows_;
  const std::vector<std::string> command_names_;
  mutable Mutex mu_;
  std::vector<std::unique_ptr<MetricCells>> cells_ KVS_GUARDED_BY(mu_);
  std::vector<std::function<int64_t()>> sources_ KVS_GUARDED_BY(mu_);
  // What the cells showed at the last Reset().
  std::vector<int64_t> value_base_ KVS_GUARDED_BY(mu_);
  std::vector<CommandSum> command_base_ KVS_GUARDED_BY(mu_);
  std::array<uint64_t, kCodeCount> error_base_ KVS_GUARDED_BY(mu_){};
};

// Returns the rows as a Markdown table.
std::string MetricsMarkdown(std::string_view prefix, const std::vector<MetricRow>& rows);

}  // namespace kvs
