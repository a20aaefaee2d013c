#include "common/resp/request_parser.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "common/base/check.h"
#include "common/base/strings.h"

namespace kvs {
namespace {

// What a client may send before AUTH, as in Redis.
constexpr int64_t kMaxArgsUnauthenticated = 10;
constexpr int64_t kMaxBulkUnauthenticated = 16384;

// The shortest argument is "$0\r\n\r\n".
constexpr size_t kMinArgSize = 6;

// Storage for more arguments than this is given back after the request.
constexpr size_t kKeptArgs = 1024;

// Reads "<digits>\r" and one more byte at input[position], for the lengths that requests really
// have: 1 to 7 digits.  Returns the offset behind the line, or 0 if the slow path must judge it.
inline size_t ReadShortLength(std::string_view input, size_t position, size_t* value) {
  const char* const start = input.data() + position;
  const char* const end = input.data() + input.size();
  const char* p = start;
  size_t n = 0;
  while (p < end && *p >= '0' && *p <= '9' && p - start <= 7) {
    n = n * 10 + static_cast<size_t>(*p - '0');
    ++p;
  }
  const auto digits = p - start;
  if (digits == 0 || digits > 7 || end - p < 2 || *p != '\r' || (*start == '0' && digits > 1)) {
    return 0;
  }
  *value = n;
  return static_cast<size_t>(p + 2 - input.data());
}

}  // namespace

RequestParser::Outcome RequestParser::Parse(std::string_view input) {
  if (position_ == 0) {
    if (input.empty()) {
      return NeedMore(1);
    }
    if (input[0] != '*') {
      return ParseInline(input);
    }
    const Outcome outcome = ParseCount(input);
    if (outcome != Outcome::kRequest) {
      return outcome;
    }
  }
  return ParseBulks(input);
}

void RequestParser::Reset() {
  position_ = 0;
  scanned_ = 0;
  missing_args_ = 0;
  size_hint_ = 0;
  if (pieces_.capacity() > kKeptArgs || inline_args_.capacity() > kKeptArgs) [[unlikely]] {
    pieces_ = {};
    args_ = {};
    inline_args_ = {};
  }
  pieces_.clear();
  args_.clear();
  inline_args_.clear();
  error_.clear();
}

void RequestParser::ReleaseIfIdle() {
  if (position_ == 0 && pieces_.empty() && args_.empty() && error_.empty()) {
    pieces_ = {};
    args_ = {};
    inline_args_ = {};
  }
}

// "*<count>\r\n".  Returns kRequest if the bulks follow.
RequestParser::Outcome RequestParser::ParseCount(std::string_view input) {
  size_t short_count = 0;
  int64_t count = 0;
  size_t next = ReadShortLength(input, 1, &short_count);
  if (next != 0) {
    count = static_cast<int64_t>(short_count);
  } else {
    bool valid = false;
    const Outcome outcome = ReadLength(input, "too big mbulk count string", &count, &valid);
    if (outcome != Outcome::kRequest) {
      return outcome;
    }
    if (!valid) {
      return Fail("invalid multibulk length");
    }
    next = scanned_;
  }
  if (count > 0 && static_cast<uint64_t>(count) > limits_.max_args) {
    return Fail("invalid multibulk length");
  }
  if (count > kMaxArgsUnauthenticated && !limits_.authenticated) {
    return Fail("unauthenticated multibulk length");
  }
  position_ = next;
  scanned_ = next;
  if (count <= 0) {
    return Outcome::kEmpty;
  }
  missing_args_ = static_cast<size_t>(count);
  return Outcome::kRequest;
}

RequestParser::Outcome RequestParser::ParseBulks(std::string_view input) {
  while (missing_args_ > 0) {
    size_t size = 0;
    size_t data = 0;
    if (position_ < input.size() && input[position_] == '$') {
      data = ReadShortLength(input, position_ + 1, &size);
    }
    if (data == 0) {
      int64_t length = 0;
      bool valid = false;
      const Outcome outcome = ReadLength(input, "too big bulk count string", &length, &valid);
      if (outcome != Outcome::kRequest) {
        return outcome;
      }
      if (input[position_] != '$') {
        return Fail(std::string("expected '$', got '") + input[position_] + "'");
      }
      if (!valid || length < 0) {
        return Fail("invalid bulk length");
      }
      size = static_cast<size_t>(length);
      data = scanned_;
    }
    if (size > limits_.max_bulk_bytes) {
      return Fail("invalid bulk length");
    }
    if (size > kMaxBulkUnauthenticated && !limits_.authenticated) {
      return Fail("unauthenticated bulk length");
    }
    const size_t end = data + size + 2;
    if (end > limits_.max_request_bytes) {
      return Fail("too big request");
    }
    if (end > input.size()) {
      scanned_ = position_;  // The header, 22 bytes at most, is read again.
      return NeedMore(end + (missing_args_ - 1) * kMinArgSize);
    }
    pieces_.push_back({.offset = data, .size = size});
    --missing_args_;
    position_ = end;
    scanned_ = end;
  }
  args_.resize(pieces_.size());
  for (size_t i = 0; i < pieces_.size(); ++i) {
    args_[i] = input.substr(pieces_[i].offset, pieces_[i].size);
  }
  return Outcome::kRequest;
}

// Reads the line at position_ whose first byte is a marker and the rest a decimal number, and moves
// scanned_ behind it.  Resumes the search for its end at scanned_.  `*valid` tells whether the
// number is one; the caller has Redis's order of complaints to keep.
RequestParser::Outcome RequestParser::ReadLength(std::string_view input, const char* overlong,
                                                 int64_t* value, bool* valid) {
  const size_t limit = position_ + limits_.max_inline_bytes + 1;
  const size_t from = std::max(scanned_, position_);
  const std::string_view window = input.substr(0, limit);
  const size_t cr = window.find('\r', from);
  if (cr == std::string_view::npos) {
    scanned_ = window.size();
    if (input.size() >= limit) {
      return Fail(overlong);
    }
    return NeedMore(input.size() + 1);
  }
  scanned_ = cr;
  if (cr + 2 > input.size()) {
    return NeedMore(cr + 2);
  }
  scanned_ = cr + 2;
  *valid = cr > position_ && ParseInt64(input.substr(position_ + 1, cr - position_ - 1), value);
  return Outcome::kRequest;
}

RequestParser::Outcome RequestParser::ParseInline(std::string_view input) {
  const size_t limit = limits_.max_inline_bytes + 1;
  const std::string_view window = input.substr(0, limit);
  const size_t newline = window.find('\n', scanned_);
  if (newline == std::string_view::npos) {
    scanned_ = window.size();
    if (input.size() >= limit) {
      return Fail("too big inline request");
    }
    return NeedMore(input.size() + 1);
  }
  std::string_view line = input.substr(0, newline);
  if (!line.empty() && line.back() == '\r') {
    line.remove_suffix(1);
  }
  if (!SplitArguments(line, &inline_args_)) {
    return Fail("unbalanced quotes in request");
  }
  position_ = newline + 1;
  args_.assign(inline_args_.begin(), inline_args_.end());
  return args_.empty() ? Outcome::kEmpty : Outcome::kRequest;
}

RequestParser::Outcome RequestParser::NeedMore(size_t size_hint) {
  size_hint_ = size_hint;
  return Outcome::kNeedMore;
}

RequestParser::Outcome RequestParser::Fail(std::string text) {
  error_ = "Protocol error: " + std::move(text);
  return Outcome::kError;
}

}  // namespace kvs
