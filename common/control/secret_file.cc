#include "common/control/secret_file.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "common/base/file.h"
#include "common/base/strings.h"

namespace kvs {

Result<std::string> ReadSecretFile(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) {
      return Status::NotFound(fmt::format(
          "there is no secret file '{0}'; make one: (umask 077; openssl rand -hex 32 > '{0}')",
          path));
    }
    return Status::FromErrno(fmt::format("read secret file '{}'", path), errno);
  }
  if ((info.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return Status::NoPermission(
        fmt::format("secret file '{0}' is open to others (mode {1:o}); run chmod 600 '{0}'", path,
                    info.st_mode & 0777U));
  }
  KVS_ASSIGN_OR_RETURN(const std::string content, ReadFile(path, kMaxSecretSize + 64));
  const std::string_view secret = TrimSpaces(content);
  if (secret.size() < kMinSecretSize || secret.size() > kMaxSecretSize) {
    return Status::InvalidArgument(fmt::format("the secret in '{}' has {} bytes; use {} to {}",
                                               path, secret.size(), kMinSecretSize,
                                               kMaxSecretSize));
  }
  if (!std::all_of(secret.begin(), secret.end(), [](char c) { return c > ' ' && c < 127; })) {
    return Status::InvalidArgument(
        fmt::format("the secret in '{}' has spaces or unprintable characters; use letters and "
                    "digits",
                    path));
  }
  return std::string(secret);
}

}  // namespace kvs
