#include "storage_node/command/wait_timeout.h"

#include <cmath>

#include "common/base/strings.h"

namespace kvs {
namespace {

constexpr double kEndOfTime = 9223372036854775808.0;  // Of milliseconds in an int64_t.

}  // namespace

Result<int64_t> ParseWaitSeconds(std::string_view text, int64_t now_ms) {
  double seconds = 0;
  if (!ParseDouble(text, &seconds)) {
    return Status::InvalidArgument("timeout is not a float or out of range");
  }
  const double millis = std::ceil(seconds * 1000);
  if (millis >= kEndOfTime) {
    return Status::InvalidArgument("timeout is out of range");
  }
  if (millis < 0) {
    return Status::InvalidArgument("timeout is negative");
  }
  const auto timeout_ms = static_cast<int64_t>(millis);
  if (timeout_ms > INT64_MAX - now_ms) {
    return Status::InvalidArgument("timeout is out of range");
  }
  return timeout_ms;
}

}  // namespace kvs
