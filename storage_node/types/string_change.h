// StringChange: one command's changes to parts of a string.
//
// Bytes are read and overwritten in memory, and Save() writes what was touched: the record of a
// short string, or the chunks of a long one that have changed.  A string that is in its record and
// is long, or gets long by this, is put into chunks at that moment; SET and the like, which write
// all of it, keep it in its record.
//
//   KVS_ASSIGN_OR_RETURN(StringChange change, StringChange::Open(&keyspace, key));
//   KVS_RETURN_IF_ERROR(change.Write(offset, bytes));
//   change.Save();
//
// Threads: one thread, for the duration of one command.
// Owner:   the command's handler; the Keyspace must outlive it.
// Format:  doc/formats/keys.md

#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "common/base/status.h"
#include "storage_node/types/keyspace.h"

namespace kvs {

// A string up to this length stays in its record, whatever changes it.
inline constexpr size_t kMaxInlineString = size_t{64} << 10;

class StringChange {
 public:
  // Opens what the key holds; nothing counts as the empty string.
  //   as Keyspace::FindForWrite(); kWrongType: the key holds something else
  // REQUIRES: the key's stripe is locked
  static Result<StringChange> Open(Keyspace* keyspace, std::string_view key);

  bool exists() const { return entry_.exists(); }
  // As it is now.
  uint64_t size() const { return size_; }
  // Whether something is different from what is stored.
  bool changed() const { return changed_ || !exists() || size_ != stored_size_; }

  // Returns the bytes as they are now, zeros behind the end.
  //   kCorruption: a chunk that cannot be one; as Keyspace::Find()
  Result<std::string> Read(uint64_t first, size_t count);
  // Overwrites bytes, and makes the string longer if they reach beyond its end.  Errors as Read()
  Status Write(uint64_t first, std::string_view bytes);
  // Makes the string that long if it is shorter.
  void Grow(uint64_t size);

  // Writes the string, changed or not.  The command does not fail any more.
  void Save();

 private:
  struct Chunk {
    std::string bytes;  // Zeros behind it.
    bool is_dirty = false;
  };

  StringChange(Keyspace* keyspace, KeyEntry entry);
  std::string_view InlineValue() const {
    return exists() && !entry_.is_chunked() ? entry_.value() : std::string_view();
  }
  // Returns the chunk with what is stored of it.
  Result<Chunk*> Load(uint32_t index);
  void SaveInline();
  void PutChunk(const KeyEntry& owner, uint32_t index, std::string_view bytes);

  Keyspace* keyspace_;
  KeyEntry entry_;
  uint64_t stored_size_ = 0;
  uint64_t size_ = 0;
  bool changed_ = false;
  std::map<uint32_t, Chunk> chunks_;  // Those that were read or written.
};

}  // namespace kvs
