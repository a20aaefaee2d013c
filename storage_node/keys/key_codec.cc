#include "storage_node/keys/key_codec.h"

#include "common/base/coding.h"
#include "storage_node/keys/string_codec.h"

namespace kvs {
namespace {

constexpr uint8_t kSlotMetaFormat = 1;
constexpr uint8_t kMetadataFormat = 1;
constexpr uint8_t kLibraryFormat = 1;
constexpr uint8_t kLuaEngine = 1;
constexpr size_t kVersionSize = 8;
constexpr size_t kTimeSize = 8;

void AppendGenerationPrefix(uint16_t slot, uint32_t generation, std::string* out) {
  PutBig16(out, slot);
  PutBig32(out, generation);
}

std::string WithPrefix(uint16_t slot, uint32_t generation, KeyTag tag, size_t rest_size) {
  std::string key;
  key.reserve(kKeyPrefixSize + rest_size);
  AppendKeyPrefix(slot, generation, tag, &key);
  return key;
}

Status NotAKey() {
  return Status::Corruption("engine key: not a key of this format");
}

bool IsKnownType(uint8_t type) {
  return type >= static_cast<uint8_t>(DataType::kString) &&
         type <= static_cast<uint8_t>(DataType::kStream);
}

}  // namespace

void AppendKeyPrefix(uint16_t slot, uint32_t generation, KeyTag tag, std::string* out) {
  AppendGenerationPrefix(slot, generation, out);
  out->push_back(static_cast<char>(tag));
}

std::string SlotMetaKey(uint16_t slot) {
  return WithPrefix(slot, kMetaGeneration, KeyTag::kSlotMeta, 0);
}

std::string MetadataKey(uint16_t slot, uint32_t generation, std::string_view user_key) {
  std::string key = WithPrefix(slot, generation, KeyTag::kMetadata, user_key.size());
  key.append(user_key);
  return key;
}

std::string ElementPrefix(uint16_t slot, uint32_t generation, uint64_t version) {
  return ElementKey(slot, generation, version, {});
}

std::string ElementKey(uint16_t slot, uint32_t generation, uint64_t version,
                       std::string_view element) {
  std::string key = WithPrefix(slot, generation, KeyTag::kElement, kVersionSize + element.size());
  PutBig64(&key, version);
  key.append(element);
  return key;
}

std::string DeadVersionKey(uint16_t slot, uint32_t generation, uint64_t version) {
  std::string key = WithPrefix(slot, generation, KeyTag::kDeadVersion, kVersionSize);
  PutBig64(&key, version);
  return key;
}

std::string ExpiryKey(uint16_t slot, uint32_t generation, uint64_t time_ms,
                      std::string_view user_key) {
  std::string key = WithPrefix(slot, generation, KeyTag::kExpiry, kTimeSize + user_key.size());
  PutBig64(&key, time_ms);
  key.append(user_key);
  return key;
}

std::string LibraryKey(std::string_view name) {
  std::string key = WithPrefix(kNodeSlot, kNodeGeneration, KeyTag::kLibrary, name.size());
  key.append(name);
  return key;
}

std::string LibraryPrefix() {
  return LibraryKey({});
}

std::string PrefixEnd(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && static_cast<uint8_t>(end.back()) == 0xff) {
    end.pop_back();
  }
  if (!end.empty()) {
    end.back() = static_cast<char>(static_cast<uint8_t>(end.back()) + 1);
  }
  return end;
}

std::string GenerationLower(uint16_t slot, uint32_t generation) {
  std::string key;
  AppendGenerationPrefix(slot, generation, &key);
  return key;
}

std::string GenerationUpper(uint16_t slot, uint32_t generation) {
  return PrefixEnd(GenerationLower(slot, generation));
}

Result<DecodedKey> DecodeKey(std::string_view key) {
  if (key.size() < kKeyPrefixSize) {
    return NotAKey();
  }
  DecodedKey decoded;
  decoded.slot = DecodeBig16(key.data());
  decoded.generation = DecodeBig32(key.data() + 2);
  decoded.tag = static_cast<KeyTag>(key[6]);
  const std::string_view rest = key.substr(kKeyPrefixSize);
  // Slot meta, and nothing else, stands under generation 0.
  if ((decoded.generation == kMetaGeneration) != (decoded.tag == KeyTag::kSlotMeta)) {
    return NotAKey();
  }
  // The node's own records, and nothing else, stand in its place.
  if ((decoded.slot >= kNodeSlot) != (decoded.tag == KeyTag::kLibrary)) {
    return NotAKey();
  }
  switch (decoded.tag) {
    case KeyTag::kSlotMeta:
      return rest.empty() ? Result<DecodedKey>(decoded) : Result<DecodedKey>(NotAKey());
    case KeyTag::kMetadata:
      decoded.user_key = rest;
      return decoded;
    case KeyTag::kElement:
      if (rest.size() < kVersionSize) {
        return NotAKey();
      }
      decoded.version = DecodeBig64(rest.data());
      decoded.element = rest.substr(kVersionSize);
      return decoded;
    case KeyTag::kDeadVersion:
      if (rest.size() != kVersionSize) {
        return NotAKey();
      }
      decoded.version = DecodeBig64(rest.data());
      return decoded;
    case KeyTag::kExpiry:
      if (rest.size() < kTimeSize) {
        return NotAKey();
      }
      decoded.time_ms = DecodeBig64(rest.data());
      decoded.user_key = rest.substr(kTimeSize);
      return decoded;
    case KeyTag::kLibrary:
      if (decoded.slot != kNodeSlot || decoded.generation != kNodeGeneration || rest.empty()) {
        return NotAKey();
      }
      decoded.user_key = rest;
      return decoded;
  }
  return NotAKey();
}

std::string EncodeSlotMeta(const SlotMeta& meta) {
  std::string value;
  value.push_back(static_cast<char>(kSlotMetaFormat));
  PutFixed32(&value, meta.live_generation);
  PutFixed64(&value, meta.key_count);
  PutFixed64(&value, meta.expires_count);
  PutFixed64(&value, meta.next_version);
  PutFixed32(&value, static_cast<uint32_t>(meta.dead_generations.size()));
  for (const uint32_t generation : meta.dead_generations) {
    PutFixed32(&value, generation);
  }
  return value;
}

Result<SlotMeta> DecodeSlotMeta(std::string_view value) {
  uint8_t format = 0;
  if (!GetFixed8(&value, &format)) {
    return Status::Corruption("slot meta: empty");
  }
  if (format != kSlotMetaFormat) {
    return Status::Unsupported("slot meta: a format of a newer release");
  }
  SlotMeta meta;
  uint32_t dead_count = 0;
  if (!GetFixed32(&value, &meta.live_generation) || !GetFixed64(&value, &meta.key_count) ||
      !GetFixed64(&value, &meta.expires_count) || !GetFixed64(&value, &meta.next_version) ||
      !GetFixed32(&value, &dead_count) || value.size() != uint64_t{4} * dead_count ||
      meta.live_generation == kMetaGeneration || meta.expires_count > meta.key_count) {
    return Status::Corruption("slot meta: impossible fields");
  }
  meta.dead_generations.resize(dead_count);
  for (uint32_t& generation : meta.dead_generations) {
    KVS_CHECK(GetFixed32(&value, &generation));
  }
  return meta;
}

std::string EncodeLibrary(std::string_view text) {
  std::string value;
  value.reserve(2 + text.size());
  value.push_back(static_cast<char>(kLibraryFormat));
  value.push_back(static_cast<char>(kLuaEngine));
  value.append(text);
  return value;
}

Result<std::string_view> DecodeLibrary(std::string_view value) {
  uint8_t format = 0;
  uint8_t engine = 0;
  if (!GetFixed8(&value, &format) || !GetFixed8(&value, &engine)) {
    return Status::Corruption("library record: too short");
  }
  if (format != kLibraryFormat || engine != kLuaEngine) {
    return Status::Unsupported("library record: a format or engine of a newer release");
  }
  return value;
}

void AppendMetadata(const Metadata& metadata, std::string* out) {
  out->push_back(static_cast<char>(kMetadataFormat));
  out->push_back(static_cast<char>(metadata.type));
  out->push_back(static_cast<char>(metadata.encoding));
  PutFixed64(out, metadata.expire_at_ms);
  PutFixed64(out, metadata.version);
  if (metadata.type != DataType::kString || metadata.is_chunked()) {
    PutFixed64(out, metadata.count);
  }
  out->append(metadata.rest);
}

Result<Metadata> DecodeMetadata(std::string_view value) {
  if (value.size() < kStringHeaderSize) {
    return Status::Corruption("metadata record: too short");
  }
  const auto type = static_cast<uint8_t>(value[1]);
  if (static_cast<uint8_t>(value[0]) != kMetadataFormat || !IsKnownType(type)) {
    return Status::Unsupported("metadata record: a format or type of a newer release");
  }
  Metadata metadata;
  metadata.type = static_cast<DataType>(type);
  metadata.encoding = static_cast<uint8_t>(value[2]);
  metadata.expire_at_ms = DecodeFixed64(value.data() + 3);
  metadata.version = DecodeFixed64(value.data() + 11);
  value.remove_prefix(kStringHeaderSize);
  const bool has_count = metadata.type != DataType::kString || metadata.is_chunked();
  if (has_count && !GetFixed64(&value, &metadata.count)) {
    return Status::Corruption("metadata record: no element count");
  }
  if (metadata.is_chunked() && value != kStringChunksFormat) {
    return value.empty() ? Status::Corruption("metadata record: no format of a string's chunks")
                         : Status::Unsupported("metadata record: a string of a newer release");
  }
  metadata.rest = value;
  return metadata;
}

}  // namespace kvs
