#include "storage_node/commit/data_dir.h"

#include <fmt/format.h>

#include "common/base/logging.h"
#include "common/base/strings.h"

namespace kvs {
namespace {

constexpr int kFormatVersion = 1;
constexpr uint64_t kMaxFormatSize = 4096;

}  // namespace

Result<DataDir> DataDir::Lock(const std::string& path) {
  Result<FileLock> lock = FileLock::Acquire(path + "/LOCK");
  if (lock.status().code() == Code::kBusy) {
    return lock.status().WithContext(
        fmt::format("data directory '{}' is in use; choose another --dir or stop its owner", path));
  }
  KVS_RETURN_IF_ERROR(lock.status());
  return DataDir(path, *std::move(lock));
}

Result<DataDir> DataDir::OpenOrCreate(const std::string& path, int instance_count) {
  KVS_RETURN_IF_ERROR(CreateDirs(path));
  KVS_ASSIGN_OR_RETURN(DataDir dir, Lock(path));
  Result<std::string> text = ReadFile(path + "/FORMAT", kMaxFormatSize);
  if (text.status().code() == Code::kNotFound) {
    text = fmt::format("version {}\ninstances {}\n", kFormatVersion, instance_count);
    KVS_RETURN_IF_ERROR(WriteFileAtomic(path + "/FORMAT", *text));
  }
  KVS_RETURN_IF_ERROR(text.status());
  KVS_RETURN_IF_ERROR(dir.ParseFormat(*text));
  if (dir.instance_count_ != instance_count) {
    KVS_LOG(kWarning, "the data directory was made with {} instances; the option is ignored",
            dir.instance_count_);
  }
  return dir;
}

Result<DataDir> DataDir::OpenExisting(const std::string& path) {
  const Result<std::string> text = ReadFile(path + "/FORMAT", kMaxFormatSize);
  if (text.status().code() == Code::kNotFound) {
    return Status::NotFound(fmt::format("'{}' is not a data directory: it has no FORMAT", path));
  }
  KVS_RETURN_IF_ERROR(text.status());
  KVS_ASSIGN_OR_RETURN(DataDir dir, Lock(path));
  KVS_RETURN_IF_ERROR(dir.ParseFormat(*text));
  return dir;
}

Status DataDir::ParseFormat(std::string_view text) {
  int64_t version = 0;
  int64_t instances = 0;
  for (const std::string_view line : Split(text, '\n')) {
    if (line.starts_with("version ")) {
      ParseInt64(line.substr(8), &version);
    } else if (line.starts_with("instances ")) {
      ParseInt64(line.substr(10), &instances);
    }
  }
  if (version != kFormatVersion || instances < 1 || instances > 256) {
    return Status::Unsupported(
        fmt::format("'{}/FORMAT' is of version {} with {} instances; this release reads version {}",
                    path_, version, instances, kFormatVersion));
  }
  instance_count_ = static_cast<int>(instances);
  return Status::Ok();
}

}  // namespace kvs
