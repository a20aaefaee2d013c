#include "common/base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <utility>

#include "common/base/fault_point.h"

namespace kvs {
namespace {

std::string ParentOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) {
    return ".";
  }
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

Result<std::string> ReadFile(const std::string& path, uint64_t max_bytes) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) {
    if (errno == ENOENT) {
      return Status::NotFound(fmt::format("no file '{}'", path));
    }
    return Status::FromErrno(fmt::format("open '{}'", path), errno);
  }
  std::string content;
  char buffer[65536];
  while (true) {
    const ssize_t n = ::read(fd.get(), buffer, sizeof(buffer));
    if (n < 0) {
      if (errno == EINTR) {
        continue;
      }
      return Status::FromErrno(fmt::format("read '{}'", path), errno);
    }
    if (n == 0) {
      return content;
    }
    content.append(buffer, static_cast<size_t>(n));
    if (content.size() > max_bytes) {
      return Status::TooLarge(fmt::format("'{}' is longer than {} bytes", path, max_bytes));
    }
  }
}

Status WriteFully(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0) {
      if (errno == EINTR) {
        continue;
      }
      return Status::FromErrno(fmt::format("write '{}'", path), errno);
    }
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return Status::Ok();
}

Status WriteFileAtomic(const std::string& path, std::string_view content, int mode) {
  const std::string temporary = path + ".tmp";
  {
    const UniqueFd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
    if (!fd.valid()) {
      return Status::FromErrno(fmt::format("create '{}'", temporary), errno);
    }
    KVS_RETURN_IF_ERROR(WriteFully(fd.get(), content, temporary));
    if (::fsync(fd.get()) != 0) {
      return Status::FromErrno(fmt::format("sync '{}'", temporary), errno);
    }
  }
  (void)KVS_FAULT_POINT("file.before_rename");
  if (std::rename(temporary.c_str(), path.c_str()) != 0) {
    return Status::FromErrno(fmt::format("rename to '{}'", path), errno);
  }
  (void)KVS_FAULT_POINT("file.after_rename");
  return SyncDir(ParentOf(path));
}

bool FileExists(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

Result<uint64_t> FileSize(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) {
      return Status::NotFound(fmt::format("no file '{}'", path));
    }
    return Status::FromErrno(fmt::format("stat '{}'", path), errno);
  }
  return static_cast<uint64_t>(info.st_size);
}

Result<int64_t> ModifiedMillis(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    return Status::FromErrno(fmt::format("stat '{}'", path), errno);
  }
  return int64_t{info.st_mtim.tv_sec} * 1000 + info.st_mtim.tv_nsec / 1'000'000;
}

Status CreateDirs(const std::string& path, int mode) {
  for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const std::string prefix = path.substr(0, slash);
    if (::mkdir(prefix.c_str(), static_cast<mode_t>(mode)) != 0 && errno != EEXIST) {
      return Status::FromErrno(fmt::format("create folder '{}'", prefix), errno);
    }
    if (slash == std::string::npos) {
      break;
    }
  }
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) {
    return Status::IoError(fmt::format("'{}' is not a folder", path));
  }
  return Status::Ok();
}

Result<std::vector<std::string>> ListDir(const std::string& path) {
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(path.c_str()), &::closedir);
  if (dir == nullptr) {
    if (errno == ENOENT) {
      return Status::NotFound(fmt::format("no folder '{}'", path));
    }
    return Status::FromErrno(fmt::format("open folder '{}'", path), errno);
  }
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string_view name(entry->d_name);
    if (name != "." && name != "..") {
      names.emplace_back(name);
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

Status RemoveFile(const std::string& path) {
  if (::unlink(path.c_str()) != 0) {
    if (errno == ENOENT) {
      return Status::NotFound(fmt::format("no file '{}'", path));
    }
    return Status::FromErrno(fmt::format("remove '{}'", path), errno);
  }
  return Status::Ok();
}

Status RemoveTree(const std::string& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  return error ? Status::IoError(fmt::format("remove '{}': {}", path, error.message()))
               : Status::Ok();
}

Status SyncDir(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid() || ::fsync(fd.get()) != 0) {
    return Status::FromErrno(fmt::format("sync folder '{}'", path), errno);
  }
  return Status::Ok();
}

uint64_t RaiseOpenFileLimit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) {
    return 0;
  }
  if (limit.rlim_cur < limit.rlim_max) {
    const rlim_t before = std::exchange(limit.rlim_cur, limit.rlim_max);
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) {
      return before;
    }
  }
  return limit.rlim_cur;
}

Result<uint64_t> FreeBytes(const std::string& path) {
  struct statvfs info {};
  if (::statvfs(path.c_str(), &info) != 0) {
    return Status::FromErrno(fmt::format("statvfs '{}'", path), errno);
  }
  return uint64_t{info.f_bavail} * info.f_frsize;
}

Result<FileLock> FileLock::Acquire(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!fd.valid()) {
    return Status::FromErrno(fmt::format("open lock file '{}'", path), errno);
  }
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) {
      return Status::Busy(fmt::format("'{}' is locked by another process", path));
    }
    return Status::FromErrno(fmt::format("lock '{}'", path), errno);
  }
  return FileLock(std::move(fd));
}

}  // namespace kvs
