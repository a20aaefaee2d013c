// A stream of requests gives the same requests, sizes and error however it is cut, and what the
// parser read encodes to what it reads again.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/check.h"
#include "common/resp/request_parser.h"
#include "common/resp/resp_writer.h"

namespace {

using kvs::RequestParser;
using Outcome = RequestParser::Outcome;

constexpr kvs::RequestLimits kLimits = {
    .max_bulk_bytes = 4096, .max_inline_bytes = 256, .max_args = 64, .max_request_bytes = 8192};

void CheckReencoding(const RequestParser& parser) {
  std::string encoded;
  kvs::EncodeRequest(parser.args(), &encoded);
  if (encoded.size() > kLimits.max_request_bytes || parser.args().size() > kLimits.max_args) {
    return;
  }
  RequestParser again(kLimits);
  KVS_CHECK(again.Parse(encoded) == Outcome::kRequest);
  KVS_CHECK(again.frame_size() == encoded.size());
  KVS_CHECK(again.args().size() == parser.args().size());
  for (size_t i = 0; i < again.args().size(); ++i) {
    KVS_CHECK(again.args()[i] == parser.args()[i]);
  }
}

// Returns what the stream means as one string, given `step` more bytes at a time.
std::string Meaning(std::string_view stream, size_t step) {
  RequestParser parser(kLimits);
  std::string meaning;
  size_t received = 0;
  while (true) {
    const std::vector<char> copy(stream.begin(), stream.begin() + static_cast<long>(received));
    const std::string_view input(copy.data(), copy.size());
    const Outcome outcome = parser.Parse(input);
    if (outcome == Outcome::kNeedMore) {
      KVS_CHECK(parser.size_hint() > received);
      if (received == stream.size()) {
        return meaning;
      }
      received = std::min(stream.size(), received + step);
      continue;
    }
    if (outcome == Outcome::kError) {
      return meaning + parser.error();
    }
    KVS_CHECK(parser.frame_size() > 0 && parser.frame_size() <= received);
    if (outcome == Outcome::kRequest) {
      KVS_CHECK(!parser.args().empty());
      CheckReencoding(parser);
      kvs::EncodeRequest(parser.args(), &meaning);
    }
    stream.remove_prefix(parser.frame_size());
    received -= parser.frame_size();
    parser.Reset();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view stream(reinterpret_cast<const char*>(data), std::min<size_t>(size, 4096));
  const std::string whole = Meaning(stream, stream.size() + 1);
  KVS_CHECK(Meaning(stream, 1) == whole);
  KVS_CHECK(Meaning(stream, 7) == whole);
  return 0;
}
