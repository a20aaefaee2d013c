#include "config_server/app/config_metrics.h"

namespace kvs {

const std::vector<MetricRow>& ConfigMetricRows() {
  static const std::vector<MetricRow> rows = {
#define KVS_METRIC(kind, name, help) {MetricKind::kind, #name, help},
#include "config_server/app/metrics.def"
#undef KVS_METRIC
  };
  return rows;
}

}  // namespace kvs
