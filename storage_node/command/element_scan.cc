#include "storage_node/command/element_scan.h"

#include <algorithm>
#include <charconv>
#include <string>

#include "common/base/strings.h"

namespace kvs {
namespace {

// One call does at most this much, whatever COUNT asks for: other clients of the thread wait.
constexpr size_t kMaxElementsPerCall = 65'536;
constexpr size_t kMaxBytesPerCall = size_t{16} << 20;

Status ReplyEndOfScan(CommandContext& ctx) {
  ctx.reply.Array(2);
  ctx.reply.Bulk("0");
  ctx.reply.Array(0);
  return Status::Ok();
}

}  // namespace

Result<uint64_t> ParseElementCursor(std::string_view text) {
  // As strtoul(), which Redis uses, -1 is the largest number there is: a walk that has ended.
  const bool negative = text.starts_with('-');
  const std::string_view digits = text.substr(negative ? 1 : 0);
  uint64_t cursor = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), cursor);
  if (error != std::errc() || end != digits.data() + digits.size()) {
    return Status::InvalidArgument("invalid cursor");
  }
  return negative ? 0 - cursor : cursor;
}

Result<ElementScan> ParseElementScan(uint64_t cursor, std::span<const std::string_view> options) {
  ElementScan scan;
  scan.cursor = cursor;
  for (size_t i = 0; i < options.size(); i += 2) {
    if (i + 1 == options.size()) {
      return Status::InvalidArgument("syntax error");
    }
    if (EqualsIgnoreCase(options[i], "MATCH")) {
      scan.pattern = options[i + 1];
      continue;
    }
    int64_t count = 0;
    if (!EqualsIgnoreCase(options[i], "COUNT")) {
      return Status::InvalidArgument("syntax error");
    }
    if (!ParseInt64(options[i + 1], &count)) {
      return Status::InvalidArgument("value is not an integer or out of range");
    }
    if (count < 1) {
      return Status::InvalidArgument("syntax error");
    }
    scan.count = static_cast<size_t>(count);
  }
  return scan;
}

Status ReplyElementScan(CommandContext& ctx, const ElementSource& source, const ElementScan& scan,
                        bool with_values) {
  std::string found;
  RespWriter writer(ctx.reply.protocol(), &found);
  size_t length = 0;
  size_t seen = 0;
  size_t bytes = 0;
  const size_t limit = std::min(scan.count, kMaxElementsPerCall);
  uint64_t last_position = 0;
  if (!source.is_packed && scan.cursor > kMaxElementPosition) {
    return ReplyEndOfScan(ctx);
  }
  KVS_ASSIGN_OR_RETURN(ElementWalk walk, source.walk_from(scan.cursor));
  for (; walk.Valid(); walk.Next()) {
    // A call never ends between elements of one position: the cursor could not tell them apart.
    const bool full = seen >= limit || bytes >= kMaxBytesPerCall;
    if (full && !source.is_packed && walk.position() != last_position) {
      break;
    }
    last_position = walk.position();
    ++seen;
    const SampledElement element = source.element(walk);
    bytes += element.name.size() + element.value.size();
    if (scan.pattern != "*" && !GlobMatch(scan.pattern, element.name)) {
      continue;
    }
    writer.Bulk(element.name);
    ++length;
    if (with_values) {
      writer.Bulk(element.value);
      ++length;
    }
  }
  KVS_RETURN_IF_ERROR(walk.status());
  // A position of 0 cannot be told from the beginning; it is always among the first call's.
  ctx.reply.Array(2);
  ctx.reply.Bulk(walk.Valid() ? std::to_string(walk.position()) : "0");
  ctx.reply.Array(length);
  ctx.reply.Raw(found);
  return Status::Ok();
}

}  // namespace kvs
