#include "storage_node/types/keyspace.h"

#include <utility>

#include "common/base/check.h"
#include "common/slot/slot.h"
#include "storage_node/keys/string_codec.h"

namespace kvs {
namespace {

constexpr size_t kElementsAtOnce = 1000;  // That a copy reads before it writes them.

bool IsExpired(uint64_t expire_at_ms, int64_t now_ms) {
  return expire_at_ms != kNoExpiry && expire_at_ms <= static_cast<uint64_t>(now_ms);
}

}  // namespace

std::string_view TypeName(DataType type) {
  switch (type) {
    case DataType::kString:
      return "string";
    case DataType::kHash:
      return "hash";
    case DataType::kList:
      return "list";
    case DataType::kSet:
      return "set";
    case DataType::kZSet:
      return "zset";
    case DataType::kStream:
      return "stream";
  }
  return "unknown";
}

Result<KeyEntry> Keyspace::Find(std::string_view key) {
  KeyEntry entry;
  entry.key = key;
  entry.slot = static_cast<uint16_t>(SlotOf(key));
  const std::string engine_key = MetadataKey(entry.slot, GenerationOf(entry), key);
  const Status status = txn_->Get(entry.slot, engine_key, &entry.record);
  if (status.code() == Code::kNotFound) {
    return entry;
  }
  KVS_RETURN_IF_ERROR(status);
  KVS_ASSIGN_OR_RETURN(const Metadata metadata, DecodeMetadata(entry.record));
  entry.stored = true;
  entry.type = metadata.type;
  entry.encoding = metadata.encoding;
  entry.version = metadata.version;
  entry.count = metadata.count;
  entry.expire_at_ms = metadata.expire_at_ms;
  entry.expired = IsExpired(metadata.expire_at_ms, NowMillis());
  if (entry.expired) {
    expired_keys_->emplace_back(key);
  }
  return entry;
}

Result<KeyEntry> Keyspace::FindTyped(std::string_view key, DataType type) {
  KVS_ASSIGN_OR_RETURN(KeyEntry entry, Find(key));
  if (entry.exists() && entry.type != type) {
    return Status::WrongType();
  }
  return entry;
}

Result<KeyEntry> Keyspace::FindToRead(std::string_view key) {
  KVS_ASSIGN_OR_RETURN(KeyEntry entry, Find(key));
  if (!entry.exists() || !entry.is_chunked() || txn_->Holds(key)) {
    return entry;
  }
  txn_->Lock(key);
  return Find(key);
}

Result<KeyEntry> Keyspace::FindString(std::string_view key) {
  KVS_ASSIGN_OR_RETURN(KeyEntry entry, FindToRead(key));
  if (entry.exists() && entry.type != DataType::kString) {
    return Status::WrongType();
  }
  return entry;
}

Result<KeyEntry> Keyspace::FindForWrite(std::string_view key) {
  if (key.size() > kMaxKeySize) {
    return Status::TooLarge("key is longer than 65536 bytes");
  }
  return Find(key);
}

uint64_t Keyspace::StoredBytes(const KeyEntry& entry) const {
  if (!entry.stored) {
    return 0;
  }
  const uint32_t generation = GenerationOf(entry);
  const uint64_t bytes = MetadataKey(entry.slot, generation, entry.key).size() +
                         entry.record.size() + (entry.is_chunked() ? entry.count : 0);
  return entry.expire_at_ms == kNoExpiry
             ? bytes
             : bytes + ExpiryKey(entry.slot, generation, entry.expire_at_ms, entry.key).size();
}

void Keyspace::PutString(KeyEntry* entry, std::string_view value, uint64_t expire_at_ms) {
  KVS_CHECK(entry->key.size() <= kMaxKeySize);
  PutRecord(entry, {.type = DataType::kString, .expire_at_ms = expire_at_ms, .rest = value});
}

void Keyspace::PutChunkedString(KeyEntry* entry, uint64_t version, uint64_t size) {
  KVS_CHECK(entry->key.size() <= kMaxKeySize && version != 0);
  PutRecord(entry, {.type = DataType::kString,
                    .expire_at_ms = entry->exists() ? entry->expire_at_ms : kNoExpiry,
                    .version = version,
                    .count = size,
                    .rest = kStringChunksFormat});
}

void Keyspace::PutCollection(KeyEntry* entry, Metadata metadata, Notice notice) {
  KVS_CHECK(entry->key.size() <= kMaxKeySize && metadata.type != DataType::kString);
  metadata.expire_at_ms = entry->exists() ? entry->expire_at_ms : kNoExpiry;
  PutRecord(entry, metadata, notice);
}

void Keyspace::SetExpiry(KeyEntry* entry, uint64_t expire_at_ms) {
  KVS_CHECK(entry->exists());
  Result<Metadata> metadata = DecodeMetadata(entry->record);
  KVS_CHECK(metadata.ok());  // Find() has decoded the same bytes.
  metadata->expire_at_ms = expire_at_ms;
  PutRecord(entry, *metadata);
}

void Keyspace::PutRecord(KeyEntry* entry, const Metadata& metadata, Notice notice) {
  std::string record;
  record.reserve(kCollectionHeaderSize + metadata.rest.size());
  AppendMetadata(metadata, &record);
  txn_->Put(entry->slot, MetadataKey(entry->slot, GenerationOf(*entry), entry->key), record);
  if (notice == Notice::kAll) {
    txn_->NoteChange(entry->slot, entry->key, KeyChange::kWritten);
  } else if (notice == Notice::kWaiters) {
    txn_->OfferKey(entry->key);
  }
  if (entry->expired) {
    txn_->NoteEvent(KeyEventKind::kExpired, "expired", entry->key);
  }
  if (!entry->exists()) {
    txn_->NoteMade(entry->key);
  }
  MoveExpiry(*entry, metadata.expire_at_ms);
  if (!entry->stored) {
    txn_->AddKeys(entry->slot, 1);
  } else if (entry->version != metadata.version) {
    DropElements(*entry, entry->version);
  }
  ForgetExpired(entry);
  entry->record = std::move(record);  // What metadata.rest may have pointed into goes.
  entry->type = metadata.type;
  entry->encoding = metadata.encoding;
  entry->version = metadata.version;
  entry->count = metadata.count;
  entry->expire_at_ms = metadata.expire_at_ms;
  entry->stored = true;
}

void Keyspace::DropElements(const KeyEntry& entry, uint64_t version) {
  if (version != 0) {
    txn_->Put(entry.slot, DeadVersionKey(entry.slot, GenerationOf(entry), version), {});
    txn_->NoteDeadVersion(entry.slot);
  }
}

Status Keyspace::Rename(KeyEntry* source, KeyEntry* target) {
  if (source->version != 0 && source->slot != target->slot) {
    KVS_RETURN_IF_ERROR(Copy(*source, target));
  } else {
    const Result<Metadata> metadata = DecodeMetadata(source->record);
    KVS_CHECK(metadata.ok());  // Find() has decoded the same bytes.
    PutRecord(target, *metadata);
    source->version = 0;  // The elements are the target's.
  }
  Delete(source);
  return Status::Ok();
}

Status Keyspace::Copy(const KeyEntry& source, KeyEntry* target) {
  KVS_CHECK(source.exists() && target->key.size() <= kMaxKeySize);
  Result<Metadata> metadata = DecodeMetadata(source.record);
  KVS_CHECK(metadata.ok());
  if (metadata->version != 0) {
    metadata->version = txn_->NewVersion(target->slot);
    Status status = CopyElements(source, *target, metadata->version);
    if (!status.ok()) {
      DropElements(*target, metadata->version);  // As many as there are.
      return status;
    }
  }
  PutRecord(target, *metadata);
  return Status::Ok();
}

Status Keyspace::CopyElements(const KeyEntry& source, const KeyEntry& target, uint64_t version) {
  const std::string from = ElementPrefix(source.slot, GenerationOf(source), source.version);
  std::vector<std::pair<std::string, std::string>> elements;
  std::string lower = from;
  do {
    elements.clear();
    KVS_ASSIGN_OR_RETURN(TxnIterator it,
                         txn_->NewElementIterator(source.slot, lower, PrefixEnd(from)));
    for (it.SeekToFirst(); it.Valid() && elements.size() < kElementsAtOnce; it.Next()) {
      elements.emplace_back(it.key(), it.value());
    }
    KVS_RETURN_IF_ERROR(it.status());
    for (const auto& [key, value] : elements) {
      const std::string_view name = std::string_view(key).substr(from.size());
      txn_->Put(target.slot, ElementKey(target.slot, GenerationOf(target), version, name), value);
    }
    lower = elements.empty() ? lower : elements.back().first + '\0';
  } while (elements.size() == kElementsAtOnce);
  return Status::Ok();
}

void Keyspace::Delete(KeyEntry* entry) {
  if (!entry->stored) {
    return;
  }
  txn_->Delete(entry->slot, MetadataKey(entry->slot, GenerationOf(*entry), entry->key));
  txn_->NoteChange(entry->slot, entry->key,
                   entry->expired ? KeyChange::kGone : KeyChange::kWritten);
  if (entry->expired) {
    txn_->NoteEvent(KeyEventKind::kExpired, "expired", entry->key);
  } else {
    txn_->NoteRemoved(entry->key);
  }
  DropElements(*entry, entry->version);
  MoveExpiry(*entry, kNoExpiry);
  txn_->AddKeys(entry->slot, -1);
  ForgetExpired(entry);
  entry->record.clear();
  entry->version = 0;
  entry->count = 0;
  entry->expire_at_ms = kNoExpiry;
  entry->stored = false;
}

// Brings index, count and due time from the entry's time of expiry to the new one.
void Keyspace::MoveExpiry(const KeyEntry& entry, uint64_t expire_at_ms) {
  const uint64_t before = entry.expire_at_ms;
  if (before == expire_at_ms) {
    return;
  }
  const uint32_t generation = GenerationOf(entry);
  if (before != kNoExpiry) {
    txn_->Delete(entry.slot, ExpiryKey(entry.slot, generation, before, entry.key));
  }
  if (expire_at_ms != kNoExpiry) {
    txn_->Put(entry.slot, ExpiryKey(entry.slot, generation, expire_at_ms, entry.key), {});
    txn_->LowerDue(entry.slot, static_cast<int64_t>(expire_at_ms));
  }
  if ((before == kNoExpiry) != (expire_at_ms == kNoExpiry)) {
    txn_->AddExpires(entry.slot, before == kNoExpiry ? 1 : -1);
  }
}

// The expired record is gone, so nobody has to delete it any more.
void Keyspace::ForgetExpired(KeyEntry* entry) {
  if (entry->expired) {
    std::erase(*expired_keys_, entry->key);
    entry->expired = false;
  }
}

Result<bool> DeleteIfExpired(Txn* txn, std::string_view key) {
  if (!txn->Lock(key)) {
    return false;  // Whoever holds it, or the sweeper, comes by again.
  }
  std::vector<std::string> expired_keys;
  Keyspace keyspace(txn, &expired_keys);
  KVS_ASSIGN_OR_RETURN(KeyEntry entry, keyspace.Find(key));
  if (!entry.expired) {
    return false;
  }
  keyspace.Delete(&entry);
  return true;
}

Result<SlotKeys> SlotKeys::Open(Store* store, uint16_t slot, int64_t now_ms) {
  std::string prefix;
  AppendKeyPrefix(slot, store->slots().generation(slot), KeyTag::kMetadata, &prefix);
  KVS_ASSIGN_OR_RETURN(std::unique_ptr<MergedIterator> it,
                       store->NewIterator(slot, prefix, PrefixEnd(prefix)));
  return SlotKeys(std::move(it), std::move(prefix), now_ms);
}

void SlotKeys::SeekToFirst() {
  it_->SeekToFirst();
  Load();
}

void SlotKeys::Seek(std::string_view user_key) {
  it_->Seek(prefix_ + std::string(user_key));
  Load();
}

void SlotKeys::SeekAfter(std::string_view user_key) {
  Seek(std::string(user_key) + '\0');  // No key lies between.
}

bool SlotKeys::FindBounds(std::string* first, std::string* last) {
  valid_ = false;
  if (!it_->FindBounds(first, last)) {
    return false;
  }
  first->erase(0, prefix_.size());
  last->erase(0, prefix_.size());
  return true;
}

void SlotKeys::Next() {
  KVS_CHECK(valid_);
  it_->Next();
  Load();
}

void SlotKeys::Load() {
  valid_ = it_->Valid();
  if (!valid_) {
    return;
  }
  const Result<Metadata> metadata = DecodeMetadata(it_->value());
  if (!metadata.ok()) {
    valid_ = false;
    status_ = metadata.status();
    return;
  }
  type_ = metadata->type;
  expired_ = IsExpired(metadata->expire_at_ms, now_ms_);
}

}  // namespace kvs
