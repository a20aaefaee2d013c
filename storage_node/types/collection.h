// Collection: the elements of one key as a map from bytes to bytes, of any size.
//
// What hashes, lists, sets, sorted sets and streams are made of.  A small collection is packed into
// its metadata record; one that outgrows the packed size gets a record for each element, so nothing
// is ever read or rewritten as a whole for one element.  The types need not know which it is.
//
//   KVS_ASSIGN_OR_RETURN(Collection hash, Collection::OpenForWrite(&keyspace, key, kHashShape));
//   hash.Put(field, value);
//   hash.AddToCount(1);
//   hash.Save();
//
// The number of elements is the type's business: a member may be more than one element.
//
// Threads: one thread, for the duration of one command.
// Owner:   the command's handler; the Txn must outlive it, and if it is changed the Keyspace too.
// Format:  doc/formats/keys.md

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "storage_node/commit/txn_iterator.h"
#include "storage_node/types/keyspace.h"

namespace kvs {

enum class ElementOrder : uint8_t {
  kBytes,  // By their names.
  // Packed: as they came, like a small hash in Redis.  Else by a hash of their names, so that any
  // part of the order is a fair sample, and a position in it outlives every change.
  kNone,
};

// What a type's collections have in common.
struct CollectionShape {
  DataType type;
  ElementOrder order;
  size_t header_size = 0;  // Of the type's own bytes.
  size_t tail_size = 0;    // Of what may follow them while there are records.
};

// Positions in the order kNone have 48 bits.
inline constexpr uint64_t kMaxElementPosition = (uint64_t{1} << 48) - 1;

// The default of `packed-collection-size`.
inline constexpr size_t kPackedCollectionSize = 1024;

class Collection;

// Walks the elements of a collection, in the direction that it was made for.  Nothing is written to
// the collection meanwhile.
class ElementWalk {
 public:
  bool Valid() const { return valid_; }
  // Not OK if the walk has stopped before the end.
  Status status() const { return records_.has_value() ? records_->status() : Status::Ok(); }
  // REQUIRES: Valid()
  void Next();
  // Go on from the first element of the walk's range at or after `name`, or from the last one
  // before it.  The name is no view of this walk's.
  // REQUIRES: the order kBytes, not packed; a walk that goes forward, or backward
  void Seek(std::string_view name);
  void SeekBefore(std::string_view name);
  // REQUIRES, for these: Valid().  They live until the next move.
  std::string_view name() const { return name_; }
  std::string_view value() const { return value_; }
  // Where the element stands in the order kNone or of WalkHashed(): 48 bits.  0 for all of a packed
  // collection.
  uint64_t position() const { return position_; }

 private:
  friend class Collection;
  ElementWalk() = default;
  void Load();
  void LoadPacked();

  std::string_view packed_;  // What is left behind the element.
  std::string_view lower_;   // Packed in the order kBytes: where the range begins,
  std::string_view upper_;   // and, unless it is empty, ends.
  // Packed, and backward: all of the range that are left.
  std::vector<std::pair<std::string_view, std::string_view>> left_;
  std::optional<TxnIterator> records_;
  std::string prefix_;  // Of the records' keys.
  bool hashed_ = false;
  bool backward_ = false;
  bool valid_ = false;
  std::string_view name_;
  std::string_view value_;
  uint64_t position_ = 0;
};

class Collection {
 public:
  // Opens what is stored under `key`, which may be nothing.  If it has records for its elements the
  // key's stripe is locked, because they cannot be read at one moment otherwise.
  //   as Keyspace::Find(); kWrongType: the key holds something else
  // REQUIRES: the command has written nothing; its keys are locked if there are several
  static Result<Collection> OpenForRead(Keyspace* keyspace, std::string_view key,
                                        const CollectionShape& shape);
  // As OpenForRead(), for a command that may change or create it.  kTooLarge: see Keyspace
  // REQUIRES: the key's stripe is locked
  static Result<Collection> OpenForWrite(Keyspace* keyspace, std::string_view key,
                                         const CollectionShape& shape,
                                         size_t packed_size = kPackedCollectionSize);

  // As OpenForWrite(), but whatever is stored counts as nothing, and Save() replaces it, its time
  // of expiry included.
  static Result<Collection> OpenToReplace(Keyspace* keyspace, std::string_view key,
                                          const CollectionShape& shape,
                                          size_t packed_size = kPackedCollectionSize);

  bool exists() const { return entry_.exists(); }
  const KeyEntry& entry() const { return entry_; }
  // As the type has counted them.
  uint64_t count() const { return count_; }
  bool empty() const { return count_ == 0; }
  // Metadata::encoding
  uint8_t encoding() const { return encoding_; }
  // The type's own bytes: header_size of them, zeros at first, and the tail.
  std::string_view header() const { return header_; }
  bool is_packed() const { return version_ == 0; }

  // Returns whether the element is there, and sets `*value` to what it holds.
  Result<bool> Get(std::string_view name, std::string* value) const;
  Result<bool> Contains(std::string_view name) const;

  // Walks all elements.
  Result<ElementWalk> Walk() const;
  // Walks all elements behind the first `skip` ones.
  Result<ElementWalk> WalkBehind(uint64_t skip) const;
  // Walks those from `lower` on and, unless `upper` is empty, before it, behind the first `skip`
  // ones.  Both bounds outlive the walk.
  // REQUIRES: the order kBytes
  Result<ElementWalk> WalkRange(std::string_view lower, std::string_view upper,
                                uint64_t skip = 0) const;
  // Returns how many WalkRange() shows.
  Result<uint64_t> CountRange(std::string_view lower, std::string_view upper) const;
  // As WalkRange(), from the last one to the first.
  Result<ElementWalk> WalkRangeBackward(std::string_view lower, std::string_view upper) const;
  // Walks those at `position` and behind it.
  // REQUIRES: the order kNone; position <= kMaxElementPosition, unless it is packed
  Result<ElementWalk> WalkFrom(uint64_t position) const;

  // Walks those whose names are `tag`, ElementHash() and a name, at `position` of the hashes and
  // behind it, but for the first `skip` ones; shows the names alone.
  // REQUIRES: the order kBytes, not packed; position <= kMaxElementPosition
  Result<ElementWalk> WalkHashed(char tag, uint64_t position, uint64_t skip = 0) const;

  // REQUIRES, for these: OpenForWrite().  The command does not fail any more, and calls Save()
  // behind the last change.

  // Adds the element or replaces its value.
  void Put(std::string_view name, std::string_view value);
  // Removes the element if it is there.
  void Remove(std::string_view name);
  // Removes all elements and counts none; header and encoding stay.
  void Clear();
  void AddToCount(int64_t difference) { count_ += static_cast<uint64_t>(difference); }
  void set_encoding(uint8_t encoding) { encoding_ = encoding; }
  // REQUIRES: header.size() is the shape's header_size; more only if !is_packed()
  void set_header(std::string_view header) { header_.assign(header); }
  enum class IfEmpty : uint8_t { kDelete, kKeep };
  // Writes the metadata record, or deletes the key if it counts no element.
  void Save(IfEmpty if_empty = IfEmpty::kDelete);
  // As Save(kKeep), but tells `notice` of it alone, and writes no metadata record if the same is
  // stored already.
  void SaveElements(Notice notice);

 private:
  // Where an element stands in packed bytes.
  struct Place {
    size_t begin = 0;  // Where it is or would be inserted.
    size_t end = 0;    // Equal to begin if it is not there.
    std::string_view value = {};
  };

  Collection(Keyspace* keyspace, KeyEntry entry, const CollectionShape& shape, size_t packed_size);

  static Result<Collection> Open(Keyspace* keyspace, Result<KeyEntry> found,
                                 const CollectionShape& shape, size_t packed_size);
  uint32_t generation() const { return txn_->store()->slots().generation(entry_.slot); }
  // Returns what follows the element prefix in an engine key.
  std::string RecordName(std::string_view name) const;
  std::string RecordKey(std::string_view name) const;
  enum class Direction : uint8_t { kForward, kBackward };
  struct Extent {
    uint64_t skip = 0;
    uint64_t expected = 16;  // Perhaps so many are wanted.
  };
  Result<ElementWalk> WalkRecords(std::string_view from, std::string_view to, Direction direction,
                                  Extent extent) const;
  // Goes to where the new walk begins.
  Status Start(const std::string& lower, const std::string& upper, Extent extent,
               ElementWalk* walk) const;
  Result<ElementWalk> WalkPacked(std::string_view lower, std::string_view upper,
                                 Direction direction, uint64_t skip = 0) const;
  Place FindPacked(std::string_view name) const;
  void PutMetadata(Notice notice = Notice::kAll);
  // Gives each element a record.
  void Unpack();

  Keyspace* keyspace_;
  Txn* txn_;
  KeyEntry entry_;
  CollectionShape shape_;
  size_t packed_size_;
  bool replaces_ = false;
  uint64_t version_ = 0;
  uint64_t count_ = 0;
  uint8_t encoding_ = 0;
  std::string header_;
  std::string packed_;  // All elements, while version_ is 0.
};

}  // namespace kvs
