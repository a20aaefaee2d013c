#include "storage_node/server/node_metrics.h"

namespace kvs {

std::vector<MetricRow> NodeMetricRows() {
  return {
#define KVS_METRIC(kind, name, help) {MetricKind::kind, #name, help},
#include "storage_node/server/metrics.def"
#undef KVS_METRIC
  };
}

}  // namespace kvs
