#include "common/resp/resp_convert.h"

#include <cstdint>

#include "common/base/check.h"
#include "common/resp/reply_scanner.h"
#include "common/resp/reply_token.h"
#include "common/resp/resp_writer.h"

namespace kvs {
namespace {

ReplyToken TokenAt(std::string_view input) {
  ReplyToken token;
  TokenProgress progress;
  KVS_CHECK(ReadReplyToken(input, &token, &progress) == TokenOutcome::kToken);
  return token;
}

bool IsResp2Type(char type) {
  return type == '$' || type == '+' || type == ':' || type == '-' || type == '*';
}

// Returns the bytes of the `count` values at the front of `input`.
size_t SizeOfValues(std::string_view input, uint64_t count) {
  size_t size = 0;
  // What held for the whole frame holds for its parts, whatever limits its scanner had.
  ReplyScanner scanner({.max_elements = UINT64_MAX, .max_bytes = SIZE_MAX});
  for (uint64_t i = 0; i < count; ++i) {
    scanner.Reset();
    KVS_CHECK(scanner.Scan(input.substr(size)) == ReplyScanner::Outcome::kReply);
    size += scanner.frame_size();
  }
  return size;
}

void ConvertToken(const ReplyToken& token, std::string_view bytes, Resp2Form form,
                  std::string* out) {
  RespWriter writer(2, out);
  switch (token.type) {
    case '_':
      return form == Resp2Form::kNullArray || form == Resp2Form::kMapAsPairs ? writer.NullArray()
                                                                             : writer.Null();
    case '%':
    case '~':
    case '>':
      return writer.Array(token.children);
    case ',':
    case '(':
      return writer.Bulk(token.text);
    case '=':
      return writer.Bulk(token.text.substr(4));
    case '#':
      return writer.Integer(token.integer);
    case '!':
      return writer.Error(token.text);
    default:
      return writer.Raw(bytes);
  }
}

bool IsArrayOfPairs(std::string_view frame) {
  const ReplyToken array = TokenAt(frame);
  if (array.type != '*' || array.children == 0) {
    return false;
  }
  frame.remove_prefix(array.size);
  for (uint64_t i = 0; i < array.children; ++i) {
    const ReplyToken pair = TokenAt(frame);
    if (pair.type != '*' || pair.children != 2) {
      return false;
    }
    frame.remove_prefix(SizeOfValues(frame, 1));
  }
  return true;
}

void ConvertPairs(std::string_view frame, std::string* out) {
  const ReplyToken array = TokenAt(frame);
  RespWriter(2, out).Array(2 * array.children);
  frame.remove_prefix(array.size);
  for (uint64_t i = 0; i < array.children; ++i) {
    frame.remove_prefix(TokenAt(frame).size);
    const size_t size = SizeOfValues(frame, 2);
    ConvertReply3To2(frame.substr(0, size), Resp2Form::kPlain, out);
    frame.remove_prefix(size);
  }
}

void ConvertMapToPairs(std::string_view frame, std::string* out) {
  const ReplyToken map = TokenAt(frame);
  const uint64_t pairs = map.children / 2;
  RespWriter(2, out).Array(pairs);
  frame.remove_prefix(map.size);
  for (uint64_t i = 0; i < pairs; ++i) {
    RespWriter(2, out).Array(2);
    const size_t size = SizeOfValues(frame, 2);
    ConvertReply3To2(frame.substr(0, size), Resp2Form::kNullArray, out);
    frame.remove_prefix(size);
  }
}

}  // namespace

bool NeedsConversion(std::string_view frame) {
  KVS_CHECK(!frame.empty());
  if (frame[0] != '*') {
    return !IsResp2Type(frame[0]);
  }
  while (!frame.empty()) {
    if (!IsResp2Type(frame[0])) {
      return true;
    }
    frame.remove_prefix(TokenAt(frame).size);
  }
  return false;
}

void ConvertReply3To2(std::string_view frame, Resp2Form form, std::string* out) {
  if (form == Resp2Form::kFlatPairs && IsArrayOfPairs(frame)) {
    return ConvertPairs(frame, out);
  }
  if (form == Resp2Form::kMapAsPairs && TokenAt(frame).type == '%') {
    return ConvertMapToPairs(frame, out);
  }
  while (!frame.empty()) {
    const ReplyToken token = TokenAt(frame);
    if (token.type != '|') {
      const bool is_last = token.size == frame.size();
      ConvertToken(token, frame.substr(0, token.size),
                   form == Resp2Form::kLastNullArray && is_last ? Resp2Form::kNullArray : form,
                   out);
      frame.remove_prefix(token.size);
      continue;
    }
    frame.remove_prefix(token.size);
    frame.remove_prefix(SizeOfValues(frame, token.children));
  }
}

}  // namespace kvs
