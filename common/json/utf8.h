// What is valid UTF-8.
//
// Threads: pure functions, no state.

#pragma once

#include <cstddef>
#include <string_view>

namespace kvs {

// Returns the size of the UTF-8 sequence at text[0], or 0 if there is none: cut off, over-long, a
// surrogate or past U+10FFFF.
// REQUIRES: !text.empty()
size_t Utf8SequenceSize(std::string_view text);

bool IsValidUtf8(std::string_view text);

}  // namespace kvs
