// NodeMetric: the metrics of kv_node, one enumerator for each row of metrics.def.
//
// Threads: immutable.

#pragma once

#include <memory>
#include <vector>

#include "common/metrics/metrics.h"

namespace kvs {

enum NodeMetric : int {
#define KVS_METRIC(kind, name, help) kNode_##name,
#include "storage_node/server/metrics.def"
#undef KVS_METRIC
};

std::vector<MetricRow> NodeMetricRows();

}  // namespace kvs
