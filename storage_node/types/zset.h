// ZSet: a sorted set as members with scores, in order, with their ranks.
//
// It knows how the elements of a Collection make one (storage_node/keys/zset_codec.h), and keeps
// members, order and rank index in step.  A change is staged, which reads all that it depends on,
// and then saved, which cannot fail.
//
// Threads: one thread, for the duration of one command.
// Owner:   the command's handler; the Keyspace must outlive it.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "storage_node/keys/zset_codec.h"
#include "storage_node/types/collection.h"
#include "storage_node/types/rank_index.h"
#include "storage_node/types/sampling.h"
#include "storage_node/types/type_limits.h"

namespace kvs {

inline constexpr CollectionShape kZSetShape = {.type = DataType::kZSet,
                                               .order = ElementOrder::kBytes,
                                               .header_size = kZSetHeaderSize,
                                               .tail_size = kZSetTailSize};

// Returns OBJECT ENCODING's word for a sorted set.
std::string_view ZSetEncoding(uint8_t encoding);

// A part of the order: names of elements 's', from `lower` on and before `upper`.
struct OrderRange {
  std::string lower;
  std::string upper;
  bool empty() const { return lower >= upper; }
};
OrderRange WholeOrder();

// Some neighbours of a sorted set, in one direction or the other.
struct ZSelection {
  OrderRange range;
  bool backward = false;
  uint64_t skip = 0;
  uint64_t limit = UINT64_MAX;
};

struct ScoredMember {
  std::string member;
  double score = 0;
};

// What a member's score was and will be; nothing: it is not there.
struct MemberChange {
  std::string member;
  std::optional<double> before;
  std::optional<double> after;
};

class ZSet {
 public:
  // As Collection::OpenForRead() and OpenForWrite().
  static Result<ZSet> OpenForRead(Keyspace* keyspace, std::string_view key);
  static Result<ZSet> OpenForWrite(Keyspace* keyspace, std::string_view key,
                                   const TypeLimits& limits);
  // As Collection::OpenToReplace().
  static Result<ZSet> OpenToReplace(Keyspace* keyspace, std::string_view key,
                                    const TypeLimits& limits);

  const Collection& elements() const { return elements_; }
  bool exists() const { return elements_.exists(); }
  uint64_t count() const { return elements_.count(); }

  Result<std::optional<double>> Score(std::string_view member) const;
  // Returns how many members stand before the place that a name of an element 's' has.
  Result<uint64_t> CountBefore(std::string_view name) const;
  Result<uint64_t> Count(const OrderRange& range) const;

  // Calls `visit(member, score)` for each member of the selection.
  template <typename Visit>
  Status ForEach(ZSelection selection, Visit visit) const {
    KVS_RETURN_IF_ERROR(SkipByRank(&selection));
    if (selection.range.empty()) {
      return Status::Ok();
    }
    KVS_ASSIGN_OR_RETURN(ElementWalk walk, Walk(selection));
    for (; walk.Valid() && selection.limit > 0; walk.Next()) {
      if (selection.skip > 0) {
        --selection.skip;
        continue;
      }
      KVS_RETURN_IF_ERROR(CheckName(walk.name()));
      visit(MemberOfName(walk.name()), ScoreOfName(walk.name()));
      --selection.limit;
    }
    return walk.status();
  }
  Result<std::vector<ScoredMember>> Collect(const ZSelection& selection) const;

  // REQUIRES, for these: OpenForWrite() or OpenToReplace()
  // Reads what the changes depend on.  They are real, and no member has two.
  Status Stage(std::vector<MemberChange> changes);
  // Says that the members that are removed are all those of `selection`, up to `last` in its
  // direction.
  void NoteRemoved(const ZSelection& selection, const ScoredMember& last);
  // Removes all members.
  void StageEmpty() { elements_.AddToCount(-static_cast<int64_t>(count())); }
  // Writes what is staged, and the metadata; a set that gets empty is deleted.
  void Save(const TypeLimits& limits);

 private:
  ZSet(Collection elements, ZSetHeader header)
      : elements_(std::move(elements)), header_(std::move(header)) {}
  static Result<ZSet> Make(Result<Collection> elements);
  RankIndex Index() const { return RankIndex(&elements_, header_.root); }
  // The part of `range` in which members can be; its ends may be the same.
  OrderRange Within(const OrderRange& range) const;
  Status FindBounds();
  static Status CheckName(std::string_view name);
  Result<ElementWalk> Walk(const ZSelection& selection) const;
  // Replaces a long way to skip by where it ends.
  Status SkipByRank(ZSelection* selection) const;
  // Returns the name of the element with that rank.  REQUIRES: rank < count()
  Result<std::string> NameAt(uint64_t rank) const;
  void WriteOrder();
  void WriteMembers();
  // Gives a set that has just been unpacked what packed ones do not have.
  void WriteAllMembers();
  void WritePlan(const RankPlan& plan);

  Collection elements_;
  ZSetHeader header_;
  std::vector<MemberChange> changes_;
  std::vector<std::string> packed_orders_;  // As they were when the change was staged.
  RankPlan plan_;
};

// For ZSCAN and ZRANDMEMBER; values are EncodeScoreValue()'s.  The set outlives the source.
ElementSource SourceOf(const ZSet& zset);

}  // namespace kvs
