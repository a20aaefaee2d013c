// Which of Redis 7.2's commands there are, and why the others are not.
//
// The list of Redis's commands stands here; what we have is in the command table.  A command that
// is in neither the table nor the reasons stops the page from being made, and a test.
//
// Threads: pure functions, no state.

#pragma once

#include <span>
#include <string>
#include <string_view>

namespace kvs {

// Every command of Redis 7.2, subcommands as "container|name", in the order of names.
std::span<const std::string_view> RedisCommandNames();

// Returns why a command of Redis is not in the table, empty if nobody has said why.
std::string_view WhyMissing(std::string_view name);

// Returns doc/reference/compatibility.md.
std::string CompatibilityMarkdown();

}  // namespace kvs
