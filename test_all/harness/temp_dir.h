// TempDir: a folder for one test's processes, removed if the test passed and kept, with its path
// printed, if it failed.
//
// Threads: main-only.
// Owner:   the test; processes that use the folder end before it does.

#pragma once

#include <string>

namespace kvs {

class TempDir {
 public:
  // Creates a folder below $TMPDIR, or /tmp.
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }
  std::string Join(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace kvs
