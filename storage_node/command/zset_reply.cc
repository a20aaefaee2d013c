#include "storage_node/command/zset_reply.h"

#include <string>

namespace kvs {

void MemberReply::Add(std::string_view member, double score) {
  if (with_scores_ && ctx_->reply.protocol() >= 3) {
    ctx_->reply.Array(2);
  }
  ctx_->reply.Bulk(member);
  if (with_scores_) {
    ctx_->reply.Score(score);
  }
  ++count_;
}

void MemberReply::Finish() {
  const bool flat = with_scores_ && ctx_->reply.protocol() == 2;
  std::string header;
  RespWriter(ctx_->reply.protocol(), &header).Array(count_ * (flat ? 2 : 1));
  ctx_->reply.out()->insert(start_, header);
}

void ReplyMembers(CommandContext& ctx, std::span<const ScoredMember> members, bool with_scores) {
  MemberReply reply(&ctx, with_scores);
  for (const ScoredMember& member : members) {
    reply.Add(member.member, member.score);
  }
  reply.Finish();
}

Result<ZSet> OpenZSet(CommandContext& ctx, std::string_view key) {
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(ZSet zset, ZSet::OpenForRead(&keyspace, key));
  ctx.CountLookup(key, zset.exists());
  return zset;
}

}  // namespace kvs
