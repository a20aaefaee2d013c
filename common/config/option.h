// Options: one row each in a `.def` table makes the struct field, the parser, the range check, the
// command line flag, the environment variable, CONFIG GET/SET/REWRITE, the commented default file
// and the reference page.
//
//   KVS_OPTION(Bytes, proto_max_bulk_len, 512_MiB,
//     .change = Change::kRuntime, .min = 1_KiB, .max = 512_MiB,
//     .doc = "Largest single argument that a client may send.")
//
// The option's name in files and commands is the field's with '-' for '_'.  Ranges are inclusive,
// in the unit of the type: bytes for Bytes, milliseconds for Duration.
//
// Threads: rows are immutable; an options struct is immutable once published.
// Owner:   the program's options.h; see ConfigStore for the published snapshot.

#pragma once

#include <chrono>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "common/base/status.h"

namespace kvs {

enum class Bytes : uint64_t {};
inline constexpr uint64_t ToInt(Bytes bytes) {
  return static_cast<uint64_t>(bytes);
}
using Duration = std::chrono::milliseconds;
using StringList = std::vector<std::string>;

inline namespace literals {
constexpr Bytes operator""_B(unsigned long long n) {
  return Bytes{n};
}
constexpr Bytes operator""_KiB(unsigned long long n) {
  return Bytes{n << 10};
}
constexpr Bytes operator""_MiB(unsigned long long n) {
  return Bytes{n << 20};
}
constexpr Bytes operator""_GiB(unsigned long long n) {
  return Bytes{n << 30};
}
}  // namespace literals

enum class Change : uint8_t {
  kRestart,  // Read at start only; CONFIG SET refuses it.
  kRuntime,  // CONFIG SET changes it at once.
};

// A bound of a row, written in the option's own type.
struct OptionBound {
  int64_t value = 0;
  constexpr OptionBound(int v) : value(v) {}                                  // NOLINT
  constexpr OptionBound(int64_t v) : value(v) {}                              // NOLINT
  constexpr OptionBound(Bytes v) : value(static_cast<int64_t>(v)) {}          // NOLINT
  constexpr OptionBound(std::chrono::milliseconds v) : value(v.count()) {}    // NOLINT
  constexpr OptionBound(std::chrono::seconds v) : value(v.count() * 1000) {}  // NOLINT
};

struct OptionSpec {
  Change change = Change::kRestart;
  OptionBound min = int64_t{0};
  OptionBound max = std::numeric_limits<int64_t>::max();
  std::string_view choices = "";  // "a|b|c": the only legal values of a string.
  // Of a string: brings it into its usual form, or says why it is none.
  Status (*normalize)(std::string* text) = nullptr;
  bool pairs = false;    // Of a list: a line of two words is one element, "a=b".
  bool seconds = false;  // Of a duration: a plain number is seconds, as in Redis.
  bool secret = false;   // Shown as "***" in --print-conf and never logged.
  std::string_view doc = "";
};

enum class OptionKind : uint8_t { kBool, kInt, kBytes, kDuration, kString, kStringList };

template <typename T>
constexpr OptionKind KindOf() {
  if constexpr (std::is_same_v<T, bool>) {
    return OptionKind::kBool;
  } else if constexpr (std::is_same_v<T, int64_t>) {
    return OptionKind::kInt;
  } else if constexpr (std::is_same_v<T, Bytes>) {
    return OptionKind::kBytes;
  } else if constexpr (std::is_same_v<T, Duration>) {
    return OptionKind::kDuration;
  } else if constexpr (std::is_same_v<T, std::string>) {
    return OptionKind::kString;
  } else {
    static_assert(std::is_same_v<T, StringList>,
                  "options are bool, int64_t, Bytes, Duration, "
                  "std::string or StringList");
    return OptionKind::kStringList;
  }
}

// One row, without the type of the struct it belongs to.
struct OptionRow {
  std::string name;  // With '-'.
  OptionKind kind;
  OptionSpec spec;
  void* (*field)(void* options);  // The field inside a struct of the right type.
};

// Sets a field from text.  A StringList gets the elements between commas as well ("" empties it).
// Returns kInvalidArgument that names the option, the value and what is legal.
Status SetOptionField(const OptionRow& row, void* options, std::string_view text);
// Returns the field as CONFIG GET shows it: bytes as a number, durations in milliseconds, or in
// seconds (rounded up) where the option's plain numbers are seconds.
std::string GetOptionField(const OptionRow& row, const void* options);
// Returns the field as a file shows it: with the largest unit that loses nothing.
std::string FormatOptionField(const OptionRow& row, const void* options);

// Reads "512mb", "64k" (1000s), "64kb" (1024s), "1gib", plain bytes; any case.
Result<uint64_t> ParseBytes(std::string_view text);
// Reads "150ms", "10s", "5m", "2h", "1d"; a plain number is milliseconds.
Result<Duration> ParseDuration(std::string_view text);

const OptionRow* FindOption(const std::vector<OptionRow>& rows, std::string_view name);

// Makes a row of a struct; each program's options.cc includes its `.def` table with KVS_OPTION
// defined as MakeOptionRow<ProxyOptions, &ProxyOptions::field>(#field, OptionSpec{__VA_ARGS__}).
template <typename Options, auto kMember>
OptionRow MakeOptionRow(std::string_view field_name, const OptionSpec& spec) {
  using Field = std::remove_reference_t<decltype(std::declval<Options&>().*kMember)>;
  OptionRow row{std::string(field_name), KindOf<Field>(), spec,
                [](void* options) -> void* { return &(static_cast<Options*>(options)->*kMember); }};
  if (row.name.ends_with('_')) {
    row.name.pop_back();  // The field's name would have been a keyword.
  }
  for (char& c : row.name) {
    c = c == '_' ? '-' : c;
  }
  return row;
}

}  // namespace kvs
