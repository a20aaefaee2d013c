#include "common/rdb/stream_nodes.h"

#include <cstdint>
#include <utility>

#include "common/base/strings.h"

namespace kvs {
namespace {

constexpr uint64_t kDeleted = 1;
constexpr uint64_t kSameFields = 2;

// As Redis's stream-node-max-entries and stream-node-max-bytes.
constexpr size_t kMaxNodeEntries = 100;
constexpr size_t kMaxNodeBytes = 4096;

Status Malformed() {
  return Status::InvalidArgument("a node of a stream is malformed");
}

// Takes elements one after the other.  A read that fails makes all that follow fail.
class ElementReader {
 public:
  explicit ElementReader(const std::vector<std::string>& elements) : elements_(elements) {}

  bool ok() const { return ok_; }
  size_t left() const { return elements_.size() - next_; }
  size_t place() const { return next_; }
  const std::string& Text() {
    static const std::string nothing;
    ok_ = ok_ && next_ < elements_.size();
    return ok_ ? elements_[next_++] : nothing;
  }
  int64_t Integer() {
    int64_t value = 0;
    ok_ = ParseInt64(Text(), &value) && ok_;
    return ok_ ? value : 0;
  }
  // Returns a count of things that each take one element at least.
  size_t Count() {
    const int64_t count = Integer();
    ok_ = ok_ && count >= 0 && static_cast<uint64_t>(count) <= left();
    return ok_ ? static_cast<size_t>(count) : 0;
  }

 private:
  const std::vector<std::string>& elements_;
  size_t next_ = 0;
  bool ok_ = true;
};

class NodeReader {
 public:
  NodeReader(RdbStreamId id, const std::vector<std::string>& elements, size_t* room,
             std::vector<RdbStreamEntry>* entries)
      : id_(id), in_(elements), room_(room), entries_(entries) {}

  Status Read() {
    const size_t live = in_.Count();
    const size_t deleted = in_.Count();
    const size_t field_count = in_.Count();
    for (size_t i = 0; i < field_count; ++i) {
      fields_.push_back(in_.Text());
      fields_size_ += fields_.back().size() + sizeof(std::string);
    }
    if (in_.Integer() != 0) {
      return Malformed();
    }
    size_t found = 0;
    for (size_t i = 0; i < live + deleted && in_.ok(); ++i) {
      KVS_ASSIGN_OR_RETURN(const bool is_live, ReadEntry());
      found += is_live ? 1 : 0;
    }
    return in_.ok() && in_.left() == 0 && found == live ? Status::Ok() : Malformed();
  }

 private:
  // Returns whether it has not been deleted.
  Result<bool> ReadEntry() {
    const size_t begin = in_.place();
    const auto flags = static_cast<uint64_t>(in_.Integer());
    RdbStreamEntry entry;
    entry.id.ms = id_.ms + static_cast<uint64_t>(in_.Integer());
    entry.id.seq = id_.seq + static_cast<uint64_t>(in_.Integer());
    const bool has_own = (flags & kSameFields) == 0;
    const size_t count = has_own ? in_.Count() : fields_.size();
    if (!has_own && fields_size_ > *room_) {
      return Status::TooLarge("the fields of a stream take too much");
    }
    *room_ -= has_own ? 0 : fields_size_;
    for (size_t i = 0; i < count && in_.ok(); ++i) {
      entry.words.push_back(has_own ? in_.Text() : fields_[i]);
      entry.words.push_back(in_.Text());
    }
    const size_t size = in_.place() - begin;
    const int64_t told = in_.Integer();
    if (!in_.ok() || flags > (kDeleted | kSameFields) || told != static_cast<int64_t>(size) ||
        count == 0) {
      return Malformed();
    }
    if ((flags & kDeleted) != 0) {
      return false;
    }
    entries_->push_back(std::move(entry));
    return true;
  }

  const RdbStreamId id_;
  ElementReader in_;
  size_t* const room_;
  std::vector<RdbStreamEntry>* const entries_;
  std::vector<std::string> fields_;
  size_t fields_size_ = 0;
};

}  // namespace

Status ReadStreamNode(RdbStreamId node_id, const std::vector<std::string>& elements, size_t* room,
                      std::vector<RdbStreamEntry>* entries) {
  return NodeReader(node_id, elements, room, entries).Read();
}

void StreamNodeWriter::Begin(const RdbStreamEntry& entry) {
  id_ = entry.id;
  fields_.clear();
  for (size_t i = 0; i < entry.words.size(); i += 2) {
    fields_.push_back(entry.words[i]);
  }
}

void StreamNodeWriter::Add(const RdbStreamEntry& entry) {
  if (count_ == kMaxNodeEntries || entries_.size() > kMaxNodeBytes) {
    End();
  }
  if (count_ == 0) {
    Begin(entry);
  }
  const size_t field_count = entry.words.size() / 2;
  bool same = field_count == fields_.size();
  for (size_t i = 0; same && i < field_count; ++i) {
    same = entry.words[2 * i] == fields_[i];
  }
  entries_.Integer(same ? static_cast<int64_t>(kSameFields) : 0);
  entries_.Integer(static_cast<int64_t>(entry.id.ms - id_.ms));
  entries_.Integer(static_cast<int64_t>(entry.id.seq - id_.seq));
  if (!same) {
    entries_.Integer(static_cast<int64_t>(field_count));
  }
  for (size_t i = same ? 1 : 0; i < entry.words.size(); i += same ? 2 : 1) {
    entries_.Text(entry.words[i]);
  }
  entries_.Integer(static_cast<int64_t>(3 + field_count + (same ? 0 : 1 + field_count)));
  ++count_;
}

void StreamNodeWriter::End() {
  if (count_ == 0) {
    return;
  }
  ListpackWriter head;
  head.Integer(static_cast<int64_t>(count_));
  head.Integer(0);
  head.Integer(static_cast<int64_t>(fields_.size()));
  for (const std::string& field : fields_) {
    head.Text(field);
  }
  head.Integer(0);
  head.Append(std::exchange(entries_, {}));
  nodes_.push_back({id_, head.Take()});
  count_ = 0;
}

std::vector<StreamNodeWriter::Node> StreamNodeWriter::Take() {
  End();
  return std::exchange(nodes_, {});
}

}  // namespace kvs
