// However a stream is cut, the parser finds the same requests in it.  (When it gives up on the rest
// may differ: of a header that is not complete it sees more or less, depending on the cut.)

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/check.h"
#include "common/http/http_parser.h"

namespace {

// Feeds `stream` in pieces of `step` bytes and returns what was found, as text.
std::string Run(std::string_view stream, size_t step) {
  // Headers near the limit would differ: where exactly it lies depends on the cut, too.
  kvs::HttpParser parser({.max_header_bytes = 1 << 20, .max_body_bytes = 1024});
  std::string found;
  size_t begin = 0;
  size_t end = 0;
  while (end < stream.size()) {
    end = std::min(stream.size(), end + step);
    for (bool more = true; more && begin < end;) {
      size_t consumed = 0;
      const auto outcome = parser.Parse(stream.substr(begin, end - begin), &consumed);
      KVS_CHECK(consumed <= end - begin);
      begin += consumed;
      if (outcome == kvs::HttpParser::Outcome::kError) {
        KVS_CHECK(parser.error_status() >= 400);
        return found;
      }
      more = outcome == kvs::HttpParser::Outcome::kRequest;
      if (more) {
        const kvs::HttpRequest request = parser.Take();
        KVS_CHECK(request.path.starts_with('/') && request.body.size() <= 1024);
        found += request.method + " " + request.path + " " + request.body + "\n";
        for (const auto& [name, value] : request.headers) {
          found += name + ":" + value + "\n";
        }
      }
    }
  }
  return found;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view stream(reinterpret_cast<const char*>(data), size);
  const std::string whole = Run(stream, size + 1);
  KVS_CHECK(Run(stream, 1) == whole);
  KVS_CHECK(Run(stream, 7) == whole);
  return 0;
}
