#include "storage_node/types/collection.h"

#include <algorithm>
#include <tuple>

#include "common/base/check.h"
#include "common/base/coding.h"
#include "storage_node/types/element_hash.h"

namespace kvs {
namespace {

constexpr int kPositionShift = 16;  // A position is the first 48 bits of the hash.

// Takes the first element off packed bytes.  False: damaged.
bool TakePacked(std::string_view* packed, std::string_view* name, std::string_view* value) {
  return GetLengthPrefixed(packed, name) && GetLengthPrefixed(packed, value);
}

// Packed bytes are checked when the collection is opened.
bool IsPacked(std::string_view bytes) {
  std::string_view name;
  std::string_view value;
  while (!bytes.empty()) {
    if (!TakePacked(&bytes, &name, &value)) {
      return false;
    }
  }
  return true;
}

}  // namespace

void ElementWalk::Next() {
  KVS_CHECK(valid_);
  if (records_.has_value()) {
    backward_ ? records_->Prev() : records_->Next();
  }
  Load();
}

void ElementWalk::Seek(std::string_view name) {
  KVS_CHECK(records_.has_value() && !hashed_ && !backward_);
  records_->Seek(prefix_ + std::string(name));
  Load();
}

void ElementWalk::SeekBefore(std::string_view name) {
  KVS_CHECK(records_.has_value() && !hashed_ && backward_);
  records_->SeekBefore(prefix_ + std::string(name));
  Load();
}

void ElementWalk::LoadPacked() {
  if (backward_) {
    valid_ = !left_.empty();
    if (valid_) {
      std::tie(name_, value_) = left_.back();
      left_.pop_back();
    }
    return;
  }
  do {
    valid_ = !packed_.empty();
  } while (valid_ && TakePacked(&packed_, &name_, &value_) && name_ < lower_);
  valid_ = valid_ && (upper_.empty() || name_ < upper_);
}

void ElementWalk::Load() {
  if (!records_.has_value()) {
    return LoadPacked();
  }
  valid_ = records_->Valid();
  if (!valid_) {
    return;
  }
  std::string_view rest = records_->key().substr(prefix_.size());
  if (hashed_) {
    position_ = DecodeBig64(rest.data()) >> kPositionShift;
    rest.remove_prefix(kElementHashSize);
  }
  name_ = rest;
  value_ = records_->value();
}

Collection::Collection(Keyspace* keyspace, KeyEntry entry, const CollectionShape& shape,
                       size_t packed_size)
    : keyspace_(keyspace),
      txn_(keyspace->txn()),
      entry_(std::move(entry)),
      shape_(shape),
      packed_size_(packed_size),
      header_(shape.header_size, '\0') {
  if (!entry_.exists()) {
    return;
  }
  version_ = entry_.version;
  count_ = entry_.count;
  encoding_ = entry_.encoding;
}

Result<Collection> Collection::Open(Keyspace* keyspace, Result<KeyEntry> found,
                                    const CollectionShape& shape, size_t packed_size) {
  KVS_RETURN_IF_ERROR(found.status());
  if (found->exists() && found->type != shape.type) {
    return Status::WrongType();
  }
  Collection collection(keyspace, *std::move(found), shape, packed_size);
  const KeyEntry& entry = collection.entry_;
  if (!entry.exists()) {
    return collection;
  }
  const std::string_view rest = entry.rest();
  const bool packed = entry.version == 0;
  if (rest.size() < shape.header_size ||
      (packed ? !IsPacked(rest.substr(shape.header_size))
              : rest.size() > shape.header_size + shape.tail_size)) {
    return Status::Corruption("metadata record: not that of a collection");
  }
  collection.header_.assign(packed ? rest.substr(0, shape.header_size) : rest);
  if (packed) {
    collection.packed_.assign(rest.substr(shape.header_size));
  }
  return collection;
}

Result<Collection> Collection::OpenForRead(Keyspace* keyspace, std::string_view key,
                                           const CollectionShape& shape) {
  Result<KeyEntry> found = keyspace->Find(key);
  if (found.ok() && found->exists() && found->version != 0) {
    keyspace->txn()->Lock(key);
    found = keyspace->Find(key);
  }
  return Open(keyspace, std::move(found), shape, kPackedCollectionSize);
}

Result<Collection> Collection::OpenForWrite(Keyspace* keyspace, std::string_view key,
                                            const CollectionShape& shape, size_t packed_size) {
  return Open(keyspace, keyspace->FindForWrite(key), shape, packed_size);
}

Result<Collection> Collection::OpenToReplace(Keyspace* keyspace, std::string_view key,
                                             const CollectionShape& shape, size_t packed_size) {
  KVS_ASSIGN_OR_RETURN(KeyEntry entry, keyspace->FindForWrite(key));
  KeyEntry nothing;
  nothing.key = entry.key;
  nothing.slot = entry.slot;
  Collection collection(keyspace, std::move(nothing), shape, packed_size);
  collection.entry_ = std::move(entry);
  collection.replaces_ = true;
  return collection;
}

std::string Collection::RecordName(std::string_view name) const {
  std::string record_name;
  if (shape_.order == ElementOrder::kNone) {
    PutBig64(&record_name, ElementHash(name));
  }
  record_name.append(name);
  return record_name;
}

std::string Collection::RecordKey(std::string_view name) const {
  return ElementKey(entry_.slot, generation(), version_, RecordName(name));
}

Collection::Place Collection::FindPacked(std::string_view name) const {
  std::string_view left = packed_;
  while (!left.empty()) {
    const size_t begin = packed_.size() - left.size();
    std::string_view found;
    std::string_view value;
    KVS_CHECK(TakePacked(&left, &found, &value));
    if (found == name) {
      return {begin, packed_.size() - left.size(), value};
    }
    if (shape_.order == ElementOrder::kBytes && found > name) {
      return {begin, begin};
    }
  }
  return {packed_.size(), packed_.size()};
}

Result<bool> Collection::Get(std::string_view name, std::string* value) const {
  if (is_packed()) {
    const Place place = FindPacked(name);
    if (place.begin == place.end) {
      return false;
    }
    value->assign(place.value);
    return true;
  }
  const Status status = txn_->Get(entry_.slot, RecordKey(name), value);
  if (status.code() == Code::kNotFound) {
    return false;
  }
  KVS_RETURN_IF_ERROR(status);
  return true;
}

Result<bool> Collection::Contains(std::string_view name) const {
  std::string value;
  return Get(name, &value);
}

Result<ElementWalk> Collection::WalkRecords(std::string_view from, std::string_view to,
                                            Direction direction, Extent extent) const {
  ElementWalk walk;
  walk.prefix_ = ElementPrefix(entry_.slot, generation(), version_);
  walk.hashed_ = shape_.order == ElementOrder::kNone;
  walk.backward_ = direction == Direction::kBackward;
  const std::string lower = walk.prefix_ + std::string(from);
  const std::string upper = to.empty() ? PrefixEnd(walk.prefix_) : walk.prefix_ + std::string(to);
  KVS_RETURN_IF_ERROR(Start(lower, std::max(lower, upper), extent, &walk));
  return walk;
}

Status Collection::Start(const std::string& lower, const std::string& upper, Extent extent,
                         ElementWalk* walk) const {
  KVS_ASSIGN_OR_RETURN(walk->records_,
                       txn_->NewElementIterator(entry_.slot, lower, upper, extent.expected));
  walk->backward_ ? walk->records_->SeekToLast() : walk->records_->SeekToNth(extent.skip);
  walk->Load();
  return walk->status();
}

Result<ElementWalk> Collection::WalkPacked(std::string_view lower, std::string_view upper,
                                           Direction direction, uint64_t skip) const {
  ElementWalk walk;
  walk.packed_ = packed_;
  walk.lower_ = lower;
  walk.upper_ = upper;
  walk.Load();
  for (; walk.Valid() && skip > 0; --skip) {
    walk.Next();
  }
  if (direction == Direction::kBackward) {
    for (; walk.Valid(); walk.Next()) {
      walk.left_.emplace_back(walk.name(), walk.value());
    }
    walk.backward_ = true;
    walk.Load();
  }
  return walk;
}

Result<ElementWalk> Collection::Walk() const {
  return is_packed() ? WalkPacked({}, {}, Direction::kForward)
                     : WalkRecords({}, {}, Direction::kForward, {.expected = count_});
}

Result<ElementWalk> Collection::WalkBehind(uint64_t skip) const {
  return is_packed() ? WalkPacked({}, {}, Direction::kForward, skip)
                     : WalkRecords({}, {}, Direction::kForward, {.skip = skip});
}

Result<ElementWalk> Collection::WalkRange(std::string_view lower, std::string_view upper,
                                          uint64_t skip) const {
  KVS_CHECK(shape_.order == ElementOrder::kBytes);
  return is_packed() ? WalkPacked(lower, upper, Direction::kForward, skip)
                     : WalkRecords(lower, upper, Direction::kForward, {.skip = skip});
}

Result<uint64_t> Collection::CountRange(std::string_view lower, std::string_view upper) const {
  if (is_packed()) {
    KVS_ASSIGN_OR_RETURN(ElementWalk walk, WalkRange(lower, upper));
    uint64_t count = 0;
    for (; walk.Valid(); walk.Next()) {
      ++count;
    }
    return count;
  }
  const std::string prefix = ElementPrefix(entry_.slot, generation(), version_);
  const std::string from = prefix + std::string(lower);
  const std::string to = upper.empty() ? PrefixEnd(prefix) : prefix + std::string(upper);
  KVS_ASSIGN_OR_RETURN(TxnIterator records,
                       txn_->NewElementIterator(entry_.slot, from, std::max(from, to)));
  const uint64_t count = records.CountAll();
  KVS_RETURN_IF_ERROR(records.status());
  return count;
}

Result<ElementWalk> Collection::WalkRangeBackward(std::string_view lower,
                                                  std::string_view upper) const {
  KVS_CHECK(shape_.order == ElementOrder::kBytes);
  return is_packed() ? WalkPacked(lower, upper, Direction::kBackward)
                     : WalkRecords(lower, upper, Direction::kBackward, {});
}

Result<ElementWalk> Collection::WalkFrom(uint64_t position) const {
  KVS_CHECK(shape_.order == ElementOrder::kNone);
  if (is_packed()) {
    return WalkPacked({}, {}, Direction::kForward);
  }
  std::string from;
  PutBig64(&from, position << kPositionShift);
  return WalkRecords(from, {}, Direction::kForward, {});
}

Result<ElementWalk> Collection::WalkHashed(char tag, uint64_t position, uint64_t skip) const {
  KVS_CHECK(shape_.order == ElementOrder::kBytes && !is_packed());
  ElementWalk walk;
  walk.prefix_ = ElementPrefix(entry_.slot, generation(), version_) + tag;
  walk.hashed_ = true;
  std::string lower = walk.prefix_;
  PutBig64(&lower, position << kPositionShift);
  KVS_RETURN_IF_ERROR(Start(lower, PrefixEnd(walk.prefix_), {.skip = skip}, &walk));
  return walk;
}

void Collection::Put(std::string_view name, std::string_view value) {
  if (!is_packed()) {
    txn_->Put(entry_.slot, RecordKey(name), value);
    return;
  }
  const Place place = FindPacked(name);
  std::string element;
  PutLengthPrefixed(&element, name);
  PutLengthPrefixed(&element, value);
  packed_.replace(place.begin, place.end - place.begin, element);
  if (packed_.size() > packed_size_) {
    Unpack();
  }
}

void Collection::Unpack() {
  version_ = keyspace_->NewVersion(entry_);
  std::string_view left = packed_;
  std::string_view name;
  std::string_view value;
  while (!left.empty()) {
    KVS_CHECK(TakePacked(&left, &name, &value));
    txn_->Put(entry_.slot, RecordKey(name), value);
  }
  std::string().swap(packed_);
}

void Collection::Remove(std::string_view name) {
  if (!is_packed()) {
    txn_->Delete(entry_.slot, RecordKey(name));
    return;
  }
  const Place place = FindPacked(name);
  packed_.erase(place.begin, place.end - place.begin);
}

void Collection::Clear() {
  if (version_ != 0) {
    PutMetadata();  // So that a version which this command made is known, and dies as well.
  }
  version_ = 0;
  count_ = 0;
  packed_.clear();
}

void Collection::PutMetadata(Notice notice) {
  const std::string rest = header_ + packed_;
  keyspace_->PutCollection(&entry_,
                           {.type = shape_.type,
                            .encoding = encoding_,
                            .version = version_,
                            .count = count_,
                            .rest = rest},
                           notice);
}

void Collection::SaveElements(Notice notice) {
  KVS_CHECK(!replaces_);
  if (!is_packed() && entry_.exists() && entry_.version == version_ && entry_.count == count_ &&
      entry_.encoding == encoding_ && entry_.rest() == header_) {
    if (notice == Notice::kWaiters) {
      txn_->OfferKey(entry_.key);
    }
    return;
  }
  PutMetadata(notice);
}

void Collection::Save(IfEmpty if_empty) {
  if (replaces_) {
    keyspace_->Delete(&entry_);
    replaces_ = false;
  }
  if (count_ == 0 && if_empty == IfEmpty::kDelete) {
    Clear();
    keyspace_->Delete(&entry_);
    return;
  }
  PutMetadata();
}

}  // namespace kvs
