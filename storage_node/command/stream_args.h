// What the arguments of stream commands have in common: ids, ranges of them, and how to trim.
//
// Threads: pure functions.

#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "common/base/status.h"
#include "storage_node/command/command_context.h"
#include "storage_node/types/stream.h"
#include "storage_node/types/stream_group.h"

namespace kvs {

// All of these: kInvalidArgument, in the words of Redis.

// Parses "ms-seq" or "ms", whose number is then `missing_seq`.
Result<StreamId> ParseStreamId(std::string_view text, uint64_t missing_seq);
// Parses the ends of a range, which may be - and +, or without their id itself after "(".
Result<StreamRange> ParseStreamRange(std::string_view first, std::string_view last);

// The id of XADD.
struct NewStreamId {
  std::optional<uint64_t> ms;   // Nothing: *
  std::optional<uint64_t> seq;  // Nothing: ms-*
};

// XADD's and XTRIM's words.
struct StreamAddArgs {
  bool no_make = false;
  std::optional<StreamTrim> trim;
  NewStreamId id;          // Of XADD.
  size_t first_field = 0;  // The index of what follows it.
};
enum class StreamArgsOf : uint8_t { kAdd, kTrim };
Result<StreamAddArgs> ParseStreamAddArgs(std::span<const std::string_view> args, StreamArgsOf of);

// What a container says to words that none of its subcommands takes; `container` in capitals.
Status SubcommandSyntaxError(const CommandContext& ctx, std::string_view container);
// Parses an integer.  With `message` instead of Redis's usual text, unless that is empty.
Result<int64_t> ParseInteger(std::string_view text, std::string_view message = {});
// Returns a name as Redis shows it in an error: up to a zero byte.
std::string_view ShownName(std::string_view name);
// Writes an error that begins with NOGROUP.
void ReplyNoGroup(CommandContext& ctx, std::string_view key, std::string_view group,
                  std::string_view more = {});
// The same in the words of the commands that are about groups alone.
void ReplyNoSuchGroup(CommandContext& ctx, std::string_view key, std::string_view group);
// Returns the name of a consumer, which `*names` keeps for the next time.
Result<std::string_view> NameOfConsumer(const StreamGroup& group, uint64_t number,
                                        std::map<uint64_t, std::string>* names);
// Returns how long ago `then` was, at least 0.
int64_t MillisSince(int64_t then_ms, int64_t now_ms);

// Opens the stream of `key` and counts the look-up.
Result<Stream> OpenStream(CommandContext& ctx, std::string_view key);
// The same for a command that may change it.
Result<Stream> OpenStreamForWrite(CommandContext& ctx, Keyspace* keyspace, std::string_view key);
// As StreamGroup::SeeConsumer(), of a group of the stream `key`; tells of a consumer that is new.
Result<uint64_t> SeeConsumer(CommandContext& ctx, StreamGroup* group, std::string_view key,
                             std::string_view name);

// Appends [id, [field, value, ...]].
//   kCorruption: not an entry
Status ReplyStreamEntry(StreamId id, std::string_view value, RespWriter* reply);
// Appends the entries of a range, up to `limit` of them unless that is 0.
Status ReplyStreamEntries(const Stream& stream, const StreamRange& range, bool backward,
                          uint64_t limit, RespWriter* reply);

}  // namespace kvs
