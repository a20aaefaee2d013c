// LCS: the longest common subsequence of two strings.

#include <algorithm>
#include <vector>

#include "common/base/strings.h"
#include "storage_node/command/command_handlers.h"
#include "storage_node/types/keyspace.h"
#include "storage_node/types/lcs.h"
#include "storage_node/types/string_reader.h"

namespace kvs {
namespace {

struct LcsOptions {
  bool length_alone = false;
  bool places = false;
  bool with_lengths = false;
  uint64_t min_length = 0;
};

Result<LcsOptions> ParseLcsOptions(std::span<const std::string_view> args) {
  LcsOptions options;
  for (size_t i = 0; i < args.size(); ++i) {
    int64_t min_length = 0;
    if (EqualsIgnoreCase(args[i], "LEN")) {
      options.length_alone = true;
    } else if (EqualsIgnoreCase(args[i], "IDX")) {
      options.places = true;
    } else if (EqualsIgnoreCase(args[i], "WITHMATCHLEN")) {
      options.with_lengths = true;
    } else if (!EqualsIgnoreCase(args[i], "MINMATCHLEN") || i + 1 == args.size()) {
      return Status::InvalidArgument("syntax error");
    } else if (!ParseInt64(args[++i], &min_length)) {
      return Status::InvalidArgument("value is not an integer or out of range");
    } else {
      options.min_length = static_cast<uint64_t>(std::max<int64_t>(min_length, 0));
    }
  }
  if (options.length_alone && options.places) {
    return Status::InvalidArgument("If you want both the length and indexes, please just use IDX.");
  }
  return options;
}

void ReplyPlaces(const Lcs& lcs, const LcsOptions& options, RespWriter* reply) {
  std::vector<LcsMatch> matches = lcs.matches;
  std::erase_if(matches,
                [&](const LcsMatch& match) { return match.length() < options.min_length; });
  reply->Map(2);
  reply->Bulk("matches");
  reply->Array(matches.size());
  for (const LcsMatch& match : matches) {
    reply->Array(options.with_lengths ? 3 : 2);
    reply->Array(2);
    reply->Integer(static_cast<int64_t>(match.a_first));
    reply->Integer(static_cast<int64_t>(match.a_last));
    reply->Array(2);
    reply->Integer(static_cast<int64_t>(match.b_first));
    reply->Integer(static_cast<int64_t>(match.b_last));
    if (options.with_lengths) {
      reply->Integer(static_cast<int64_t>(match.length()));
    }
  }
  reply->Bulk("len");
  reply->Integer(static_cast<int64_t>(lcs.text.size()));
}

}  // namespace

// LCS key1 key2 [LEN] [IDX] [MINMATCHLEN min-match-len] [WITHMATCHLEN]
Status CmdLcs(CommandContext& ctx) {
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(const KeyEntry first, keyspace.FindToRead(ctx.arg(1)));
  KVS_ASSIGN_OR_RETURN(const KeyEntry second, keyspace.FindToRead(ctx.arg(2)));
  for (const KeyEntry* entry : {&first, &second}) {
    ctx.CountLookup(entry->key, entry->exists());
    if (entry->exists() && entry->type != DataType::kString) {
      return Status::InvalidArgument("The specified keys must contain string values");
    }
  }
  KVS_ASSIGN_OR_RETURN(const LcsOptions options, ParseLcsOptions(ctx.args.subspan(3)));
  std::string a_scratch;
  std::string b_scratch;
  KVS_ASSIGN_OR_RETURN(const std::string_view a, StringReader(&keyspace, &first).Whole(&a_scratch));
  KVS_ASSIGN_OR_RETURN(const std::string_view b,
                       StringReader(&keyspace, &second).Whole(&b_scratch));
  if (options.length_alone) {
    KVS_ASSIGN_OR_RETURN(const uint64_t length, LcsLength(a, b));
    ctx.reply.Integer(static_cast<int64_t>(length));
    return Status::Ok();
  }
  KVS_ASSIGN_OR_RETURN(const Lcs lcs, FindLcs(a, b));
  if (options.places) {
    ReplyPlaces(lcs, options, &ctx.reply);
  } else {
    ctx.reply.Bulk(lcs.text);
  }
  return Status::Ok();
}

}  // namespace kvs
