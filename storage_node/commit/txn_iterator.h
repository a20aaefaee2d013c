// TxnIterator: walks records of elements as one turn sees them: what is committed, with the turn's
// own changes over it.
//
// Threads: the Txn's.
// Owner:   the command that walks; ends before the Txn is written to or committed.

#pragma once

#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "storage_node/commit/store.h"

namespace kvs {

// By engine key; nothing: deleted.
using ElementOverlay = std::map<std::string, std::optional<std::string>, std::less<>>;

class TxnIterator {
 public:
  // `committed` walks [lower, upper).
  TxnIterator(const ElementOverlay* overlay, std::string_view lower, std::string_view upper,
              std::unique_ptr<MergedIterator> committed)
      : overlay_(overlay),
        begin_(overlay->lower_bound(lower)),
        end_(overlay->lower_bound(upper)),
        next_(begin_),
        committed_(std::move(committed)) {}

  bool Valid() const { return source_ != Source::kNone; }
  // Not OK if the walk has stopped before the end.
  Status status() const { return committed_->status(); }

  void SeekToFirst();
  void SeekToLast();
  // Moves to the record `count` steps behind the first one, if there is one.
  void SeekToNth(uint64_t count);
  // Returns how many records there are, as far as status() is OK then.
  uint64_t CountAll();
  // Moves to the first record at or after `target`, which is no view of this iterator's.
  void Seek(std::string_view target);
  // Moves to the last record before `target`, which is no view of this iterator's.
  void SeekBefore(std::string_view target);
  // REQUIRES, for these: Valid().  To turn round costs a seek.
  void Next();
  void Prev();

  // REQUIRES, for these: Valid().  They live until the next move.
  std::string_view key() const {
    return source_ == Source::kOverlay ? std::string_view(Front()->first) : committed_->key();
  }
  std::string_view value() const {
    return source_ == Source::kOverlay ? std::string_view(*Front()->second) : committed_->value();
  }

 private:
  enum class Source : uint8_t { kNone, kOverlay, kCommitted };
  // Settle on the nearer front in their direction, skipping what the turn has deleted or replaced.
  void SettleForward();
  void SettleBackward();
  // Returns the overlay's first record at or after `target`, within the range.
  ElementOverlay::const_iterator LowerBound(std::string_view target) const;
  // Returns the overlay's record that the walk comes to next.
  ElementOverlay::const_iterator Front() const { return backward_ ? std::prev(next_) : next_; }

  const ElementOverlay* overlay_;
  ElementOverlay::const_iterator begin_;
  ElementOverlay::const_iterator end_;
  ElementOverlay::const_iterator next_;  // Of a backward walk: behind the record it comes to next.
  std::unique_ptr<MergedIterator> committed_;
  bool backward_ = false;
  Source source_ = Source::kNone;
};

}  // namespace kvs
