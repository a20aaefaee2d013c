#include "common/service/hot_keys.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"

namespace kvs {

KeySketch::KeySketch(size_t capacity) : capacity_(capacity) {
  KVS_CHECK(capacity > 0);
  entries_.reserve(capacity);  // Keys must not move: short ones live inside their entry.
  counts_.reserve(capacity);
}

void KeySketch::Add(std::string_view key, uint64_t count) {
  total_ += count;
  const auto found = places_.find(key);
  if (found != places_.end()) {
    entries_[found->second].count += count;
    counts_[found->second] += count;
    return;
  }
  Insert(key, count, 0);
}

// A full sketch gives the place of the lowest to the newcomer, who may have been there before and
// inherits its count.
void KeySketch::Insert(std::string_view key, uint64_t count, uint64_t error) {
  size_t place = entries_.size();
  if (place < capacity_) {
    entries_.push_back({std::string(key), count, error});
    counts_.push_back(count);
  } else {
    place = FindLowest();
    places_.erase(entries_[place].key);
    const uint64_t lowest = counts_[place];
    entries_[place] = {std::string(key), lowest + count, lowest + error};
    counts_[place] = lowest + count;
  }
  places_.emplace(entries_[place].key, place);
}

// Counts of a full sketch only grow.  So all places before the search's own are above the lowest
// count that it looks for, and going round again it looks for the next one: each place is passed
// once for each value that the lowest count has had.
size_t KeySketch::FindLowest() {
  for (; next_ < counts_.size(); ++next_) {
    if (counts_[next_] <= lowest_) {
      return next_;
    }
  }
  const auto found = std::min_element(counts_.begin(), counts_.end());
  lowest_ = *found;
  next_ = static_cast<size_t>(found - counts_.begin());
  return next_;
}

void KeySketch::Merge(const KeySketch& other) {
  total_ += other.total_;
  for (const Entry& entry : other.entries_) {
    const auto found = places_.find(entry.key);
    if (found == places_.end()) {
      Insert(entry.key, entry.count, entry.error);
      continue;
    }
    Entry& mine = entries_[found->second];
    mine.count += entry.count;
    mine.error += entry.error;
    counts_[found->second] = mine.count;
  }
}

std::vector<KeySketch::Entry> KeySketch::Top(size_t count) const {
  std::vector<Entry> top = entries_;
  std::sort(top.begin(), top.end(), [](const Entry& a, const Entry& b) {
    return a.count != b.count ? a.count > b.count : a.key < b.key;
  });
  top.resize(std::min(count, top.size()));
  return top;
}

void KeySketch::Clear() {
  places_.clear();
  entries_.clear();
  counts_.clear();
  total_ = 0;
  lowest_ = 0;
  next_ = 0;
}

uint32_t HotKeys::NextDistance() {
  thread_local Random random = Random::FromKernel();
  return 1 + static_cast<uint32_t>(random.Uniform(2 * kSampleEvery - 1));
}

void HotKeys::Turn(int64_t now_ms) {
  if (current_since_ms_ < 0) {
    current_since_ms_ = now_ms;
  }
  if (now_ms - current_since_ms_ < kWindowMs) {
    return;
  }
  // After a silence of a whole window the one that ends here says nothing about now.
  const bool recent = now_ms - current_since_ms_ < 2 * kWindowMs;
  std::swap(previous_, current_);
  previous_since_ms_ = recent ? current_since_ms_ : -1;
  if (!recent) {
    previous_.Clear();
  }
  current_.Clear();
  current_since_ms_ = now_ms;
}

void HotKeys::Sample(const CommandSpec& spec, CommandArgs args, int64_t now_ms) {
  const KeyPositions keys = FindKeys(spec, args);
  if (keys.count == 0) {
    return;
  }
  const MutexLock lock(&mu_);
  Turn(now_ms);
  for (size_t i = 0; i < std::min(keys.count, kMaxKeys); ++i) {
    const std::string_view key = args[keys.index(i)];
    if (key.size() <= kMaxKeyBytes) {
      current_.Add(key);
    }
  }
}

std::vector<HotKey> HotKeys::Top(size_t count, int64_t now_ms) {
  const MutexLock lock(&mu_);
  Turn(now_ms);
  KeySketch all(2 * kCapacity);
  all.Merge(previous_);
  all.Merge(current_);
  const int64_t since_ms = previous_since_ms_ < 0 ? current_since_ms_ : previous_since_ms_;
  const double seconds = static_cast<double>(std::max<int64_t>(now_ms - since_ms, 1000)) / 1000;
  std::vector<HotKey> hot;
  for (KeySketch::Entry& entry : all.Top(count)) {
    // Half of the possible error: the best guess between the bounds.
    const double counted = static_cast<double>(entry.count) - static_cast<double>(entry.error) / 2;
    hot.push_back({.key = std::move(entry.key),
                   .per_second = counted * kSampleEvery / seconds,
                   .share = counted / static_cast<double>(all.total())});
  }
  return hot;
}

void HotKeys::Reset(int64_t now_ms) {
  const MutexLock lock(&mu_);
  current_.Clear();
  previous_.Clear();
  current_since_ms_ = now_ms;
  previous_since_ms_ = -1;
}

}  // namespace kvs
