#include "storage_node/types/stream.h"

#include "common/base/check.h"

namespace kvs {
namespace {

// What goes at once when a stream is trimmed roughly: the entries of a node of Redis.
constexpr uint64_t kRoughStep = 100;

}  // namespace

Result<Stream> Stream::Make(Result<Collection> elements) {
  KVS_RETURN_IF_ERROR(elements.status());
  Stream stream(*std::move(elements));
  if (stream.exists()) {
    KVS_ASSIGN_OR_RETURN(stream.header_, DecodeStreamHeader(stream.elements_.header()));
    stream.count_ = stream.elements_.count();
  }
  return stream;
}

Result<Stream> Stream::OpenForRead(Keyspace* keyspace, std::string_view key) {
  return Make(Collection::OpenForRead(keyspace, key, kStreamShape));
}

Result<Stream> Stream::OpenForWrite(Keyspace* keyspace, std::string_view key,
                                    const TypeLimits& limits) {
  return Make(Collection::OpenForWrite(keyspace, key, kStreamShape, limits.packed_size));
}

Status Stream::CheckName(std::string_view name) {
  return name.size() == kStreamNameSize ? Status::Ok()
                                        : Status::Corruption("an element of a stream has no id");
}

Result<StreamId> Stream::LastEntry() const {
  StreamId last;
  KVS_RETURN_IF_ERROR(ForEach({}, /*backward=*/true, [&last](StreamId id, std::string_view) {
    last = id;
    return false;
  }));
  return last;
}

Result<bool> Stream::FindEntry(StreamId id, std::string* value) const {
  if (id < header_.first_id || id > header_.last_id || elements_.count() == 0) {
    return false;
  }
  return elements_.Get(StreamEntryName(id), value);
}

bool Stream::MayHaveGaps(StreamId first) const {
  const StreamId deleted = header_.max_deleted_id;
  return count_ > 0 && deleted != StreamId() && header_.first_id <= deleted && first <= deleted;
}

int64_t Stream::EntriesUpTo(StreamId id) const {
  const auto added = static_cast<int64_t>(header_.entries_added);
  if (added == 0 || (count_ == 0 && id <= header_.last_id) || id == header_.last_id) {
    return added;
  }
  const bool has_gaps =
      header_.max_deleted_id != StreamId() && header_.max_deleted_id >= header_.first_id;
  if (id > header_.last_id || id > header_.first_id || has_gaps) {
    return kUnknownEntriesRead;
  }
  const auto before = static_cast<int64_t>(header_.entries_added - count_);
  return id == header_.first_id ? before + 1 : before;
}

void Stream::Fill(const StreamHeader& header,
                  const std::vector<std::pair<StreamId, std::string>>& entries) {
  KVS_CHECK(!exists() && !header.has_groups);
  header_ = header;
  header_.first_id = entries.empty() ? StreamId() : entries.front().first;
  count_ = entries.size();
  for (const auto& [id, value] : entries) {
    elements_.Put(StreamEntryName(id), value);
  }
}

void Stream::Append(StreamId id, std::string value) {
  header_.first_id = count_ == 0 ? id : header_.first_id;
  header_.last_id = id;
  ++header_.entries_added;
  ++count_;
  added_.emplace(id, std::move(value));
}

Result<uint64_t> Stream::Trim(const StreamTrim& trim) {
  uint64_t most = trim.limit > 0 ? trim.limit : UINT64_MAX;
  if (trim.max_count.has_value()) {
    most = std::min(most, count_ > *trim.max_count ? count_ - *trim.max_count : 0);
  }
  if (most == 0) {
    return uint64_t{0};
  }
  const auto goes = [&trim](StreamId id) { return !trim.min_id.has_value() || id < *trim.min_id; };
  std::vector<StreamId> removed;
  KVS_RETURN_IF_ERROR(ForEach({}, /*backward=*/false, [&](StreamId id, std::string_view) {
    if (removed.size() == most || !goes(id)) {
      return false;
    }
    removed.push_back(id);
    return true;
  }));
  if (added_.has_value() && removed.size() == elements_.count() && removed.size() < most &&
      goes(added_->first)) {
    removed.push_back(added_->first);
  }
  if (trim.roughly && removed.size() != count_) {
    removed.resize(removed.size() / kRoughStep * kRoughStep);
  }
  if (!removed.empty()) {
    KVS_RETURN_IF_ERROR(FindFirst(removed));
  }
  return uint64_t{removed_.size()};
}

Result<uint64_t> Stream::Delete(std::span<const StreamId> ids) {
  std::vector<StreamId> removed(ids.begin(), ids.end());
  std::sort(removed.begin(), removed.end());
  removed.erase(std::unique(removed.begin(), removed.end()), removed.end());
  Status failed;
  std::erase_if(removed, [&](StreamId id) {
    const Result<bool> found = elements_.Contains(StreamEntryName(id));
    failed = found.ok() ? failed : found.status();
    return !found.ok() || !*found;
  });
  KVS_RETURN_IF_ERROR(failed);
  if (!removed.empty()) {
    header_.max_deleted_id = std::max(header_.max_deleted_id, removed.back());
    KVS_RETURN_IF_ERROR(FindFirst(removed));
  }
  return uint64_t{removed_.size()};
}

Status Stream::FindFirst(const std::vector<StreamId>& removed) {
  StreamId first;
  if (removed.size() < count_) {
    bool found = false;
    KVS_RETURN_IF_ERROR(ForEach({}, /*backward=*/false, [&](StreamId id, std::string_view) {
      found = !std::binary_search(removed.begin(), removed.end(), id);
      first = id;
      return !found;
    }));
    if (!found && !added_.has_value()) {
      return Status::Corruption("a stream has fewer entries than it counts");
    }
    first = found ? first : added_->first;
  }
  header_.first_id = first;
  count_ -= removed.size();
  removed_ = removed;
  return Status::Ok();
}

void Stream::Save(Notice notice) {
  if (added_.has_value()) {
    elements_.Put(StreamEntryName(added_->first), added_->second);
  }
  for (const StreamId id : removed_) {
    elements_.Remove(StreamEntryName(id));
  }
  elements_.AddToCount(static_cast<int64_t>(count_ - elements_.count()));
  elements_.set_header(EncodeStreamHeader(header_));
  if (notice == Notice::kAll) {
    elements_.Save(Collection::IfEmpty::kKeep);
  } else {
    elements_.SaveElements(notice);
  }
}

}  // namespace kvs
