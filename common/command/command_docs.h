// The answers that come from the command table itself: COMMAND and its subcommands, HELP of a
// container, and the reference page.  Proxy and node give the same ones.
//
// Threads: pure functions, no state.

#pragma once

#include <string>

#include "common/command/command_table.h"
#include "common/resp/resp_writer.h"

namespace kvs {

// Writes the reply to COMMAND [COUNT | DOCS | GETKEYS | HELP | INFO | LIST ...].
// REQUIRES: ResolveCommand(args) is the row of COMMAND or of one of its subcommands
void AnswerCommand(CommandArgs args, RespWriter* reply);

// Writes what CLIENT HELP, CONFIG HELP and COMMAND HELP answer: usages and summaries of the
// subcommands, an array of simple strings.
void WriteHelp(const CommandSpec& container, RespWriter* reply);

// Writes the row of a command as COMMAND INFO shows it: name, arity, flags, first key, last key,
// step, ACL categories, tips, key specifications, subcommands.
void WriteCommandInfo(const CommandSpec& spec, RespWriter* reply);

// Returns what the proxy does with a command, in words.
std::string_view RouteText(const CommandSpec& spec);

// Returns doc/reference/commands.md.
std::string CommandsMarkdown();

}  // namespace kvs
