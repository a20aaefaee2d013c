#include "storage_node/command/expire_options.h"

#include <limits>
#include <optional>
#include <string>

#include "common/base/strings.h"

namespace kvs {
namespace {

constexpr int64_t kMaxTime = std::numeric_limits<int64_t>::max();
constexpr int64_t kMinTime = std::numeric_limits<int64_t>::min();

Status SyntaxError() {
  return Status::InvalidArgument("syntax error");
}

Status InvalidExpireTime(std::string_view command) {
  return Status::InvalidArgument("invalid expire time in '" + std::string(command) + "' command");
}

std::optional<TimeUnit> FindUnit(std::string_view word) {
  if (EqualsIgnoreCase(word, "EX")) {
    return TimeUnit::kSeconds;
  }
  if (EqualsIgnoreCase(word, "PX")) {
    return TimeUnit::kMillis;
  }
  if (EqualsIgnoreCase(word, "EXAT")) {
    return TimeUnit::kUnixSeconds;
  }
  if (EqualsIgnoreCase(word, "PXAT")) {
    return TimeUnit::kUnixMillis;
  }
  return std::nullopt;
}

// Takes the option at `options[*i]` if it names a time, and its argument.  The same unit may come
// again, the last one counts; another one may not.
bool TakeTime(CommandArgs options, size_t* i, StringOptions* parsed) {
  const std::optional<TimeUnit> unit = FindUnit(options[*i]);
  if (!unit.has_value() || parsed->keep_ttl || parsed->persist || *i + 1 == options.size() ||
      (parsed->has_expiry && parsed->unit != *unit)) {
    return false;
  }
  parsed->has_expiry = true;
  parsed->unit = *unit;
  parsed->expiry = options[++*i];
  return true;
}

bool TakeSetFlag(std::string_view word, StringOptions* parsed) {
  if (EqualsIgnoreCase(word, "NX") && !parsed->only_if_present) {
    return parsed->only_if_missing = true;
  }
  if (EqualsIgnoreCase(word, "XX") && !parsed->only_if_missing) {
    return parsed->only_if_present = true;
  }
  if (EqualsIgnoreCase(word, "GET")) {
    return parsed->get = true;
  }
  if (EqualsIgnoreCase(word, "KEEPTTL") && !parsed->has_expiry) {
    return parsed->keep_ttl = true;
  }
  return false;
}

}  // namespace

Result<StringOptions> ParseSetOptions(CommandArgs options) {
  StringOptions parsed;
  for (size_t i = 0; i < options.size(); ++i) {
    if (!TakeSetFlag(options[i], &parsed) && !TakeTime(options, &i, &parsed)) {
      return SyntaxError();
    }
  }
  return parsed;
}

Result<StringOptions> ParseGetExOptions(CommandArgs options) {
  StringOptions parsed;
  for (size_t i = 0; i < options.size(); ++i) {
    if (EqualsIgnoreCase(options[i], "PERSIST") && !parsed.has_expiry) {
      parsed.persist = true;
    } else if (!TakeTime(options, &i, &parsed)) {
      return SyntaxError();
    }
  }
  return parsed;
}

Result<int64_t> ParseDeadline(std::string_view command, std::string_view text, TimeUnit unit,
                              int64_t now_ms) {
  int64_t time = 0;
  if (!ParseInt64(text, &time)) {
    return Status::InvalidArgument("value is not an integer or out of range");
  }
  if (IsInSeconds(unit)) {
    if (time > kMaxTime / 1000 || time < kMinTime / 1000) {
      return InvalidExpireTime(command);
    }
    time *= 1000;
  }
  if (IsRelative(unit)) {
    if (time > kMaxTime - now_ms) {
      return InvalidExpireTime(command);
    }
    time += now_ms;
  }
  return time;
}

Result<int64_t> ParseExpiry(std::string_view command, std::string_view text, TimeUnit unit,
                            int64_t now_ms) {
  int64_t time = 0;
  if (ParseInt64(text, &time) && time <= 0) {
    return InvalidExpireTime(command);
  }
  return ParseDeadline(command, text, unit, now_ms);
}

bool ExpireConditions::Allow(uint64_t current_ms, int64_t new_ms) const {
  const bool has_expiry = current_ms != 0;
  const auto current = static_cast<int64_t>(current_ms);
  if ((if_none && has_expiry) || (if_any && !has_expiry)) {
    return false;
  }
  // A key that never expires has the latest time of all.
  if (if_later && (!has_expiry || new_ms <= current)) {
    return false;
  }
  return !(if_earlier && has_expiry && new_ms >= current);
}

Result<ExpireConditions> ParseExpireConditions(CommandArgs options) {
  ExpireConditions parsed;
  for (const std::string_view option : options) {
    if (EqualsIgnoreCase(option, "NX")) {
      parsed.if_none = true;
    } else if (EqualsIgnoreCase(option, "XX")) {
      parsed.if_any = true;
    } else if (EqualsIgnoreCase(option, "GT")) {
      parsed.if_later = true;
    } else if (EqualsIgnoreCase(option, "LT")) {
      parsed.if_earlier = true;
    } else {
      return Status::InvalidArgument("Unsupported option " +
                                     std::string(option.substr(0, option.find('\0'))));
    }
  }
  if (parsed.if_none && (parsed.if_any || parsed.if_later || parsed.if_earlier)) {
    return Status::InvalidArgument(
        "NX and XX, GT or LT options at the same time are not compatible");
  }
  if (parsed.if_later && parsed.if_earlier) {
    return Status::InvalidArgument("GT and LT options at the same time are not compatible");
  }
  return parsed;
}

}  // namespace kvs
