#include "storage_node/command/command_handlers.h"

namespace kvs {
namespace {

constexpr CommandHandler kHandlers[] = {
#define KVS_COMMAND(id, ...) &Cmd##id,
#define KVS_PROXY_COMMAND(id, ...) nullptr,
#include "common/command/commands.def"
};
static_assert(std::size(kHandlers) == kCommandCount);

}  // namespace

CommandHandler HandlerOf(CommandId id) {
  return kHandlers[static_cast<size_t>(id)];
}

}  // namespace kvs
