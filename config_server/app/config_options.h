// ConfigOptions: the options of kv_config, one field for each row of options.def.
//
// Threads: immutable once main has read them.
// Owner:   main.

#pragma once

#include <vector>

#include "common/config/option.h"

namespace kvs {

struct ConfigOptions {
#define KVS_OPTION(type, field, fallback, ...) type field = fallback;
#include "config_server/app/options.def"
#undef KVS_OPTION
};

const std::vector<OptionRow>& ConfigOptionRows();
// Returns the first rule between options that is broken.
Status ValidateConfigOptions(const ConfigOptions& options);

}  // namespace kvs
