#include "storage_node/types/zset_store.h"

#include <cmath>
#include <string>
#include <unordered_map>
#include <utility>

namespace kvs {
namespace {

// The scores of the members that a command names, before it and so far.
class Scores {
 public:
  struct Entry {
    std::optional<double> before;
    std::optional<double> now;
  };

  explicit Scores(const ZSet* zset) : zset_(zset) {}

  // Reads a member's score when it is named first.
  Result<Entry*> Find(std::string_view member) {
    const auto [found, is_new] = entries_.try_emplace(member);
    if (is_new) {
      KVS_ASSIGN_OR_RETURN(found->second.before, zset_->Score(member));
      found->second.now = found->second.before;
    }
    return &found->second;
  }
  std::vector<MemberChange> Changes() const {
    std::vector<MemberChange> changes;
    for (const auto& [member, entry] : entries_) {
      if (entry.before != entry.now) {
        changes.push_back({std::string(member), entry.before, entry.now});
      }
    }
    return changes;
  }

 private:
  const ZSet* zset_;
  std::unordered_map<std::string_view, Entry> entries_;
};

// Applies one pair of ZADD.
Status AddOne(const ZAddRules& rules, double score, Scores::Entry* entry, ZAddCount* count) {
  count->score.reset();
  if (entry->now.has_value() ? rules.only_new : rules.only_existing) {
    return Status::Ok();
  }
  if (!entry->now.has_value()) {
    ++count->added;
    entry->now = count->score = score;
    return Status::Ok();
  }
  const double current = *entry->now;
  if (rules.increment) {
    score += current;
    if (std::isnan(score)) {
      return Status::InvalidArgument("resulting score is not a number (NaN)");
    }
  }
  if ((rules.only_less && score >= current) || (rules.only_greater && score <= current)) {
    return Status::Ok();
  }
  count->score = score;
  if (score != current) {
    ++count->updated;
    entry->now = score;
  }
  return Status::Ok();
}

}  // namespace

Result<ZAddCount> ZSetStore::Add(std::string_view key, const ZAddRules& rules,
                                 std::span<const ScoredName> members) {
  KVS_ASSIGN_OR_RETURN(ZSet zset, Open(key));
  Scores scores(&zset);
  ZAddCount count;
  for (const ScoredName& member : members) {
    KVS_ASSIGN_OR_RETURN(Scores::Entry* const entry, scores.Find(member.member));
    KVS_RETURN_IF_ERROR(AddOne(rules, member.score, entry, &count));
  }
  std::vector<MemberChange> changes = scores.Changes();
  if (!changes.empty()) {
    KVS_RETURN_IF_ERROR(zset.Stage(std::move(changes)));
    zset.Save(limits_);
  }
  return count;
}

Result<int64_t> ZSetStore::Remove(std::string_view key, std::span<const std::string_view> members) {
  KVS_ASSIGN_OR_RETURN(ZSet zset, Open(key));
  if (!zset.exists()) {
    return 0;
  }
  Scores scores(&zset);
  for (const std::string_view member : members) {
    KVS_ASSIGN_OR_RETURN(Scores::Entry* const entry, scores.Find(member));
    entry->now.reset();
  }
  std::vector<MemberChange> changes = scores.Changes();
  const auto count = static_cast<int64_t>(changes.size());
  if (count > 0) {
    KVS_RETURN_IF_ERROR(zset.Stage(std::move(changes)));
    zset.Save(limits_);
  }
  return count;
}

Result<int64_t> ZSetStore::RemoveSelected(ZSet* zset, const ZSelection& selection) {
  std::vector<MemberChange> changes;
  uint64_t count = zset->count();
  const bool is_all = selection.skip == 0 && selection.limit >= count;
  const Result<uint64_t> in_range = is_all ? zset->Count(selection.range) : uint64_t{0};
  KVS_RETURN_IF_ERROR(in_range.status());
  if (*in_range == count) {
    zset->StageEmpty();
  } else {
    KVS_RETURN_IF_ERROR(zset->ForEach(selection, [&](std::string_view member, double score) {
      changes.push_back({std::string(member), score, std::nullopt});
    }));
    count = changes.size();
    if (count == 0) {
      return 0;
    }
    const ScoredMember last = {changes.back().member, *changes.back().before};
    KVS_RETURN_IF_ERROR(zset->Stage(std::move(changes)));
    zset->NoteRemoved(selection, last);
  }
  zset->Save(limits_);
  return static_cast<int64_t>(count);
}

Result<std::vector<ScoredMember>> ZSetStore::Pop(std::string_view key, uint64_t count,
                                                 bool from_largest) {
  KVS_ASSIGN_OR_RETURN(ZSet zset, Open(key));
  std::vector<ScoredMember> popped;
  if (count == 0 || !zset.exists()) {
    return popped;
  }
  const ZSelection selection = {.range = WholeOrder(), .backward = from_largest, .limit = count};
  KVS_ASSIGN_OR_RETURN(popped, zset.Collect(selection));
  std::vector<MemberChange> changes;
  for (const ScoredMember& member : popped) {
    changes.push_back({member.member, member.score, std::nullopt});
  }
  KVS_RETURN_IF_ERROR(zset.Stage(std::move(changes)));
  if (!popped.empty()) {
    zset.NoteRemoved(selection, popped.back());
  }
  zset.Save(limits_);
  return popped;
}

Status ZSetStore::Replace(std::string_view key, std::vector<ScoredMember> members) {
  KVS_ASSIGN_OR_RETURN(ZSet zset, ZSet::OpenToReplace(keyspace_, key, limits_));
  std::vector<MemberChange> changes;
  changes.reserve(members.size());
  for (ScoredMember& member : members) {
    changes.push_back({std::move(member.member), std::nullopt, member.score});
  }
  KVS_RETURN_IF_ERROR(zset.Stage(std::move(changes)));
  zset.Save(limits_);
  return Status::Ok();
}

}  // namespace kvs
