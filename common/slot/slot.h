// Which of the 16384 hash slots a key belongs to: CRC16 of its hash tag, as in Redis Cluster.
//
// Threads: pure functions, no state.

#pragma once

#include <cstdint>
#include <string_view>

namespace kvs {

inline constexpr int kSlotCount = 16384;

// Returns the CRC16 of `bytes` with polynomial 0x1021, start value 0, not reflected (XMODEM).
uint16_t Crc16(std::string_view bytes);

// Returns the part of `key` that is hashed: what stands between the first '{' and the next '}' if
// that is not empty, else the whole key.  The result points into `key`.
std::string_view HashTag(std::string_view key);

// Returns the slot of `key`, in [0, kSlotCount).
inline int SlotOf(std::string_view key) {
  return Crc16(HashTag(key)) % kSlotCount;
}

}  // namespace kvs
