#include "common/base/strings.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace kvs {
namespace {

char Lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
char Upper(char c) {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}
bool IsSpace(char c) {
  return std::isspace(static_cast<unsigned char>(c)) != 0;
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  const char low = Lower(c);
  return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

// Longer text cannot be a number that we accept; Redis has the same kind of limit.
constexpr size_t kMaxFloatText = 5 * 1024;

template <typename T, typename Convert>
bool ParseFloat(std::string_view text, T* value, Convert convert) {
  if (text.empty() || text.size() >= kMaxFloatText || IsSpace(text.front())) {
    return false;
  }
  const std::string terminated(text);
  char* end = nullptr;
  errno = 0;
  const T parsed = convert(terminated.c_str(), &end);
  if (end != terminated.c_str() + terminated.size() || std::isnan(parsed)) {
    return false;
  }
  if (errno == ERANGE && (std::isinf(parsed) || parsed == 0)) {
    return false;
  }
  *value = parsed;
  return true;
}

}  // namespace

bool ParseInt64(std::string_view text, int64_t* value) {
  if (text.empty() || text.size() > kMaxIntegerDigits) {
    return false;
  }
  const size_t first = text[0] == '-' ? 1 : 0;
  if (first == text.size()) {
    return false;
  }
  if (text[first] == '0' && text.size() > 1) {
    return false;  // "-0", "01" and "-01" are not integers to Redis.
  }
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  return error == std::errc() && end == text.data() + text.size();
}

bool ParseUint64(std::string_view text, uint64_t* value) {
  if (text.empty() || (text[0] == '0' && text.size() > 1)) {
    return false;
  }
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  return error == std::errc() && end == text.data() + text.size();
}

bool ParseDouble(std::string_view text, double* value) {
  return ParseFloat(text, value, [](const char* s, char** end) { return std::strtod(s, end); });
}

bool ParseLongDouble(std::string_view text, long double* value) {
  return ParseFloat(text, value, [](const char* s, char** end) { return std::strtold(s, end); });
}

std::string FormatLongDouble(long double value) {
  if (std::isinf(value)) {
    return value > 0 ? "inf" : "-inf";
  }
  std::string text(static_cast<size_t>(std::snprintf(nullptr, 0, "%.17Lf", value)), '\0');
  std::snprintf(text.data(), text.size() + 1, "%.17Lf", value);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') {
    text.pop_back();
  }
  return text == "-0" ? "0" : text;
}

std::string FormatDouble(double value) {
  if (std::isnan(value)) {
    return "nan";
  }
  if (std::isinf(value)) {
    return value > 0 ? "inf" : "-inf";
  }
  std::array<char, 32> buffer;
  const auto [end, error] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  return {buffer.data(), static_cast<size_t>(end - buffer.data())};
}

std::string FormatScore(double value) {
  constexpr double kExact = 1e15;  // Integers below have at most 15 digits.
  std::array<char, 32> buffer;
  if (value > -kExact && value < kExact && value == std::trunc(value) && !std::signbit(value)) {
    const auto [end, error] =
        std::to_chars(buffer.data(), buffer.data() + buffer.size(), static_cast<int64_t>(value));
    return {buffer.data(), static_cast<size_t>(end - buffer.data())};
  }
  const int size = std::snprintf(buffer.data(), buffer.size(), "%.17g", value);
  return {buffer.data(), static_cast<size_t>(size)};
}

std::string ToLower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), Lower);
  return result;
}

std::string ToUpper(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), Upper);
  return result;
}

bool EqualsIgnoreCase(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [](char x, char y) { return Lower(x) == Lower(y); });
}

std::string_view TrimSpaces(std::string_view text) {
  while (!text.empty() && IsSpace(text.front())) {
    text.remove_prefix(1);
  }
  while (!text.empty() && IsSpace(text.back())) {
    text.remove_suffix(1);
  }
  return text;
}

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  size_t start = 0;
  while (true) {
    const size_t end = text.find(separator, start);
    parts.push_back(text.substr(start, end == std::string_view::npos ? end : end - start));
    if (end == std::string_view::npos) {
      return parts;
    }
    start = end + 1;
  }
}

namespace {

// Matches one pattern element at `*p` against `c` and moves `*p` past it.
bool MatchOne(std::string_view pattern, size_t* p, char c, bool ignore_case) {
  const auto fold = [ignore_case](char x) { return ignore_case ? Lower(x) : x; };
  size_t i = *p;
  if (pattern[i] == '?') {
    *p = i + 1;
    return true;
  }
  if (pattern[i] == '[') {
    ++i;
    const bool negated = i < pattern.size() && pattern[i] == '^';
    if (negated) {
      ++i;
    }
    bool matched = false;
    while (i < pattern.size() && pattern[i] != ']') {
      if (pattern[i] == '\\' && i + 1 < pattern.size()) {
        ++i;
        matched |= pattern[i] == c;
        ++i;
      } else if (i + 2 < pattern.size() && pattern[i + 1] == '-') {
        auto low = static_cast<unsigned char>(fold(pattern[i]));
        auto high = static_cast<unsigned char>(fold(pattern[i + 2]));
        if (low > high) {
          std::swap(low, high);
        }
        const auto value = static_cast<unsigned char>(fold(c));
        matched |= value >= low && value <= high;
        i += 3;
      } else {
        matched |= fold(pattern[i]) == fold(c);
        ++i;
      }
    }
    *p = i < pattern.size() ? i + 1 : i;  // An unclosed set ends with the pattern.
    return matched != negated;
  }
  if (pattern[i] == '\\' && i + 1 < pattern.size()) {
    ++i;
  }
  *p = i + 1;
  return fold(pattern[i]) == fold(c);
}

}  // namespace

bool GlobMatch(std::string_view pattern, std::string_view text, bool ignore_case) {
  // Only the last '*' is ever retried: what an earlier one matched can stay as short as it is.
  size_t p = 0;
  size_t t = 0;
  size_t star = std::string_view::npos;
  size_t star_text = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = ++p;
      star_text = t;
      continue;
    }
    size_t next = p;
    if (p < pattern.size() && MatchOne(pattern, &next, text[t], ignore_case)) {
      p = next;
      ++t;
      continue;
    }
    if (star == std::string_view::npos) {
      return false;
    }
    p = star;
    t = ++star_text;
  }
  while (p < pattern.size() && pattern[p] == '*') {
    ++p;
  }
  return p == pattern.size();
}

namespace {

// Reads the rest of a "..." argument.  Returns false if the closing quote is missing.
bool ReadDoubleQuoted(std::string_view line, size_t* i, std::string* argument) {
  while (*i < line.size()) {
    const char c = line[*i];
    if (c == '"') {
      ++*i;
      return *i == line.size() || IsSpace(line[*i]);
    }
    if (c == '\\' && *i + 3 < line.size() && line[*i + 1] == 'x' && HexDigit(line[*i + 2]) >= 0 &&
        HexDigit(line[*i + 3]) >= 0) {
      argument->push_back(static_cast<char>(HexDigit(line[*i + 2]) * 16 + HexDigit(line[*i + 3])));
      *i += 4;
      continue;
    }
    if (c == '\\' && *i + 1 < line.size()) {
      static constexpr std::string_view kFrom = "nrtba";
      static constexpr std::string_view kTo = "\n\r\t\b\a";
      const size_t index = kFrom.find(line[*i + 1]);
      argument->push_back(index == std::string_view::npos ? line[*i + 1] : kTo[index]);
      *i += 2;
      continue;
    }
    argument->push_back(c);
    ++*i;
  }
  return false;
}

bool ReadSingleQuoted(std::string_view line, size_t* i, std::string* argument) {
  while (*i < line.size()) {
    if (line[*i] == '\\' && *i + 1 < line.size() && line[*i + 1] == '\'') {
      argument->push_back('\'');
      *i += 2;
      continue;
    }
    if (line[*i] == '\'') {
      ++*i;
      return *i == line.size() || IsSpace(line[*i]);
    }
    argument->push_back(line[(*i)++]);
  }
  return false;
}

}  // namespace

bool SplitArguments(std::string_view line, std::vector<std::string>* arguments) {
  arguments->clear();
  size_t i = 0;
  while (true) {
    while (i < line.size() && IsSpace(line[i])) {
      ++i;
    }
    if (i == line.size()) {
      return true;
    }
    std::string argument;
    bool open = true;
    while (open && i < line.size() && !IsSpace(line[i])) {
      if (line[i] == '"' || line[i] == '\'') {
        const bool is_double = line[i] == '"';
        ++i;
        if (!(is_double ? ReadDoubleQuoted(line, &i, &argument)
                        : ReadSingleQuoted(line, &i, &argument))) {
          return false;
        }
        open = false;
      } else {
        argument.push_back(line[i++]);
      }
    }
    arguments->push_back(std::move(argument));
  }
}

std::string QuoteForLog(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    switch (c) {
      case '\\':
      case '"':
        quoted += '\\';
        quoted += c;
        break;
      case '\n':
        quoted += "\\n";
        break;
      case '\r':
        quoted += "\\r";
        break;
      case '\t':
        quoted += "\\t";
        break;
      case '\a':
        quoted += "\\a";
        break;
      case '\b':
        quoted += "\\b";
        break;
      default:
        if (c >= ' ' && c <= '~') {
          quoted += c;
        } else {
          char hex[5];
          std::snprintf(hex, sizeof(hex), "\\x%02x", static_cast<unsigned char>(c));
          quoted += hex;
        }
    }
  }
  quoted += '"';
  return quoted;
}

bool EqualsConstantTime(std::string_view a, std::string_view b) {
  // The lengths may differ visibly; the content may not.
  unsigned char difference = a.size() == b.size() ? 0 : 1;
  for (size_t i = 0; i < a.size(); ++i) {
    const char other = b.empty() ? '\0' : b[i % b.size()];
    difference = static_cast<unsigned char>(difference | (a[i] ^ other));
  }
  return difference == 0;
}

}  // namespace kvs
