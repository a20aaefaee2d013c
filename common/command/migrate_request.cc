#include "common/command/migrate_request.h"

#include <algorithm>
#include <cstdlib>
#include <string>

#include "common/base/strings.h"

namespace kvs {
namespace {

constexpr int64_t kUsualTimeoutMs = 1000;
constexpr int64_t kMaxTimeoutMs = 86'400'000;
constexpr int64_t kMinTotalMs = 60'000;
constexpr int64_t kTotalTimeouts = 10;

Status SyntaxError() {
  return Status::InvalidArgument("syntax error");
}

// As Redis does with atoi(): what is no number is port 0, where nobody is.
uint16_t ReadPort(std::string_view text) {
  const long port = std::strtol(std::string(text).c_str(), nullptr, 10);
  return port > 0 && port <= UINT16_MAX ? static_cast<uint16_t>(port) : uint16_t{0};
}

// Reads the words behind the timeout.
Status ReadOptions(CommandArgs args, MigrateRequest* request) {
  for (size_t i = 6; i < args.size(); ++i) {
    const size_t left = args.size() - i - 1;
    if (EqualsIgnoreCase(args[i], "COPY")) {
      request->copy = true;
    } else if (EqualsIgnoreCase(args[i], "REPLACE")) {
      request->replace = true;
    } else if (EqualsIgnoreCase(args[i], "AUTH") && left >= 1) {
      request->password = args[++i];
    } else if (EqualsIgnoreCase(args[i], "AUTH2") && left >= 2) {
      request->username = args[++i];
      request->password = args[++i];
    } else if (EqualsIgnoreCase(args[i], "KEYS")) {
      if (!args[3].empty()) {
        return Status::InvalidArgument(
            "When using MIGRATE KEYS option, the key argument must be set to the empty string");
      }
      request->keys = args.subspan(i + 1);
      break;
    } else {
      return SyntaxError();
    }
  }
  return Status::Ok();
}

}  // namespace

int64_t MigrateRequest::total_ms() const {
  return std::max(kMinTotalMs, kTotalTimeouts * timeout_ms);
}

Result<MigrateRequest> ParseMigrate(CommandArgs args) {
  MigrateRequest request{.host = args[1], .port = ReadPort(args[2]), .keys = args.subspan(3, 1)};
  KVS_RETURN_IF_ERROR(ReadOptions(args, &request));
  if (!ParseInt64(args[5], &request.timeout_ms) || !ParseInt64(args[4], &request.db)) {
    return Status::InvalidArgument("value is not an integer or out of range");
  }
  request.timeout_ms =
      request.timeout_ms <= 0 ? kUsualTimeoutMs : std::min(request.timeout_ms, kMaxTimeoutMs);
  return request;
}

}  // namespace kvs
