// DUMP payloads: one key's value in the format of Redis's RDB files, with version and checksum.
//
//   payload := type: uint8, object, version: uint16 little-endian, crc64: uint64 little-endian
//
// All encodings that Redis wrote up to version 11 (Redis 7.2) are read, but for modules.  What is
// written is what every Redis since 4.0 reads: plain types of version 9, without compression.
// Streams are those of version 10, as the earlier ones lack what a stream counts: Redis since 7.0
// reads them.
//
// FUNCTION DUMP has the texts of libraries instead of a value, in version 10:
//
//   payload := (245: uint8, text: string)*, version, crc64
//
// Threads: pure functions; a DumpWriter is a value.
// Format:  redis/src/rdb.h and rdb.c; cluster.c for the end of the payload.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "common/rdb/rdb_value.h"

namespace kvs {

// The latest version that is read.
inline constexpr uint64_t kRdbVersion = 11;

// Returns whether version and checksum are right.
bool CheckDumpFooter(std::string_view payload);

// Reads the value of a payload whose footer is right.  No member or field comes twice in it, and a
// collection has elements.  `max_bytes` is what its strings may take in memory together.
//   kInvalidArgument: the object is malformed; kUnsupported: a module's
//   kTooLarge: more than max_bytes
Result<RdbValue> ReadDump(std::string_view payload, size_t max_bytes);

// Reads the texts of the libraries in a payload of FUNCTION DUMP.  `max_bytes` is what they may
// take in memory together.
//   kInvalidArgument: in Redis's words; kTooLarge: more than max_bytes
Result<std::vector<std::string>> ReadFunctionDump(std::string_view payload, size_t max_bytes);

// Writes a payload, element by element.
class DumpWriter {
 public:
  explicit DumpWriter(std::string* out);
  // One of FUNCTION DUMP.
  static DumpWriter OfLibraries(std::string* out);

  void String(std::string_view text);
  // Then as many elements: of a hash fields and values, each on its own.
  void Collection(RdbValue::Type type, uint64_t count);
  void Element(std::string_view element);
  void Scored(std::string_view member, double score);
  // A whole stream, but for the times at which its consumers have got something.
  void Stream(const RdbStream& stream);
  // A library of functions; others may follow.
  void Library(std::string_view text);
  // Adds version and checksum.
  void Finish();

 private:
  void Length(uint64_t length);
  void StreamId(RdbStreamId id);
  void StreamGroup(const RdbStreamGroup& group);

  std::string* const out_;
  const size_t start_;
  uint16_t version_;
};

}  // namespace kvs
