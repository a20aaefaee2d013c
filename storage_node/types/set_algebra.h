// SetAlgebra: unions, intersections and differences of sets.
//
// An intersection walks the smallest input and looks its members up in the others; a difference
// walks the first one.  Both hold no more in memory than one member; a union holds all that it has
// shown, to show none twice.
//
// Threads: one thread, for the duration of one command.
// Owner:   the command's handler; the Keyspace must outlive it.

#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "storage_node/types/set_store.h"

namespace kvs {

// Is shown one member, and returns whether it wants more.
using MemberVisit = std::function<bool(std::string_view member)>;

// Returns the smallest input, the first of several.  REQUIRES: at least one input
const Collection& SmallestOf(std::span<const Collection> sets);

// Call `visit` for each member of the outcome, none twice.
// REQUIRES, for these: at least one input, all of kSetShape
Status VisitIntersection(std::span<const Collection> sets, const MemberVisit& visit);
Status VisitDifference(std::span<const Collection> sets, const MemberVisit& visit);
Status VisitUnion(std::span<const Collection> sets, const MemberVisit& visit);

}  // namespace kvs
