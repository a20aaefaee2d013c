// Digests of texts, as hexadecimal digits.
//
// Threads: pure functions, no state.

#pragma once

#include <string>
#include <string_view>

namespace kvs {

// 40 lower-case digits: what names a script.
std::string Sha1Hex(std::string_view text);

// 64 lower-case digits: how passwords of users are kept.
std::string Sha256Hex(std::string_view text);

}  // namespace kvs
