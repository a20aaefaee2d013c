#include "common/metrics/metrics.h"

#include "gtest/gtest.h"

#include "common/base/thread.h"

namespace kvs {
namespace {

enum TestMetric { kRequests, kConnections, kSeconds };

std::vector<MetricRow> Rows() {
  return {{MetricKind::kCounter, "requests_total", "Requests."},
          {MetricKind::kGauge, "connections", "Connections."},
          {MetricKind::kHistogram, "request_seconds", "Latency."}};
}

TEST(MetricsTest, CellsOfAllThreadsAreSummed) {
  MetricRegistry registry("kvs_test_", Rows(), {"get"});
  MetricCells* a = registry.NewCells();
  MetricCells* b = registry.NewCells();
  Thread first("a", [a] {
    for (int i = 0; i < 1000; ++i) {
      a->Increment(kRequests);
    }
  });
  Thread second("b", [b] {
    for (int i = 0; i < 500; ++i) {
      b->Increment(kRequests);
    }
  });
  first.Join();
  second.Join();
  EXPECT_EQ(registry.Value(kRequests), 1500);
}

TEST(MetricsTest, ResetForgetsCountersAndKeepsGauges) {
  MetricRegistry registry("kvs_test_", Rows(), {"get"});
  MetricCells* cells = registry.NewCells();
  cells->Add(kRequests, 5);
  cells->Set(kConnections, 3);
  cells->CountCommand(0, 10, true);
  cells->CountError(Code::kBusy);

  registry.Reset();

  EXPECT_EQ(registry.Value(kRequests), 0);
  EXPECT_EQ(registry.Value(kConnections), 3);
  EXPECT_EQ(registry.Command(0).calls, 0U);
  EXPECT_EQ(registry.Errors(Code::kBusy), 0U);
  cells->Add(kRequests, 2);
  EXPECT_EQ(registry.Value(kRequests), 2);
}

TEST(MetricsTest, EveryValueLiesInItsBucket) {
  for (int64_t micros = 0; micros < 1'000'000; micros = micros * 5 / 4 + 1) {
    const int bucket = HistogramCells::BucketOf(micros);
    EXPECT_LT(static_cast<uint64_t>(micros), HistogramCells::UpperBound(bucket)) << micros;
    if (bucket > 0) {
      EXPECT_GE(static_cast<uint64_t>(micros), HistogramCells::UpperBound(bucket - 1)) << micros;
    }
  }
}

TEST(MetricsTest, QuantilesAreWithinAQuarter) {
  MetricRegistry registry("kvs_test_", Rows(), {"get"});
  MetricCells* cells = registry.NewCells();
  for (int i = 1; i <= 1000; ++i) {
    cells->Observe(kSeconds, i);
  }
  const HistogramSum sum = registry.Histogram(kSeconds);
  EXPECT_EQ(sum.count, 1000U);
  EXPECT_NEAR(static_cast<double>(sum.Quantile(0.5)), 500, 125);
  EXPECT_NEAR(static_cast<double>(sum.Quantile(0.99)), 990, 250);
}

TEST(MetricsTest, PrometheusTextNamesEverySeries) {
  MetricRegistry registry("kvs_test_", Rows(), {"get"});
  MetricCells* cells = registry.NewCells();
  cells->Add(kRequests, 7);
  cells->Observe(kSeconds, 100);
  cells->CountCommand(0, 2'000'000, false);

  const std::string text = registry.PrometheusText();

  EXPECT_NE(text.find("# TYPE kvs_test_requests_total counter"), std::string::npos) << text;
  EXPECT_NE(text.find("kvs_test_requests_total 7"), std::string::npos) << text;
  EXPECT_NE(text.find("kvs_test_request_seconds_count 1"), std::string::npos) << text;
  EXPECT_NE(text.find("kvs_test_command_calls_total{command=\"get\"} 1"), std::string::npos);
}

// The bounds that redis-server 7 shows in LATENCY HISTOGRAM.
TEST(CommandStepsTest, StepsAreThoseOfRedis) {
  const std::vector<int64_t> bounds = {1, 2, 4, 8, 16, 33, 66, 132, 264, 528, 1056, 2113, 4227};
  for (size_t i = 0; i < bounds.size(); ++i) {
    const int step = static_cast<int>(i);
    EXPECT_EQ(CommandSteps::UpperBound(step), bounds[i]);
    EXPECT_EQ(CommandSteps::StepOf(bounds[i]), step);
    EXPECT_EQ(CommandSteps::StepOf(bounds[i] + 1), step + 1);
  }
  EXPECT_EQ(CommandSteps::StepOf(0), 0);
  EXPECT_EQ(CommandSteps::StepOf(int64_t{1} << 40), CommandSteps::kSteps - 1);
}

TEST(CommandStepsTest, ResetForgetsTheSteps) {
  MetricRegistry registry("x_", {}, {"get"});
  MetricCells* cells = registry.NewCells();
  cells->CountCommand(0, 3, false);
  registry.Reset();
  cells->CountCommand(0, 5, false);
  const CommandSum sum = registry.Command(0);
  EXPECT_EQ(sum.steps[2], 0u);
  EXPECT_EQ(sum.steps[3], 1u);
}

}  // namespace
}  // namespace kvs
