// CRC32C (Castagnoli), as iSCSI and LevelDB use it.  With SSE 4.2 where the processor has it.
//
// Threads: pure functions, no state.

#pragma once

#include <cstdint>
#include <string_view>

namespace kvs {

uint32_t Crc32c(std::string_view bytes);
// Returns the checksum of the bytes that gave `crc` followed by `bytes`.
uint32_t ExtendCrc32c(uint32_t crc, std::string_view bytes);

namespace internal {
// The portable version, for tests against the fast one.
uint32_t ExtendCrc32cTable(uint32_t crc, std::string_view bytes);
}  // namespace internal

}  // namespace kvs
