#include "common/program/program.h"

#include <unistd.h>

#include "common/base/file.h"

namespace kvs {
namespace {

// Tables, log segments, listeners, links to other processes.
constexpr uint64_t kOwnFiles = 256;

std::string PidLine() {
  return fmt::format("{}\n", ::getpid());
}

}  // namespace

Status PidFile::Write(const std::string& path) {
  path_ = path;
  return path.empty() ? Status::Ok() : WriteFileAtomic(path, PidLine());
}

PidFile::~PidFile() {
  if (path_.empty()) {
    return;
  }
  const Result<std::string> text = ReadFile(path_, 64);
  if (text.ok() && *text == PidLine()) {
    (void)RemoveFile(path_).ok();
  }
}

void WarnOfFewFiles(uint64_t files, int64_t maxclients) {
  if (files < static_cast<uint64_t>(maxclients) + kOwnFiles) {
    KVS_LOG(kWarning,
            "the process may open {} files, too few for maxclients {}: raise the limit (ulimit -n, "
            "LimitNOFILE) to {}, or lower maxclients",
            files, maxclients, static_cast<uint64_t>(maxclients) + kOwnFiles);
  }
}

}  // namespace kvs
