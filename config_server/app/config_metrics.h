// The metrics of kv_config, one enumerator for each row of metrics.def.
//
// Threads: immutable.

#pragma once

#include <string_view>
#include <vector>

#include "common/metrics/metrics.h"

namespace kvs {

enum ConfigMetric : int {
#define KVS_METRIC(kind, name, help) kConfig_##name,
#include "config_server/app/metrics.def"
#undef KVS_METRIC
};

inline constexpr std::string_view kConfigMetricPrefix = "kvs_config_";
const std::vector<MetricRow>& ConfigMetricRows();

}  // namespace kvs
