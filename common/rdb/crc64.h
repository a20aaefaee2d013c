// Crc64: the checksum of Redis's files and DUMP payloads: the polynomial of Jones, reflected, from
// 0.
//
// Threads: pure functions, no state.

#pragma once

#include <cstdint>
#include <string_view>

namespace kvs {

uint64_t Crc64(std::string_view bytes, uint64_t crc = 0);

}  // namespace kvs
