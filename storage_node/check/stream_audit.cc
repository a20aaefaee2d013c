#include "storage_node/check/stream_audit.h"

#include "common/base/coding.h"

namespace kvs {
namespace {

// Mixes an id so that sums of different ids differ.
uint64_t Mix(StreamId id) {
  uint64_t mixed = id.ms * 0x9e3779b97f4a7c15 ^ id.seq;
  mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9;
  mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
  return mixed ^ mixed >> 31;
}

}  // namespace

void StreamAudit::Add(std::string_view name, std::string_view value) {
  if (is_strange_) {
    return;
  }
  is_strange_ = name.empty() ||
                !(name[0] == kStreamEntryTag ? AddEntry(name, value) : AddOfGroup(name, value));
  if (is_strange_) {
    groups_.clear();
  }
}

bool StreamAudit::AddEntry(std::string_view name, std::string_view value) {
  if (name.size() != kStreamNameSize || !DecodeStreamEntry(value).ok()) {
    return false;
  }
  const StreamId id = StreamIdOfName(name);
  if (count_ > 0 && id <= last_) {
    return false;
  }
  first_ = count_ == 0 ? id : first_;
  last_ = id;
  ++count_;
  return true;
}

bool StreamAudit::AddOfGroup(std::string_view name, std::string_view value) {
  const Result<StreamGroupElement> element = DecodeStreamGroupElement(name);
  if (!element.ok()) {
    return false;
  }
  switch (element->tag) {
    case kStreamGroupCountTag: {
      const Result<StreamGroupCount> count = DecodeStreamGroupCount(value);
      group_count_ = count.ok() ? std::optional(*count) : std::nullopt;
      return count.ok();
    }
    case kStreamGroupTag: {
      const Result<StreamGroupState> state = DecodeStreamGroupState(value);
      if (!state.ok() || groups_[state->number].told.has_value()) {
        return false;  // No two groups have one number.
      }
      groups_[state->number].told = *state;
      return true;
    }
    case kStreamConsumerTag: {
      const Result<StreamConsumer> consumer = DecodeStreamConsumer(value);
      if (!consumer.ok()) {
        return false;
      }
      groups_[element->group].consumers[element->consumer].told = *consumer;
      return true;
    }
    case kStreamConsumerNameTag:
      return AddConsumerName(*element, value);
    default:
      return AddPending(*element, value);
  }
}

// In the order of elements the consumers come before their names.
bool StreamAudit::AddConsumerName(const StreamGroupElement& element, std::string_view value) {
  const Result<uint64_t> number = DecodeStreamConsumerNumber(value);
  if (!number.ok()) {
    return false;
  }
  GroupFindings* const group = &groups_[element.group];
  ++group->name_count;
  ConsumerFindings* const consumer = &group->consumers[*number];
  consumer->named = consumer->told.has_value() && consumer->told->name == element.name;
  return true;
}

bool StreamAudit::AddPending(const StreamGroupElement& element, std::string_view value) {
  GroupFindings* const group = &groups_[element.group];
  if (element.tag == kStreamConsumerPendingTag) {
    ConsumerFindings* const consumer = &group->consumers[element.consumer];
    ++consumer->own_count;
    consumer->own_sum += Mix(element.id);
    return value.empty();
  }
  const Result<StreamPending> pending = DecodeStreamPending(value);
  if (!pending.ok()) {
    return false;
  }
  ++group->pending_count;
  ConsumerFindings* const consumer = &group->consumers[pending->consumer];
  ++consumer->pending_count;
  consumer->pending_sum += Mix(element.id);
  return true;
}

std::string StreamAudit::VerdictOnGroup(const GroupFindings& group) {
  if (!group.told.has_value()) {
    return "has elements of a group that is not there";
  }
  if (group.told->pending_count != group.pending_count) {
    return "has a group that miscounts its pending entries";
  }
  if (group.told->consumer_count != group.consumers.size() ||
      group.name_count != group.consumers.size()) {
    return "has a group that miscounts its consumers";
  }
  for (const auto& [number, consumer] : group.consumers) {
    if (!consumer.told.has_value() || !consumer.named) {
      return "has a consumer without a record, or without its name";
    }
    if (number >= group.told->next_consumer) {
      return "has a consumer with a number that another will get";
    }
    if (consumer.told->pending_count != consumer.pending_count ||
        consumer.pending_count != consumer.own_count || consumer.pending_sum != consumer.own_sum) {
      return "has a consumer whose pending entries are not those of its group";
    }
  }
  return "";
}

std::string StreamAudit::VerdictOnGroups(const StreamHeader& header) const {
  if (header.has_groups != group_count_.has_value() || header.has_groups == groups_.empty() ||
      (header.has_groups && group_count_->count != groups_.size())) {
    return "has other groups than it counts";
  }
  for (const auto& [number, group] : groups_) {
    if (number >= group_count_->next_number) {
      return "has a group with a number that another will get";
    }
    if (std::string verdict = VerdictOnGroup(group); !verdict.empty()) {
      return verdict;
    }
  }
  return "";
}

std::string StreamAudit::Verdict(uint64_t count, const StreamHeader& header) const {
  if (is_strange_) {
    return "has an element that is none of a stream, or is out of order";
  }
  if (count_ != count) {
    return "counts " + std::to_string(count) + " entries, and has " + std::to_string(count_);
  }
  if (header.first_id != first_) {
    return "begins elsewhere than its metadata tells";
  }
  if (header.last_id < last_) {
    return "has an entry behind the last id that its metadata tells";
  }
  return VerdictOnGroups(header);
}

std::string StreamAudit::VerdictOfPacked(std::string_view packed, uint64_t count,
                                         const StreamHeader& header) {
  StreamAudit audit;
  while (!packed.empty()) {
    std::string_view name;
    std::string_view value;
    if (!GetLengthPrefixed(&packed, &name) || !GetLengthPrefixed(&packed, &value)) {
      return "cannot be unpacked";
    }
    audit.Add(name, value);
  }
  return audit.Verdict(count, header);
}

}  // namespace kvs
