// The cluster's secret: a file that only its owner may read.
//
// Threads: pure functions.

#pragma once

#include <string>

#include "common/base/status.h"

namespace kvs {

inline constexpr size_t kMinSecretSize = 16;
inline constexpr size_t kMaxSecretSize = 1024;

// Returns the content without white space at its ends.  Errors name the file and the remedy.
//   kNotFound: there is no such file
//   kNoPermission: others than the owner may read or write it
//   kInvalidArgument: it is shorter or longer than a secret may be, or has unprintable characters
Result<std::string> ReadSecretFile(const std::string& path);

}  // namespace kvs
