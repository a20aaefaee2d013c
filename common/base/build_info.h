// What was built: version, commit, compiler.  The values come from CMake at each build.
//
// Threads: immutable.

#pragma once

#include <string>
#include <string_view>

namespace kvs {

extern const char* const kBuildVersion;   // "1.0.0"
extern const char* const kBuildCommit;    // git commit, with "-dirty" for a changed tree
extern const char* const kBuildCompiler;  // "GNU 12.2.0"
extern const char* const kBuildFlavour;   // "Release", "Asan+address", ...

// The Redis version whose commands and replies we follow; HELLO and INFO say it.
inline constexpr std::string_view kRedisVersion = "7.2.4";
inline constexpr int kRedisVersionNumber = 0x00070204;
// The name that a proxy gives to its connections to nodes.
inline constexpr std::string_view kProxyClientName = "kv_proxy";

// Returns the text of `program --version`: version, commit, compiler, allocator.
std::string VersionText(std::string_view program);

}  // namespace kvs
