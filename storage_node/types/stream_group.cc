#include "storage_node/types/stream_group.h"

#include <algorithm>

#include "common/base/check.h"

namespace kvs {
namespace {

Status Damaged(const char* what) {
  return Status::Corruption(std::string("a group of a stream: ") + what);
}

Result<StreamGroupCount> ReadGroupCount(const Collection& elements, bool has_groups) {
  std::string value;
  KVS_ASSIGN_OR_RETURN(const bool found, elements.Get(StreamGroupCountName(), &value));
  if (found != has_groups) {
    return Damaged("the header and the count of groups disagree");
  }
  return found ? DecodeStreamGroupCount(value) : StreamGroupCount();
}

}  // namespace

Result<std::optional<StreamGroup>> StreamGroup::Find(Stream* stream, std::string_view name) {
  if (!stream->header().has_groups) {
    return std::optional<StreamGroup>();
  }
  std::string value;
  KVS_ASSIGN_OR_RETURN(const bool found, stream->elements_.Get(StreamGroupName(name), &value));
  if (!found) {
    return std::optional<StreamGroup>();
  }
  KVS_ASSIGN_OR_RETURN(const StreamGroupState state, DecodeStreamGroupState(value));
  return std::optional<StreamGroup>(StreamGroup(stream, name, state));
}

Result<StreamGroup> StreamGroup::Create(Stream* stream, std::string_view name, StreamId last_id,
                                        int64_t entries_read) {
  StreamGroupCount count;
  // A stream without groups has no count: RESTORE, which has written already, must not read.
  if (stream->exists() && stream->header().has_groups) {
    KVS_ASSIGN_OR_RETURN(count, ReadGroupCount(stream->elements_, true));
  }
  StreamGroup group(
      stream, name,
      {.number = count.next_number, .last_id = last_id, .entries_read = entries_read});
  ++count.count;
  ++count.next_number;
  group.group_count_ = count;
  group.state_changed_ = true;
  return group;
}

void StreamGroup::SetPlace(StreamId last_id, int64_t entries_read) {
  state_.last_id = last_id;
  state_.entries_read = entries_read;
  state_changed_ = true;
}

void StreamGroup::Advance(StreamId id) {
  int64_t read = state_.entries_read;
  if (read != kUnknownEntriesRead && !stream_->MayHaveGaps(id)) {
    read += read < INT64_MAX ? 1 : 0;
  } else if (stream_->header().entries_added > 0) {
    read = stream_->EntriesUpTo(id);
  }
  SetPlace(id, read);
}

std::optional<int64_t> StreamGroup::Lag() const {
  const uint64_t added = stream_->header().entries_added;
  if (added == 0) {
    return 0;
  }
  int64_t read = state_.entries_read;
  if (read == kUnknownEntriesRead || stream_->MayHaveGaps(state_.last_id)) {
    read = stream_->EntriesUpTo(state_.last_id);
    if (read == kUnknownEntriesRead) {
      return std::nullopt;
    }
  }
  return static_cast<int64_t>(added - static_cast<uint64_t>(read));
}

Result<uint64_t> StreamGroup::FindConsumer(std::string_view name) const {
  if (const auto added = new_names_.find(name); added != new_names_.end()) {
    return added->second;
  }
  if (group_count_.has_value()) {
    return kNoConsumer;  // A new group has none that is stored.
  }
  std::string value;
  KVS_ASSIGN_OR_RETURN(const bool found,
                       elements()->Get(StreamConsumerNameName(state_.number, name), &value));
  if (!found) {
    return kNoConsumer;
  }
  return DecodeStreamConsumerNumber(value);
}

uint64_t StreamGroup::AddConsumer(std::string_view name, int64_t now_ms) {
  const uint64_t number = state_.next_consumer++;
  ++state_.consumer_count;
  state_changed_ = true;
  consumers_[number] = {
      .data = {.seen_ms = now_ms, .name = std::string(name)}, .is_new = true, .changed = true};
  new_names_.emplace(name, number);
  return number;
}

Result<uint64_t> StreamGroup::SeeConsumer(std::string_view name, int64_t now_ms) {
  KVS_ASSIGN_OR_RETURN(const uint64_t number, FindConsumer(name));
  if (number == kNoConsumer) {
    return AddConsumer(name, now_ms);
  }
  KVS_ASSIGN_OR_RETURN(StagedConsumer* const consumer, StageConsumer(number));
  consumer->changed = consumer->changed || consumer->data.seen_ms != now_ms;
  consumer->data.seen_ms = now_ms;
  return number;
}

Result<StreamConsumer> StreamGroup::GetConsumer(uint64_t number) const {
  if (const auto staged = consumers_.find(number); staged != consumers_.end()) {
    return staged->second.data;
  }
  std::string value;
  KVS_ASSIGN_OR_RETURN(const bool found,
                       elements()->Get(StreamConsumerName(state_.number, number), &value));
  return found ? DecodeStreamConsumer(value) : Damaged("a consumer is missing");
}

Result<StreamGroup::StagedConsumer*> StreamGroup::StageConsumer(uint64_t number) {
  auto staged = consumers_.find(number);
  if (staged == consumers_.end()) {
    KVS_ASSIGN_OR_RETURN(StreamConsumer data, GetConsumer(number));
    staged = consumers_.emplace(number, StagedConsumer{.data = std::move(data)}).first;
  }
  return &staged->second;
}

Status StreamGroup::SetTimes(uint64_t number, int64_t seen_ms, int64_t active_ms) {
  KVS_ASSIGN_OR_RETURN(StagedConsumer* const consumer, StageConsumer(number));
  consumer->data.seen_ms = seen_ms;
  consumer->data.active_ms = active_ms;
  consumer->changed = true;
  return Status::Ok();
}

Status StreamGroup::SetActive(uint64_t number, int64_t now_ms) {
  KVS_ASSIGN_OR_RETURN(StagedConsumer* const consumer, StageConsumer(number));
  consumer->data.active_ms = now_ms;
  consumer->changed = true;
  return Status::Ok();
}

Result<uint64_t> StreamGroup::RemoveConsumer(uint64_t number) {
  std::vector<StreamId> ids;
  KVS_RETURN_IF_ERROR(
      ForEachPending({}, number, [&ids](StreamId id, const StreamPending&) -> Result<bool> {
        ids.push_back(id);
        return true;
      }));
  for (const StreamId id : ids) {
    KVS_RETURN_IF_ERROR(Change(id, std::nullopt));
  }
  KVS_ASSIGN_OR_RETURN(StagedConsumer* const consumer, StageConsumer(number));
  consumer->removed = true;
  new_names_.erase(consumer->data.name);
  --state_.consumer_count;
  state_changed_ = true;
  return uint64_t{ids.size()};
}

Result<std::vector<uint64_t>> StreamGroup::Consumers() const {
  std::vector<uint64_t> numbers;
  const std::string lower = StreamGroupPrefix(kStreamConsumerNameTag, state_.number);
  const std::string upper = PrefixEnd(lower);
  KVS_ASSIGN_OR_RETURN(ElementWalk walk, elements()->WalkRange(lower, upper));
  for (; walk.Valid(); walk.Next()) {
    KVS_ASSIGN_OR_RETURN(const uint64_t number, DecodeStreamConsumerNumber(walk.value()));
    numbers.push_back(number);
  }
  KVS_RETURN_IF_ERROR(walk.status());
  return numbers;
}

Result<std::optional<StreamPending>> StreamGroup::FindStored(StreamId id) const {
  std::string value;
  KVS_ASSIGN_OR_RETURN(const bool found,
                       elements()->Get(StreamPendingName(state_.number, id), &value));
  if (!found) {
    return std::optional<StreamPending>();
  }
  KVS_ASSIGN_OR_RETURN(const StreamPending pending, DecodeStreamPending(value));
  return std::optional<StreamPending>(pending);
}

Result<std::optional<StreamPending>> StreamGroup::FindPending(StreamId id) const {
  const auto staged = pending_.find(id);
  return staged != pending_.end() ? Result<std::optional<StreamPending>>(staged->second.now)
                                  : FindStored(id);
}

Result<StreamGroup::Staged*> StreamGroup::Stage(StreamId id) {
  auto staged = pending_.find(id);
  if (staged == pending_.end()) {
    std::optional<StreamPending> stored;
    if (!group_count_.has_value()) {
      KVS_ASSIGN_OR_RETURN(stored, FindStored(id));
    }
    staged = pending_.emplace(id, Staged{.stored = stored, .now = stored}).first;
  }
  return &staged->second;
}

Status StreamGroup::Change(StreamId id, const std::optional<StreamPending>& pending) {
  KVS_ASSIGN_OR_RETURN(Staged* const staged, Stage(id));
  const uint64_t before = staged->now.has_value() ? staged->now->consumer : kNoConsumer;
  const uint64_t after = pending.has_value() ? pending->consumer : kNoConsumer;
  if (before != after) {
    // Both are read before either is changed.
    StagedConsumer* loses = nullptr;
    StagedConsumer* gets = nullptr;
    if (before != kNoConsumer) {
      KVS_ASSIGN_OR_RETURN(loses, StageConsumer(before));
      if (loses->data.pending_count == 0 || state_.pending_count == 0) {
        return Damaged("it counts fewer pending entries than it has");
      }
    }
    if (after != kNoConsumer) {
      KVS_ASSIGN_OR_RETURN(gets, StageConsumer(after));
    }
    if (loses != nullptr) {
      --loses->data.pending_count;
      --state_.pending_count;
      loses->changed = true;
    }
    if (gets != nullptr) {
      ++gets->data.pending_count;
      ++state_.pending_count;
      gets->changed = true;
    }
    state_changed_ = true;
  }
  staged->now = pending;
  return Status::Ok();
}

Status StreamGroup::SetPending(StreamId id, const StreamPending& pending) {
  KVS_CHECK(pending.consumer != kNoConsumer);
  return Change(id, pending);
}

Result<bool> StreamGroup::RemovePending(StreamId id) {
  KVS_ASSIGN_OR_RETURN(const std::optional<StreamPending> pending, FindPending(id));
  if (pending.has_value()) {
    KVS_RETURN_IF_ERROR(Change(id, std::nullopt));
  }
  return pending.has_value();
}

// Two ordered sequences as one: what is stored, and what is staged, which hides what is stored
// under the same id.
Status StreamGroup::WalkPending(const StreamRange& range, uint64_t consumer,
                                Visitor visitor) const {
  if (range.empty()) {
    return Status::Ok();
  }
  const auto name = [&](StreamId id) {
    return consumer == kNoConsumer ? StreamPendingName(state_.number, id)
                                   : StreamConsumerPendingName(state_.number, consumer, id);
  };
  const std::string lower = name(range.first);
  const std::string upper = name(range.last) + '\0';
  KVS_ASSIGN_OR_RETURN(ElementWalk walk, elements()->WalkRange(lower, upper));
  auto staged = pending_.lower_bound(range.first);
  for (;;) {
    std::optional<StreamId> stored_id;
    if (walk.Valid()) {
      KVS_ASSIGN_OR_RETURN(const StreamGroupElement element, DecodeStreamGroupElement(walk.name()));
      stored_id = element.id;
    }
    const bool has_staged = staged != pending_.end() && staged->first <= range.last;
    if (!stored_id.has_value() && !has_staged) {
      return walk.status();
    }
    StreamId id;
    std::optional<StreamPending> pending;
    if (has_staged && (!stored_id.has_value() || staged->first <= *stored_id)) {
      id = staged->first;
      pending = staged->second.now;
    } else {
      id = *stored_id;
      if (consumer == kNoConsumer) {
        KVS_ASSIGN_OR_RETURN(pending, DecodeStreamPending(walk.value()));
      } else {
        KVS_ASSIGN_OR_RETURN(pending, FindStored(id));
        if (!pending.has_value() || pending->consumer != consumer) {
          return Damaged("a consumer has an entry pending that its group has not");
        }
      }
    }
    if (pending.has_value() && (consumer == kNoConsumer || pending->consumer == consumer)) {
      KVS_ASSIGN_OR_RETURN(const bool more, visitor.call(visitor.visit, id, *pending));
      if (!more) {
        return Status::Ok();
      }
    }
    staged = pending_.upper_bound(id);
    if (stored_id == id) {
      walk.Next();
    }
  }
}

Result<StreamId> StreamGroup::LastPending() const {
  const std::string lower = StreamGroupPrefix(kStreamPendingTag, state_.number);
  const std::string upper = PrefixEnd(lower);
  KVS_ASSIGN_OR_RETURN(const ElementWalk walk, elements()->WalkRangeBackward(lower, upper));
  KVS_RETURN_IF_ERROR(walk.status());
  if (!walk.Valid()) {
    return StreamId();
  }
  KVS_ASSIGN_OR_RETURN(const StreamGroupElement element, DecodeStreamGroupElement(walk.name()));
  return element.id;
}

void StreamGroup::SavePending(StreamId id, const Staged& staged) {
  if (staged.now == staged.stored) {
    return;
  }
  const uint64_t before = staged.stored.has_value() ? staged.stored->consumer : kNoConsumer;
  const uint64_t after = staged.now.has_value() ? staged.now->consumer : kNoConsumer;
  if (after == kNoConsumer) {
    elements()->Remove(StreamPendingName(state_.number, id));
  } else {
    elements()->Put(StreamPendingName(state_.number, id), EncodeStreamPending(*staged.now));
  }
  if (before == after) {
    return;
  }
  if (before != kNoConsumer) {
    elements()->Remove(StreamConsumerPendingName(state_.number, before, id));
  }
  if (after != kNoConsumer) {
    elements()->Put(StreamConsumerPendingName(state_.number, after, id), {});
  }
}

void StreamGroup::SaveConsumer(uint64_t number, const StagedConsumer& consumer) {
  const std::string name = StreamConsumerName(state_.number, number);
  const std::string by_name = StreamConsumerNameName(state_.number, consumer.data.name);
  if (consumer.removed) {
    elements()->Remove(name);
    elements()->Remove(by_name);
    return;
  }
  if (consumer.is_new) {
    elements()->Put(by_name, EncodeStreamConsumerNumber(number));
  }
  if (consumer.changed) {
    elements()->Put(name, EncodeStreamConsumer(consumer.data));
  }
}

void StreamGroup::Save(Notice notice) {
  for (const auto& [id, staged] : pending_) {
    SavePending(id, staged);
  }
  for (const auto& [number, consumer] : consumers_) {
    SaveConsumer(number, consumer);
  }
  if (state_changed_) {
    elements()->Put(StreamGroupName(name_), EncodeStreamGroupState(state_));
  }
  if (group_count_.has_value()) {
    elements()->Put(StreamGroupCountName(), EncodeStreamGroupCount(*group_count_));
    stream_->header_.has_groups = true;
  }
  stream_->Save(notice);
  pending_.clear();
  consumers_.clear();
  new_names_.clear();
  group_count_.reset();
  state_changed_ = false;
}

Result<uint64_t> StreamGroups::Count() const {
  if (!stream_->header().has_groups) {
    return uint64_t{0};
  }
  KVS_ASSIGN_OR_RETURN(const StreamGroupCount count, ReadGroupCount(stream_->elements_, true));
  return count.count;
}

Result<std::vector<std::string>> StreamGroups::Names() const {
  std::vector<std::string> names;
  if (!stream_->header().has_groups) {
    return names;
  }
  const std::string lower(1, kStreamGroupTag);
  const std::string upper = PrefixEnd(lower);
  KVS_ASSIGN_OR_RETURN(ElementWalk walk, stream_->elements_.WalkRange(lower, upper));
  for (; walk.Valid(); walk.Next()) {
    names.emplace_back(walk.name().substr(1));
  }
  KVS_RETURN_IF_ERROR(walk.status());
  return names;
}

Result<bool> StreamGroups::Destroy(std::string_view name) {
  KVS_ASSIGN_OR_RETURN(const std::optional<StreamGroup> group, StreamGroup::Find(stream_, name));
  if (!group.has_value()) {
    return false;
  }
  Collection* const elements = &stream_->elements_;
  KVS_ASSIGN_OR_RETURN(StreamGroupCount count, ReadGroupCount(*elements, true));
  std::vector<std::string> dead = {StreamGroupName(name)};
  for (const char tag :
       {kStreamConsumerTag, kStreamConsumerNameTag, kStreamPendingTag, kStreamConsumerPendingTag}) {
    const std::string lower = StreamGroupPrefix(tag, group->state_.number);
    const std::string upper = PrefixEnd(lower);
    KVS_ASSIGN_OR_RETURN(ElementWalk walk, elements->WalkRange(lower, upper));
    for (; walk.Valid(); walk.Next()) {
      dead.emplace_back(walk.name());
    }
    KVS_RETURN_IF_ERROR(walk.status());
  }
  for (const std::string& element : dead) {
    elements->Remove(element);
  }
  if (--count.count == 0) {
    elements->Remove(StreamGroupCountName());  // Nothing is left that has a number.
    stream_->header_.has_groups = false;
  } else {
    elements->Put(StreamGroupCountName(), EncodeStreamGroupCount(count));
  }
  stream_->Save(Notice::kWaiters);
  return true;
}

}  // namespace kvs
