#include "storage_node/engine/pread_env.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "common/base/unique_fd.h"

namespace kvs {
namespace {

leveldb::Status Failure(const std::string& path, int error) {
  return error == ENOENT ? leveldb::Status::NotFound(path, std::strerror(error))
                         : leveldb::Status::IOError(path, std::strerror(error));
}

UniqueFd OpenTable(const std::string& path) {
  return UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
}

// Tables of the whole process that may keep their descriptor; sockets need the others.
int MaxKeptDescriptors() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) {
    return 256;
  }
  return static_cast<int>(std::min<rlim_t>(limit.rlim_cur / 4, 1 << 20));
}

std::atomic<int> kept_descriptors{0};

class PreadFile : public leveldb::RandomAccessFile {
 public:
  // With an invalid descriptor the file is opened for each read.
  PreadFile(std::string path, UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}
  ~PreadFile() override {
    if (fd_.valid()) {
      kept_descriptors.fetch_sub(1, std::memory_order_relaxed);
    }
  }

  leveldb::Status Read(uint64_t offset, size_t n, leveldb::Slice* result,
                       char* scratch) const override {
    UniqueFd own;
    if (!fd_.valid()) {
      own = OpenTable(path_);
      if (!own.valid()) {
        return Failure(path_, errno);
      }
    }
    const int fd = fd_.valid() ? fd_.get() : own.get();
    size_t done = 0;
    while (done < n) {
      const ssize_t got = ::pread(fd, scratch + done, n - done, static_cast<off_t>(offset + done));
      if (got < 0 && errno != EINTR) {
        return Failure(path_, errno);
      }
      if (got == 0) {
        break;  // The caller finds that it is short.
      }
      done += got > 0 ? static_cast<size_t>(got) : 0;
    }
    *result = leveldb::Slice(scratch, done);
    return leveldb::Status::OK();
  }

 private:
  const std::string path_;
  const UniqueFd fd_;
};

}  // namespace

PreadEnv* PreadEnv::Default() {
  static auto* env = new PreadEnv();
  return env;
}

leveldb::Status PreadEnv::NewRandomAccessFile(const std::string& name,
                                              leveldb::RandomAccessFile** result) {
  static const int max_kept = MaxKeptDescriptors();
  *result = nullptr;
  UniqueFd fd = OpenTable(name);
  if (!fd.valid()) {
    return Failure(name, errno);
  }
  if (kept_descriptors.fetch_add(1, std::memory_order_relaxed) >= max_kept) {
    kept_descriptors.fetch_sub(1, std::memory_order_relaxed);
    fd = UniqueFd();
  }
  *result = new PreadFile(name, std::move(fd));
  return leveldb::Status::OK();
}

}  // namespace kvs
