// HttpParser: finds one HTTP/1.x request in bytes that arrive in pieces; Boost.Beast's parser does
// the grammar.
//
// What Beast leaves open is decided here, on the strict side: a length and an encoding in one
// request, an encoding other than "chunked", a missing or repeated Host, a target that is no path,
// an endless chunk header.  So two parsers in a row cannot disagree about where a request ends.
//
//   switch (parser.Parse(unread, &consumed)) {
//     case Outcome::kRequest:  Consume(consumed); Serve(parser.Take());   // ready for the next one
//     case Outcome::kNeedMore: Consume(consumed); read more behind what is left
//     case Outcome::kError:    answer parser.error_status() and close: framing is lost
//   }
//
// Threads: loop-owned.
// Owner:   the session whose input it parses.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "common/http/http_message.h"

namespace kvs {

struct HttpLimits {
  uint32_t max_header_bytes = 16 * 1024;  // Request line, fields and trailer fields.
  uint64_t max_body_bytes = uint64_t{1} << 20;
};

class HttpParser {
 public:
  enum class Outcome : uint8_t { kRequest, kNeedMore, kError };

  explicit HttpParser(const HttpLimits& limits = {});
  ~HttpParser();

  // Parses from input[0] on, where the last call's consumed bytes ended.  `*consumed` bytes are
  // understood and not wanted again, whatever the outcome.
  // After kRequest, Take() comes before the next call; after kError there is none.
  Outcome Parse(std::string_view input, size_t* consumed);

  // After kRequest: returns the request and starts on the next one.
  HttpRequest Take();

  // Whether the client waits for "100 Continue" before it sends the body; true once a request.
  bool TakeExpectation();

  // After kError: the status to answer with (400, 413, 431, 501 or 505) and what is wrong.
  int error_status() const { return error_status_; }
  const std::string& error() const { return error_; }

 private:
  struct Impl;

  Outcome Fail(int status, std::string_view error);
  bool Refuse(int status, std::string_view error);
  bool CheckHeader();
  bool ReadTarget(std::string_view target);

  const HttpLimits limits_;
  std::unique_ptr<Impl> impl_;
  HttpRequest request_;
  bool header_checked_ = false;
  bool expectation_ = false;
  int error_status_ = 0;
  std::string error_;
};

}  // namespace kvs
