// CommandCategories: the groups by which ACL rules allow and refuse commands, as bits.
//
// A row names those that do not follow from its flags; the others are made of the flags here.
//
// Threads: pure functions over immutable tables.

#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "common/command/command_spec.h"

namespace kvs {

// A bit for each of CategoryNames(), the lowest for the first.
using CommandCategories = uint32_t;

// In the order in which Redis lists them, without '@'.
std::span<const std::string_view> CategoryNames();

// Returns the bit of a category by its name, whatever its case, without '@'.
std::optional<CommandCategories> FindCategory(std::string_view name);

// Returns the categories of a command; a container has @slow alone.
CommandCategories CategoriesOf(const CommandSpec& spec);

}  // namespace kvs
