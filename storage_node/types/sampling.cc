#include "storage_node/types/sampling.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

namespace kvs {
namespace {

// Up to this many elements are read whole.
constexpr uint64_t kReadWhole = 512;
// Of so many neighbours one is taken.
constexpr size_t kNeighbours = 32;
constexpr uint64_t kPositions = uint64_t{1} << 48;

Result<std::vector<SampledElement>> ReadAll(const ElementSource& source) {
  std::vector<SampledElement> all;
  KVS_ASSIGN_OR_RETURN(ElementWalk walk, source.walk_from(0));
  for (; walk.Valid(); walk.Next()) {
    all.push_back(source.element(walk));
  }
  KVS_RETURN_IF_ERROR(walk.status());
  return all;
}

// REQUIRES: there are elements, few enough to pass them
Result<SampledElement> TakeOneOfFew(const ElementSource& source, Random* random) {
  KVS_ASSIGN_OR_RETURN(const ElementWalk walk, source.walk_behind(random->Uniform(source.count)));
  KVS_RETURN_IF_ERROR(walk.status());
  if (!walk.Valid()) {
    return Status::Corruption("a collection has fewer elements than it counts");
  }
  return source.element(walk);
}

// Adds elements from the walk until there are enough.
Status AddNeighbours(const ElementSource& source, ElementWalk walk,
                     std::vector<SampledElement>* neighbours) {
  for (; walk.Valid() && neighbours->size() < kNeighbours; walk.Next()) {
    neighbours->push_back(source.element(walk));
  }
  return walk.status();
}

// REQUIRES: more than kNeighbours elements
Result<SampledElement> TakeOne(const ElementSource& source, Random* random) {
  std::vector<SampledElement> neighbours;
  KVS_ASSIGN_OR_RETURN(ElementWalk walk, source.walk_from(random->Uniform(kPositions)));
  KVS_RETURN_IF_ERROR(AddNeighbours(source, std::move(walk), &neighbours));
  if (neighbours.size() < kNeighbours) {  // The order is a ring.
    KVS_ASSIGN_OR_RETURN(ElementWalk first, source.walk_from(0));
    KVS_RETURN_IF_ERROR(AddNeighbours(source, std::move(first), &neighbours));
  }
  if (neighbours.empty()) {
    return Status::Corruption("a collection has fewer elements than it counts");
  }
  return std::move(neighbours[random->Uniform(neighbours.size())]);
}

// Leaves `count` elements of a random choice, in a random order.
void Shuffle(size_t count, std::vector<SampledElement>* all, Random* random) {
  for (size_t i = 0; i < count; ++i) {
    std::swap((*all)[i], (*all)[i + random->Uniform(all->size() - i)]);
  }
  all->resize(count);
}

}  // namespace

ElementSource SourceOf(const Collection& collection) {
  return {.count = collection.count(),
          .is_packed = collection.is_packed(),
          .walk_from = [&collection](uint64_t position) { return collection.WalkFrom(position); },
          .walk_behind = [&collection](uint64_t skip) { return collection.WalkBehind(skip); },
          .element =
              [](const ElementWalk& walk) {
                return SampledElement{std::string(walk.name()), std::string(walk.value())};
              }};
}

Result<std::vector<SampledElement>> SampleDistinct(const ElementSource& source, uint64_t count,
                                                   Random* random) {
  if (count == 1 && source.count > 0 && source.count <= kReadWhole) {
    KVS_ASSIGN_OR_RETURN(SampledElement one, TakeOneOfFew(source, random));
    return std::vector<SampledElement>{std::move(one)};
  }
  const bool whole = source.count <= kReadWhole || count > source.count / 4;
  if (whole) {
    KVS_ASSIGN_OR_RETURN(std::vector<SampledElement> all, ReadAll(source));
    if (count < all.size()) {
      Shuffle(count, &all, random);
    }
    return all;
  }
  std::vector<SampledElement> sample;
  std::unordered_set<std::string> seen;
  // At most every fourth is taken already, so this ends soon.
  while (sample.size() < count) {
    KVS_ASSIGN_OR_RETURN(SampledElement element, TakeOne(source, random));
    if (seen.insert(element.name).second) {
      sample.push_back(std::move(element));
    }
  }
  return sample;
}

Result<std::vector<SampledElement>> SampleRepeated(const ElementSource& source, uint64_t count,
                                                   Random* random) {
  std::vector<SampledElement> sample;
  if (source.count == 0) {
    return sample;
  }
  if (count == 1 && source.count <= kReadWhole) {
    KVS_ASSIGN_OR_RETURN(SampledElement one, TakeOneOfFew(source, random));
    sample.push_back(std::move(one));
    return sample;
  }
  if (source.count <= kReadWhole) {
    KVS_ASSIGN_OR_RETURN(const std::vector<SampledElement> all, ReadAll(source));
    if (all.empty()) {
      return Status::Corruption("a collection has fewer elements than it counts");
    }
    for (; count > 0; --count) {
      sample.push_back(all[random->Uniform(all.size())]);
    }
    return sample;
  }
  for (; count > 0; --count) {
    KVS_ASSIGN_OR_RETURN(SampledElement element, TakeOne(source, random));
    sample.push_back(std::move(element));
  }
  return sample;
}

}  // namespace kvs
