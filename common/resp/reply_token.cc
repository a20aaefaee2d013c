#include "common/resp/reply_token.h"

#include <algorithm>

#include "common/base/strings.h"

namespace kvs {
namespace {

// "$" and a 64-bit number; a longer line cannot hold a length.
constexpr size_t kMaxLengthLine = 24;

// Far more than exists; keeps sums of sizes from overflowing.
constexpr int64_t kMaxLength = int64_t{1} << 48;

TokenOutcome Fail(const char* error, TokenProgress* progress) {
  progress->error = error;
  return TokenOutcome::kError;
}

TokenOutcome NeedMore(size_t scanned, size_t needed, TokenProgress* progress) {
  progress->scanned = scanned;
  progress->needed = needed;
  return TokenOutcome::kNeedMore;
}

// Finds the line that starts at input[0] and is at most `limit` bytes long.  Sets token->text to
// what follows the type and token->size.
TokenOutcome ReadLine(std::string_view input, size_t limit, ReplyToken* token,
                      TokenProgress* progress) {
  const std::string_view window = input.substr(0, limit);
  const size_t cr = window.find('\r', std::max<size_t>(progress->scanned, 1));
  if (cr == std::string_view::npos) {
    if (input.size() >= limit) {
      return Fail("too long a line", progress);
    }
    return NeedMore(input.size(), input.size() + 2, progress);
  }
  if (cr + 2 > input.size()) {
    return NeedMore(cr, cr + 2, progress);
  }
  if (input[cr + 1] != '\n') {
    return Fail("a line without its end", progress);
  }
  token->text = input.substr(1, cr - 1);
  token->size = cr + 2;
  return TokenOutcome::kToken;
}

// Reads "<digits>\r\n" behind the type for the lengths that replies really have, 1 to 7 digits.
// Returns the size of the line with the type, or 0 if ReadLine() must judge it.
size_t ReadShortLength(std::string_view input, int64_t* length) {
  const size_t end = std::min<size_t>(input.size(), 1 + 7 + 2);
  int64_t n = 0;
  size_t i = 1;
  for (; i < end && input[i] >= '0' && input[i] <= '9'; ++i) {
    n = n * 10 + (input[i] - '0');
  }
  if (i == 1 || i + 2 > end || input[i] != '\r' || input[i + 1] != '\n' ||
      (input[1] == '0' && i > 2)) {
    return 0;
  }
  *length = n;
  return i + 2;
}

// Reads the decimal behind the type, with its line's end.
TokenOutcome ReadLength(std::string_view input, ReplyToken* token, int64_t* length,
                        TokenProgress* progress) {
  token->size = ReadShortLength(input, length);
  if (token->size != 0) [[likely]] {
    return TokenOutcome::kToken;
  }
  progress->scanned = 0;  // The line is short: reading it again costs nothing.
  const TokenOutcome outcome = ReadLine(input, kMaxLengthLine, token, progress);
  if (outcome != TokenOutcome::kToken) {
    return outcome;
  }
  if (!ParseInt64(token->text, length) || *length < -1 || *length > kMaxLength) {
    return Fail("invalid length", progress);
  }
  return outcome;
}

// '$', '!' and '=': a length and so many bytes.
TokenOutcome ReadBlob(std::string_view input, ReplyToken* token, TokenProgress* progress) {
  int64_t length = 0;
  const TokenOutcome outcome = ReadLength(input, token, &length, progress);
  if (outcome != TokenOutcome::kToken) {
    return outcome;
  }
  if (length < 0) {
    token->null = true;
    return token->type == '$' ? outcome : Fail("invalid length", progress);
  }
  const size_t start = token->size;
  const size_t size = static_cast<size_t>(length);
  if (input.size() < start + size + 2) {
    return NeedMore(0, start + size + 2, progress);
  }
  if (input[start + size] != '\r' || input[start + size + 1] != '\n') {
    return Fail("a string without its end", progress);
  }
  token->text = input.substr(start, size);
  token->size = start + size + 2;
  if (token->type == '=' && (size < 4 || token->text[3] != ':')) {
    return Fail("a verbatim string without its format", progress);
  }
  return outcome;
}

TokenOutcome ReadHeader(std::string_view input, ReplyToken* token, TokenProgress* progress) {
  int64_t count = 0;
  const TokenOutcome outcome = ReadLength(input, token, &count, progress);
  if (outcome != TokenOutcome::kToken) {
    return outcome;
  }
  if (count < 0) {
    token->null = true;
    return token->type == '*' ? outcome : Fail("invalid length", progress);
  }
  const bool pairs = token->type == '%' || token->type == '|';
  token->children = static_cast<uint64_t>(count) * (pairs ? 2 : 1);
  return outcome;
}

bool IsBigNumber(std::string_view text) {
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
    text.remove_prefix(1);
  }
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

bool IsDouble(std::string_view text) {
  double value = 0;
  return text == "inf" || text == "-inf" || text == "nan" || text == "-nan" ||
         (text.find_first_not_of("+-.0123456789eE") == std::string_view::npos &&
          ParseDouble(text, &value));
}

// Whether the line may follow its type; sets token->integer and token->null.
bool JudgeLine(ReplyToken* token) {
  switch (token->type) {
    case '+':
    case '-':
      return true;
    case ':':
      return ParseInt64(token->text, &token->integer);
    case '_':
      token->null = true;
      return token->text.empty();
    case '#':
      token->integer = token->text == "t" ? 1 : 0;
      return token->text == "t" || token->text == "f";
    case ',':
      return IsDouble(token->text);
    case '(':
      return IsBigNumber(token->text);
    default:
      return false;
  }
}

TokenOutcome ReadScalarLine(std::string_view input, ReplyToken* token, TokenProgress* progress) {
  const bool numeric = token->type == ':' || token->type == '#' || token->type == '_';
  const size_t limit = numeric ? kMaxLengthLine : std::string_view::npos;
  const TokenOutcome outcome = ReadLine(input, limit, token, progress);
  if (outcome == TokenOutcome::kToken && !JudgeLine(token)) {
    return Fail("an invalid value", progress);
  }
  return outcome;
}

}  // namespace

TokenOutcome ReadReplyToken(std::string_view input, ReplyToken* token, TokenProgress* progress) {
  if (input.empty()) {
    return NeedMore(0, 3, progress);
  }
  *token = {};
  token->type = input[0];
  switch (token->type) {
    case '$':
    case '!':
    case '=':
      return ReadBlob(input, token, progress);
    case '*':
    case '%':
    case '~':
    case '>':
    case '|':
      return ReadHeader(input, token, progress);
    case '+':
    case '-':
    case ':':
    case '_':
    case '#':
    case ',':
    case '(':
      return ReadScalarLine(input, token, progress);
    default:
      return Fail("unknown type", progress);
  }
}

}  // namespace kvs
