// Reads the usage column of a command into the tree of arguments that COMMAND DOCS shows, so that
// the line a person reads and the tree a client reads cannot differ.
//
// The notation is that of Redis's manual: WORD is a token, word an argument, [x] optional, <a | b>
// one of several, "x [x ...]" one or more.
//
// Threads: pure functions, no state.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "common/command/command_spec.h"

namespace kvs {

struct CommandArgument {
  std::string name;
  std::string_view type;  // "key", "string", "integer", "pure-token", "oneof", "block", ...
  int key_spec = 0;       // Which key specification a key belongs to.
  std::string token;      // Stands before the argument; empty for none.
  bool optional = false;
  bool multiple = false;
  bool repeats_token = false;             // It is multiple, each time with its token.
  std::vector<CommandArgument> children;  // Of "oneof" and "block".
};

// Returns the arguments behind the command's name.
//   kInvalidArgument: `spec.usage` is not in the notation; no row of the table is so
Result<std::vector<CommandArgument>> ParseUsage(const CommandSpec& spec);

}  // namespace kvs
