#include "storage_node/command/stream_args.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <utility>

#include "common/base/strings.h"

namespace kvs {
namespace {

// Where a rough trimming stops, unless the client says where.
constexpr uint64_t kDefaultTrimLimit = 10'000;

Status BadId() {
  return Status::InvalidArgument("Invalid stream ID specified as stream command argument");
}

Status SyntaxError(std::string_view more = {}) {
  return Status::InvalidArgument("syntax error" + std::string(more));
}

bool ParseNumber(std::string_view text, uint64_t* number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

// Reads MAXLEN, MINID and LIMIT.
class TrimParser {
 public:
  explicit TrimParser(std::span<const std::string_view> args) : args_(args) {}

  // Returns the index behind the option, or `i` if this is none of them.
  Result<size_t> Parse(size_t i) {
    const size_t more = args_.size() - 1 - i;
    const bool max_count = EqualsIgnoreCase(args_[i], "MAXLEN");
    if ((max_count || EqualsIgnoreCase(args_[i], "MINID")) && more > 0) {
      return ParseStrategy(i, more, max_count);
    }
    if (EqualsIgnoreCase(args_[i], "LIMIT") && more > 0) {
      KVS_ASSIGN_OR_RETURN(limit_, ParseCount(args_[i + 1], "LIMIT"));
      return i + 2;
    }
    return i;
  }
  Result<std::optional<StreamTrim>> Finish() {
    if (limit_.has_value() && !trim_.has_value()) {
      return SyntaxError(", LIMIT cannot be used without specifying a trimming strategy");
    }
    if (limit_.has_value() && !trim_->roughly) {
      return SyntaxError(", LIMIT cannot be used without the special ~ option");
    }
    if (trim_.has_value() && trim_->roughly) {
      trim_->limit = limit_.value_or(kDefaultTrimLimit);
    }
    return trim_;
  }

 private:
  static Result<uint64_t> ParseCount(std::string_view text, const char* what) {
    int64_t count = 0;
    if (!ParseInt64(text, &count)) {
      return Status::InvalidArgument("value is not an integer or out of range");
    }
    if (count < 0) {
      return Status::InvalidArgument("The " + std::string(what) + " argument must be >= 0.");
    }
    return static_cast<uint64_t>(count);
  }
  Result<size_t> ParseStrategy(size_t i, size_t more, bool max_count) {
    if (trim_.has_value()) {
      return SyntaxError(", MAXLEN and MINID options at the same time are not compatible");
    }
    trim_.emplace();
    if (more >= 2 && (args_[i + 1] == "~" || args_[i + 1] == "=")) {
      ++i;
      trim_->roughly = args_[i] == "~";
    }
    if (max_count) {
      KVS_ASSIGN_OR_RETURN(trim_->max_count, ParseCount(args_[i + 1], "MAXLEN"));
    } else {
      KVS_ASSIGN_OR_RETURN(trim_->min_id, ParseStreamId(args_[i + 1], 0));
    }
    return i + 2;
  }

  const std::span<const std::string_view> args_;
  std::optional<StreamTrim> trim_;
  std::optional<uint64_t> limit_;
};

Result<NewStreamId> ParseNewId(std::string_view text) {
  NewStreamId id;
  if (text == "*") {
    return id;
  }
  if (text.ends_with("-*")) {
    uint64_t ms = 0;
    if (!ParseNumber(text.substr(0, text.size() - 2), &ms)) {
      return BadId();
    }
    id.ms = ms;
    return id;
  }
  KVS_ASSIGN_OR_RETURN(const StreamId whole, ParseStreamId(text, 0));
  return NewStreamId{whole.ms, whole.seq};
}

// An end of a range.  `step` leads away from an id that is excluded.
Result<StreamId> ParseRangeEnd(std::string_view text, uint64_t missing_seq, StreamId impossible,
                               StreamId (*step)(StreamId), const char* message) {
  if (text == "-") {
    return StreamId();
  }
  if (text == "+") {
    return kMaxStreamId;
  }
  const bool excluded = text.size() > 1 && text[0] == '(';
  KVS_ASSIGN_OR_RETURN(const StreamId id,
                       ParseStreamId(excluded ? text.substr(1) : text, missing_seq));
  if (excluded && id == impossible) {
    return Status::InvalidArgument(message);
  }
  return excluded ? step(id) : id;
}

}  // namespace

Result<StreamId> ParseStreamId(std::string_view text, uint64_t missing_seq) {
  StreamId id = {0, missing_seq};
  const size_t dash = text.find('-');
  const bool has_seq = dash != std::string_view::npos;
  if (!ParseNumber(text.substr(0, dash), &id.ms) ||
      (has_seq && !ParseNumber(text.substr(dash + 1), &id.seq))) {
    return BadId();
  }
  return id;
}

Result<StreamRange> ParseStreamRange(std::string_view first, std::string_view last) {
  StreamRange range;
  KVS_ASSIGN_OR_RETURN(range.first, ParseRangeEnd(first, 0, kMaxStreamId, &NextStreamId,
                                                  "invalid start ID for the interval"));
  KVS_ASSIGN_OR_RETURN(range.last, ParseRangeEnd(last, UINT64_MAX, StreamId(), &PreviousStreamId,
                                                 "invalid end ID for the interval"));
  return range;
}

Result<StreamAddArgs> ParseStreamAddArgs(std::span<const std::string_view> args, StreamArgsOf of) {
  const bool adds = of == StreamArgsOf::kAdd;
  StreamAddArgs parsed;
  TrimParser trim(args);
  size_t i = 2;
  while (i < args.size()) {
    if (adds && args[i] == "*") {
      break;
    }
    KVS_ASSIGN_OR_RETURN(const size_t next, trim.Parse(i));
    if (next > i) {
      i = next;
    } else if (adds && EqualsIgnoreCase(args[i], "NOMKSTREAM")) {
      parsed.no_make = true;
      ++i;
    } else if (adds) {
      break;
    } else {
      return SyntaxError();
    }
  }
  if (adds && i < args.size()) {
    KVS_ASSIGN_OR_RETURN(parsed.id, ParseNewId(args[i]));
  }
  KVS_ASSIGN_OR_RETURN(parsed.trim, trim.Finish());
  if (!adds && !parsed.trim.has_value()) {
    return SyntaxError(", XTRIM must be called with a trimming strategy");
  }
  parsed.first_field = i + 1;
  return parsed;
}

Status SubcommandSyntaxError(const CommandContext& ctx, std::string_view container) {
  return Status::InvalidArgument("unknown subcommand or wrong number of arguments for '" +
                                 std::string(ctx.arg(1).substr(0, 128)) + "'. Try " +
                                 std::string(container) + " HELP.");
}

Result<int64_t> ParseInteger(std::string_view text, std::string_view message) {
  int64_t value = 0;
  if (!ParseInt64(text, &value)) {
    return Status::InvalidArgument(message.empty() ? "value is not an integer or out of range"
                                                   : message);
  }
  return value;
}

std::string_view ShownName(std::string_view name) {
  return name.substr(0, name.find('\0'));
}

void ReplyNoGroup(CommandContext& ctx, std::string_view key, std::string_view group,
                  std::string_view more) {
  ctx.reply.Error("NOGROUP No such key '" + std::string(ShownName(key)) + "' or consumer group '" +
                  std::string(ShownName(group)) + "'" + std::string(more));
}

void ReplyNoSuchGroup(CommandContext& ctx, std::string_view key, std::string_view group) {
  ctx.reply.Error("NOGROUP No such consumer group '" + std::string(ShownName(group)) +
                  "' for key name '" + std::string(ShownName(key)) + "'");
}

Result<std::string_view> NameOfConsumer(const StreamGroup& group, uint64_t number,
                                        std::map<uint64_t, std::string>* names) {
  auto known = names->find(number);
  if (known == names->end()) {
    KVS_ASSIGN_OR_RETURN(StreamConsumer consumer, group.GetConsumer(number));
    known = names->emplace(number, std::move(consumer.name)).first;
  }
  return std::string_view(known->second);
}

int64_t MillisSince(int64_t then_ms, int64_t now_ms) {
  int64_t since = 0;
  if (then_ms >= now_ms) {
    return 0;
  }
  return __builtin_sub_overflow(now_ms, then_ms, &since) ? INT64_MAX : since;
}

Result<Stream> OpenStream(CommandContext& ctx, std::string_view key) {
  Keyspace keyspace(ctx.txn, &ctx.expired_keys);
  KVS_ASSIGN_OR_RETURN(Stream stream, Stream::OpenForRead(&keyspace, key));
  ctx.CountLookup(key, stream.exists());
  return stream;
}

Result<Stream> OpenStreamForWrite(CommandContext& ctx, Keyspace* keyspace, std::string_view key) {
  KVS_ASSIGN_OR_RETURN(Stream stream, Stream::OpenForWrite(keyspace, key, ctx.type_limits));
  ctx.CountLookup(key, stream.exists());
  return stream;
}

Result<uint64_t> SeeConsumer(CommandContext& ctx, StreamGroup* group, std::string_view key,
                             std::string_view name) {
  KVS_ASSIGN_OR_RETURN(const uint64_t before, group->FindConsumer(name));
  if (before == kNoConsumer) {
    ctx.Notify(KeyEventKind::kStream, "xgroup-createconsumer", key);
  }
  return group->SeeConsumer(name, ctx.txn->NowMillis());
}

Status ReplyStreamEntry(StreamId id, std::string_view value, RespWriter* reply) {
  KVS_ASSIGN_OR_RETURN(const std::vector<std::string_view> words, DecodeStreamEntry(value));
  reply->Array(2);
  reply->Bulk(id.ToString());
  reply->Array(words.size());
  for (const std::string_view word : words) {
    reply->Bulk(word);
  }
  return Status::Ok();
}

Status ReplyStreamEntries(const Stream& stream, const StreamRange& range, bool backward,
                          uint64_t limit, RespWriter* reply) {
  std::string entries;
  RespWriter writer(reply->protocol(), &entries);
  uint64_t count = 0;
  Status status;
  KVS_RETURN_IF_ERROR(stream.ForEach(range, backward, [&](StreamId id, std::string_view value) {
    status = ReplyStreamEntry(id, value, &writer);
    return status.ok() && ++count != limit;
  }));
  KVS_RETURN_IF_ERROR(status);
  reply->Array(count);
  reply->Raw(entries);
  return Status::Ok();
}

}  // namespace kvs
