#include "common/config/option.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "common/base/strings.h"

namespace kvs {
namespace {

struct Unit {
  std::string_view name;
  uint64_t factor;
};

// As redis.conf: "k" is 1000, "kb" is 1024.
constexpr std::array<Unit, 11> kByteUnits = {{{"", 1},
                                              {"b", 1},
                                              {"k", 1000},
                                              {"kb", uint64_t{1} << 10},
                                              {"kib", uint64_t{1} << 10},
                                              {"m", 1000 * 1000},
                                              {"mb", uint64_t{1} << 20},
                                              {"mib", uint64_t{1} << 20},
                                              {"g", 1000 * 1000 * 1000},
                                              {"gb", uint64_t{1} << 30},
                                              {"gib", uint64_t{1} << 30}}};
constexpr std::array<Unit, 6> kTimeUnits = {
    {{"", 1}, {"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}}};

template <size_t kCount>
bool ParseWithUnit(std::string_view text, const std::array<Unit, kCount>& units, uint64_t* value) {
  const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  uint64_t number = 0;
  if (digits == 0 || !ParseUint64(text.substr(0, digits), &number)) {
    return false;
  }
  for (const Unit& unit : units) {
    if (EqualsIgnoreCase(text.substr(digits), unit.name)) {
      return !__builtin_mul_overflow(number, unit.factor, value);
    }
  }
  return false;
}

Status OutOfRange(const OptionRow& row, std::string_view text) {
  return Status::InvalidArgument(fmt::format("'{}' for '{}' is out of range: use {} to {}", text,
                                             row.name, row.spec.min.value, row.spec.max.value));
}

Status CheckRange(const OptionRow& row, std::string_view text, uint64_t value) {
  if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) ||
      static_cast<int64_t>(value) < row.spec.min.value ||
      static_cast<int64_t>(value) > row.spec.max.value) {
    return OutOfRange(row, text);
  }
  return Status::Ok();
}

Status SetBool(const OptionRow& row, bool* field, std::string_view text) {
  const std::string lower = ToLower(text);
  if (lower == "yes" || lower == "true" || lower == "on" || lower == "1") {
    *field = true;
  } else if (lower == "no" || lower == "false" || lower == "off" || lower == "0") {
    *field = false;
  } else {
    return Status::InvalidArgument(
        fmt::format("'{}' for '{}' is not a truth value: use yes or no", text, row.name));
  }
  return Status::Ok();
}

Status SetInt(const OptionRow& row, int64_t* field, std::string_view text) {
  int64_t value = 0;
  if (!ParseInt64(text, &value)) {
    return Status::InvalidArgument(fmt::format("'{}' for '{}' is not an integer", text, row.name));
  }
  if (value < row.spec.min.value || value > row.spec.max.value) {
    return OutOfRange(row, text);
  }
  *field = value;
  return Status::Ok();
}

Status SetString(const OptionRow& row, std::string* field, std::string_view text) {
  if (!row.spec.choices.empty()) {
    for (const std::string_view choice : Split(row.spec.choices, '|')) {
      if (EqualsIgnoreCase(choice, text)) {
        *field = choice;
        return Status::Ok();
      }
    }
    return Status::InvalidArgument(
        fmt::format("'{}' for '{}' is not one of {}", text, row.name, row.spec.choices));
  }
  if (text.find('\0') != std::string_view::npos || text.find('\n') != std::string_view::npos) {
    return Status::InvalidArgument(
        fmt::format("the value of '{}' holds a zero byte or a line break", row.name));
  }
  std::string value(text);
  if (row.spec.normalize != nullptr) {
    KVS_RETURN_IF_ERROR(row.spec.normalize(&value));
  }
  *field = std::move(value);
  return Status::Ok();
}

template <size_t kCount>
std::string FormatWithUnit(uint64_t value, const std::array<Unit, kCount>& units,
                           std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    for (const Unit& unit : units) {
      if (unit.name == name && value != 0 && value % unit.factor == 0) {
        return fmt::format("{}{}", value / unit.factor, name);
      }
    }
  }
  return std::to_string(value);
}

}  // namespace

Result<uint64_t> ParseBytes(std::string_view text) {
  uint64_t value = 0;
  if (!ParseWithUnit(text, kByteUnits, &value)) {
    return Status::InvalidArgument(
        fmt::format("'{}' is not a size: use a number with b, kb, mb or gb", text));
  }
  return value;
}

Result<Duration> ParseDuration(std::string_view text) {
  uint64_t value = 0;
  if (!ParseWithUnit(text, kTimeUnits, &value) ||
      value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
    return Status::InvalidArgument(
        fmt::format("'{}' is not a duration: use a number with ms, s, m, h or d", text));
  }
  return Duration(static_cast<int64_t>(value));
}

Status SetOptionField(const OptionRow& row, void* options, std::string_view text) {
  void* field = row.field(options);
  switch (row.kind) {
    case OptionKind::kBool:
      return SetBool(row, static_cast<bool*>(field), text);
    case OptionKind::kInt:
      return SetInt(row, static_cast<int64_t*>(field), text);
    case OptionKind::kBytes: {
      const Result<uint64_t> value = ParseBytes(text);
      if (!value.ok()) {
        return value.status().WithContext(row.name);
      }
      KVS_RETURN_IF_ERROR(CheckRange(row, text, *value));
      *static_cast<Bytes*>(field) = Bytes{*value};
      return Status::Ok();
    }
    case OptionKind::kDuration: {
      const bool plain = !text.empty() && text.find_first_not_of("0123456789") == text.npos;
      const Result<Duration> value =
          ParseDuration(plain && row.spec.seconds ? std::string(text) + "s" : std::string(text));
      if (!value.ok()) {
        return value.status().WithContext(row.name);
      }
      KVS_RETURN_IF_ERROR(CheckRange(row, text, static_cast<uint64_t>(value->count())));
      *static_cast<Duration*>(field) = *value;
      return Status::Ok();
    }
    case OptionKind::kString:
      return SetString(row, static_cast<std::string*>(field), text);
    case OptionKind::kStringList: {
      auto* list = static_cast<StringList*>(field);
      if (text.empty()) {
        list->clear();
        return Status::Ok();
      }
      for (const std::string_view part : Split(text, ',')) {
        std::string element;
        KVS_RETURN_IF_ERROR(SetString(row, &element, TrimSpaces(part)));
        if (!element.empty()) {
          list->push_back(std::move(element));
        }
      }
      return Status::Ok();
    }
  }
  return Status::Ok();
}

std::string GetOptionField(const OptionRow& row, const void* options) {
  const void* field = row.field(const_cast<void*>(options));
  switch (row.kind) {
    case OptionKind::kBool:
      return *static_cast<const bool*>(field) ? "yes" : "no";
    case OptionKind::kInt:
      return std::to_string(*static_cast<const int64_t*>(field));
    case OptionKind::kBytes:
      return std::to_string(ToInt(*static_cast<const Bytes*>(field)));
    case OptionKind::kDuration: {
      const Duration duration = *static_cast<const Duration*>(field);
      return std::to_string(row.spec.seconds
                                ? std::chrono::ceil<std::chrono::seconds>(duration).count()
                                : duration.count());
    }
    case OptionKind::kString:
      return *static_cast<const std::string*>(field);
    case OptionKind::kStringList:
      return fmt::format("{}", fmt::join(*static_cast<const StringList*>(field), " "));
  }
  return "";
}

namespace {

std::string QuoteIfNeeded(const std::string& text) {
  const bool plain = !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return c > ' ' && c <= '~' && c != '"' && c != '\'' && c != '\\' && c != '#';
  });
  return plain ? text : QuoteForLog(text);
}

}  // namespace

std::string FormatOptionField(const OptionRow& row, const void* options) {
  const void* field = row.field(const_cast<void*>(options));
  if (row.kind == OptionKind::kBytes) {
    return FormatWithUnit(ToInt(*static_cast<const Bytes*>(field)), kByteUnits, {"gb", "mb", "kb"});
  }
  if (row.kind == OptionKind::kDuration) {
    const int64_t count = static_cast<const Duration*>(field)->count();
    return FormatWithUnit(static_cast<uint64_t>(count), kTimeUnits, {"d", "h", "m", "s", "ms"});
  }
  const std::string text = GetOptionField(row, options);
  if (row.kind == OptionKind::kStringList) {
    const StringList& list = *static_cast<const StringList*>(field);
    std::string line;
    for (const std::string& element : list) {
      line += (line.empty() ? "" : " ") + QuoteIfNeeded(element);
    }
    return list.empty() ? "\"\"" : line;
  }
  return QuoteIfNeeded(text);
}

const OptionRow* FindOption(const std::vector<OptionRow>& rows, std::string_view name) {
  for (const OptionRow& row : rows) {
    if (EqualsIgnoreCase(row.name, name)) {
      return &row;
    }
  }
  return nullptr;
}

}  // namespace kvs
