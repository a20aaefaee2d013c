// The scanner finds the same end however a reply is cut; what it accepts, the tree reader accepts;
// and its conversion is one RESP2 reply that needs no further conversion.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/check.h"
#include "common/resp/reply_scanner.h"
#include "common/resp/reply_tree.h"
#include "common/resp/resp_convert.h"

namespace {

using kvs::ReplyScanner;
using Outcome = ReplyScanner::Outcome;

void CheckReply(std::string_view frame) {
  const kvs::Result<kvs::Reply> tree = kvs::ParseReply(frame);
  KVS_CHECK(tree.ok());
  KVS_CHECK(!tree->ToString().empty());
  std::string converted;
  kvs::ConvertReply3To2(frame, static_cast<kvs::Resp2Form>(frame.size() % 3), &converted);
  ReplyScanner scanner;
  KVS_CHECK(scanner.Scan(converted) == Outcome::kReply);
  KVS_CHECK(scanner.frame_size() == converted.size());
  KVS_CHECK(!kvs::NeedsConversion(converted));
  KVS_CHECK(kvs::NeedsConversion(frame) || converted == frame);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), std::min<size_t>(size, 4096));
  ReplyScanner whole;
  const Outcome outcome = whole.Scan(input);

  ReplyScanner pieces;
  Outcome last = Outcome::kNeedMore;
  for (size_t end = 0; end <= input.size() && last == Outcome::kNeedMore; ++end) {
    const std::vector<char> copy(input.begin(), input.begin() + static_cast<long>(end));
    last = pieces.Scan({copy.data(), copy.size()});
  }
  KVS_CHECK(last == outcome);
  if (outcome == Outcome::kReply) {
    KVS_CHECK(pieces.frame_size() == whole.frame_size());
    CheckReply(input.substr(0, whole.frame_size()));
  } else {
    KVS_CHECK(!kvs::ParseReply(input).ok());
  }
  return 0;
}
