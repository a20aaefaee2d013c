// FreshRun: copies of fresh records in the order of their keys, all in one buffer.
//
// Threads: one owner.
// Owner:   the iteration that shows them.

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kvs {

// A record as an iteration sees it.  The views live until the run changes.
struct FreshRecord {
  std::string_view key;
  std::optional<std::string_view> value;  // Nothing: deleted.
};

class FreshRun {
 public:
  size_t size() const { return items_.size(); }
  bool empty() const { return items_.empty(); }
  // Of keys and values.
  size_t byte_count() const { return bytes_.size(); }
  std::string_view key(size_t i) const {
    return std::string_view(bytes_).substr(items_[i].begin, items_[i].key_size);
  }
  FreshRecord operator[](size_t i) const {
    const Item& item = items_[i];
    if (item.deleted) {
      return {key(i), std::nullopt};
    }
    return {key(i), std::string_view(bytes_).substr(item.begin + item.key_size, item.value_size)};
  }
  // Returns how many records stand before `key`.  REQUIRES: in order
  size_t CountBefore(std::string_view key) const {
    const auto found = std::partition_point(
        items_.begin(), items_.end(), [this, key](const Item& item) { return KeyOf(item) < key; });
    return static_cast<size_t>(found - items_.begin());
  }

  // Makes room for so many records of a usual size.
  void Reserve(size_t count) {
    constexpr size_t kUsualSize = 96;
    constexpr size_t kMostAhead = 256;
    items_.reserve(std::min(count, kMostAhead));
    bytes_.reserve(std::min(count, kMostAhead) * kUsualSize);
  }
  void Clear() {
    bytes_.clear();
    items_.clear();
  }
  void Add(std::string_view key, std::optional<std::string_view> value) {
    items_.push_back({.begin = bytes_.size(),
                      .key_size = static_cast<uint32_t>(key.size()),
                      .value_size = static_cast<uint32_t>(value.has_value() ? value->size() : 0),
                      .deleted = !value.has_value()});
    bytes_.append(key);
    if (value.has_value()) {
      bytes_.append(*value);
    }
  }
  void Reverse() { std::reverse(items_.begin(), items_.end()); }
  void Sort() {
    std::sort(items_.begin(), items_.end(),
              [this](const Item& a, const Item& b) { return KeyOf(a) < KeyOf(b); });
  }

 private:
  struct Item {
    size_t begin;
    uint32_t key_size;
    uint32_t value_size;
    bool deleted;
  };
  std::string_view KeyOf(const Item& item) const {
    return std::string_view(bytes_).substr(item.begin, item.key_size);
  }

  std::string bytes_;
  std::vector<Item> items_;
};

}  // namespace kvs
