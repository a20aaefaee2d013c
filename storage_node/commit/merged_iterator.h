// MergedIterator: walks a range of engine keys with the cache's fresh records merged in.
//
// A fresh record hides the engine's record of that key, and if it is a deletion it is not shown. Of
// a range of elements the fresh records are read in windows, as the walk gets there; of any other
// range all are copied at first.
//
// A record leaves the fresh ones when a hand-over has brought it to the engine, at any time.  It is
// not missed, because each window is read before the engine's iterator is opened, or else while no
// hand-over has ended since: what is not in the window is then in the engine as the iterator sees
// it.  The cache's ticket tells; if it has changed, the engine is opened again and the walk goes on
// at the same key.  The old iterator lives until the new one is open, so the engine cannot be
// reopened in between and lose records that it had.
//
// Whoever holds the stripe of a collection sees exactly its records.  Without it, a record that
// does not change during the walk is seen once.
//
// Threads: one owner.
// Owner:   the command; the cache and the engine outlive it.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "common/base/status.h"
#include "storage_node/cache/record_cache.h"
#include "storage_node/engine/engine.h"

namespace kvs {

class MergedIterator {
 public:
  struct Elements {
    const RecordCache* cache = nullptr;
    Engine* engine = nullptr;
    uint16_t slot = 0;
    EngineRange range = {};
    // Fresh records in the first window of a walk; each next one has twice as many.
    size_t first_window = 32;
    size_t max_window = 128;
  };

  // Shows `fresh` before `engine`, both of one range.
  MergedIterator(FreshRun fresh, std::unique_ptr<EngineIterator> engine);
  // Reads fresh records in windows.  REQUIRES: RecordCache::IsElementRange(range)
  //   kUnavailable: the engine is being reopened
  static Result<std::unique_ptr<MergedIterator>> Open(const Elements& elements);

  bool Valid() const { return valid_; }
  void SeekToFirst() { Seek(elements_.range.lower); }
  void SeekToLast();
  // Moves to the first key at or after `target`, within the range.  The target is no view of this
  // iterator's.
  void Seek(std::string_view target);
  // Moves to the last key before `target`, within the range.
  void SeekBefore(std::string_view target);
  // REQUIRES, for the following: Valid().  The views live until the next move.
  void Next();
  void Prev();
  std::string_view key() const {
    return from_fresh_ ? window_.key(static_cast<size_t>(index_)) : engine_key_;
  }
  std::string_view value() const {
    return from_fresh_ ? *window_[static_cast<size_t>(index_)].value : engine_->value();
  }
  // Not OK if the walk has stopped before the end, or has skipped what cannot be read.
  Status status() const { return failure_.ok() ? engine_->status() : failure_; }
  // Sets the first and the last key of the range; false if there is none.  Moves the iterator.
  bool FindBounds(std::string* first, std::string* last);

 private:
  MergedIterator(const Elements& elements, RecordCache::Ticket ticket,
                 std::unique_ptr<EngineIterator> engine);

  // Settle on the nearer front in their direction, skipping what is deleted or hidden.
  void SettleForward();
  void SettleBackward();
  // Take the window that begins with `low`, or ends before `high`.  They return whether the
  // engine's iterator is a new one, which stands nowhere.
  bool FetchFrom(std::string low);
  bool FetchBefore(std::string high);
  bool Fetch(const RecordCache::ElementRange& range, bool* more);
  // Whether the window tells of the fresh records next to the key.
  bool ShowsFrom(std::string_view key) const;
  bool ShowsBefore(std::string_view key) const;
  size_t NextWindow();

  void ReopenEngine();
  void SeekEngine(std::string_view target);
  void SeekEngineBefore(std::string_view target);
  void LoadEngine();

  const Elements elements_;  // Without a cache: all fresh records are in the window.
  std::unique_ptr<EngineIterator> engine_;
  RecordCache::Ticket ticket_;  // As of a moment before engine_ was opened.
  bool engine_valid_ = false;
  std::string_view engine_key_;

  // The fresh records in [low_, high_).
  FreshRun window_;
  std::string low_;
  std::string high_;
  bool has_first_ = false;  // No fresh record of the range stands before the window,
  bool has_last_ = false;   // ...or behind it.
  size_t window_size_ = 0;
  ptrdiff_t index_ = 0;  // In the window; at its end or before its begin when it is used up.

  bool backward_ = false;
  bool from_fresh_ = false;
  bool valid_ = false;
  Status failure_;
};

}  // namespace kvs
