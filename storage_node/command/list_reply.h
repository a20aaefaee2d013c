// What the handlers of list commands share: opening, popping, and replies of elements.
//
// Threads: as the context.
// Owner:   the handler, on its stack.

#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage_node/command/command_context.h"
#include "storage_node/types/list.h"

namespace kvs {

// Opens the list of `key` and counts the look-up.
Result<List> OpenList(CommandContext& ctx, std::string_view key);

// Removes up to `count` elements of an end of the key's list, writes that and tells of it.
// REQUIRES: List::OpenForWrite()
Result<std::vector<std::string>> PopAndSave(CommandContext& ctx, List* list, std::string_view key,
                                            uint64_t count, ListEnd end);

void ReplyElements(CommandContext& ctx, std::span<const std::string> elements);

}  // namespace kvs
