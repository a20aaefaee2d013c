// Numbers and text the way Redis reads and writes them.
//
// Threads: pure functions, no state.

#pragma once

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"

namespace kvs {

// Reads a decimal integer as Redis does: an optional '-', no leading zeros, no spaces, no '+'.
// Returns false if the text is anything else or does not fit.
bool ParseInt64(std::string_view text, int64_t* value);
bool ParseUint64(std::string_view text, uint64_t* value);

// Reads a floating point number; refuses NaN, spaces and trailing text, accepts "inf" and
// exponents.
bool ParseDouble(std::string_view text, double* value);
bool ParseLongDouble(std::string_view text, long double* value);

// Writes a long double as INCRBYFLOAT does: 17 decimals, then trailing zeros cut.
std::string FormatLongDouble(long double value);
// Writes the shortest text that reads back as the same double ("inf", "-inf", "nan" too).
std::string FormatDouble(double value);
// Writes the score of a sorted set as Redis 7.0 does: 17 significant digits, "inf", "1e+20".
std::string FormatScore(double value);

// Large enough for any 64-bit integer in decimal.
inline constexpr size_t kMaxIntegerDigits = 20;

std::string ToLower(std::string_view text);
std::string ToUpper(std::string_view text);
bool EqualsIgnoreCase(std::string_view a, std::string_view b);
std::string_view TrimSpaces(std::string_view text);
std::vector<std::string_view> Split(std::string_view text, char separator);

// Matches as Redis's stringmatchlen: * ? [a-z] [^a] and backslash, on bytes.  Takes time
// proportional to pattern.size() * text.size() at worst, whatever the pattern.
bool GlobMatch(std::string_view pattern, std::string_view text, bool ignore_case = false);

// Splits a line into arguments as Redis's sdssplitargs: spaces separate, "..." with \n \r \t \b \a
// \xHH escapes, '...' with \' only.  Returns false if quotes are unbalanced.
bool SplitArguments(std::string_view line, std::vector<std::string>* arguments);

// Returns `text` in double quotes with non-printable bytes escaped, as Redis's sdscatrepr.
std::string QuoteForLog(std::string_view text);

// Compares without telling by its duration where the texts differ.
bool EqualsConstantTime(std::string_view a, std::string_view b);

}  // namespace kvs
