#include "storage_node/types/set_store.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "common/base/strings.h"
#include "storage_node/types/sampling.h"

namespace kvs {
namespace {

// Where so few remain of a set, Redis makes a new one of them: a fifth of what is popped.
constexpr uint64_t kRefillShare = 5;

bool IsInteger(std::string_view member) {
  int64_t value = 0;
  return ParseInt64(member, &value);
}

SetEncoding Encoding(const Collection& set) {
  return static_cast<SetEncoding>(set.encoding());
}

void SetTo(Collection* set, SetEncoding encoding) {
  set->set_encoding(static_cast<uint8_t>(encoding));
}

std::vector<std::string> NamesOf(std::vector<SampledElement> elements) {
  std::vector<std::string> names;
  names.reserve(elements.size());
  for (SampledElement& element : elements) {
    names.push_back(std::move(element.name));
  }
  return names;
}

}  // namespace

std::string_view SetEncodingName(uint8_t encoding) {
  switch (static_cast<SetEncoding>(encoding)) {
    case SetEncoding::kIntset:
      return "intset";
    case SetEncoding::kListpack:
      return "listpack";
    case SetEncoding::kHashtable:
      return "hashtable";
  }
  return "unknown";
}

// An intset gets a listpack with the first member that is no integer; what outgrows its limits gets
// a hashtable, and stays one.
SetEncoding SetStore::EncodingWith(const Collection& set, std::string_view member) const {
  const SetEncoding encoding = Encoding(set);
  if (encoding == SetEncoding::kHashtable) {
    return encoding;
  }
  if (encoding == SetEncoding::kIntset && IsInteger(member)) {
    return set.count() < limits_.set_max_intset_entries ? encoding : SetEncoding::kHashtable;
  }
  const bool fits = set.count() < limits_.set_max_listpack_entries &&
                    member.size() <= limits_.set_max_listpack_value;
  return fits ? SetEncoding::kListpack : SetEncoding::kHashtable;
}

void SetStore::Expect(Collection* set, std::string_view first, uint64_t count) const {
  if (set->exists()) {
    const SetEncoding encoding = Encoding(*set);
    const uint64_t limit = encoding == SetEncoding::kIntset     ? limits_.set_max_intset_entries
                           : encoding == SetEncoding::kListpack ? limits_.set_max_listpack_entries
                                                                : UINT64_MAX;
    return count > limit ? SetTo(set, SetEncoding::kHashtable) : void();
  }
  if (IsInteger(first) && count <= limits_.set_max_intset_entries) {
    return SetTo(set, SetEncoding::kIntset);
  }
  SetTo(set, count <= limits_.set_max_listpack_entries ? SetEncoding::kListpack
                                                       : SetEncoding::kHashtable);
}

SetEncoding SetStore::EncodingOf(std::span<const std::string> members, SetOrigin origin) const {
  const bool integers = std::all_of(members.begin(), members.end(), IsInteger);
  const bool packs = members.size() <= limits_.set_max_listpack_entries &&
                     std::all_of(members.begin(), members.end(), [this](const std::string& member) {
                       return member.size() <= limits_.set_max_listpack_value;
                     });
  if (integers && members.size() <= limits_.set_max_intset_entries &&
      (origin == SetOrigin::kIntset || packs)) {
    return SetEncoding::kIntset;
  }
  return packs && !(integers && origin == SetOrigin::kIntset) ? SetEncoding::kListpack
                                                              : SetEncoding::kHashtable;
}

void SetStore::Put(Collection* set, std::string_view member) const {
  SetTo(set, EncodingWith(*set, member));
  set->Put(member, {});
  set->AddToCount(1);
}

void SetStore::Refill(Collection* set, std::span<const std::string> members,
                      SetEncoding encoding) const {
  set->Clear();
  SetTo(set, encoding);
  for (const std::string& member : members) {
    set->Put(member, {});
  }
  set->AddToCount(static_cast<int64_t>(members.size()));
  set->Save();
}

Result<int64_t> SetStore::Add(std::string_view key, std::span<const std::string_view> members) {
  KVS_ASSIGN_OR_RETURN(Collection set, Open(key));
  // All are looked up before the first is written, so an error leaves nothing half done.
  std::vector<std::string_view> added;
  std::unordered_set<std::string_view> seen;
  for (const std::string_view member : members) {
    KVS_ASSIGN_OR_RETURN(const bool found, set.Contains(member));
    if (!found && (members.size() == 1 || seen.insert(member).second)) {
      added.push_back(member);
    }
  }
  if (added.empty()) {
    return 0;
  }
  Expect(&set, members.front(), members.size());
  for (const std::string_view member : added) {
    Put(&set, member);
  }
  set.Save();
  return static_cast<int64_t>(added.size());
}

Result<int64_t> SetStore::Remove(std::string_view key, std::span<const std::string_view> members) {
  KVS_ASSIGN_OR_RETURN(Collection set, Open(key));
  if (!set.exists()) {
    return 0;
  }
  std::unordered_set<std::string_view> found;
  for (const std::string_view member : members) {
    KVS_ASSIGN_OR_RETURN(const bool is_there, set.Contains(member));
    if (is_there) {
      found.insert(member);
    }
  }
  for (const std::string_view member : found) {
    set.Remove(member);
  }
  const auto count = static_cast<int64_t>(found.size());
  if (count > 0) {
    set.AddToCount(-count);
    set.Save();
  }
  return count;
}

Result<bool> SetStore::Move(std::string_view from, std::string_view to, std::string_view member) {
  KVS_ASSIGN_OR_RETURN(Collection source, Open(from));
  if (!source.exists()) {
    return false;
  }
  KVS_ASSIGN_OR_RETURN(Collection target, Open(to));
  KVS_ASSIGN_OR_RETURN(const bool found, source.Contains(member));
  if (!found || from == to) {
    return found;
  }
  KVS_ASSIGN_OR_RETURN(const bool was_there, target.Contains(member));
  source.Remove(member);
  source.AddToCount(-1);
  source.Save();
  Txn* const txn = keyspace_->txn();
  txn->NoteEvent(KeyEventKind::kSet, "srem", from);
  if (txn->HasRemoved(from)) {
    txn->NoteEvent(KeyEventKind::kGeneric, "del", from);
  }
  if (!was_there) {
    Expect(&target, member, 1);
    Put(&target, member);
    target.Save();
    txn->NoteEvent(KeyEventKind::kSet, "sadd", to);
  }
  return true;
}

Result<std::vector<std::string>> SetStore::Pop(std::string_view key, uint64_t count,
                                               Random* random) {
  KVS_ASSIGN_OR_RETURN(Collection set, Open(key));
  count = std::min(count, set.count());
  if (count == 0) {
    return std::vector<std::string>();
  }
  const uint64_t remaining = set.count() - count;
  const bool refills = remaining * kRefillShare <= count;
  KVS_ASSIGN_OR_RETURN(std::vector<SampledElement> sample,
                       SampleDistinct(set, refills ? set.count() : count, random));
  std::vector<std::string> popped = NamesOf(std::move(sample));
  if (popped.size() != (refills ? set.count() : count)) {
    return Status::Corruption("a set has not the members that it counts");
  }
  if (refills) {
    for (size_t i = 0; i < remaining; ++i) {
      std::swap(popped[i], popped[i + random->Uniform(popped.size() - i)]);
    }
    const std::vector<std::string> kept(popped.begin(),
                                        popped.begin() + static_cast<ptrdiff_t>(remaining));
    popped.erase(popped.begin(), popped.begin() + static_cast<ptrdiff_t>(remaining));
    // An intset stays one; of anything else Redis never makes one this way.
    const bool was_intset = Encoding(set) == SetEncoding::kIntset;
    const SetEncoding encoding =
        EncodingOf(kept, was_intset ? SetOrigin::kIntset : SetOrigin::kListpack);
    const bool is_listpack = encoding == SetEncoding::kIntset && !was_intset;
    Refill(&set, kept, is_listpack ? SetEncoding::kListpack : encoding);
    return popped;
  }
  for (const std::string& member : popped) {
    set.Remove(member);
  }
  set.AddToCount(-static_cast<int64_t>(count));
  set.Save();
  return popped;
}

Status SetStore::Replace(std::string_view key, std::span<const std::string> members,
                         SetOrigin origin) {
  KVS_ASSIGN_OR_RETURN(Collection set,
                       Collection::OpenToReplace(keyspace_, key, kSetShape, limits_.packed_size));
  Refill(&set, members, EncodingOf(members, origin));
  return Status::Ok();
}

}  // namespace kvs
