#include "common/resp/reply_tree.h"

#include <algorithm>
#include <cstdlib>

#include "common/base/strings.h"
#include "common/resp/reply_scanner.h"
#include "common/resp/reply_token.h"

namespace kvs {
namespace {

using Type = Reply::Type;

// A header may promise more elements than the frame has bytes left for.
constexpr size_t kMinElementSize = 3;

Type TypeOf(const ReplyToken& token) {
  if (token.null) {
    return Type::kNull;
  }
  switch (token.type) {
    case '+':
      return Type::kSimple;
    case '-':
    case '!':
      return Type::kError;
    case ':':
      return Type::kInteger;
    case '$':
      return Type::kBulk;
    case ',':
      return Type::kDouble;
    case '#':
      return Type::kBoolean;
    case '(':
      return Type::kBigNumber;
    case '=':
      return Type::kVerbatim;
    case '%':
      return Type::kMap;
    case '~':
      return Type::kSet;
    case '>':
      return Type::kPush;
    default:
      return Type::kArray;
  }
}

// Takes the next token off a frame that a scanner accepted.
ReplyToken TakeToken(std::string_view* input) {
  ReplyToken token;
  TokenProgress progress;
  KVS_CHECK(ReadReplyToken(*input, &token, &progress) == TokenOutcome::kToken);
  input->remove_prefix(token.size);
  return token;
}

// Takes one value off a frame that a scanner accepted.  The scanner bounded the recursion.
Reply TakeValue(std::string_view* input) {
  ReplyToken token = TakeToken(input);
  while (token.type == '|') {
    for (uint64_t i = 0; i < token.children; ++i) {
      TakeValue(input);
    }
    token = TakeToken(input);
  }
  Reply reply;
  reply.type = TypeOf(token);
  reply.integer = token.integer;
  if (reply.type == Type::kVerbatim) {
    token.text.remove_prefix(4);
  }
  if (reply.type == Type::kDouble) {
    reply.number = std::strtod(std::string(token.text).c_str(), nullptr);
  } else if (reply.is_string() || reply.is_error() || reply.type == Type::kBigNumber) {
    reply.text = token.text;
  }
  reply.elements.reserve(std::min<size_t>(token.children, input->size() / kMinElementSize));
  for (uint64_t i = 0; i < token.children; ++i) {
    reply.elements.push_back(TakeValue(input));
  }
  return reply;
}

// Whether a simple string can stand in a log without quotes.
bool IsPlain(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return c >= ' ' && c <= '~' && c != '"' && c != ',';
  });
}

void AppendElements(const Reply& reply, std::string* out);

void AppendText(const Reply& reply, std::string* out) {
  switch (reply.type) {
    case Type::kNull:
      out->append("null");
      return;
    case Type::kSimple:
    case Type::kBigNumber:
      out->append(IsPlain(reply.text) ? reply.text : QuoteForLog(reply.text));
      return;
    case Type::kError:
      out->append("(error) " + QuoteForLog(reply.text));
      return;
    case Type::kInteger:
      out->append(std::to_string(reply.integer));
      return;
    case Type::kBulk:
    case Type::kVerbatim:
      out->append(QuoteForLog(reply.text));
      return;
    case Type::kDouble:
      out->append("(double) " + FormatDouble(reply.number));
      return;
    case Type::kBoolean:
      out->append(reply.integer != 0 ? "true" : "false");
      return;
    case Type::kArray:
    case Type::kMap:
    case Type::kSet:
    case Type::kPush:
      AppendElements(reply, out);
      return;
  }
}

void AppendElements(const Reply& reply, std::string* out) {
  const bool is_map = reply.type == Type::kMap;
  out->append(is_map                      ? "{"
              : reply.type == Type::kSet  ? "(set) ["
              : reply.type == Type::kPush ? "(push) ["
                                          : "[");
  for (size_t i = 0; i < reply.elements.size(); ++i) {
    if (i > 0) {
      out->append(is_map && i % 2 == 1 ? ": " : ", ");
    }
    AppendText(reply.elements[i], out);
  }
  out->push_back(is_map ? '}' : ']');
}

}  // namespace

const Reply* Reply::Find(std::string_view key) const {
  for (size_t i = 0; i + 1 < elements.size(); i += 2) {
    if (elements[i].is_string() && elements[i].text == key) {
      return &elements[i + 1];
    }
  }
  return nullptr;
}

std::string Reply::ToString() const {
  std::string line;
  AppendText(*this, &line);
  return line;
}

Result<Reply> ParseReply(std::string_view frame) {
  ReplyScanner scanner;
  const ReplyScanner::Outcome outcome = scanner.Scan(frame);
  if (outcome == ReplyScanner::Outcome::kError) {
    return Status::InvalidArgument(std::string("not a reply: ") + scanner.error());
  }
  if (outcome == ReplyScanner::Outcome::kNeedMore) {
    return Status::InvalidArgument("not a reply: it ends too early");
  }
  if (scanner.frame_size() != frame.size()) {
    return Status::InvalidArgument("not a reply: bytes follow its end");
  }
  return TakeValue(&frame);
}

}  // namespace kvs
