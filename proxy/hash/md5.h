// MD5 of RFC 1321: what ketama places servers with.  Of no use where somebody has an interest in
// collisions.
//
// Threads: pure functions, no state.

#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace kvs {

std::array<uint8_t, 16> Md5(std::string_view bytes);

}  // namespace kvs
