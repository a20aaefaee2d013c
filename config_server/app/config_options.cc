#include "config_server/app/config_options.h"

namespace kvs {

const std::vector<OptionRow>& ConfigOptionRows() {
  static const std::vector<OptionRow> rows = {
#define KVS_OPTION(type, field, fallback, ...) \
  MakeOptionRow<ConfigOptions, &ConfigOptions::field>(#field, OptionSpec{__VA_ARGS__}),
#include "config_server/app/options.def"
#undef KVS_OPTION
  };
  return rows;
}

Status ValidateConfigOptions(const ConfigOptions& options) {
  if (options.dir.empty()) {
    return Status::InvalidArgument("'dir' is missing: name the data directory with --dir");
  }
  if (options.cluster_secret_file.empty()) {
    return Status::InvalidArgument(
        "'cluster-secret-file' is missing: without a secret any stranger could join the cluster");
  }
  if (options.port != 0 && options.port == options.http_port) {
    return Status::InvalidArgument("'port' and 'http-port' are the same: choose two ports");
  }
  return Status::Ok();
}

}  // namespace kvs
