#include "common/base/check.h"

#include <cstdio>
#include <cstdlib>

namespace kvs {

void CheckFailed(const char* file, int line, const char* expression) {
  std::fprintf(stderr, "%s:%d: check failed: %s\n", file, line, expression);
  std::fflush(stderr);
  std::abort();
}

}  // namespace kvs
