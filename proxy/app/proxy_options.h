// ProxyOptions and ProxyMetric: the rows of options.def and metrics.def as types.
//
// Threads: immutable once published.
// Owner:   the ConfigStore.

#pragma once

#include <memory>
#include <vector>

#include "common/config/option.h"
#include "common/metrics/metrics.h"
#include "proxy/hash/server_ring.h"
#include "proxy/route/route_plan.h"

namespace kvs {

struct ProxyOptions {
#define KVS_OPTION(type, field, fallback, ...) type field = fallback;
#include "proxy/app/options.def"
#undef KVS_OPTION
};
using ProxyOptionsPtr = std::shared_ptr<const ProxyOptions>;

const std::vector<OptionRow>& ProxyOptionRows();
// Returns the first rule between options that is broken.
Status ValidateProxyOptions(const ProxyOptions& options);

// Returns why a running proxy cannot change so.
Status ValidateProxyChange(const ProxyOptions& before, const ProxyOptions& after);

// Returns the entries of option servers.  kInvalidArgument: quotes the one that is wrong
Result<std::vector<PoolServer>> ParsePool(const ProxyOptions& options);
// Returns what the options say of a pool.  kInvalidArgument: as ParsePool()
Result<PoolSpec> MakePoolSpec(const ProxyOptions& options);

enum ProxyMetric : int {
#define KVS_METRIC(kind, name, help) kProxy_##name,
#include "proxy/app/metrics.def"
#undef KVS_METRIC
};

std::vector<MetricRow> ProxyMetricRows();

}  // namespace kvs
