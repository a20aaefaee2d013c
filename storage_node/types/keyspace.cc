#include "storage_node/types/keyspace.h"

#include <utility>

#include "common/base/check.h"
#include "common/slot/slot.h"

namespace kvs {
namespace {

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
  entry.expire_at_ms = metadata.expire_at_ms;
  entry.expired = IsExpired(metadata.expire_at_ms, NowMillis());
  if (entry.expired) {
    expired_keys_->emplace_back(key);
  }
  return entry;
}

Result<KeyEntry> Keyspace::FindString(std::string_view key) {
  KVS_ASSIGN_OR_RETURN(KeyEntry entry, Find(key));
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
  const uint64_t bytes =
      MetadataKey(entry.slot, generation, entry.key).size() + entry.record.size();
  return entry.expire_at_ms == kNoExpiry
             ? bytes
             : bytes + ExpiryKey(entry.slot, generation, entry.expire_at_ms, entry.key).size();
}

void Keyspace::PutString(KeyEntry* entry, std::string_view value, uint64_t expire_at_ms) {
  KVS_CHECK(entry->key.size() <= kMaxKeySize);
  std::string record;
  record.reserve(kStringHeaderSize + value.size());
  // A string has no elements that a version would tell apart.
  AppendMetadata({.type = DataType::kString, .expire_at_ms = expire_at_ms, .rest = value}, &record);
  entry->type = DataType::kString;
  PutRecord(entry, std::move(record), expire_at_ms);
}

void Keyspace::SetExpiry(KeyEntry* entry, uint64_t expire_at_ms) {
  KVS_CHECK(entry->exists());
  Result<Metadata> metadata = DecodeMetadata(entry->record);
  KVS_CHECK(metadata.ok());  // Find() has decoded the same bytes.
  metadata->expire_at_ms = expire_at_ms;
  std::string record;
  record.reserve(entry->record.size());
  AppendMetadata(*metadata, &record);
  PutRecord(entry, std::move(record), expire_at_ms);
}

void Keyspace::PutRecord(KeyEntry* entry, std::string record, uint64_t expire_at_ms) {
  txn_->Put(entry->slot, MetadataKey(entry->slot, GenerationOf(*entry), entry->key), record);
  MoveExpiry(*entry, expire_at_ms);
  if (!entry->stored) {
    txn_->AddKeys(entry->slot, 1);
  }
  ForgetExpired(entry);
  entry->record = std::move(record);
  entry->expire_at_ms = expire_at_ms;
  entry->stored = true;
}

void Keyspace::Delete(KeyEntry* entry) {
  if (!entry->stored) {
    return;
  }
  txn_->Delete(entry->slot, MetadataKey(entry->slot, GenerationOf(*entry), entry->key));
  MoveExpiry(*entry, kNoExpiry);
  txn_->AddKeys(entry->slot, -1);
  ForgetExpired(entry);
  entry->record.clear();
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
  txn->Lock(key);
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
