// Integers as explicit bytes: little-endian for records, big-endian for keys that must sort.
//
// Put* appends to a string.  Get* reads from the front of a view and moves it on, or returns false
// and leaves it alone.  Decode* reads from memory that the caller knows to be long enough.
//
// Threads: pure functions, no state.

#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace kvs {

static_assert(std::endian::native == std::endian::little, "port the coding functions first");

template <typename T>
inline void PutFixed(std::string* out, T value) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  out->append(bytes, sizeof(T));
}
inline void PutFixed16(std::string* out, uint16_t value) {
  PutFixed(out, value);
}
inline void PutFixed32(std::string* out, uint32_t value) {
  PutFixed(out, value);
}
inline void PutFixed64(std::string* out, uint64_t value) {
  PutFixed(out, value);
}

template <typename T>
inline T DecodeFixed(const char* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return value;
}
inline uint16_t DecodeFixed16(const char* bytes) {
  return DecodeFixed<uint16_t>(bytes);
}
inline uint32_t DecodeFixed32(const char* bytes) {
  return DecodeFixed<uint32_t>(bytes);
}
inline uint64_t DecodeFixed64(const char* bytes) {
  return DecodeFixed<uint64_t>(bytes);
}

template <typename T>
inline bool GetFixed(std::string_view* input, T* value) {
  if (input->size() < sizeof(T)) {
    return false;
  }
  *value = DecodeFixed<T>(input->data());
  input->remove_prefix(sizeof(T));
  return true;
}
inline bool GetFixed8(std::string_view* input, uint8_t* value) {
  return GetFixed(input, value);
}
inline bool GetFixed16(std::string_view* input, uint16_t* value) {
  return GetFixed(input, value);
}
inline bool GetFixed32(std::string_view* input, uint32_t* value) {
  return GetFixed(input, value);
}
inline bool GetFixed64(std::string_view* input, uint64_t* value) {
  return GetFixed(input, value);
}

// Big-endian, for keys: byte order is number order.
inline void PutBig16(std::string* out, uint16_t v) {
  PutFixed(out, __builtin_bswap16(v));
}
inline void PutBig32(std::string* out, uint32_t v) {
  PutFixed(out, __builtin_bswap32(v));
}
inline void PutBig64(std::string* out, uint64_t v) {
  PutFixed(out, __builtin_bswap64(v));
}
inline uint16_t DecodeBig16(const char* b) {
  return __builtin_bswap16(DecodeFixed16(b));
}
inline uint32_t DecodeBig32(const char* b) {
  return __builtin_bswap32(DecodeFixed32(b));
}
inline uint64_t DecodeBig64(const char* b) {
  return __builtin_bswap64(DecodeFixed64(b));
}

// LEB128, 1 to 10 bytes.
void PutVarint64(std::string* out, uint64_t value);
// Returns false on a truncated or over-long encoding.
bool GetVarint64(std::string_view* input, uint64_t* value);

// A varint length and the bytes.
void PutLengthPrefixed(std::string* out, std::string_view bytes);
bool GetLengthPrefixed(std::string_view* input, std::string_view* bytes);

}  // namespace kvs
