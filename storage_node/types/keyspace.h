// Keyspace: one command's view of user keys, over the engine keys of a Txn.
//
// A record whose time has come counts as missing everywhere; the key is noted, so that whoever runs
// the command deletes it afterwards (DeleteIfExpired).  Every change keeps what is derived from the
// record in step with it: the expiry index, the slot's counts of keys and of expiries, and the time
// at which the slot is due for the sweeper.
//
//   KVS_ASSIGN_OR_RETURN(KeyEntry entry, keyspace.FindForWrite(key));
//   keyspace.PutString(&entry, value, kNoExpiry);
//
// Threads: one thread, for the duration of one command.
// Owner:   the command's handler; the Txn and the list of expired keys must outlive it.
// Format:  doc/formats/keys.md

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/check.h"
#include "common/base/status.h"
#include "storage_node/commit/txn.h"
#include "storage_node/keys/key_codec.h"

namespace kvs {

// A key is a part of engine keys, which are compared and copied at every turn, so it has a limit of
// its own, far below that of values.  Longer keys cannot be made, and so are never found.
inline constexpr size_t kMaxKeySize = 65'536;
inline constexpr uint64_t kNoExpiry = 0;

// Returns the type's name in the words of TYPE.
std::string_view TypeName(DataType type);

// Who is told of a change.
enum class Notice : uint8_t {
  kAll,      // Those who watch the key, and those who wait for it.
  kWaiters,  // Those who wait for it: there is nothing new in it for others.
  kNone,
};

// What is known of one key.  Changes through Keyspace keep it up to date, except for `record`.
struct KeyEntry {
  std::string_view key = {};  // Points to what the caller asked for.
  uint16_t slot = 0;
  std::string record = {};  // The metadata record as the engine holds it; empty if there is none.
  DataType type = DataType::kString;
  uint64_t expire_at_ms = kNoExpiry;
  uint8_t encoding = 0;  // See Metadata.
  uint64_t version = 0;
  uint64_t count = 0;    // Of a collection, or the length of a string in chunks.
  bool stored = false;   // There is a record...
  bool expired = false;  // ...but its time has come.

  bool exists() const { return stored && !expired; }
  // Whether it is a string whose bytes are not in the record.
  bool is_chunked() const { return type == DataType::kString && version != 0; }
  // REQUIRES, for these: exists(), and it is a string
  uint64_t string_size() const { return is_chunked() ? count : value().size(); }
  // Only StringReader and StringChange need to know the two kinds.  REQUIRES: !is_chunked()
  std::string_view value() const {
    KVS_CHECK(!is_chunked());
    return std::string_view(record).substr(kStringHeaderSize);
  }
  // What the type keeps behind the count.  REQUIRES: exists(), and it is a collection
  std::string_view rest() const { return std::string_view(record).substr(kCollectionHeaderSize); }
};

class Keyspace {
 public:
  // Adds to `*expired_keys` what it finds expired and does not replace or delete itself.
  Keyspace(Txn* txn, std::vector<std::string>* expired_keys)
      : txn_(txn), expired_keys_(expired_keys) {}

  int64_t NowMillis() const { return txn_->NowMillis(); }
  Txn* txn() const { return txn_; }

  // Returns what is stored under `key`, which may be nothing.
  //   kCorruption, kUnsupported: a record that cannot be read; kUnavailable: see Store::Get()
  Result<KeyEntry> Find(std::string_view key);
  // As Find().  kWrongType: the key holds something else
  Result<KeyEntry> FindTyped(std::string_view key, DataType type);
  // As Find() and FindTyped(), for a command that reads a string's bytes.  If they are in chunks
  // the key's stripe is locked, because they cannot be read at one moment otherwise. REQUIRES: the
  // command has written nothing; its keys are locked if there are several
  Result<KeyEntry> FindToRead(std::string_view key);
  Result<KeyEntry> FindString(std::string_view key);
  // As Find(), for a command that may create the key.  kTooLarge: longer than kMaxKeySize
  Result<KeyEntry> FindForWrite(std::string_view key);

  // Returns the bytes of the key's engine records: metadata with key and value, and index entry.  A
  // string in chunks counts with its length.
  uint64_t StoredBytes(const KeyEntry& entry) const;

  // REQUIRES, for the changes: the key's stripe is locked, and `entry` is what this command found.

  // Sets a string, whatever was there.  `value` may point into `entry->record`.
  // REQUIRES: the key is at most kMaxKeySize long
  void PutString(KeyEntry* entry, std::string_view value, uint64_t expire_at_ms);
  // Sets the metadata of a string whose chunks are the elements of `version`, whatever was there.
  // The time of expiry stays if the key exists.
  // REQUIRES: the key is at most kMaxKeySize long
  void PutChunkedString(KeyEntry* entry, uint64_t version, uint64_t size);
  // Sets a collection's metadata, whatever was there: type, encoding, version, count and rest.  The
  // time of expiry stays if the key exists.  `metadata.rest` may point into `entry->record`.
  // REQUIRES: the key is at most kMaxKeySize long
  void PutCollection(KeyEntry* entry, Metadata metadata, Notice notice = Notice::kAll);
  // Returns a version for new elements in the entry's slot.
  uint64_t NewVersion(const KeyEntry& entry) { return txn_->NewVersion(entry.slot); }
  // Deletes the record, live or expired, if there is one.
  void Delete(KeyEntry* entry);
  // Gives what `source` holds, its time of expiry included, to `target`, whatever was there.
  // Elements are copied, but for a rename within a slot. REQUIRES: source->exists(); the keys
  // differ, and target's is at most kMaxKeySize long
  Status Rename(KeyEntry* source, KeyEntry* target);
  Status Copy(const KeyEntry& source, KeyEntry* target);
  // Sets or, with kNoExpiry, removes the time of expiry and leaves all else as it is.
  // REQUIRES: entry->exists(), with its record
  void SetExpiry(KeyEntry* entry, uint64_t expire_at_ms);

 private:
  // Replaces the record of `entry` and everything derived from it.
  void PutRecord(KeyEntry* entry, const Metadata& metadata, Notice notice = Notice::kAll);
  Status CopyElements(const KeyEntry& source, const KeyEntry& target, uint64_t version);
  // Leaves the elements of the entry's version to the sweeper, if there are any.
  void DropElements(const KeyEntry& entry, uint64_t version);
  void MoveExpiry(const KeyEntry& entry, uint64_t expire_at_ms);
  uint32_t GenerationOf(const KeyEntry& entry) const {
    return txn_->store()->slots().generation(entry.slot);
  }
  void ForgetExpired(KeyEntry* entry);

  Txn* const txn_;
  std::vector<std::string>* const expired_keys_;
};

// Deletes `key` in the turn of `txn` if it is expired, after locking it and looking again.  Returns
// whether it did.  REQUIRES: txn->Begin() was called for this command
Result<bool> DeleteIfExpired(Txn* txn, std::string_view key);

// Walks the records of one slot's live generation in the order of the keys, live and expired ones
// alike.  Sees what is committed when it is opened.
class SlotKeys {
 public:
  static Result<SlotKeys> Open(Store* store, uint16_t slot, int64_t now_ms);

  void SeekToFirst();
  // Moves to the first key at or after `user_key`.
  void Seek(std::string_view user_key);
  void SeekAfter(std::string_view user_key);
  // Sets the first and the last user key, roughly; false if there is none.  Seek afterwards.
  bool FindBounds(std::string* first, std::string* last);
  // REQUIRES: Valid()
  void Next();

  bool Valid() const { return valid_; }
  // Not OK if the walk has stopped before the end, or has skipped a block that cannot be read: ask
  // before what it showed is believed.
  Status status() const { return status_.ok() ? it_->status() : status_; }
  // REQUIRES, for the following: Valid().  The view lives until the next move.
  std::string_view user_key() const { return it_->key().substr(kKeyPrefixSize); }
  DataType type() const { return type_; }
  bool expired() const { return expired_; }
  size_t record_size() const { return it_->key().size() + it_->value().size(); }

 private:
  SlotKeys(std::unique_ptr<MergedIterator> it, std::string prefix, int64_t now_ms)
      : it_(std::move(it)), prefix_(std::move(prefix)), now_ms_(now_ms) {}
  // Decodes the record that the iterator stands on.
  void Load();

  std::unique_ptr<MergedIterator> it_;
  std::string prefix_;
  int64_t now_ms_;
  bool valid_ = false;
  DataType type_ = DataType::kString;
  bool expired_ = false;
  Status status_;
};

}  // namespace kvs
