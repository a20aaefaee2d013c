#include "storage_node/keys/zset_codec.h"

#include <algorithm>
#include <bit>

#include "common/base/check.h"
#include "common/base/coding.h"

namespace kvs {
namespace {

constexpr uint64_t kSignBit = uint64_t{1} << 63;

}  // namespace

std::string EncodeScoreOrder(double score) {
  const auto bits = std::bit_cast<uint64_t>(score == 0 ? 0.0 : score);
  std::string order;
  PutBig64(&order, (bits & kSignBit) != 0 ? ~bits : bits | kSignBit);
  return order;
}

double DecodeScoreOrder(std::string_view bytes) {
  KVS_CHECK(bytes.size() >= kScoreSize);
  const uint64_t order = DecodeBig64(bytes.data());
  return std::bit_cast<double>((order & kSignBit) != 0 ? order & ~kSignBit : ~order);
}

std::string ZSetOrder(double score, std::string_view member) {
  return EncodeScoreOrder(score).append(member);
}

std::string EncodeScoreValue(double score) {
  std::string value;
  PutFixed64(&value, std::bit_cast<uint64_t>(score == 0 ? 0.0 : score));
  return value;
}

Result<double> DecodeScoreValue(std::string_view value) {
  if (value.size() != kScoreSize) {
    return Status::Corruption("a member of a sorted set has no score");
  }
  return std::bit_cast<double>(DecodeFixed64(value.data()));
}

std::string EncodeRankNode(const RankNode& node) {
  std::string value;
  PutVarint64(&value, node.count);
  PutVarint64(&value, node.children);
  return value;
}

Result<RankNode> DecodeRankNode(std::string_view value) {
  RankNode node;
  if (!GetVarint64(&value, &node.count) || !GetVarint64(&value, &node.children) || !value.empty()) {
    return Status::Corruption("not a node of a sorted set's rank index");
  }
  return node;
}

std::string EncodeRankRoot(const RankRoot& root) {
  std::string header;
  PutFixed(&header, root.levels);
  PutFixed32(&header, root.top_nodes);
  return header;
}

RankRoot DecodeRankRoot(std::string_view header) {
  KVS_CHECK(header.size() >= kZSetHeaderSize);
  return {static_cast<uint8_t>(header[0]), DecodeFixed32(header.data() + 1)};
}

void OrderBounds::Widen(std::string_view order) {
  if (order < first) {
    SetFirst(order);
  }
  if (!Has(order)) {
    SetLast(order);
  }
}

std::string EncodeZSetHeader(const ZSetHeader& header) {
  std::string bytes = EncodeRankRoot(header.root);
  for (const std::string& bound : {header.bounds.first, header.bounds.last}) {
    KVS_CHECK(bound.size() <= OrderBounds::kMaxSize);
    PutLengthPrefixed(&bytes, bound);
  }
  return bytes;
}

Result<ZSetHeader> DecodeZSetHeader(std::string_view header) {
  if (header.size() < kZSetHeaderSize) {
    return Status::Corruption("a sorted set has no header");
  }
  ZSetHeader decoded = {.root = DecodeRankRoot(header), .bounds = {}};
  header.remove_prefix(kZSetHeaderSize);
  if (header.empty()) {
    return decoded;
  }
  std::string_view first;
  std::string_view last;
  if (!GetLengthPrefixed(&header, &first) || !GetLengthPrefixed(&header, &last) ||
      !header.empty() || std::max(first.size(), last.size()) > OrderBounds::kMaxSize) {
    return Status::Corruption("a sorted set has no bounds");
  }
  decoded.bounds = {std::string(first), std::string(last)};
  return decoded;
}

}  // namespace kvs
