#include "storage_node/types/set_algebra.h"

#include <algorithm>
#include <string>
#include <unordered_set>

namespace kvs {
namespace {

// Calls `visit(member)`, a Result<bool>, for all members until it returns false.
template <typename Visit>
Status ForEachMember(const Collection& set, Visit visit) {
  KVS_ASSIGN_OR_RETURN(ElementWalk walk, set.Walk());
  for (; walk.Valid(); walk.Next()) {
    KVS_ASSIGN_OR_RETURN(const bool goes_on, visit(walk.name()));
    if (!goes_on) {
      return Status::Ok();
    }
  }
  return walk.status();
}

}  // namespace

const Collection& SmallestOf(std::span<const Collection> sets) {
  return *std::min_element(sets.begin(), sets.end(), [](const Collection& a, const Collection& b) {
    return a.count() < b.count();
  });
}

Status VisitIntersection(std::span<const Collection> sets, const MemberVisit& visit) {
  // Those that have few members are asked first: they know the fewest.
  std::vector<const Collection*> others;
  const Collection& smallest = SmallestOf(sets);
  for (const Collection& set : sets) {
    if (&set != &smallest) {
      others.push_back(&set);
    }
  }
  std::stable_sort(others.begin(), others.end(), [](const Collection* a, const Collection* b) {
    return a->count() < b->count();
  });
  return ForEachMember(smallest, [&](std::string_view member) -> Result<bool> {
    for (const Collection* other : others) {
      KVS_ASSIGN_OR_RETURN(const bool found, other->Contains(member));
      if (!found) {
        return true;
      }
    }
    return visit(member);
  });
}

Status VisitDifference(std::span<const Collection> sets, const MemberVisit& visit) {
  return ForEachMember(sets.front(), [&](std::string_view member) -> Result<bool> {
    for (const Collection& other : sets.subspan(1)) {
      KVS_ASSIGN_OR_RETURN(const bool found, other.Contains(member));
      if (found) {
        return true;
      }
    }
    return visit(member);
  });
}

Status VisitUnion(std::span<const Collection> sets, const MemberVisit& visit) {
  std::unordered_set<std::string> seen;
  bool goes_on = true;
  for (const Collection& set : sets) {
    KVS_RETURN_IF_ERROR(ForEachMember(set, [&](std::string_view member) -> Result<bool> {
      goes_on = !seen.emplace(member).second || visit(member);
      return goes_on;
    }));
    if (!goes_on) {
      break;
    }
  }
  return Status::Ok();
}

}  // namespace kvs
