// Files with Status instead of errno, and the few patterns that must be right everywhere: write a
// file atomically, make a folder entry durable, lock a data directory.
//
// Threads: free functions are thread-safe; a FileLock has one owner.
// Owner:   the caller.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "common/base/unique_fd.h"

namespace kvs {

// Returns kNotFound if there is no such file, kTooLarge if it is longer than `max_bytes`.
Result<std::string> ReadFile(const std::string& path, uint64_t max_bytes = uint64_t{64} << 20);

// Replaces `path` so that a crash leaves the old or the new content: writes path.tmp, syncs it,
// renames it, syncs the folder.  `mode` is the file's permission bits.
Status WriteFileAtomic(const std::string& path, std::string_view content, int mode = 0644);

// Writes all of `bytes` at the file's position, going on after short writes.
Status WriteFully(int fd, std::string_view bytes, const std::string& path);

bool FileExists(const std::string& path);
Result<uint64_t> FileSize(const std::string& path);
// Creates the folder and its parents; OK if it exists.
// Returns when the file was last written to, in milliseconds of wall time.
Result<int64_t> ModifiedMillis(const std::string& path);
Status CreateDirs(const std::string& path, int mode = 0755);
// Returns the names in a folder, without "." and "..", sorted.
Result<std::vector<std::string>> ListDir(const std::string& path);
Status RemoveFile(const std::string& path);
Status RemoveTree(const std::string& path);
// Makes created, renamed and removed names in `path` durable.
Status SyncDir(const std::string& path);
// Returns the free bytes of the file system that holds `path`.
Result<uint64_t> FreeBytes(const std::string& path);
// Lets the process open as many files and sockets as the system allows it, and returns how many.
uint64_t RaiseOpenFileLimit();

// Holds an exclusive flock on a file from Acquire() until destruction.
class FileLock {
 public:
  // Makes the file if need be.
  //   kBusy: another process holds it
  static Result<FileLock> Acquire(const std::string& path);

 private:
  explicit FileLock(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace kvs
