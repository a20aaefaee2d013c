// Stream: entries in the order of their ids, which only grow.
//
// What groups of consumers know of it is the business of StreamGroup (stream_group.h).
//
// It knows how the elements of a Collection make a stream (storage_node/keys/stream_codec.h).  The
// header has the id of the first entry, so that no walk begins among those that were trimmed.
//
// Threads: one thread, for the duration of one command.
// Owner:   the command's handler; the Keyspace must outlive it.
// Format:  doc/formats/keys.md

#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "storage_node/keys/stream_codec.h"
#include "storage_node/keys/stream_group_codec.h"
#include "storage_node/types/collection.h"
#include "storage_node/types/type_limits.h"

namespace kvs {

inline constexpr CollectionShape kStreamShape = {
    .type = DataType::kStream, .order = ElementOrder::kBytes, .header_size = kStreamHeaderSize};

// Ids from `first` to `last`, both included.
struct StreamRange {
  StreamId first = {};
  StreamId last = kMaxStreamId;
  bool empty() const { return last < first; }
};

// How a stream is to be made shorter.
struct StreamTrim {
  std::optional<uint64_t> max_count;  // Entries that may stay,
  std::optional<StreamId> min_id;     // ...or the first one that may.
  bool roughly = false;               // Only whole hundreds go, as whole nodes do in Redis.
  uint64_t limit = 0;                 // At most so many go; 0: any number.
};

class Stream {
 public:
  // As Collection::OpenForRead() and OpenForWrite().
  static Result<Stream> OpenForRead(Keyspace* keyspace, std::string_view key);
  static Result<Stream> OpenForWrite(Keyspace* keyspace, std::string_view key,
                                     const TypeLimits& limits);

  bool exists() const { return elements_.exists(); }
  // With the changes that are not saved yet.
  uint64_t count() const { return count_; }
  const StreamHeader& header() const { return header_; }

  // Calls `visit(id, value)` for each entry of the range, in one direction or the other, until it
  // returns false.  REQUIRES: nothing is changed yet
  template <typename Visit>
  Status ForEach(StreamRange range, bool backward, Visit visit) const {
    range.first = std::max(range.first, header_.first_id);
    range.last = std::min(range.last, header_.last_id);
    if (range.empty() || elements_.count() == 0) {
      return Status::Ok();
    }
    const std::string lower = StreamEntryName(range.first);
    const std::string upper = StreamEntryName(range.last) + '\0';
    KVS_ASSIGN_OR_RETURN(ElementWalk walk, backward ? elements_.WalkRangeBackward(lower, upper)
                                                    : elements_.WalkRange(lower, upper));
    for (; walk.Valid(); walk.Next()) {
      KVS_RETURN_IF_ERROR(CheckName(walk.name()));
      if (!visit(StreamIdOfName(walk.name()), walk.value())) {
        return Status::Ok();
      }
    }
    return walk.status();
  }
  // Returns the id of the last entry; 0-0 if there is none.
  Result<StreamId> LastEntry() const;
  // Returns whether there is an entry of that id, and sets `*value` to it.
  Result<bool> FindEntry(StreamId id, std::string* value) const;
  // Whether an entry from `first` on may have been deleted.  As Redis judges it.
  bool MayHaveGaps(StreamId first) const;
  // Returns how many entries have ever been added up to that id, as far as the header tells;
  // otherwise kUnknownEntriesRead.
  int64_t EntriesUpTo(StreamId id) const;

  // REQUIRES, for the changes: OpenForWrite(); Save() behind the last one

  // Makes a stream of these entries, whose ids grow.  `header` tells all but the first id.
  // REQUIRES: !exists()
  void Fill(const StreamHeader& header,
            const std::vector<std::pair<StreamId, std::string>>& entries);
  // REQUIRES: id > header().last_id
  void Append(StreamId id, std::string value);
  // Returns how many entries go.  May follow one Append().
  Result<uint64_t> Trim(const StreamTrim& trim);
  // Returns how many of them were there.
  Result<uint64_t> Delete(std::span<const StreamId> ids);
  void SetLastId(StreamId id) { header_.last_id = id; }
  void SetEntriesAdded(uint64_t added) { header_.entries_added = added; }
  void SetMaxDeletedId(StreamId id) { header_.max_deleted_id = id; }
  // A stream without entries stays.
  void Save(Notice notice = Notice::kAll);

 private:
  friend class StreamGroup;  // Its elements are among this one's.
  friend class StreamGroups;

  explicit Stream(Collection elements) : elements_(std::move(elements)) {}
  static Result<Stream> Make(Result<Collection> elements);
  static Status CheckName(std::string_view name);
  // Finds the first entry again that is not removed; `removed` is sorted.
  Status FindFirst(const std::vector<StreamId>& removed);

  Collection elements_;
  StreamHeader header_;
  uint64_t count_ = 0;
  std::vector<StreamId> removed_;
  std::optional<std::pair<StreamId, std::string>> added_;
};

}  // namespace kvs
