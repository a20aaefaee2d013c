// StringReader: the bytes of a string, whether they are in its record or in chunks.
//
// Whoever needs a part of a string asks for that part, and of a string in chunks no others are
// read. Chunks that are not there are zeros, which nobody has to look at: see ForEachPart().
//
// Threads: one thread, for the duration of one command.
// Owner:   the command's handler; the Keyspace and the entry must outlive it, and the entry stays
// as
//          it was found.
// Format:  doc/formats/keys.md

#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "common/base/status.h"
#include "storage_node/types/keyspace.h"

namespace kvs {

class StringReader {
 public:
  // Takes bytes and where in the string they stand.  False: enough.
  using Visit = std::function<bool(uint64_t offset, std::string_view bytes)>;

  // A missing key counts as the empty string.
  // REQUIRES: the key holds nothing or a string, and is locked if that is in chunks (FindToRead)
  StringReader(const Keyspace* keyspace, const KeyEntry* entry)
      : txn_(keyspace->txn()), entry_(entry) {}

  uint64_t size() const { return entry_->exists() ? entry_->string_size() : 0; }

  // All of these: kCorruption: a chunk that cannot be one; as Keyspace::Find()

  // Visits, in their order, what is stored of the `count` bytes from `first` on; all that is not
  // visited is zeros.
  Status ForEachPart(uint64_t first, uint64_t count, const Visit& visit) const;
  // Appends those of the `count` bytes that are within the string.
  Status Append(uint64_t first, uint64_t count, std::string* out) const;
  // Returns them; they point into the entry, or into `*scratch` if they had to be put together.
  Result<std::string_view> Part(uint64_t first, uint64_t count, std::string* scratch) const;
  Result<std::string_view> Whole(std::string* scratch) const { return Part(0, size(), scratch); }

 private:
  // The part of the string that is wanted: [first, end), within it and not empty.
  struct Range {
    uint64_t first;
    uint64_t end;
  };
  Status WalkChunks(const Range& range, const Visit& visit) const;
  // Sets `*goes_on` to what the visit returns, if the chunk has something of the range.
  static Status Show(const Range& range, uint32_t index, std::string_view bytes, const Visit& visit,
                     bool* goes_on);

  const Txn* const txn_;
  const KeyEntry* const entry_;
};

// Returns the key of a chunk.  REQUIRES: entry.is_chunked()
std::string StringChunkKey(const Txn& txn, const KeyEntry& entry, uint32_t index);

// Returns how Redis would hold a string that was set to this, in the words of OBJECT ENCODING:
// "int" for an integer, "embstr" up to 44 bytes, else "raw".  REQUIRES: it exists, and is a string
std::string_view StringEncoding(const KeyEntry& entry);

}  // namespace kvs
