// Engine keys and the values of the bookkeeping records: how Redis's data becomes ordered bytes.
//
// Every key begins with its slot and the slot's generation, so a slot is one range of one engine
// and is dropped by taking a new generation.  The numbers in keys are big-endian: byte order is
// their order.  A user key is its metadata record (with a short string's value inline); elements of
// collections, and the chunks of long strings, are records of their own under (key, version), so a
// new version hides all of the old ones at once.
//
// Threads: pure functions, no state.
// Owner:   the caller; decoded views point into the input.
// Format:  doc/formats/keys.md

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"

namespace kvs {

// The values are on disk.  Never change or reuse one.
enum class KeyTag : uint8_t {
  kElement = 'E',
  kMetadata = 'K',
  kSlotMeta = 'S',
  kDeadVersion = 'V',
  kExpiry = 'X',
  kLibrary = 'F',  // Of the node, not of a slot.
};

enum class DataType : uint8_t {
  kString = 1,
  kHash = 2,
  kList = 3,
  kSet = 4,
  kZSet = 5,
  kStream = 6,
};

// Slot, generation and tag.
inline constexpr size_t kKeyPrefixSize = 2 + 4 + 1;
// What belongs to the node as a whole stands behind all slots, under generation 1.  No command on
// keys, sweeper or slot move comes there.
inline constexpr uint16_t kNodeSlot = 0x4000;
inline constexpr uint32_t kNodeGeneration = 1;
// Slot meta stands under this generation; the generations of data begin with 1.
inline constexpr uint32_t kMetaGeneration = 0;

// Appends slot, generation and tag: the lower bound of all keys of that kind.
void AppendKeyPrefix(uint16_t slot, uint32_t generation, KeyTag tag, std::string* out);

std::string SlotMetaKey(uint16_t slot);
std::string MetadataKey(uint16_t slot, uint32_t generation, std::string_view user_key);
// Returns what all elements of one version begin with, and nothing else does.
std::string ElementPrefix(uint16_t slot, uint32_t generation, uint64_t version);
std::string ElementKey(uint16_t slot, uint32_t generation, uint64_t version,
                       std::string_view element);
// Whether an engine key is that of an element.
inline bool IsElementKey(std::string_view key) {
  return key.size() >= kKeyPrefixSize &&
         key[kKeyPrefixSize - 1] == static_cast<char>(KeyTag::kElement);
}
// Returns the key that tells the sweeper of a version whose elements nobody can see any more.
std::string DeadVersionKey(uint16_t slot, uint32_t generation, uint64_t version);
std::string ExpiryKey(uint16_t slot, uint32_t generation, uint64_t time_ms,
                      std::string_view user_key);

// Returns the key of a library of functions, and what all of them begin with.
std::string LibraryKey(std::string_view name);
std::string LibraryPrefix();

// Returns the smallest key after all that begin with `prefix`; "" if there is none (only 0xff).
std::string PrefixEnd(std::string_view prefix);
// Returns the bounds [lower, upper) of everything in one generation of a slot.
std::string GenerationLower(uint16_t slot, uint32_t generation);
std::string GenerationUpper(uint16_t slot, uint32_t generation);

struct DecodedKey {
  uint16_t slot = 0;
  uint32_t generation = 0;
  KeyTag tag = KeyTag::kMetadata;
  std::string_view user_key = {};  // kMetadata and kExpiry; kLibrary: its name.
  uint64_t version = 0;            // kElement and kDeadVersion only.
  std::string_view element = {};   // kElement only.
  uint64_t time_ms = 0;            // kExpiry only.
};

// kCorruption: not a key of this format
Result<DecodedKey> DecodeKey(std::string_view key);

// What is known about a slot as a whole.
struct SlotMeta {
  uint32_t live_generation = 1;
  uint64_t key_count = 0;      // Metadata records in the live generation.
  uint64_t expires_count = 0;  // Those of them that have an expiry.
  uint64_t next_version = 1;   // Never reused; moves with the slot.
  std::vector<uint32_t> dead_generations = {};

  bool operator==(const SlotMeta&) const = default;
};

std::string EncodeSlotMeta(const SlotMeta& meta);
// kCorruption: not slot meta; kUnsupported: of a newer release
Result<SlotMeta> DecodeSlotMeta(std::string_view value);

// The value of a library's record: what FUNCTION LOAD was given.
std::string EncodeLibrary(std::string_view text);
// Returns the text, which points into `value`.
//   kCorruption: not a library; kUnsupported: of a newer release
Result<std::string_view> DecodeLibrary(std::string_view value);

// What is known about a user key.
struct Metadata {
  DataType type = DataType::kString;
  uint8_t encoding = 0;       // Meaning depends on the type; 0 for strings.
  uint64_t expire_at_ms = 0;  // 0: never.
  uint64_t version = 0;
  // Of elements, or the length of a string that is in chunks; not stored for other strings.
  uint64_t count = 0;
  std::string_view rest = {};  // A string's value, or what the type adds to the above.

  // Whether it is a string whose value is in elements: see string_codec.h.
  bool is_chunked() const { return type == DataType::kString && version != 0; }

  bool operator==(const Metadata&) const = default;
};

// Bytes before a string's value.
inline constexpr size_t kStringHeaderSize = 1 + 1 + 1 + 8 + 8;

// Bytes before what the type of a collection keeps.
inline constexpr size_t kCollectionHeaderSize = kStringHeaderSize + 8;

void AppendMetadata(const Metadata& metadata, std::string* out);
// kCorruption: not a metadata record; kUnsupported: a format or type of a newer release
Result<Metadata> DecodeMetadata(std::string_view value);

}  // namespace kvs
