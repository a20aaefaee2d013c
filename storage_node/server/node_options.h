// NodeOptions: the options of kv_node, one field for each row of options.def.
//
// Threads: immutable once published.
// Owner:   the ConfigStore.

#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/config/option.h"
#include "storage_node/types/type_limits.h"

namespace kvs {

struct NodeOptions {
#define KVS_OPTION(type, field, fallback, ...) type field = fallback;
#include "storage_node/server/options.def"
#undef KVS_OPTION
};

// Returns how many io threads the options ask for.
int64_t IoThreadCount(const NodeOptions& options);
// ...and how many instances may work in the background at once.
int64_t BackgroundJobCount(const NodeOptions& options);
TypeLimits TypeLimitsOf(const NodeOptions& options);

using NodeOptionsPtr = std::shared_ptr<const NodeOptions>;

const std::vector<OptionRow>& NodeOptionRows();
// Returns the first rule between options that is broken.
Status ValidateNodeOptions(const NodeOptions& options);
// Options of Redis that tools ask for and that have one truthful answer here.
std::vector<std::pair<std::string, std::string>> NodeConfigConstants(const NodeOptions& options);

}  // namespace kvs
