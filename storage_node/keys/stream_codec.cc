#include "storage_node/keys/stream_codec.h"

#include "common/base/check.h"
#include "common/base/coding.h"

namespace kvs {
namespace {

constexpr uint8_t kFormatWithoutGroups = 1;
constexpr uint8_t kFormatWithGroups = 2;

void PutId(std::string* out, StreamId id) {
  PutFixed64(out, id.ms);
  PutFixed64(out, id.seq);
}

StreamId DecodeId(const char* bytes) {
  return {DecodeFixed64(bytes), DecodeFixed64(bytes + 8)};
}

}  // namespace

StreamId NextStreamId(StreamId id) {
  KVS_CHECK(id != kMaxStreamId);
  return id.seq == UINT64_MAX ? StreamId{id.ms + 1, 0} : StreamId{id.ms, id.seq + 1};
}

StreamId PreviousStreamId(StreamId id) {
  KVS_CHECK(id != StreamId());
  return id.seq == 0 ? StreamId{id.ms - 1, UINT64_MAX} : StreamId{id.ms, id.seq - 1};
}

std::string StreamEntryName(StreamId id) {
  std::string name(1, kStreamEntryTag);
  PutBig64(&name, id.ms);
  PutBig64(&name, id.seq);
  return name;
}

StreamId StreamIdOfName(std::string_view name) {
  KVS_CHECK(name.size() == kStreamNameSize);
  return {DecodeBig64(name.data() + 1), DecodeBig64(name.data() + 9)};
}

std::string EncodeStreamEntry(const std::vector<std::string_view>& words) {
  std::string value;
  for (const std::string_view word : words) {
    PutLengthPrefixed(&value, word);
  }
  return value;
}

Result<std::vector<std::string_view>> DecodeStreamEntry(std::string_view value) {
  std::vector<std::string_view> words;
  while (!value.empty()) {
    std::string_view word;
    if (!GetLengthPrefixed(&value, &word)) {
      return Status::Corruption("not the entry of a stream");
    }
    words.push_back(word);
  }
  if (words.empty() || words.size() % 2 != 0) {
    return Status::Corruption("an entry of a stream has a field without a value");
  }
  return words;
}

std::string EncodeStreamHeader(const StreamHeader& header) {
  std::string bytes;
  PutFixed(&bytes, header.has_groups ? kFormatWithGroups : kFormatWithoutGroups);
  PutId(&bytes, header.last_id);
  PutId(&bytes, header.max_deleted_id);
  PutId(&bytes, header.first_id);
  PutFixed64(&bytes, header.entries_added);
  return bytes;
}

Result<StreamHeader> DecodeStreamHeader(std::string_view header) {
  KVS_CHECK(header.size() == kStreamHeaderSize);
  const auto format = static_cast<uint8_t>(header[0]);
  if (format != kFormatWithoutGroups && format != kFormatWithGroups) {
    return Status::Unsupported("a stream of a newer release");
  }
  const char* bytes = header.data() + 1;
  return StreamHeader{.last_id = DecodeId(bytes),
                      .max_deleted_id = DecodeId(bytes + 16),
                      .first_id = DecodeId(bytes + 32),
                      .entries_added = DecodeFixed64(bytes + 48),
                      .has_groups = format == kFormatWithGroups};
}

}  // namespace kvs
