#include "storage_node/types/string_change.h"

#include <algorithm>
#include <utility>

#include "storage_node/keys/string_codec.h"
#include "storage_node/types/string_reader.h"

namespace kvs {

StringChange::StringChange(Keyspace* keyspace, KeyEntry entry)
    : keyspace_(keyspace),
      entry_(std::move(entry)),
      stored_size_(entry_.exists() ? entry_.string_size() : 0),
      size_(stored_size_) {}

Result<StringChange> StringChange::Open(Keyspace* keyspace, std::string_view key) {
  KVS_ASSIGN_OR_RETURN(KeyEntry entry, keyspace->FindForWrite(key));
  if (entry.exists() && entry.type != DataType::kString) {
    return Status::WrongType();
  }
  return StringChange(keyspace, std::move(entry));
}

Result<StringChange::Chunk*> StringChange::Load(uint32_t index) {
  const auto found = chunks_.find(index);
  if (found != chunks_.end()) {
    return &found->second;
  }
  Chunk chunk;
  KVS_RETURN_IF_ERROR(
      StringReader(keyspace_, &entry_)
          .Append(uint64_t{index} * kStringChunkSize, kStringChunkSize, &chunk.bytes));
  return &chunks_.emplace(index, std::move(chunk)).first->second;
}

Result<std::string> StringChange::Read(uint64_t first, size_t count) {
  std::string bytes;
  bytes.reserve(count);
  for (uint64_t at = first; at < first + count;) {
    KVS_ASSIGN_OR_RETURN(const Chunk* chunk, Load(static_cast<uint32_t>(at / kStringChunkSize)));
    const uint64_t begin = at % kStringChunkSize;
    const uint64_t part = std::min(kStringChunkSize - begin, first + count - at);
    if (begin < chunk->bytes.size()) {
      bytes.append(chunk->bytes, begin, part);
    }
    at += part;
    bytes.resize(at - first);
  }
  return bytes;
}

Status StringChange::Write(uint64_t first, std::string_view bytes) {
  Grow(first + bytes.size());
  for (uint64_t at = first; !bytes.empty();) {
    const auto index = static_cast<uint32_t>(at / kStringChunkSize);
    const uint64_t begin = at % kStringChunkSize;
    const std::string_view part = bytes.substr(0, kStringChunkSize - begin);
    if (part.size() == kStringChunkSize) {
      chunks_[index] = {.bytes = std::string(part), .is_dirty = true};
      changed_ = true;  // Perhaps; what was there is not worth reading.
    } else {
      KVS_ASSIGN_OR_RETURN(Chunk* const chunk, Load(index));
      chunk->bytes.resize(std::max<size_t>(chunk->bytes.size(), begin + part.size()));
      changed_ = changed_ || chunk->bytes.compare(begin, part.size(), part) != 0;
      chunk->bytes.replace(begin, part.size(), part);
      chunk->is_dirty = true;
    }
    at += part.size();
    bytes.remove_prefix(part.size());
  }
  return Status::Ok();
}

void StringChange::Grow(uint64_t size) {
  size_ = std::max(size_, size);
}

void StringChange::Save() {
  const bool was_chunked = exists() && entry_.is_chunked();
  if (!was_chunked && size_ <= kMaxInlineString) {
    return SaveInline();
  }
  KeyEntry owner;
  owner.slot = entry_.slot;
  owner.version = was_chunked ? entry_.version : keyspace_->NewVersion(entry_);
  const std::string_view value = InlineValue();
  for (uint64_t at = 0; at < value.size(); at += kStringChunkSize) {
    const auto index = static_cast<uint32_t>(at / kStringChunkSize);
    const auto found = chunks_.find(index);
    if (found == chunks_.end() || !found->second.is_dirty) {
      PutChunk(owner, index, value.substr(at, kStringChunkSize));
    }
  }
  for (const auto& [index, chunk] : chunks_) {
    if (chunk.is_dirty) {
      PutChunk(owner, index, chunk.bytes);
    }
  }
  keyspace_->PutChunkedString(&entry_, owner.version, size_);
}

void StringChange::SaveInline() {
  std::string value(InlineValue());
  value.resize(size_);
  for (const auto& [index, chunk] : chunks_) {
    if (chunk.is_dirty) {
      value.replace(uint64_t{index} * kStringChunkSize, chunk.bytes.size(), chunk.bytes);
    }
  }
  keyspace_->PutString(&entry_, value, exists() ? entry_.expire_at_ms : kNoExpiry);
}

// Zeros at the end are left out, and a chunk of zeros altogether.
void StringChange::PutChunk(const KeyEntry& owner, uint32_t index, std::string_view bytes) {
  const std::string key = StringChunkKey(*keyspace_->txn(), owner, index);
  bytes = bytes.substr(0, bytes.find_last_not_of('\0') + 1);
  if (!bytes.empty()) {
    keyspace_->txn()->Put(owner.slot, key, bytes);
  } else if (uint64_t{index} * kStringChunkSize < stored_size_ && exists() && entry_.is_chunked()) {
    keyspace_->txn()->Delete(owner.slot, key);
  }
}

}  // namespace kvs
