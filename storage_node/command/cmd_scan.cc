// SCAN, KEYS and CLUSTER GETKEYSINSLOT: which keys there are.
//
// Both walk the owned slots in order and the live keys of each in byte order.  SCAN does a bounded
// piece of it and hands out a cursor; KEYS does all of it.

#include <algorithm>
#include <charconv>
#include <string>
#include <utility>

#include "common/base/strings.h"
#include "storage_node/command/command_handlers.h"
#include "storage_node/command/scan_cursors.h"
#include "storage_node/types/keyspace.h"

namespace kvs {
namespace {

constexpr int64_t kDefaultCount = 10;
// One call of SCAN does at most this much, whatever COUNT asks for: other clients of the thread
// wait meanwhile.
constexpr size_t kMaxRecordsPerCall = 65'536;
constexpr size_t kMaxBytesPerCall = size_t{16} << 20;
constexpr int kMaxSlotsPerCall = 4096;

struct KeyFilter {
  std::string_view pattern = "*";
  std::string_view type = {};  // Empty: any.

  bool Matches(const SlotKeys& keys) const {
    return !keys.expired() && (type.empty() || EqualsIgnoreCase(type, TypeName(keys.type()))) &&
           (pattern == "*" || GlobMatch(pattern, keys.user_key()));
  }
};

struct ScanRequest {
  uint64_t cursor = 0;
  KeyFilter filter = {};
  size_t count = kDefaultCount;
};

Status ParseScanOption(std::string_view name, std::string_view value, ScanRequest* request) {
  if (EqualsIgnoreCase(name, "COUNT")) {
    int64_t count = 0;
    if (!ParseInt64(value, &count)) {
      return Status::InvalidArgument("value is not an integer or out of range");
    }
    if (count < 1) {
      return Status::InvalidArgument("syntax error");
    }
    request->count = static_cast<size_t>(count);
    return Status::Ok();
  }
  if (EqualsIgnoreCase(name, "MATCH")) {
    request->filter.pattern = value;
    return Status::Ok();
  }
  if (EqualsIgnoreCase(name, "TYPE")) {
    request->filter.type = value.empty() ? "none" : value;
    return Status::Ok();
  }
  return Status::InvalidArgument("syntax error");
}

Result<ScanRequest> ParseScan(CommandArgs args) {
  ScanRequest request;
  const std::string_view text = args[1];
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), request.cursor);
  if (error != std::errc() || end != text.data() + text.size() ||
      request.cursor >= ScanCursors::kCursorEnd) {
    return Status::InvalidArgument("invalid cursor");
  }
  for (size_t i = 2; i < args.size(); i += 2) {
    if (i + 1 == args.size()) {
      return Status::InvalidArgument("syntax error");
    }
    KVS_RETURN_IF_ERROR(ParseScanOption(args[i], args[i + 1], &request));
  }
  return request;
}

// Collects keys as elements of a reply whose length is known only at the end.
class KeyList {
 public:
  explicit KeyList(int protocol) : writer_(protocol, &elements_) {}
  void Add(std::string_view key) {
    writer_.Bulk(key);
    ++count_;
  }
  void WriteTo(RespWriter* reply) const {
    reply->Array(count_);
    reply->Raw(elements_);
  }
  size_t count() const { return count_; }

 private:
  std::string elements_;
  RespWriter writer_;
  size_t count_ = 0;
};

class Scan {
 public:
  Scan(CommandContext& ctx, const ScanRequest& request, KeyList* found)
      : ctx_(ctx),
        filter_(request.filter),
        found_(found),
        records_left_(std::min(request.count, kMaxRecordsPerCall)) {}

  // Walks on from `position` as far as the call may.  Returns the cursor for the next call.
  Result<uint64_t> Run(ScanCursors::Position position) {
    const SlotTable& slots = ctx_.txn->store()->slots();
    std::optional<std::string> after = std::move(position.after);
    for (int slot = position.slot; slot < kSlotCount; ++slot, after.reset()) {
      const auto index = static_cast<uint16_t>(slot);
      if (!ctx_.owned_slots->test(index) || slots.key_count(index) == 0) {
        continue;
      }
      if (done() || slots_left_-- == 0) {
        return ScanCursors::AtSlot(index);
      }
      KVS_ASSIGN_OR_RETURN(const uint64_t cursor, WalkSlot(index, after));
      if (cursor != 0) {
        return cursor;
      }
    }
    return 0;
  }

 private:
  bool done() const { return records_left_ == 0 || bytes_ >= kMaxBytesPerCall; }

  // Returns the cursor if the call ends inside the slot, else 0.
  Result<uint64_t> WalkSlot(uint16_t slot, const std::optional<std::string>& after) {
    KVS_ASSIGN_OR_RETURN(SlotKeys keys,
                         SlotKeys::Open(ctx_.txn->store(), slot, ctx_.txn->NowMillis()));
    if (after.has_value()) {
      keys.SeekAfter(*after);
    } else {
      keys.SeekToFirst();
    }
    while (keys.Valid()) {
      if (filter_.Matches(keys)) {
        found_->Add(keys.user_key());
      }
      --records_left_;
      bytes_ += keys.record_size();
      if (!done()) {
        keys.Next();
        continue;
      }
      const std::string last(keys.user_key());
      keys.Next();
      KVS_RETURN_IF_ERROR(keys.status());
      return keys.Valid() ? ctx_.scan_cursors->After(slot, last) : End(keys);
    }
    return End(keys);
  }

  static Result<uint64_t> End(const SlotKeys& keys) {
    return keys.status().ok() ? Result<uint64_t>(0) : Result<uint64_t>(keys.status());
  }

  CommandContext& ctx_;
  const KeyFilter filter_;
  KeyList* const found_;
  size_t records_left_;
  size_t bytes_ = 0;
  int slots_left_ = kMaxSlotsPerCall;
};

bool IsLiteral(std::string_view pattern) {
  return pattern.find_first_of("*?[\\") == std::string_view::npos;
}

// Returns the only slot whose keys can match: that of a pattern without wildcards, or of a hash tag
// that stands before the first wildcard.
std::optional<uint16_t> OnlySlotOf(std::string_view pattern) {
  if (IsLiteral(pattern)) {
    return static_cast<uint16_t>(SlotOf(pattern));
  }
  const size_t open = pattern.find('{');
  const size_t close = open == std::string_view::npos ? open : pattern.find('}', open);
  if (close == std::string_view::npos || close == open + 1 ||
      !IsLiteral(pattern.substr(0, close))) {
    return std::nullopt;
  }
  return static_cast<uint16_t>(SlotOf(pattern.substr(0, close + 1)));
}

Status AddMatching(CommandContext& ctx, uint16_t slot, const KeyFilter& filter, KeyList* found) {
  if (!ctx.owned_slots->test(slot) || ctx.txn->store()->slots().key_count(slot) == 0) {
    return Status::Ok();
  }
  KVS_ASSIGN_OR_RETURN(SlotKeys keys, SlotKeys::Open(ctx.txn->store(), slot, ctx.txn->NowMillis()));
  const bool literal = IsLiteral(filter.pattern);
  for (literal ? keys.Seek(filter.pattern) : keys.SeekToFirst(); keys.Valid(); keys.Next()) {
    if (filter.Matches(keys)) {
      found->Add(keys.user_key());
    }
    if (literal) {
      break;  // Only the first one at or after the pattern can be equal to it.
    }
  }
  return keys.status();
}

}  // namespace

// CLUSTER GETKEYSINSLOT slot count
Status CmdClusterGetKeysInSlot(CommandContext& ctx) {
  int64_t slot = 0;
  int64_t limit = 0;
  if (!ParseInt64(ctx.arg(2), &slot) || !ParseInt64(ctx.arg(3), &limit)) {
    return Status::InvalidArgument("value is not an integer or out of range");
  }
  if (slot < 0 || slot >= kSlotCount || limit < 0) {
    return Status::InvalidArgument("Invalid slot or number of keys");
  }
  KVS_RETURN_IF_ERROR(ctx.txn->Commit());
  KeyList found(ctx.reply.protocol());
  const auto index = static_cast<uint16_t>(slot);
  if (ctx.owned_slots->test(index) && ctx.txn->store()->slots().key_count(index) > 0) {
    KVS_ASSIGN_OR_RETURN(SlotKeys keys,
                         SlotKeys::Open(ctx.txn->store(), index, ctx.txn->NowMillis()));
    for (keys.SeekToFirst(); keys.Valid() && found.count() < static_cast<size_t>(limit);
         keys.Next()) {
      if (!keys.expired()) {
        found.Add(keys.user_key());
      }
    }
    KVS_RETURN_IF_ERROR(keys.status());
  }
  ctx.txn->ObserveAll();
  found.WriteTo(&ctx.reply);
  return Status::Ok();
}

// KEYS pattern
Status CmdKeys(CommandContext& ctx) {
  KVS_RETURN_IF_ERROR(ctx.txn->Commit());
  const KeyFilter filter{.pattern = ctx.arg(1)};
  KeyList found(ctx.reply.protocol());
  if (const std::optional<uint16_t> slot = OnlySlotOf(filter.pattern); slot.has_value()) {
    KVS_RETURN_IF_ERROR(AddMatching(ctx, *slot, filter, &found));
  } else {
    for (int i = 0; i < kSlotCount; ++i) {
      KVS_RETURN_IF_ERROR(AddMatching(ctx, static_cast<uint16_t>(i), filter, &found));
    }
  }
  ctx.txn->ObserveAll();
  found.WriteTo(&ctx.reply);
  return Status::Ok();
}

// SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]
Status CmdScan(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const ScanRequest request, ParseScan(ctx.args));
  KVS_RETURN_IF_ERROR(ctx.txn->Commit());
  KeyList found(ctx.reply.protocol());
  KVS_ASSIGN_OR_RETURN(const uint64_t cursor,
                       Scan(ctx, request, &found).Run(ctx.scan_cursors->Find(request.cursor)));
  ctx.txn->ObserveAll();
  ctx.reply.Array(2);
  ctx.reply.Bulk(std::to_string(cursor));
  found.WriteTo(&ctx.reply);
  return Status::Ok();
}

}  // namespace kvs
