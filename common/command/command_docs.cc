#include "common/command/command_docs.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/base/strings.h"
#include "common/command/command_categories.h"
#include "common/command/command_usage.h"

namespace kvs {
namespace {

using Names = std::vector<std::string_view>;

template <typename Bits>
struct BitName {
  Bits bit;
  std::string_view name;
};

// In the order in which Redis lists them.
constexpr BitName<CommandFlags> kFlagNames[] = {{Cmd::kWrite, "write"},
                                                {Cmd::kRead, "readonly"},
                                                {Cmd::kDenyOom, "denyoom"},
                                                {Cmd::kAdmin, "admin"},
                                                {Cmd::kPubSub, "pubsub"},
                                                {Cmd::kNoScript, "noscript"},
                                                {Cmd::kBlocking, "blocking"},
                                                {Cmd::kLoading, "loading"},
                                                {Cmd::kStale, "stale"},
                                                {Cmd::kSkipMonitor, "skip_monitor"},
                                                {Cmd::kSkipSlowLog, "skip_slowlog"},
                                                {Cmd::kAsking, "asking"},
                                                {Cmd::kNoAsyncLoading, "no_async_loading"},
                                                {Cmd::kFast, "fast"},
                                                {Cmd::kNoAuth, "no_auth"},
                                                {Cmd::kMayReplicate, "may_replicate"},
                                                {Cmd::kNoMandatoryKeys, "no_mandatory_keys"},
                                                {Cmd::kNoMulti, "no_multi"},
                                                {Cmd::kAllowBusy, "allow_busy"}};

constexpr BitName<KeyUses> kKeyUseNames[] = {{KeyUse::kRO, "RO"},
                                             {KeyUse::kRW, "RW"},
                                             {KeyUse::kOW, "OW"},
                                             {KeyUse::kRM, "RM"},
                                             {KeyUse::kAccess, "access"},
                                             {KeyUse::kUpdate, "update"},
                                             {KeyUse::kInsert, "insert"},
                                             {KeyUse::kDelete, "delete"},
                                             {KeyUse::kVariableFlags, "variable_flags"},
                                             {KeyUse::kNotKey, "not_key"}};

template <typename Bits, size_t kSize>
Names NamesOf(Bits bits, const BitName<Bits> (&names)[kSize]) {
  Names result;
  for (const auto& [bit, name] : names) {
    if ((bits & bit) != 0) {
      result.push_back(name);
    }
  }
  return result;
}

// With '@', as COMMAND shows them.
std::vector<std::string> ShownCategories(const CommandSpec& spec) {
  std::vector<std::string> shown;
  const CommandCategories categories = CategoriesOf(spec);
  for (size_t i = 0; i < CategoryNames().size(); ++i) {
    if ((categories >> i & 1) != 0) {
      shown.push_back("@" + std::string(CategoryNames()[i]));
    }
  }
  return shown;
}

Names TipsOf(const CommandSpec& spec) {
  return spec.tips.empty() ? Names() : Split(spec.tips, ' ');
}

std::string_view GroupName(Group group) {
  switch (group) {
    case Group::kString:
      return "string";
    case Group::kHash:
      return "hash";
    case Group::kSet:
      return "set";
    case Group::kList:
      return "list";
    case Group::kSortedSet:
      return "sorted-set";
    case Group::kStream:
      return "stream";
    case Group::kHyperLogLog:
      return "hyperloglog";
    case Group::kGeo:
      return "geo";
    case Group::kBitmap:
      return "bitmap";
    case Group::kGeneric:
      return "generic";
    case Group::kConnection:
      return "connection";
    case Group::kServer:
      return "server";
    case Group::kCluster:
      return "cluster";
    case Group::kTransactions:
      return "transactions";
    case Group::kPubSub:
      return "pubsub";
    case Group::kScripting:
      return "scripting";
  }
  return "";
}

// A set of simple strings, as flags and categories are.
void WriteNameSet(const Names& names, RespWriter* reply) {
  reply->Set(names.size());
  for (const std::string_view name : names) {
    reply->Simple(name);
  }
}

void WriteField(std::string_view name, std::string_view value, RespWriter* reply) {
  reply->Bulk(name);
  reply->Bulk(value);
}

void WriteField(std::string_view name, int64_t value, RespWriter* reply) {
  reply->Bulk(name);
  reply->Integer(value);
}

// The last key as key specifications count it: relative to the first one, or from the end.
int64_t RelativeLast(const KeyPattern& keys) {
  return keys.last < 0 ? keys.last : keys.last - keys.first;
}

void WriteFindKeys(const KeyPattern& keys, RespWriter* reply) {
  const bool counted = keys.kind == KeyPattern::Kind::kCounted;
  if (keys.kind == KeyPattern::Kind::kAfterStreams) {
    reply->Bulk("find_keys");
    reply->Map(2);
    WriteField("type", "range", reply);
    reply->Bulk("spec");
    reply->Map(3);
    WriteField("lastkey", -1, reply);
    WriteField("keystep", 1, reply);
    return WriteField("limit", 2, reply);  // Half of what is left: the other half are ids.
  }
  reply->Bulk("find_keys");
  reply->Map(2);
  WriteField("type", counted ? "keynum" : "range", reply);
  reply->Bulk("spec");
  reply->Map(3);
  if (counted) {
    WriteField("keynumidx", 0, reply);
    WriteField("firstkey", 1, reply);
    WriteField("keystep", keys.step, reply);
  } else {
    WriteField("lastkey", RelativeLast(keys), reply);
    WriteField("keystep", keys.step, reply);
    WriteField("limit", 0, reply);
  }
}

void WriteKeySpec(const KeyPattern& keys, KeyUses uses, std::string_view notes, RespWriter* reply) {
  reply->Map(notes.empty() ? 3 : 4);
  if (!notes.empty()) {
    WriteField("notes", notes, reply);
  }
  reply->Bulk("flags");
  WriteNameSet(NamesOf(uses, kKeyUseNames), reply);
  reply->Bulk("begin_search");
  reply->Map(2);
  if (keys.kind == KeyPattern::Kind::kAfterStreams) {
    WriteField("type", "keyword", reply);
    reply->Bulk("spec");
    reply->Map(2);
    WriteField("keyword", "STREAMS", reply);
    WriteField("startfrom", keys.first, reply);
    return WriteFindKeys(keys, reply);
  }
  WriteField("type", "index", reply);
  reply->Bulk("spec");
  reply->Map(1);
  WriteField("index", keys.first, reply);
  WriteFindKeys(keys, reply);
}

// The keys behind a word such as STORE, among the words from `from` on.
void WriteKeywordSpec(std::string_view keyword, int64_t from, const Names& flags,
                      const KeyPattern& keys, RespWriter* reply) {
  reply->Map(3);
  reply->Bulk("flags");
  WriteNameSet(flags, reply);
  reply->Bulk("begin_search");
  reply->Map(2);
  WriteField("type", "keyword", reply);
  reply->Bulk("spec");
  reply->Map(2);
  WriteField("keyword", keyword, reply);
  WriteField("startfrom", from, reply);
  WriteFindKeys(keys, reply);
}

// A key that no rule finds.
void WriteUnknownSpec(KeyUses uses, std::string_view notes, RespWriter* reply) {
  reply->Map(4);
  WriteField("notes", notes, reply);
  reply->Bulk("flags");
  WriteNameSet(NamesOf(uses, kKeyUseNames), reply);
  for (const std::string_view step : {"begin_search", "find_keys"}) {
    reply->Bulk(step);
    reply->Map(2);
    WriteField("type", "unknown", reply);
    reply->Bulk("spec");
    reply->Map(0);
  }
}

void WriteSortedSpecs(const CommandSpec& spec, RespWriter* reply) {
  const bool stores = spec.second_access != 0;
  reply->Set(stores ? 3 : 2);
  WriteKeySpec(OneKey(spec.keys.first), spec.access, spec.key_notes, reply);
  WriteUnknownSpec(spec.access,
                   "For the optional BY/GET keyword. It is marked 'unknown' because the key names "
                   "derive from the content of the key we sort",
                   reply);
  if (stores) {
    WriteUnknownSpec(spec.second_access,
                     "For the optional STORE keyword. It is marked 'unknown' because the keyword "
                     "can appear anywhere in the argument array",
                     reply);
  }
}

void WriteMigratedSpecs(const CommandSpec& spec, RespWriter* reply) {
  reply->Set(2);
  WriteKeySpec(OneKey(spec.keys.first), spec.access, spec.key_notes, reply);
  Names flags = NamesOf(spec.second_access, kKeyUseNames);
  flags.push_back("incomplete");  // A password may be the word, too.
  constexpr int64_t kFromTheEnd = -2;
  WriteKeywordSpec("KEYS", kFromTheEnd, flags, KeyRange(1, -1, 1), reply);
}

void WriteKeySpecs(const CommandSpec& spec, RespWriter* reply) {
  const KeyPattern& keys = spec.shown_keys();
  if (keys.kind == KeyPattern::Kind::kNone) {
    return reply->Set(0);
  }
  if (spec.keys.kind == KeyPattern::Kind::kKeyAndStored) {
    reply->Set(3);
    WriteKeySpec(OneKey(spec.keys.first), spec.access, spec.key_notes, reply);
    const Names flags = NamesOf(spec.second_access, kKeyUseNames);
    WriteKeywordSpec("STORE", spec.keys.last, flags, OneKey(1), reply);
    return WriteKeywordSpec("STOREDIST", spec.keys.last, flags, OneKey(1), reply);
  }
  if (keys.kind == KeyPattern::Kind::kSorted) {
    return WriteSortedSpecs(spec, reply);
  }
  if (keys.kind == KeyPattern::Kind::kMigrated) {
    return WriteMigratedSpecs(spec, reply);
  }
  if (spec.second_access != 0) {
    const bool counted = keys.kind == KeyPattern::Kind::kKeyAndCounted;
    const auto second = static_cast<int8_t>(keys.first + 1);
    reply->Set(2);
    WriteKeySpec(OneKey(keys.first), spec.access, spec.key_notes, reply);
    const KeyPattern others = counted ? KeysCountedAt(second) : KeyRange(second, keys.last, 1);
    return WriteKeySpec(others, spec.second_access, {}, reply);
  }
  reply->Set(1);
  WriteKeySpec(keys, spec.access, spec.key_notes, reply);
}

void WriteArguments(const std::vector<CommandArgument>& arguments, RespWriter* reply);

void WriteArgument(const CommandArgument& argument, RespWriter* reply) {
  const bool is_leaf = argument.children.empty();
  const bool is_key = argument.type == "key";
  Names flags;
  if (argument.optional) {
    flags.push_back("optional");
  }
  if (argument.multiple) {
    flags.push_back("multiple");
  }
  if (argument.repeats_token) {
    flags.push_back("multiple_token");
  }
  reply->Map(2 + (is_leaf ? 1u : 0u) + (is_key ? 1u : 0u) + (argument.token.empty() ? 0u : 1u) +
             (flags.empty() ? 0u : 1u) + (is_leaf ? 0u : 1u));
  WriteField("name", argument.name, reply);
  WriteField("type", argument.type, reply);
  if (is_leaf) {
    WriteField("display_text", argument.name, reply);
  }
  if (is_key) {
    WriteField("key_spec_index", argument.key_spec, reply);
  }
  if (!argument.token.empty()) {
    WriteField("token", argument.token, reply);
  }
  if (!flags.empty()) {
    reply->Bulk("flags");
    WriteNameSet(flags, reply);
  }
  if (!is_leaf) {
    reply->Bulk("arguments");
    WriteArguments(argument.children, reply);
  }
}

void WriteArguments(const std::vector<CommandArgument>& arguments, RespWriter* reply) {
  reply->Array(arguments.size());
  for (const CommandArgument& argument : arguments) {
    WriteArgument(argument, reply);
  }
}

void WriteDeprecation(const CommandSpec& spec, RespWriter* reply) {
  reply->Bulk("doc_flags");
  WriteNameSet({"deprecated"}, reply);
  WriteField("deprecated_since", spec.deprecated_since, reply);
  WriteField("replaced_by", spec.replaced_by, reply);
}

// The value of a command in COMMAND DOCS.
void WriteDoc(const CommandSpec& spec, RespWriter* reply) {
  const std::span<const CommandSpec> subcommands = SubcommandsOf(spec);
  std::vector<CommandArgument> arguments;
  if (subcommands.empty()) {
    Result<std::vector<CommandArgument>> parsed = ParseUsage(spec);
    KVS_CHECK(parsed.ok());  // A test parses every row.
    arguments = *std::move(parsed);
  }
  reply->Map(4 + (spec.deprecated_since.empty() ? 0u : 3u) + (arguments.empty() ? 0u : 1u) +
             (subcommands.empty() ? 0u : 1u));
  WriteField("summary", spec.summary, reply);
  WriteField("since", spec.since, reply);
  WriteField("group", GroupName(spec.group), reply);
  WriteField("complexity", spec.complexity, reply);
  if (!spec.deprecated_since.empty()) {
    WriteDeprecation(spec, reply);
  }
  if (!arguments.empty()) {
    reply->Bulk("arguments");
    WriteArguments(arguments, reply);
  }
  if (!subcommands.empty()) {
    reply->Bulk("subcommands");
    reply->Map(subcommands.size());
    for (const CommandSpec& subcommand : subcommands) {
      reply->Bulk(subcommand.name);
      WriteDoc(subcommand, reply);
    }
  }
}

std::vector<const CommandSpec*> TopLevelCommands() {
  std::vector<const CommandSpec*> commands;
  for (const CommandSpec& spec : kCommands) {
    if (!IsSubcommand(spec)) {
      commands.push_back(&spec);
    }
  }
  return commands;
}

void WriteAllInfos(RespWriter* reply) {
  const std::vector<const CommandSpec*> commands = TopLevelCommands();
  reply->Array(commands.size());
  for (const CommandSpec* spec : commands) {
    WriteCommandInfo(*spec, reply);
  }
}

// COMMAND INFO [name ...]
void AnswerInfo(CommandArgs args, RespWriter* reply) {
  if (args.size() == 2) {
    return WriteAllInfos(reply);
  }
  reply->Array(args.size() - 2);
  for (const std::string_view name : args.subspan(2)) {
    const CommandSpec* spec = FindCommand(name);
    if (spec == nullptr) {
      reply->Null();
    } else {
      WriteCommandInfo(*spec, reply);
    }
  }
}

// COMMAND DOCS [name ...]; unknown names are left out.
void AnswerDocs(CommandArgs args, RespWriter* reply) {
  std::vector<const CommandSpec*> commands;
  if (args.size() == 2) {
    commands = TopLevelCommands();
  }
  for (const std::string_view name : args.subspan(2)) {
    if (const CommandSpec* spec = FindCommand(name)) {
      commands.push_back(spec);
    }
  }
  reply->Map(commands.size());
  for (const CommandSpec* spec : commands) {
    reply->Bulk(spec->name);
    WriteDoc(*spec, reply);
  }
}

// Whether COMMAND LIST FILTERBY `kind` `value` lets a command through.
bool PassesFilter(const CommandSpec& spec, std::string_view kind, std::string_view value) {
  if (EqualsIgnoreCase(kind, "PATTERN")) {
    return GlobMatch(value, spec.name, true);
  }
  if (EqualsIgnoreCase(kind, "ACLCAT")) {
    return (CategoriesOf(spec) & FindCategory(value).value_or(0)) != 0;
  }
  return false;  // There are no modules.
}

// COMMAND LIST [FILTERBY <MODULE name | ACLCAT category | PATTERN pattern>]
void AnswerList(CommandArgs args, RespWriter* reply) {
  const bool filtered =
      args.size() == 5 && EqualsIgnoreCase(args[2], "FILTERBY") &&
      (EqualsIgnoreCase(args[3], "MODULE") || EqualsIgnoreCase(args[3], "ACLCAT") ||
       EqualsIgnoreCase(args[3], "PATTERN"));
  if (args.size() != 2 && !filtered) {
    return reply->Error("ERR syntax error");
  }
  Names names;
  for (const CommandSpec& spec : kCommands) {
    if (!filtered || PassesFilter(spec, args[3], args[4])) {
      names.push_back(spec.name);
    }
  }
  reply->Array(names.size());
  for (const std::string_view name : names) {
    reply->Bulk(name);
  }
}

// COMMAND GETKEYS command [arg ...], and COMMAND GETKEYSANDFLAGS if `with_flags`.
void AnswerGetKeys(CommandArgs args, bool with_flags, RespWriter* reply) {
  const CommandArgs request = args.subspan(2);
  const CommandSpec* spec = FindCommand(request[0]);
  if (spec != nullptr && request.size() > 1 && !SubcommandsOf(*spec).empty()) {
    spec = FindSubcommand(*spec, request[1]);
  }
  if (spec == nullptr) {
    return reply->Error("ERR Invalid command specified");
  }
  if (!spec->has_keys()) {
    return reply->Error("ERR The command has no key arguments");
  }
  if (!spec->ArityFits(request.size())) {
    return reply->Error("ERR Invalid number of arguments specified for command");
  }
  const KeyPositions keys = FindKeys(*spec, request);
  if (keys.count == 0) {
    return reply->Error("ERR Invalid arguments specified for command");
  }
  reply->Array(keys.count);
  for (size_t i = 0; i < keys.count; ++i) {
    if (with_flags) {
      reply->Array(2);
    }
    reply->Bulk(request[keys.index(i)]);
    if (with_flags) {
      WriteNameSet(NamesOf(UsesOfKey(*spec, request, i), kKeyUseNames), reply);
    }
  }
}

// A cell of a Markdown table: '|' would end it.
std::string Cell(std::string_view text) {
  std::string cell;
  for (const char c : text) {
    cell += c == '|' ? std::string("\\|") : std::string(1, c);
  }
  return cell;
}

void AppendGroup(Group group, std::string* page) {
  std::string title(GroupName(group));
  title[0] = static_cast<char>(title[0] - 'a' + 'A');
  *page += "\n## " + title + "\n\n| Usage | What it does | Through the proxy | Since Redis |\n" +
           "|---|---|---|---|\n";
  for (const CommandSpec& spec : kCommands) {
    // A container that has no answer of its own is described by its subcommands.
    const bool bare_container = !SubcommandsOf(spec).empty() && spec.arity < -1;
    if (spec.group == group && !bare_container) {
      *page += "| `" + Cell(spec.usage) + "` | " + Cell(spec.summary) + " | " +
               std::string(RouteText(spec)) + " | " + std::string(spec.since) + " |\n";
    }
  }
}

}  // namespace

void WriteCommandInfo(const CommandSpec& spec, RespWriter* reply) {
  reply->Array(10);
  reply->Bulk(spec.name);
  reply->Integer(spec.arity);
  Names flags = NamesOf(spec.flags, kFlagNames);
  if (spec.has_movable_keys()) {
    flags.push_back("movablekeys");
  }
  WriteNameSet(flags, reply);
  const KeyPattern& keys = spec.shown_keys();
  const bool range = keys.kind == KeyPattern::Kind::kRange;
  const bool lone = keys.kind == KeyPattern::Kind::kKeyAndCounted ||
                    keys.kind == KeyPattern::Kind::kKeyAndStored ||
                    keys.kind == KeyPattern::Kind::kSorted ||
                    keys.kind == KeyPattern::Kind::kMigrated;
  reply->Integer(range || lone ? keys.first : 0);
  reply->Integer(range ? keys.last : lone ? keys.first : 0);
  reply->Integer(range || lone ? keys.step : 0);
  const std::vector<std::string> categories = ShownCategories(spec);
  WriteNameSet(Names(categories.begin(), categories.end()), reply);
  const Names tips = TipsOf(spec);
  reply->Set(tips.size());
  for (const std::string_view tip : tips) {
    reply->Bulk(tip);
  }
  WriteKeySpecs(spec, reply);
  const std::span<const CommandSpec> subcommands = SubcommandsOf(spec);
  if (subcommands.empty()) {
    return reply->Set(0);  // As Redis does; only what is there is an array.
  }
  reply->Array(subcommands.size());
  for (const CommandSpec& subcommand : subcommands) {
    WriteCommandInfo(subcommand, reply);
  }
}

void WriteHelp(const CommandSpec& container, RespWriter* reply) {
  const std::span<const CommandSpec> subcommands = SubcommandsOf(container);
  const std::string name = ToUpper(container.name);
  reply->Array(1 + 2 * subcommands.size());
  reply->Simple(name + " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
  for (const CommandSpec& subcommand : subcommands) {
    reply->Simple(subcommand.usage.substr(name.size() + 1));
    reply->Simple("    " + std::string(subcommand.summary));
  }
}

void AnswerCommand(CommandArgs args, RespWriter* reply) {
  const CommandSpec* spec = ResolveCommand(args);
  KVS_CHECK(spec != nullptr);
  switch (IdOf(*spec)) {
    case CommandId::kCommand:
      return WriteAllInfos(reply);
    case CommandId::kCommandCount:
      return reply->Integer(static_cast<int64_t>(TopLevelCommands().size()));
    case CommandId::kCommandDocs:
      return AnswerDocs(args, reply);
    case CommandId::kCommandGetKeys:
      return AnswerGetKeys(args, /*with_flags=*/false, reply);
    case CommandId::kCommandGetKeysAndFlags:
      return AnswerGetKeys(args, /*with_flags=*/true, reply);
    case CommandId::kCommandHelp:
      return WriteHelp(GetCommand(CommandId::kCommand), reply);
    case CommandId::kCommandInfo:
      return AnswerInfo(args, reply);
    case CommandId::kCommandList:
      return AnswerList(args, reply);
    default:
      KVS_CHECK(false);
  }
}

std::string_view RouteText(const CommandSpec& spec) {
  switch (spec.route) {
    case Route::kByKey:
      return spec.keys.last == spec.keys.first && !spec.has_movable_keys() ? "by key"
                                                                           : "by key, one slot";
    case Route::kSplitByKey:
      return "split by key";
    case Route::kJoinKeys:
      return "joins keys of any slots";
    case Route::kAllShards:
      return "all shards";
    case Route::kAnyShard:
      return spec.merge == Merge::kCursor ? "shard by shard" : "any shard";
    case Route::kBySlot:
      return "by slot";
    case Route::kByChannel:
      return "by channel";
    case Route::kPinned:
      return "own connection";
    case Route::kProxy:
      return "the proxy answers";
    case Route::kRefused:
      return "refused";
  }
  return "";
}

std::string CommandsMarkdown() {
  std::string page =
      "# Commands\n\n"
      "Generated from `common/command/defs/`; do not edit.  A node answers all of them; the third\n"
      "column tells what the proxy does.\n";
  for (const Group group :
       {Group::kString, Group::kHash, Group::kList, Group::kSet, Group::kSortedSet, Group::kStream,
        Group::kHyperLogLog, Group::kGeo, Group::kBitmap, Group::kGeneric, Group::kConnection,
        Group::kServer, Group::kCluster, Group::kTransactions, Group::kPubSub, Group::kScripting}) {
    AppendGroup(group, &page);
  }
  return page;
}

}  // namespace kvs
