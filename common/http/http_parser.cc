#include "common/http/http_parser.h"

#include <exception>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "common/base/strings.h"

namespace kvs {
namespace {

namespace http = boost::beast::http;

// The shortest end of a chunked body, "0\r\n\r\n".  Before it is there nothing can be complete, and
// Beast asserts (basic_parser.ipp, parse_chunk_header) that a last chunk seen before is as long.
constexpr size_t kShortestChunkedRest = 5;

std::string_view View(boost::beast::string_view text) {
  return {text.data(), text.size()};
}

int StatusOf(const boost::beast::error_code& error) {
  if (error == http::error::header_limit) {
    return 431;
  }
  if (error == http::error::body_limit) {
    return 413;
  }
  return error == http::error::bad_version ? 505 : 400;
}

bool ReadQuery(std::string_view text, HttpFields* query) {
  if (text.empty()) {
    return true;
  }
  for (const std::string_view pair : Split(text, '&')) {
    const size_t equals = pair.find('=');
    std::pair<std::string, std::string> field;
    const bool good =
        PercentDecode(pair.substr(0, equals), true, &field.first) &&
        (equals == std::string_view::npos ||
         PercentDecode(pair.substr(equals + 1), /*plus_is_space=*/true, &field.second));
    if (!good) {
      return false;
    }
    query->push_back(std::move(field));
  }
  return true;
}

}  // namespace

struct HttpParser::Impl {
  explicit Impl(const HttpLimits& limits) {
    parser.header_limit(limits.max_header_bytes);
    parser.body_limit(limits.max_body_bytes);
    // Stops behind the header, so that trailer fields cannot pass for header fields.
    parser.eager(false);
  }
  http::request_parser<http::string_body> parser;
};

HttpParser::HttpParser(const HttpLimits& limits)
    : limits_(limits), impl_(std::make_unique<Impl>(limits)) {}

HttpParser::~HttpParser() = default;

HttpParser::Outcome HttpParser::Fail(int status, std::string_view error) {
  error_status_ = status;
  error_ = error;
  return Outcome::kError;
}

bool HttpParser::Refuse(int status, std::string_view error) {
  Fail(status, error);
  return false;
}

HttpParser::Outcome HttpParser::Parse(std::string_view input, size_t* consumed) {
  KVS_CHECK(error_status_ == 0);
  *consumed = 0;
  auto& parser = impl_->parser;
  while (*consumed < input.size() && !parser.is_done()) {
    const std::string_view rest = input.substr(*consumed);
    if (parser.is_header_done() && parser.chunked() && rest.size() < kShortestChunkedRest) {
      break;
    }
    boost::beast::error_code error;
    try {
      *consumed += parser.put(boost::asio::const_buffer(rest.data(), rest.size()), error);
    } catch (const std::exception& exception) {
      return Fail(400, exception.what());
    }
    if (error == http::error::need_more) {
      break;
    }
    if (error) {
      return Fail(StatusOf(error), error.message());
    }
    if (parser.is_header_done() && !std::exchange(header_checked_, true) && !CheckHeader()) {
      return Outcome::kError;
    }
  }
  if (parser.is_done()) {
    request_.body = std::move(parser.get().body());
    return Outcome::kRequest;
  }
  // Bodies are consumed as they come; what stays behind is a header that lacks its end.
  if (input.size() - *consumed > limits_.max_header_bytes) {
    return Fail(431, "header or chunk header is too long");
  }
  return Outcome::kNeedMore;
}

bool HttpParser::CheckHeader() {
  const auto& message = impl_->parser.get();
  request_ = HttpRequest();
  request_.method = View(message.method_string());
  request_.keep_alive = message.keep_alive();
  int host_count = 0;
  int encoding_count = 0;
  bool chunked = true;
  for (const auto& field : message) {
    request_.headers.emplace_back(View(field.name_string()), View(field.value()));
    const std::string& value = request_.headers.back().second;
    host_count += field.name() == http::field::host ? 1 : 0;
    if (field.name() == http::field::transfer_encoding) {
      ++encoding_count;
      chunked = EqualsIgnoreCase(TrimSpaces(value), "chunked");
    }
    if (field.name() == http::field::expect) {
      expectation_ = EqualsIgnoreCase(value, "100-continue");
    }
  }
  if (message.version() != 10 && message.version() != 11) {
    return Refuse(505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
  }
  if (host_count > 1 || (host_count == 0 && message.version() == 11)) {
    return Refuse(400, "a request has exactly one Host");
  }
  if (encoding_count > 1 || !chunked) {
    return Refuse(501, "the only Transfer-Encoding known here is 'chunked'");
  }
  return ReadTarget(View(message.target()));
}

bool HttpParser::ReadTarget(std::string_view target) {
  const std::string_view path = target.substr(0, target.find_first_of("?#"));
  if (path.empty() || path.front() != '/') {
    return Refuse(400, "the target of a request is a path");
  }
  request_.path = path;
  std::string decoded;
  std::string_view query = target.substr(path.size());
  query = query.substr(0, query.find('#'));
  if (!PercentDecode(path, false, &decoded) ||
      !ReadQuery(query.empty() ? query : query.substr(1), &request_.query)) {
    return Refuse(400, "the target of a request has a bad percent escape");
  }
  return true;
}

HttpRequest HttpParser::Take() {
  KVS_CHECK(impl_->parser.is_done() && error_status_ == 0);
  impl_ = std::make_unique<Impl>(limits_);
  header_checked_ = false;
  expectation_ = false;
  return std::exchange(request_, HttpRequest());
}

bool HttpParser::TakeExpectation() {
  return header_checked_ && std::exchange(expectation_, false);
}

}  // namespace kvs
