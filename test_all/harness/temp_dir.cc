#include "test_all/harness/temp_dir.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstdio>
#include <cstdlib>

#include "common/base/check.h"
#include "common/base/file.h"

namespace kvs {

TempDir::TempDir() {
  const char* base = std::getenv("TMPDIR");
  path_ = std::string(base != nullptr && *base != '\0' ? base : "/tmp") + "/kvs_test_all.XXXXXX";
  KVS_CHECK(::mkdtemp(path_.data()) != nullptr);
}

TempDir::~TempDir() {
  if (testing::Test::HasFailure()) {
    std::printf("files of the failed test: %s\n", path_.c_str());
    return;
  }
  (void)RemoveTree(path_).ok();
}

}  // namespace kvs
