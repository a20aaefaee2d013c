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

void ConvertToken(const ReplyToken& token, std::string_view bytes, bool null_is_array,
                  std::string* out) {
  RespWriter writer(2, out);
  switch (token.type) {
    case '_':
      return null_is_array ? writer.NullArray() : writer.Null();
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

void ConvertReply3To2(std::string_view frame, bool null_is_array, std::string* out) {
  while (!frame.empty()) {
    const ReplyToken token = TokenAt(frame);
    if (token.type != '|') {
      ConvertToken(token, frame.substr(0, token.size), null_is_array, out);
      frame.remove_prefix(token.size);
      continue;
    }
    frame.remove_prefix(token.size);
    frame.remove_prefix(SizeOfValues(frame, token.children));
  }
}

}  // namespace kvs
