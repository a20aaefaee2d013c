#include <fmt/format.h>

#include "common/base/allocator.h"
#include "common/base/build_info.h"

namespace kvs {

std::string VersionText(std::string_view program) {
  return fmt::format("{} {}\ncommit {}\ncompiler {} ({})\nallocator {}\n", program, kBuildVersion,
                     kBuildCommit, kBuildCompiler, kBuildFlavour, AllocatorName());
}

}  // namespace kvs
