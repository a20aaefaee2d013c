#include "common/program/program.h"

namespace kvs {
namespace {

// Tables, log segments, listeners, links to other processes.
constexpr uint64_t kOwnFiles = 256;

}  // namespace

void WarnOfFewFiles(uint64_t files, int64_t maxclients) {
  if (files < static_cast<uint64_t>(maxclients) + kOwnFiles) {
    KVS_LOG(kWarning,
            "the process may open {} files, too few for maxclients {}: raise the limit (ulimit -n, "
            "LimitNOFILE) to {}, or lower maxclients",
            files, maxclients, static_cast<uint64_t>(maxclients) + kOwnFiles);
  }
}

}  // namespace kvs
