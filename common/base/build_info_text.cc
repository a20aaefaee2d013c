#include <fmt/format.h>

#include "common/base/build_info.h"

// Null unless the program is linked with jemalloc.
extern "C" __attribute__((weak)) int mallctl(const char*, void*, size_t*, void*, size_t);

namespace kvs {

std::string AllocatorName() {
  const char* version = nullptr;
  size_t size = sizeof(version);
  if (mallctl != nullptr && mallctl("version", &version, &size, nullptr, 0) == 0) {
    const std::string_view text(version);
    return fmt::format("jemalloc {}", text.substr(0, text.find('-')));
  }
  return "libc";
}

std::string VersionText(std::string_view program) {
  return fmt::format("{} {}\ncommit {}\ncompiler {} ({})\nallocator {}\n", program, kBuildVersion,
                     kBuildCommit, kBuildCompiler, kBuildFlavour, AllocatorName());
}

}  // namespace kvs
