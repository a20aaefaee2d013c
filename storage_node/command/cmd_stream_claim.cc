// XCLAIM and XAUTOCLAIM: a consumer takes over what others have pending.

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "common/base/strings.h"
#include "storage_node/command/command_handlers.h"
#include "storage_node/command/stream_args.h"
#include "storage_node/types/stream_group.h"

namespace kvs {
namespace {

constexpr int64_t kAutoClaimCount = 100;
// XAUTOCLAIM looks at so many pending entries for each that it may return.
constexpr int64_t kAttemptsFactor = 10;
constexpr int64_t kMaxAutoClaimCount = INT64_MAX / 16;  // As in Redis.

struct ClaimRequest {
  int64_t min_idle_ms = 0;
  std::vector<StreamId> ids;
  std::optional<int64_t> delivered_ms;
  std::optional<uint64_t> deliveries;
  StreamId last_id = {};
  bool force = false;
  bool just_ids = false;
};

Result<int64_t> ParseMinIdle(std::string_view text, const char* command) {
  KVS_ASSIGN_OR_RETURN(
      const int64_t idle,
      ParseInteger(text, std::string("Invalid min-idle-time argument for ") + command));
  return std::max<int64_t>(idle, 0);
}

// The options behind the ids, from `i` on.
Status ParseClaimOptions(const CommandContext& ctx, size_t i, ClaimRequest* request) {
  for (; i < ctx.argc(); ++i) {
    const std::string_view option = ctx.arg(i);
    const bool more = i + 1 < ctx.argc();
    if (EqualsIgnoreCase(option, "FORCE")) {
      request->force = true;
    } else if (EqualsIgnoreCase(option, "JUSTID")) {
      request->just_ids = true;
    } else if (EqualsIgnoreCase(option, "IDLE") && more) {
      KVS_ASSIGN_OR_RETURN(const int64_t idle,
                           ParseInteger(ctx.arg(++i), "Invalid IDLE option argument for XCLAIM"));
      int64_t at_ms = 0;
      request->delivered_ms =
          __builtin_sub_overflow(ctx.txn->NowMillis(), idle, &at_ms) ? INT64_MAX : at_ms;
    } else if (EqualsIgnoreCase(option, "TIME") && more) {
      KVS_ASSIGN_OR_RETURN(request->delivered_ms,
                           ParseInteger(ctx.arg(++i), "Invalid TIME option argument for XCLAIM"));
    } else if (EqualsIgnoreCase(option, "RETRYCOUNT") && more) {
      KVS_ASSIGN_OR_RETURN(
          const int64_t count,
          ParseInteger(ctx.arg(++i), "Invalid RETRYCOUNT option argument for XCLAIM"));
      request->deliveries = count >= 0 ? std::optional(static_cast<uint64_t>(count)) : std::nullopt;
    } else if (EqualsIgnoreCase(option, "LASTID") && more) {
      KVS_ASSIGN_OR_RETURN(request->last_id, ParseStreamId(ctx.arg(++i), 0));
    } else {
      return Status::InvalidArgument("Unrecognized XCLAIM option '" +
                                     std::string(ShownName(option)) + "'");
    }
  }
  return Status::Ok();
}

Result<ClaimRequest> ParseClaim(const CommandContext& ctx) {
  ClaimRequest request;
  KVS_ASSIGN_OR_RETURN(request.min_idle_ms, ParseMinIdle(ctx.arg(4), "XCLAIM"));
  size_t i = 5;
  for (; i < ctx.argc(); ++i) {
    const Result<StreamId> id = ParseStreamId(ctx.arg(i), 0);
    if (!id.ok()) {
      break;  // Perhaps an option.
    }
    request.ids.push_back(*id);
  }
  KVS_RETURN_IF_ERROR(ParseClaimOptions(ctx, i, &request));
  return request;
}

// Gives pending entries to a consumer, and writes those that it gets.
class Claimer {
 public:
  Claimer(const Stream* stream, StreamGroup* group, uint64_t consumer, int64_t now_ms, int protocol)
      : stream_(stream),
        group_(group),
        consumer_(consumer),
        now_ms_(now_ms),
        writer_(protocol, &body_) {}

  enum class Outcome : uint8_t { kTaken, kLeft, kDeleted };
  // `pending`: what the group has of the entry, if anything.
  Result<Outcome> Claim(StreamId id, std::optional<StreamPending> pending,
                        const ClaimRequest& request) {
    std::string value;
    KVS_ASSIGN_OR_RETURN(const bool exists, stream_->FindEntry(id, &value));
    if (!exists) {
      if (pending.has_value()) {
        KVS_RETURN_IF_ERROR(group_->RemovePending(id).status());
      }
      return Outcome::kDeleted;
    }
    if (!pending.has_value() && !request.force) {
      return Outcome::kLeft;
    }
    if (pending.has_value() && request.min_idle_ms > 0 &&
        MillisSince(pending->delivered_ms, now_ms_) < request.min_idle_ms) {
      return Outcome::kLeft;
    }
    // One that is made by force counts as delivered once.
    StreamPending taken = pending.value_or(StreamPending{.deliveries = 1});
    taken.consumer = consumer_;
    taken.delivered_ms = request.delivered_ms.value_or(now_ms_);
    taken.deliveries = request.deliveries.value_or(taken.deliveries + (request.just_ids ? 0 : 1));
    KVS_RETURN_IF_ERROR(group_->SetPending(id, taken));
    if (request.just_ids) {
      writer_.Bulk(id.ToString());
    } else {
      KVS_RETURN_IF_ERROR(ReplyStreamEntry(id, value, &writer_));
    }
    ++count_;
    return Outcome::kTaken;
  }
  // Notes that the consumer has got something, if it has.
  Status Finish() { return count_ > 0 ? group_->SetActive(consumer_, now_ms_) : Status::Ok(); }
  void Reply(RespWriter* reply) const {
    reply->Array(count_);
    reply->Raw(body_);
  }

 private:
  const Stream* const stream_;
  StreamGroup* const group_;
  const uint64_t consumer_;
  const int64_t now_ms_;
  std::string body_;
  RespWriter writer_;
  size_t count_ = 0;
};

struct AutoClaimRequest {
  ClaimRequest claim;
  StreamRange range;
  int64_t count = kAutoClaimCount;
};

Result<AutoClaimRequest> ParseAutoClaim(const CommandContext& ctx) {
  AutoClaimRequest request;
  KVS_ASSIGN_OR_RETURN(request.claim.min_idle_ms, ParseMinIdle(ctx.arg(4), "XAUTOCLAIM"));
  KVS_ASSIGN_OR_RETURN(request.range, ParseStreamRange(ctx.arg(5), "+"));
  for (size_t i = 6; i < ctx.argc(); ++i) {
    if (EqualsIgnoreCase(ctx.arg(i), "COUNT") && i + 1 < ctx.argc()) {
      constexpr std::string_view kMessage = "COUNT must be > 0";
      KVS_ASSIGN_OR_RETURN(request.count, ParseInteger(ctx.arg(++i), kMessage));
      if (request.count < 1 || request.count > kMaxAutoClaimCount) {
        return Status::InvalidArgument(kMessage);
      }
    } else if (EqualsIgnoreCase(ctx.arg(i), "JUSTID")) {
      request.claim.just_ids = true;
    } else {
      return Status::InvalidArgument("syntax error");
    }
  }
  return request;
}

}  // namespace

// XAUTOCLAIM key group consumer min-idle-time start [COUNT count] [JUSTID]
Status CmdXAutoClaim(CommandContext& ctx) {
  KVS_ASSIGN_OR_RETURN(const AutoClaimRequest request, ParseAutoClaim(ctx));
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(Stream stream, OpenStreamForWrite(ctx, &keyspace, ctx.arg(1)));
  KVS_ASSIGN_OR_RETURN(std::optional<StreamGroup> group, StreamGroup::Find(&stream, ctx.arg(2)));
  if (!group.has_value()) {
    ReplyNoGroup(ctx, ctx.arg(1), ctx.arg(2));
    return Status::Ok();
  }
  const int64_t now = ctx.txn->NowMillis();
  KVS_ASSIGN_OR_RETURN(const uint64_t consumer, SeeConsumer(ctx, &*group, ctx.arg(1), ctx.arg(3)));
  Claimer claimer(&stream, &*group, consumer, now, ctx.reply.protocol());
  std::vector<StreamId> deleted;
  int64_t left = request.count;  // Of those that the reply names.
  int64_t attempts = request.count * kAttemptsFactor;
  StreamId next;
  const auto visit = [&](StreamId id, const StreamPending& pending) -> Result<bool> {
    if (attempts-- == 0 || left == 0) {
      next = id;
      return false;
    }
    KVS_ASSIGN_OR_RETURN(const Claimer::Outcome outcome, claimer.Claim(id, pending, request.claim));
    if (outcome == Claimer::Outcome::kDeleted) {
      deleted.push_back(id);
    }
    left -= outcome == Claimer::Outcome::kLeft ? 0 : 1;
    return true;
  };
  KVS_RETURN_IF_ERROR(group->ForEachPending(request.range, kNoConsumer, visit));
  KVS_RETURN_IF_ERROR(claimer.Finish());
  group->Save();
  ctx.reply.Array(3);
  ctx.reply.Bulk(next.ToString());
  claimer.Reply(&ctx.reply);
  ctx.reply.Array(deleted.size());
  for (const StreamId id : deleted) {
    ctx.reply.Bulk(id.ToString());
  }
  return Status::Ok();
}

// XCLAIM key group consumer min-idle-time id [id ...] [IDLE ms] [TIME unix-time-milliseconds]
// [RETRYCOUNT count] [FORCE] [JUSTID] [LASTID id]
Status CmdXClaim(CommandContext& ctx) {
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(Stream stream, OpenStreamForWrite(ctx, &keyspace, ctx.arg(1)));
  KVS_ASSIGN_OR_RETURN(std::optional<StreamGroup> group, StreamGroup::Find(&stream, ctx.arg(2)));
  if (!group.has_value()) {
    ReplyNoGroup(ctx, ctx.arg(1), ctx.arg(2));
    return Status::Ok();
  }
  KVS_ASSIGN_OR_RETURN(ClaimRequest request, ParseClaim(ctx));
  const int64_t now = ctx.txn->NowMillis();
  if (request.delivered_ms.has_value() &&
      (*request.delivered_ms < 0 || *request.delivered_ms > now)) {
    request.delivered_ms = now;  // A clock that differs from ours is no mistake of the client's.
  }
  if (request.last_id > group->last_id()) {
    group->SetPlace(request.last_id, group->entries_read());
  }
  KVS_ASSIGN_OR_RETURN(const uint64_t consumer, SeeConsumer(ctx, &*group, ctx.arg(1), ctx.arg(3)));
  Claimer claimer(&stream, &*group, consumer, now, ctx.reply.protocol());
  for (const StreamId id : request.ids) {
    KVS_ASSIGN_OR_RETURN(const std::optional<StreamPending> pending, group->FindPending(id));
    KVS_RETURN_IF_ERROR(claimer.Claim(id, pending, request).status());
  }
  KVS_RETURN_IF_ERROR(claimer.Finish());
  group->Save();
  claimer.Reply(&ctx.reply);
  return Status::Ok();
}

}  // namespace kvs
