// ByteReader: takes numbers and strings off the front of hostile bytes.
//
// A read that would go past the end fails, and so do all that follow.
//
// Threads: a value.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace kvs {

class ByteReader {
 public:
  // The bytes outlive it.
  explicit ByteReader(std::string_view bytes) : rest_(bytes) {}

  bool ok() const { return ok_; }
  size_t left() const { return rest_.size(); }

  // Returns the next `size` bytes; an empty view if there are not so many.
  std::string_view Take(size_t size) {
    if (!ok_ || size > rest_.size()) {
      ok_ = false;
      return {};
    }
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  uint8_t Byte() { return static_cast<uint8_t>(Little(1)); }
  // Returns the next byte and leaves it there; 0 at the end.
  uint8_t Peek() const { return rest_.empty() ? 0 : static_cast<uint8_t>(rest_[0]); }
  uint64_t Little(size_t size) {
    uint64_t value = 0;
    size_t shift = 0;
    for (const char c : Take(size)) {
      value |= uint64_t{static_cast<uint8_t>(c)} << shift;
      shift += 8;
    }
    return value;
  }
  uint64_t Big(size_t size) {
    uint64_t value = 0;
    for (const char c : Take(size)) {
      value = value << 8 | static_cast<uint8_t>(c);
    }
    return value;
  }
  // Returns a signed number of `size` bytes, 8 at most, little-endian.
  int64_t Signed(size_t size) {
    const uint64_t value = Little(size);
    const auto unused = static_cast<int>(64 - 8 * size);
    return static_cast<int64_t>(value << unused) >> unused;
  }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace kvs
