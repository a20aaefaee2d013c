// The handlers of the commands that work on data: one for each KVS_COMMAND row of the table.
//
// A row without a handler does not link.  The rows that a proxy answers too (PING, INFO, ...) have
// their handlers in storage_node/server, where the state is that they tell about.
//
// Threads: pure functions of their context.

#pragma once

#include "common/command/command_table.h"
#include "storage_node/command/command_context.h"

namespace kvs {

#define KVS_COMMAND(id, ...) Status Cmd##id(CommandContext& ctx);
#define KVS_PROXY_COMMAND(id, ...)
#include "common/command/commands.def"

// Returns the handler of a KVS_COMMAND row, nullptr for the other rows.
CommandHandler HandlerOf(CommandId id);

}  // namespace kvs
