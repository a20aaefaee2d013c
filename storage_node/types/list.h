// List: elements in the order that their places say, found by their indexes.
//
// It knows how the elements of a Collection make a list (storage_node/keys/list_codec.h).  While
// only the ends change, as in a queue or a stack, an index is a matter of arithmetic and a change
// writes one record.  What is put in the middle gets an order between those of its neighbours, and
// what is removed there leaves a gap; from then on a rank index counts, as for sorted sets.  Orders
// that would get too long are spread anew together with their neighbours, the fewer the less often.
//
// A change is made in memory, staged, which reads all that it depends on, and then saved, which
// cannot fail.
//
// Threads: one thread, for the duration of one command.
// Owner:   the command's handler; the Keyspace must outlive it.
// Format:  doc/formats/keys.md

#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "storage_node/keys/list_codec.h"
#include "storage_node/types/collection.h"
#include "storage_node/types/rank_index.h"
#include "storage_node/types/type_limits.h"

namespace kvs {

inline constexpr CollectionShape kListShape = {
    .type = DataType::kList, .order = ElementOrder::kBytes, .header_size = kListHeaderSize};

// Returns OBJECT ENCODING's word for a list.
std::string_view ListEncoding(uint8_t encoding);

enum class ListEnd : uint8_t { kHead, kTail };

class List {
 public:
  // As Collection::OpenForRead() and OpenForWrite().
  static Result<List> OpenForRead(Keyspace* keyspace, std::string_view key);
  static Result<List> OpenForWrite(Keyspace* keyspace, std::string_view key,
                                   const TypeLimits& limits);

  // As Collection::OpenToReplace().
  static Result<List> OpenToReplace(Keyspace* keyspace, std::string_view key,
                                    const TypeLimits& limits);

  bool exists() const { return elements_.exists(); }
  // With the changes that are not saved yet.
  uint64_t count() const { return count_; }
  const Collection& elements() const { return elements_; }

  // Returns the element with that index.  REQUIRES: index < count(); nothing is changed yet
  Result<std::string> At(uint64_t index) const;
  // Calls `visit(order, element)` from that index on, toward the tail or the head, until it returns
  // false.  REQUIRES: nothing is changed yet
  template <typename Visit>
  Status ForEach(uint64_t index, bool backward, Visit visit) const {
    if (index >= elements_.count()) {
      return Status::Ok();
    }
    KVS_ASSIGN_OR_RETURN(const Bounds bounds, BoundsFrom(index, backward));
    KVS_ASSIGN_OR_RETURN(ElementWalk walk,
                         backward ? elements_.WalkRangeBackward(bounds.lower, bounds.upper)
                                  : elements_.WalkRange(bounds.lower, bounds.upper, bounds.skip));
    uint64_t left = backward ? index + 1 : elements_.count() - index;
    for (; walk.Valid(); walk.Next()) {
      KVS_RETURN_IF_ERROR(CheckName(walk.name()));
      if (!visit(walk.name().substr(1), walk.value())) {
        return Status::Ok();
      }
      if (--left == 0) {
        return Status::Ok();  // So that what is behind the end is not looked at.
      }
    }
    KVS_RETURN_IF_ERROR(walk.status());
    return left == 0 ? Status::Ok() : Damaged();
  }

  // REQUIRES, for the changes: OpenForWrite() or OpenToReplace(); one of them, then Stage(), then
  // Save().  A Pop() may be followed by a Push().

  // Puts the elements one after the other before the first or behind the last one.
  void Push(std::span<const std::string_view> elements, ListEnd end);
  // Removes up to `count` elements of an end and returns them, the outermost one first.
  Result<std::vector<std::string>> Pop(uint64_t count, ListEnd end);
  // REQUIRES: index < count()
  Status Set(uint64_t index, std::string_view element);
  // Returns false, and changes nothing, if no element is equal to the pivot.
  Result<bool> Insert(std::string_view pivot, bool before, std::string_view element);
  // Removes up to `limit` elements that are equal to this one, from the first or from the last on,
  // and returns how many.
  Result<uint64_t> Remove(std::string_view element, uint64_t limit, bool backward);
  // Removes all but `count` elements from index `first` on.  REQUIRES: there are so many
  Status Trim(uint64_t first, uint64_t count);

  Status Stage();
  // Writes what is staged, and the metadata; a list that gets empty is deleted.
  void Save();

 private:
  // A range of names in which `skip` elements stand before what is meant.
  struct Bounds {
    std::string lower;
    std::string upper;
    uint64_t skip = 0;
  };
  // What an order was and will have; nothing: it is not there.
  struct Change {
    std::optional<std::string> value;
    bool was_there = false;
  };

  List(Collection elements, const TypeLimits& limits);
  static Status Damaged();
  static Status CheckName(std::string_view name);
  RankIndex Index() const { return RankIndex(&elements_, header_.root); }
  Result<Bounds> BoundsFrom(uint64_t index, bool backward) const;
  Result<std::string> OrderAt(uint64_t index) const;
  // Notes one change.
  void Add(std::string order, std::string_view element);
  void Drop(std::string_view order, std::string_view element);
  // An element is put between these two.
  Status InsertBetween(const std::string& before, const std::string& after,
                       std::string_view element);
  // Gives new orders to those that begin with `prefix` and to a new one, which comes first among
  // those at or behind `after`.
  Status Respread(const std::string& prefix, const std::string& after, std::string_view element);
  // Returns how many orders begin with `prefix`, but at most `limit`.
  Result<uint64_t> CountPrefix(const std::string& prefix, uint64_t limit) const;
  // All elements, of which there are few or those that stay; Save() then writes them from scratch.
  Result<std::vector<std::string>> Collect(uint64_t first, uint64_t count) const;
  void Replace(std::vector<std::string> elements);
  // Finds the first and the last position again, when what has been dropped is known.
  Status FindEnds();
  // The index of a list that has been dense so far, with the changes.
  RankPlan PlanOfDense() const;
  // Redis's rules for its encodings.
  bool ExceedsListpack(uint64_t bytes, uint64_t count, uint64_t divisor) const;
  void NoteGrowth(uint64_t bytes, uint64_t count);
  void NoteShrinking();

  Collection elements_;
  ListHeader header_;
  uint64_t count_ = 0;
  int64_t listpack_size_ = 0;
  bool stays_dense_ = true;  // Only the ends are changed.
  std::map<std::string, Change, std::less<>> changes_;
  std::optional<std::vector<std::string>> replacement_;
  std::optional<RankPlan> plan_;
};

}  // namespace kvs
