// Replies that list members of sorted sets, with their scores or without.
//
// RESP3 has a pair for each member with its score; RESP2 has them one behind the other.
//
// Threads: as the context.
// Owner:   the handler, on its stack.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "storage_node/command/command_context.h"
#include "storage_node/types/zset.h"

namespace kvs {

// Writes members into the reply as they come; how many they are is written before them at the end.
class MemberReply {
 public:
  MemberReply(CommandContext* ctx, bool with_scores)
      : ctx_(ctx), start_(ctx->reply.out()->size()), with_scores_(with_scores) {}

  void Add(std::string_view member, double score);
  void Finish();

 private:
  CommandContext* const ctx_;
  const size_t start_;
  const bool with_scores_;
  uint64_t count_ = 0;
};

void ReplyMembers(CommandContext& ctx, std::span<const ScoredMember> members, bool with_scores);

// Opens the sorted set of `key` and counts the look-up.
Result<ZSet> OpenZSet(CommandContext& ctx, std::string_view key);

}  // namespace kvs
