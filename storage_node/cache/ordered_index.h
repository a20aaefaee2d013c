// OrderedIndex: pointers to records in the order of their keys, for many changes and short walks.
//
// A B+tree.  A node leaves out what all of its keys begin with, and has the next bytes of each
// beside the pointers, so that a search touches few records: keys of one collection are long and
// begin alike.  What stands for a subtree is its least record itself, and not a copy of a key:
// inserting or erasing a least record corrects the nodes above it.  A node is freed when it becomes
// empty and is never joined with others, since most of the time all records leave soon.
//
//   OrderedIndex<Record> index;   // Record has: std::string_view key() const
//   index.Insert(&record);
//   for (auto at = index.LowerBound("a"); at.Valid(); at.Next()) { Use(at.record()); }
//
// Threads: locked by the owner.
// Owner:   a partition of the RecordCache.  The records outlive their time in the index.

#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "common/base/check.h"

namespace kvs {

template <typename Record>
class OrderedIndex {
 private:
  struct Node;

 public:
  // A place in the index, valid until the next change.
  class Cursor {
   public:
    bool Valid() const { return node_ != nullptr; }
    // REQUIRES, for the following: Valid()
    Record* record() const { return node_->records[static_cast<size_t>(at_)]; }
    void Next() {
      if (++at_ == node_->count) {
        node_ = node_->next;
        at_ = 0;
        Announce(0, kAhead);
      }
      Announce(at_ + kAhead, at_ + kAhead + 1);
    }
    void Prev() {
      if (--at_ < 0) {
        node_ = node_->prev;
        at_ = node_ == nullptr ? 0 : node_->count - 1;
        Announce(at_ - kAhead, at_);
      }
      Announce(at_ - kAhead, at_ - kAhead + 1);
    }

   private:
    friend class OrderedIndex;
    // So many records are asked from memory before they are needed, with what follows them.
    static constexpr int kAhead = 6;
    static constexpr size_t kCacheLine = 64;

    Cursor(const Node* node, int at) : node_(node), at_(at) {}
    void Announce(int begin, int end) const {
      if (node_ == nullptr) {
        return;
      }
      for (int i = std::max(begin, 0); i < std::min<int>(end, node_->count); ++i) {
        const auto* const begin_of =
            reinterpret_cast<const char*>(node_->records[static_cast<size_t>(i)]);
        __builtin_prefetch(begin_of);
        __builtin_prefetch(begin_of + kCacheLine);
      }
    }

    const Node* node_;
    int at_;
  };

  OrderedIndex() = default;
  ~OrderedIndex() { FreeTree(root_); }
  OrderedIndex(const OrderedIndex&) = delete;
  OrderedIndex& operator=(const OrderedIndex&) = delete;

  // Returns the record before it, or nothing.
  // REQUIRES: no record in the index has this key
  Record* Insert(Record* record);
  // REQUIRES: `old` is in the index, and `record` has the same key
  void Replace(const Record* old, Record* record);
  // Returns the record before it, or nothing.
  // REQUIRES: `record` is in the index
  Record* Erase(const Record* record);

  // Returns the place of the first record at or after `key`.
  Cursor LowerBound(std::string_view key) const;
  // Returns the place of the last record before `key`.
  Cursor Before(std::string_view key) const;

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

 private:
  static constexpr int kFanout = 64;
  // One level more takes at least kFanout / 2 times as many insertions.
  static constexpr size_t kMaxDepth = 16;
  // So many common bytes are not left out: a new record at an edge may have fewer.
  static constexpr size_t kSlack = 2;

  // A leaf; or, as the base of Inner, the least record below each child.
  struct Node {
    bool leaf = true;
    int count = 0;
    Node* prev = nullptr;  // Among the leaves.
    Node* next = nullptr;
    size_t skip = 0;                      // All keys begin with the same bytes, so many at least.
    std::array<uint64_t, kFanout> words;  // The bytes behind them, in the order of the keys.
    std::array<Record*, kFanout> records;
  };
  struct Inner : Node {
    std::array<Node*, kFanout> children;
  };
  // The inner nodes from the root to a leaf, and which child was taken.
  struct Path {
    struct Step {
      Inner* node;
      int at;
    };
    std::array<Step, kMaxDepth> steps;
    size_t depth = 0;
    Node* leaf = nullptr;
  };

  static Inner* AsInner(Node* node) { return static_cast<Inner*>(node); }
  static Node* ChildOf(Node* node, int at) {
    return AsInner(node)->children[static_cast<size_t>(at)];
  }
  static void FreeNode(Node* node);
  static void FreeTree(Node* node);
  // Returns eight bytes of the key, filled up with zeros, as a number that compares as they do.
  static uint64_t WordOf(std::string_view key, size_t skip);
  // Returns how many records of the node stand before the key; with `through` those at it, too.
  static int CountBelow(const Node& node, std::string_view key, bool through);
  static int CountBefore(const Node& node, std::string_view key) {
    return CountBelow(node, key, false);
  }
  // Leads to the leaf with the last record up to the key, or to the first leaf if there is none.
  Path Descend(std::string_view key) const;
  static Record* RecordBefore(const Node* leaf, int at);
  static void Put(Node* node, int at, Record* record, Node* child);
  static void Take(Node* node, int at);
  static Node* Split(Node* node);
  static Node* PutOrSplit(Node* node, int at, Record* record, Node* child);
  // Returns how many bytes all keys of the node have in common.
  static size_t CommonBytes(const Node& node);
  // Makes the words anew, behind what is common now.
  static void Rebuild(Node* node);
  // Makes the words anew if that tells the keys apart much better.
  static void Tighten(Node* node);
  // Sets the word of a record that is new at its place.
  static void SetWord(Node* node, int at);
  // Corrects what stands for `node`, which is `depth` steps down the path, in the nodes above it.
  static void CorrectAbove(const Path& path, size_t depth, const Node* node);
  void GrowRoot(Node* right);
  void RemoveEmptyLeaf(const Path& path);

  Node* root_ = nullptr;
  size_t size_ = 0;
};

template <typename Record>
void OrderedIndex<Record>::FreeNode(Node* node) {
  if (node->leaf) {
    delete node;
  } else {
    delete AsInner(node);
  }
}

template <typename Record>
void OrderedIndex<Record>::FreeTree(Node* node) {
  if (node == nullptr) {
    return;
  }
  for (int i = 0; !node->leaf && i < node->count; ++i) {
    FreeTree(ChildOf(node, i));
  }
  FreeNode(node);
}

template <typename Record>
uint64_t OrderedIndex<Record>::WordOf(std::string_view key, size_t skip) {
  uint64_t word = 0;
  if (key.size() >= skip + sizeof(word)) {
    std::memcpy(&word, key.data() + skip, sizeof(word));
  } else if (key.size() > skip) {
    std::memcpy(&word, key.data() + skip, key.size() - skip);
  }
  if constexpr (std::endian::native == std::endian::little) {
    word = __builtin_bswap64(word);
  }
  return word;
}

template <typename Record>
int OrderedIndex<Record>::CountBelow(const Node& node, std::string_view key, bool through) {
  if (node.skip > 0) {
    const std::string_view common = node.records[0]->key().substr(0, node.skip);
    const int order = key.substr(0, node.skip).compare(common);
    if (order != 0) {
      return order < 0 ? 0 : node.count;
    }
  }
  const uint64_t wanted = WordOf(key, node.skip);
  const auto count = static_cast<size_t>(node.count);
  size_t begin = 0;
  // Without a branch that nobody can foresee.
  for (size_t left = count; left > 0;) {
    const size_t half = (left + 1) / 2;
    begin += node.words[begin + half - 1] < wanted ? half : 0;
    left -= half;
  }
  size_t end = begin;
  while (end < count && node.words[end] == wanted) {
    ++end;
  }
  const auto first = node.records.begin();
  const auto found =
      std::partition_point(first + begin, first + end, [key, through](const Record* record) {
        return through ? record->key() <= key : record->key() < key;
      });
  return static_cast<int>(found - first);
}

template <typename Record>
typename OrderedIndex<Record>::Path OrderedIndex<Record>::Descend(std::string_view key) const {
  Path path;
  Node* node = root_;
  while (!node->leaf) {
    const int at = std::max(CountBelow(*node, key, true) - 1, 0);
    KVS_CHECK(path.depth < kMaxDepth);
    path.steps[path.depth++] = {AsInner(node), at};
    // The search in the child begins with its first record.
    __builtin_prefetch(node->records[static_cast<size_t>(at)]);
    node = ChildOf(node, at);
    for (size_t i = 0; i < kFanout; i += 8) {
      __builtin_prefetch(&node->words[i]);
    }
  }
  path.leaf = node;
  return path;
}

template <typename Record>
size_t OrderedIndex<Record>::CommonBytes(const Node& node) {
  const std::string_view first = node.records[0]->key();
  const std::string_view last = node.records[static_cast<size_t>(node.count) - 1]->key();
  const size_t most = std::min(first.size(), last.size());
  return static_cast<size_t>(
      std::mismatch(first.begin(), first.begin() + static_cast<ptrdiff_t>(most), last.begin())
          .first -
      first.begin());
}

template <typename Record>
void OrderedIndex<Record>::Rebuild(Node* node) {
  const size_t common = CommonBytes(*node);
  node->skip = common - std::min(common, kSlack);
  for (size_t i = 0; i < static_cast<size_t>(node->count); ++i) {
    node->words[i] = WordOf(node->records[i]->key(), node->skip);
  }
}

template <typename Record>
void OrderedIndex<Record>::Tighten(Node* node) {
  if (CommonBytes(*node) >= node->skip + 2 * kSlack) {
    Rebuild(node);
  }
}

// Only a record at an edge can differ in what the others have in common.
template <typename Record>
void OrderedIndex<Record>::SetWord(Node* node, int at) {
  if ((at == 0 || at == node->count - 1) && CommonBytes(*node) < node->skip) {
    Rebuild(node);
    return;
  }
  const auto i = static_cast<size_t>(at);
  node->words[i] = WordOf(node->records[i]->key(), node->skip);
}

template <typename Record>
void OrderedIndex<Record>::Put(Node* node, int at, Record* record, Node* child) {
  const auto insert = [node, at](auto* items, auto item) {
    std::copy_backward(items->begin() + at, items->begin() + node->count,
                       items->begin() + node->count + 1);
    (*items)[static_cast<size_t>(at)] = item;
  };
  insert(&node->words, uint64_t{0});
  insert(&node->records, record);
  if (!node->leaf) {
    insert(&AsInner(node)->children, child);
  }
  ++node->count;
  SetWord(node, at);
  // Growing nodes look a few times whether they can do better.
  if (std::has_single_bit(static_cast<unsigned>(node->count))) {
    Tighten(node);
  }
}

template <typename Record>
void OrderedIndex<Record>::Take(Node* node, int at) {
  const auto erase = [node, at](auto* items) {
    std::copy(items->begin() + at + 1, items->begin() + node->count, items->begin() + at);
  };
  erase(&node->words);
  erase(&node->records);
  if (!node->leaf) {
    erase(&AsInner(node)->children);
  }
  --node->count;
}

// Returns a new node with the upper half.
template <typename Record>
typename OrderedIndex<Record>::Node* OrderedIndex<Record>::Split(Node* node) {
  constexpr int kHalf = kFanout / 2;
  Node* const right = node->leaf ? new Node : new Inner;
  right->leaf = node->leaf;
  right->skip = node->skip;
  right->count = node->count - kHalf;
  const auto move = [node](const auto& from, auto* to) {
    std::copy(from.begin() + kHalf, from.begin() + node->count, to->begin());
  };
  move(node->words, &right->words);
  move(node->records, &right->records);
  if (!node->leaf) {
    move(AsInner(node)->children, &AsInner(right)->children);
  } else {
    right->prev = node;
    right->next = node->next;
    if (node->next != nullptr) {
      node->next->prev = right;
    }
    node->next = right;
  }
  node->count = kHalf;
  Tighten(node);
  Tighten(right);
  return right;
}

// Returns the new node to the right, if the node was full.
template <typename Record>
typename OrderedIndex<Record>::Node* OrderedIndex<Record>::PutOrSplit(Node* node, int at,
                                                                      Record* record, Node* child) {
  if (node->count < kFanout) {
    Put(node, at, record, child);
    return nullptr;
  }
  Node* const right = Split(node);
  // Never to the front of the right one: its least record stays what it is.
  if (at <= node->count) {
    Put(node, at, record, child);
  } else {
    Put(right, at - node->count, record, child);
  }
  return right;
}

template <typename Record>
void OrderedIndex<Record>::CorrectAbove(const Path& path, size_t depth, const Node* node) {
  for (; depth > 0; --depth) {
    const typename Path::Step& step = path.steps[depth - 1];
    step.node->records[static_cast<size_t>(step.at)] = node->records[0];
    SetWord(step.node, step.at);
    if (step.at > 0) {
      return;
    }
    node = step.node;
  }
}

template <typename Record>
void OrderedIndex<Record>::GrowRoot(Node* right) {
  auto* const root = new Inner;
  root->leaf = false;
  Put(root, 0, root_->records[0], root_);
  Put(root, 1, right->records[0], right);
  root_ = root;
}

template <typename Record>
Record* OrderedIndex<Record>::RecordBefore(const Node* leaf, int at) {
  if (at > 0) {
    return leaf->records[static_cast<size_t>(at) - 1];
  }
  return leaf->prev == nullptr ? nullptr
                               : leaf->prev->records[static_cast<size_t>(leaf->prev->count) - 1];
}

template <typename Record>
Record* OrderedIndex<Record>::Insert(Record* record) {
  const std::string_view key = record->key();
  if (root_ == nullptr) {
    root_ = new Node;
  }
  const Path path = Descend(key);
  const int at = CountBefore(*path.leaf, key);
  Record* const before = RecordBefore(path.leaf, at);
  Node* right = PutOrSplit(path.leaf, at, record, nullptr);
  if (at == 0) {
    CorrectAbove(path, path.depth, path.leaf);
  }
  for (size_t depth = path.depth; right != nullptr && depth > 0; --depth) {
    const typename Path::Step& step = path.steps[depth - 1];
    right = PutOrSplit(step.node, step.at + 1, right->records[0], right);
  }
  if (right != nullptr) {
    GrowRoot(right);
  }
  ++size_;
  return before;
}

template <typename Record>
void OrderedIndex<Record>::RemoveEmptyLeaf(const Path& path) {
  Node* node = path.leaf;
  if (node->prev != nullptr) {
    node->prev->next = node->next;
  }
  if (node->next != nullptr) {
    node->next->prev = node->prev;
  }
  size_t depth = path.depth;
  for (; depth > 0 && node->count == 0; --depth) {
    const typename Path::Step& step = path.steps[depth - 1];
    FreeNode(node);
    Take(step.node, step.at);
    node = step.node;
  }
  if (node->count == 0) {
    FreeNode(node);
    root_ = nullptr;
    return;
  }
  CorrectAbove(path, depth, node);
  while (!root_->leaf && root_->count == 1) {
    Node* const child = ChildOf(root_, 0);
    FreeNode(root_);
    root_ = child;
  }
}

template <typename Record>
Record* OrderedIndex<Record>::Erase(const Record* record) {
  const std::string_view key = record->key();
  const Path path = Descend(key);
  const int at = CountBefore(*path.leaf, key);
  KVS_CHECK(at < path.leaf->count && path.leaf->records[static_cast<size_t>(at)] == record);
  Record* const before = RecordBefore(path.leaf, at);
  Take(path.leaf, at);
  --size_;
  if (path.leaf->count == 0) {
    RemoveEmptyLeaf(path);
  } else if (at == 0) {
    CorrectAbove(path, path.depth, path.leaf);
  }
  return before;
}

template <typename Record>
void OrderedIndex<Record>::Replace(const Record* old, Record* record) {
  const std::string_view key = record->key();
  const Path path = Descend(key);
  const int at = CountBefore(*path.leaf, key);
  KVS_CHECK(at < path.leaf->count && path.leaf->records[static_cast<size_t>(at)] == old);
  path.leaf->records[static_cast<size_t>(at)] = record;
  if (at == 0) {
    CorrectAbove(path, path.depth, path.leaf);
  }
}

template <typename Record>
typename OrderedIndex<Record>::Cursor OrderedIndex<Record>::LowerBound(std::string_view key) const {
  if (root_ == nullptr) {
    return Cursor(nullptr, 0);
  }
  const Node* const leaf = Descend(key).leaf;
  const int at = CountBefore(*leaf, key);
  return at < leaf->count ? Cursor(leaf, at) : Cursor(leaf->next, 0);
}

template <typename Record>
typename OrderedIndex<Record>::Cursor OrderedIndex<Record>::Before(std::string_view key) const {
  if (root_ == nullptr) {
    return Cursor(nullptr, 0);
  }
  const Node* const leaf = Descend(key).leaf;
  Cursor cursor(leaf, CountBefore(*leaf, key));
  cursor.Prev();
  return cursor;
}

}  // namespace kvs
