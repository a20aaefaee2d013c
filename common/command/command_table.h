// The command table: every command, made from the rows of defs/*.def, and the look-ups on it.
//
// A name is found in a table hashed at compile time: one load of the name's ends, one probe in the
// usual case, no allocation and no copy for the folding of case.
//
// The same rows make other things elsewhere: a node's handler declarations and handler array (a row
// without a handler does not link) and the proxy's.  See commands.def.
//
// Threads: immutable; pure functions.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "common/command/command_spec.h"

namespace kvs {

enum class CommandId : uint16_t {
#define KVS_COMMAND(id, ...) k##id,
#include "common/command/commands.def"
};

inline constexpr CommandSpec kCommands[] = {
#define KVS_COMMAND(id, ...) {__VA_ARGS__},
#include "common/command/commands.def"
};

inline constexpr size_t kCommandCount = std::size(kCommands);

constexpr const CommandSpec& GetCommand(CommandId id) {
  return kCommands[static_cast<size_t>(id)];
}
// REQUIRES: `spec` is an element of kCommands
inline CommandId IdOf(const CommandSpec& spec) {
  return static_cast<CommandId>(&spec - kCommands);
}

// A request's arguments, the command's name first.
using CommandArgs = std::span<const std::string_view>;

// Returns the row of a command, whatever its case; of a subcommand by "client|id"; nullptr if there
// is none.
const CommandSpec* FindCommand(std::string_view name);

// Returns the row of `container`'s subcommand `name`, whatever its case, or nullptr.
const CommandSpec* FindSubcommand(const CommandSpec& container, std::string_view name);

// Returns the rows of a container's subcommands; empty for other commands.
std::span<const CommandSpec> SubcommandsOf(const CommandSpec& spec);
constexpr bool IsSubcommand(const CommandSpec& spec) {
  return spec.name.find('|') != std::string_view::npos;
}

// Returns the row that a request is to be executed by: of the subcommand where there are such, with
// the number of arguments checked.  nullptr if there is none; CommandError() then tells why.
// REQUIRES: !args.empty()
const CommandSpec* ResolveCommand(CommandArgs args);

// Returns Redis's words, "ERR unknown command ..." or "ERR wrong number of arguments ...", for a
// request that ResolveCommand() found no row for.
std::string CommandError(CommandArgs args);
// "ERR unknown command 'x', with args beginning with: 'a' 'b' ", or the subcommand's counterpart.
std::string UnknownCommandError(CommandArgs args);
// The former, whatever the name.
std::string UnknownNameError(CommandArgs args);
// "ERR wrong number of arguments for 'client|setname' command"
std::string WrongArityError(const CommandSpec& spec);

// Redis's words for DEBUG where it is not allowed, without "ERR ".
inline constexpr std::string_view kDebugRefusal =
    "DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can "
    "run it from a local connection, otherwise you need to set this option in the configuration "
    "file, and then restart the server.";

// Where the keys of one request stand: args[first], args[first + step], ... `count` of them.  If
// there is a `lone` one, it is the first of the count, and the others follow it.
struct KeyPositions {
  size_t lone = 0;  // 0: none; args[0] is no key.
  size_t first = 0;
  size_t step = 1;
  size_t count = 0;
  // false: a key's group of `step` arguments is cut off (MSET a 1 b), or the count of keys is no
  // number or larger than what follows.  The command itself words the error.
  bool complete = true;

  size_t index(size_t i) const {
    if (lone == 0) {
      return first + i * step;
    }
    return i == 0 ? lone : first + (i - 1) * step;
  }
};

// REQUIRES: spec.ArityFits(args.size())
KeyPositions FindKeys(const CommandSpec& spec, CommandArgs args);
// The same of the words that decide where a command belongs: its keys, or its channels.
KeyPositions FindRouted(const CommandSpec& spec, CommandArgs args);

// What the request does with its key of that number, as FindKeys() counts.  SET and BITFIELD decide
// that by their arguments.
KeyUses UsesOfKey(const CommandSpec& spec, CommandArgs request, size_t number);

// Calls `visit(key)` for each key in order.  Returns FindKeys()'s `complete`.
template <typename Visit>
bool ForEachKey(const CommandSpec& spec, CommandArgs args, Visit visit) {
  const KeyPositions keys = FindKeys(spec, args);
  for (size_t i = 0; i < keys.count; ++i) {
    visit(args[keys.index(i)]);
  }
  return keys.complete;
}

// Returns how many words an option of XREAD and XREADGROUP has with its name; 0: it is none.
size_t ReadOptionSize(std::string_view word);

// Whether the request may be answered late because it waits: XREAD does only if it says so.
bool MayWait(const CommandSpec& spec, CommandArgs args);

// Whether a proxy sends the request over a connection of the session's own.
inline bool GoesAlone(const CommandSpec& spec, CommandArgs args) {
  return spec.route == Route::kPinned && (!spec.Has(Cmd::kBlocking) || MayWait(spec, args));
}

// Whether the request has more words than the command needs.
inline bool HasOption(const CommandSpec& spec, CommandArgs args) {
  return args.size() > static_cast<size_t>(spec.arity < 0 ? -spec.arity : spec.arity);
}

// The rules that every row obeys, checked where the table is compiled.
constexpr bool IsSane(const CommandSpec& spec) {
  const bool keyed = spec.has_keys();
  const bool joins = spec.route == Route::kSplitByKey || spec.route == Route::kAllShards;
  const bool routed_by_key = IsRoutedByKeys(spec.route);
  const bool pinned = spec.route == Route::kPinned;
  for (const char c : spec.name) {
    if (c >= 'A' && c <= 'Z') {
      return false;
    }
  }
  return !spec.name.empty() && spec.arity != 0 && !(spec.is_read() && spec.is_write()) &&
         (!keyed || spec.is_read() || spec.may_write() || pinned) &&
         keyed == ((spec.access & ~KeyUse::kNotKey) != 0) && !(keyed && spec.has_channels()) &&
         (spec.route != Route::kByChannel || spec.has_channels()) &&
         (spec.second_access == 0 || spec.keys.last == spec.keys.first + 1 ||
          spec.keys.last == -1 || spec.keys.kind == KeyPattern::Kind::kKeyAndCounted ||
          spec.keys.kind == KeyPattern::Kind::kKeyAndStored ||
          spec.keys.kind == KeyPattern::Kind::kSorted ||
          spec.keys.kind == KeyPattern::Kind::kMigrated) &&
         (!joins || spec.merge != Merge::kNone) && (keyed == routed_by_key || pinned) &&
         (spec.route != Route::kProxy || spec.merge == Merge::kNone) &&
         (!keyed || spec.keys.first < (spec.arity < 0 ? -spec.arity : spec.arity)) &&
         !spec.since.empty() && !spec.usage.empty() && !spec.summary.empty() &&
         !spec.complexity.empty() && spec.deprecated_since.empty() == spec.replaced_by.empty();
}

constexpr bool EveryCommandIsSane() {
  for (size_t i = 0; i < kCommandCount; ++i) {
    if (!IsSane(kCommands[i])) {
      return false;
    }
    for (size_t j = 0; j < i; ++j) {
      if (kCommands[i].name == kCommands[j].name) {
        return false;
      }
    }
  }
  return true;
}
static_assert(EveryCommandIsSane(), "a row of defs/*.def breaks a rule of IsSane()");

}  // namespace kvs
