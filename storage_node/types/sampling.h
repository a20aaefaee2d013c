// Sampling: elements of a collection, chosen at random.
//
// A small collection is read whole, and every element is as likely as any other.  Of a large one
// a few neighbours at a random place are read, and one of them is taken: an element's chance
// differs from another's by some percent, and the cost does not grow with the collection.
//
// Threads: one thread, for the duration of one command.
// Owner:   the caller.

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "common/base/random.h"
#include "common/base/status.h"
#include "storage_node/types/collection.h"

namespace kvs {

struct SampledElement {
  std::string name;
  std::string value;
};

// What can be walked from any place in the order of the elements' hashes.
struct ElementSource {
  uint64_t count = 0;
  bool is_packed = false;  // Then a walk begins with the first element, wherever it is asked to.
  std::function<Result<ElementWalk>(uint64_t position)> walk_from;
  std::function<Result<ElementWalk>(uint64_t skip)> walk_behind;  // All behind the first ones.
  std::function<SampledElement(const ElementWalk&)> element;      // What the walk stands on.
};

// REQUIRES: the order kNone; the collection outlives the source
ElementSource SourceOf(const Collection& collection);

// Returns `count` elements, or all if there are fewer, none twice.
Result<std::vector<SampledElement>> SampleDistinct(const ElementSource& source, uint64_t count,
                                                   Random* random);
// REQUIRES: the order kNone
inline Result<std::vector<SampledElement>> SampleDistinct(const Collection& collection,
                                                          uint64_t count, Random* random) {
  return SampleDistinct(SourceOf(collection), count, random);
}

// Returns `count` elements, each chosen on its own; none if the collection is empty.
Result<std::vector<SampledElement>> SampleRepeated(const ElementSource& source, uint64_t count,
                                                   Random* random);
// REQUIRES: the order kNone
inline Result<std::vector<SampledElement>> SampleRepeated(const Collection& collection,
                                                          uint64_t count, Random* random) {
  return SampleRepeated(SourceOf(collection), count, random);
}

// How many elements at a time a reply takes that repeats them at will: fewer, the larger they are.
class SampleRounds {
 public:
  // Returns how many of `wanted` to take now.
  uint64_t Take(uint64_t wanted) const { return std::min(wanted, size_); }
  // So many that were taken had so many bytes.  REQUIRES: taken > 0
  void Note(uint64_t taken, size_t bytes) {
    const uint64_t each = bytes / taken + 1;
    size_ = std::clamp<uint64_t>(kRoundBytes / each, 1, std::min(kMostAtOnce, 2 * size_));
  }

 private:
  static constexpr uint64_t kMostAtOnce = 1000;
  static constexpr uint64_t kRoundBytes = uint64_t{4} << 20;

  uint64_t size_ = 1;
};

}  // namespace kvs
