// RespWriter: the one place that writes replies, in the words of RESP2 or RESP3.
//
// A handler says what the reply is (a map, a double, nothing) and the writer how this client wants
// to read it.  An aggregate is its header followed by its elements: after Array(n) come n values,
// after Map(n) come n keys each with its value.
//
// Threads: as the string it appends to.
// Owner:   the caller, usually on the stack; it points at the caller's string.

#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

#include "common/base/status.h"

namespace kvs {

// Whole replies that are sent so often that they are worth a name.
inline constexpr std::string_view kOkReply = "+OK\r\n";
inline constexpr std::string_view kPongReply = "+PONG\r\n";
inline constexpr std::string_view kQueuedReply = "+QUEUED\r\n";
inline constexpr std::string_view kZeroReply = ":0\r\n";
inline constexpr std::string_view kOneReply = ":1\r\n";
inline constexpr std::string_view kNullReply2 = "$-1\r\n";
inline constexpr std::string_view kNullArrayReply2 = "*-1\r\n";
inline constexpr std::string_view kNullReply3 = "_\r\n";
inline constexpr std::string_view kEmptyArrayReply = "*0\r\n";

class RespWriter {
 public:
  // `protocol` is 2 or 3.
  RespWriter(int protocol, std::string* out) : out_(out), protocol_(protocol) {}

  int protocol() const { return protocol_; }
  std::string* out() { return out_; }

  // REQUIRES: no line break in `text`
  void Simple(std::string_view text);
  void Ok() { out_->append(kOkReply); }
  // `text` begins with its prefix, such as "ERR ".  Line breaks become spaces.
  void Error(std::string_view text);
  // REQUIRES: !status.ok()
  void Error(const Status& status);
  void Integer(int64_t value);
  void Bulk(std::string_view bytes);
  // Around `size` bytes that the caller appends to out(), for a string that comes in parts.
  void BeginBulk(size_t size);
  void EndBulk() { out_->append("\r\n", 2); }
  // The absence of a string, and the absence of an array: RESP2 tells them apart.
  void Null() { out_->append(protocol_ == 2 ? kNullReply2 : kNullReply3); }
  void NullArray() { out_->append(protocol_ == 2 ? kNullArrayReply2 : kNullReply3); }
  void Array(size_t count) { Header('*', count); }
  // RESP2: an array of 2 * pair_count.
  void Map(size_t pair_count);
  // RESP2: an array.
  void Set(size_t count) { Header(protocol_ == 2 ? '*' : '~', count); }
  void Push(size_t count) { Header(protocol_ == 2 ? '*' : '>', count); }
  // RESP2: a bulk string.
  void Double(double value);
  // A double with FormatScore()'s digits.  RESP2: a bulk string.
  void Score(double value);
  // RESP2: 1 or 0.
  void Boolean(bool value);
  // `digits` is a decimal integer of any length.  RESP2: a bulk string.
  void BigNumber(std::string_view digits);
  // `format` has three letters, "txt" or "mkd".  RESP2: a bulk string of `text` alone.
  void Verbatim(std::string_view format, std::string_view text);
  // Appends a complete reply that is encoded for this protocol already.
  void Raw(std::string_view reply) { out_->append(reply); }

 private:
  void Header(char type, size_t count);

  std::string* out_;
  int protocol_;
};

// Appends a request as a client sends it: an array of bulk strings.
void EncodeRequest(std::span<const std::string_view> args, std::string* out);
void EncodeRequest(std::initializer_list<std::string_view> args, std::string* out);

}  // namespace kvs
