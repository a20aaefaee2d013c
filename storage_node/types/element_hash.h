// ElementHash: where an element stands among those of a collection without an order.
//
// The value is on disk (doc/formats/keys.md): it is XXH64 with seed 0, for ever.
//
// Threads: a pure function.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace kvs {

inline constexpr size_t kElementHashSize = 8;

uint64_t ElementHash(std::string_view name);

}  // namespace kvs
