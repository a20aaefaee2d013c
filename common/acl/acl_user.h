// AclUser: who may run which commands on which keys and channels.
//
// What a user may do is the union of selectors: one that is always there, the root, and any number
// of others.  A command is allowed if one selector allows all of it: the command itself, each of
// its keys and each of its channels.  acl_rules.h makes users of Redis's rules and prints them.
//
// Threads: a user is immutable once it is published (AclStore); before, it has one owner.
// Owner:   AclStore; sessions share the users that they are.

#pragma once

#include <bitset>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/command/command_table.h"

namespace kvs {

// What a key pattern allows, and what a command needs.
using KeyRights = uint8_t;
struct KeyRight {
  static constexpr KeyRights kRead = 1u << 0;
  static constexpr KeyRights kWrite = 1u << 1;
  static constexpr KeyRights kBoth = kRead | kWrite;
};

// Returns what a command that uses a key in such a way has to be allowed.
KeyRights RightsFor(KeyUses uses);

struct AclKeyPattern {
  std::string pattern;
  KeyRights rights = KeyRight::kBoth;
};

enum class AclDenial : uint8_t {  // From what is told last to what is told first.
  kNone,
  kCommand,
  kKey,
  kAuth,
  kChannel,
};

struct AclSelector {
  std::bitset<kCommandCount> commands;
  bool future_commands = false;  // Those of later versions, too: it began with +@all.
  // The rules since the last +@all or -@all, in order and in lower case, with their signs.
  std::vector<std::string> command_rules;
  // Commands that are allowed with this word behind the name, in lower case, if not altogether.
  std::vector<std::pair<CommandId, std::string>> first_args;
  bool all_keys = false;
  std::vector<AclKeyPattern> keys;
  bool all_channels = false;
  std::vector<std::string> channels;

  bool unrestricted() const { return all_keys && all_channels && commands.all(); }

  // Whether the command may run at all, whatever its keys.
  bool AllowsCommand(const CommandSpec& spec, CommandArgs args) const;
  bool AllowsKey(std::string_view key, KeyRights rights) const;
  // A pattern is allowed only if it stands in the list as it is.
  bool AllowsChannel(std::string_view channel, bool is_pattern) const;
  // Whether it may read every key.
  bool ReadsEveryKey() const;
  // Why not, and `*word`, the index of the argument that is in the way.
  AclDenial Check(const CommandSpec& spec, CommandArgs args, size_t* word) const;
};

struct AclUser {
  std::string name;
  uint64_t id = 0;  // A user of the same name that was made anew has another.
  bool on = false;
  bool no_password = false;
  bool sanitizes_payload = false;  // Kept and shown; every payload is checked anyway.
  bool skips_sanitizing = false;
  std::vector<std::string> passwords;                                // Sha256Hex() of them.
  std::vector<AclSelector> selectors = std::vector<AclSelector>(1);  // The root first.

  AclSelector& root() { return selectors.front(); }
  const AclSelector& root() const { return selectors.front(); }

  // Whether it may do everything.
  bool unrestricted() const { return root().unrestricted(); }
  // Whether the client that says so may become this user.  Takes as long whatever the password.
  bool Accepts(std::string_view password) const;

  // `word`: the index of the argument that is in the way; 0 if it is none.
  struct Verdict {
    AclDenial denial = AclDenial::kNone;
    size_t word = 0;
    bool allowed() const { return denial == AclDenial::kNone; }
  };
  // Whether the user may run the command.  A command whose number of arguments does not fit is
  // judged by its name.
  Verdict Check(const CommandSpec& spec, CommandArgs args) const;
  // Whether a selector allows the command and the reading of every key, as SORT needs for the keys
  // that it finds by patterns.
  bool MayReadEveryKey(const CommandSpec& spec, CommandArgs args) const;
  // Whether the user may be subscribed to the channel, or pattern.
  bool MaySubscribe(std::string_view channel, bool is_pattern) const;
};
using AclUserPtr = std::shared_ptr<const AclUser>;

}  // namespace kvs
