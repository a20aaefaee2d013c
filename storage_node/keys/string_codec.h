// How a long string is kept in the elements of its version.
//
//   'c' index              a chunk: the bytes from index * kStringChunkSize on
//
// Bytes that no chunk has are zeros: of a chunk that is missing, or behind the end of a short one.
// So a bit far behind the end of a string costs one chunk, and zeros cost nothing.
//
// Threads: pure functions.
// Owner:   the caller.
// Format:  doc/formats/keys.md

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/coding.h"

namespace kvs {

inline constexpr size_t kStringChunkSize = size_t{8} << 10;
inline constexpr char kStringChunkTag = 'c';
// What the metadata record of such a string has behind the length: the number of this format.
inline constexpr std::string_view kStringChunksFormat{"\x01", 1};

// Returns the name of a chunk's element.
inline std::string StringChunkName(uint32_t index) {
  std::string name(1, kStringChunkTag);
  PutBig32(&name, index);
  return name;
}

// False: no chunk has such a name.
inline bool ParseStringChunkName(std::string_view name, uint32_t* index) {
  if (name.size() != 1 + sizeof(*index) || name.front() != kStringChunkTag) {
    return false;
  }
  *index = DecodeBig32(name.data() + 1);
  return true;
}

}  // namespace kvs
