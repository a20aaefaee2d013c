// MergedIterator: walks a range of engine keys as the cache and the engine together have them.
//
// A record of the cache hides the engine's record of that key, and if it is a deletion it is not
// shown.  Of a range of elements the cache's records are read in windows, as the walk gets there;
// of any other range all that are fresh are copied at first.
//
// Where the cache knows all that is stored, the engine is not asked; it is opened by the first
// window of which that is not so.  What the walk then reads there fills the cache.
//
// A record leaves the fresh ones when a hand-over has brought it to the engine, at any time.  It is
// not missed, because each window is read before the engine's iterator is opened, or else while no
// hand-over has ended since: what is not in the window is then in the engine as the iterator sees
// it.  The cache's ticket tells; if it has changed, the engine is opened again and the walk goes on
// at the same key.  The old iterator lives until the new one is open, so the engine cannot be
// reopened in between and lose records that it had; and the first one is opened before the window
// is read that needs it.
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
#include <optional>
#include <string>
#include <string_view>

#include "common/base/status.h"
#include "storage_node/cache/record_cache.h"
#include "storage_node/engine/engine.h"

namespace kvs {

class MergedIterator {
 public:
  struct Elements {
    RecordCache* cache = nullptr;
    Engine* engine = nullptr;
    uint16_t slot = 0;
    EngineRange range = {};
    // The cache's records in the first window of a walk, and in the next ones.
    size_t first_window = 16;
    size_t max_window = 128;
  };

  // Shows `fresh` before `engine`, both of one range.
  MergedIterator(FreshRun fresh, std::unique_ptr<EngineIterator> engine);
  // Reads the cache in windows.  REQUIRES: RecordCache::IsElementRange(range)
  explicit MergedIterator(const Elements& elements);
  ~MergedIterator();

  bool Valid() const { return valid_; }
  void SeekToFirst() { Seek(elements_.range.lower); }
  void SeekToLast();
  // As `count` steps from the first key, but far cheaper where the cache knows all of them.
  void SeekToNth(uint64_t count);
  // Moves to the first key at or after `target`, within the range.  The target is no view of this
  // iterator's.
  void Seek(std::string_view target);
  // Moves to the last key before `target`, within the range.
  void SeekBefore(std::string_view target);
  // Returns how many records there are, as far as status() is OK then.
  uint64_t CountAll();
  // REQUIRES, for the following: Valid().  The views live until the next move.
  void Next();
  void Prev();
  std::string_view key() const {
    return from_window_ ? window_.key(static_cast<size_t>(index_)) : engine_key_;
  }
  std::string_view value() const {
    return from_window_ ? *window_[static_cast<size_t>(index_)].value : engine_->value();
  }
  // Not OK if the walk has stopped before the end, or has skipped what cannot be read.
  //   kUnavailable: the engine is being reopened
  Status status() const {
    return failure_.ok() && engine_ != nullptr ? engine_->status() : failure_;
  }
  // Sets the first and the last key of the range; false if there is none.  Moves the iterator.
  bool FindBounds(std::string* first, std::string* last);

 private:
  // Settle on the nearer front in their direction, skipping what is deleted or hidden.
  void SettleForward();
  void SettleBackward();
  // Take the window that begins with `low`, or ends before `high`.  The engine then has to be
  // placed, unless it stands where the window before has ended.
  void FetchFrom(std::string low, uint64_t skip = 0);
  void FetchBefore(std::string high);
  void Fetch(RecordCache::ElementRange range);
  // Whether the window tells of the cache's records next to the key.
  bool ShowsFrom(std::string_view key) const;
  bool ShowsBefore(std::string_view key) const;
  std::string Clamp(std::string_view target) const;
  size_t NextWindow();

  void OpenEngine();
  void PlaceEngine(std::string_view target);
  void PlaceEngineBefore(std::string_view target);
  void LoadEngine();

  // What the walk passes is noted while the engine takes part, in the order of the walk.
  void BeginFill(std::string_view edge);
  void NoteForFill(std::string_view key, std::optional<std::string_view> value);
  // Gives to the cache what was noted: up to the last record or, with `edge`, up to there.
  void EndFill(std::optional<std::string_view> edge = std::nullopt);

  const Elements elements_;                 // Without a cache: all fresh records are in the window.
  std::unique_ptr<EngineIterator> engine_;  // Nothing until it is needed.
  RecordCache::Ticket ticket_;              // As of a moment before engine_ was opened.
  bool engine_placed_ = false;              // It stands where the window needs it.
  bool engine_valid_ = false;
  std::string_view engine_key_;

  // The cache's records in [low_, high_).
  RecordCache::ElementPart part_;
  FreshRun& window_ = part_.records;
  std::string low_;
  std::string high_;
  bool has_first_ = false;  // Nothing of the range stands before the window in the cache,
  bool has_last_ = false;   // ...or behind it.
  size_t window_size_ = 0;
  ptrdiff_t index_ = 0;  // In the window; at its end or before its begin when it is used up.

  FreshRun fill_;
  std::string fill_edge_;  // Where the walk began; in its direction.
  bool fills_ = false;
  size_t filled_ = 0;
  size_t filled_bytes_ = 0;

  bool backward_ = false;
  bool from_window_ = false;
  bool valid_ = false;
  Status failure_;
};

}  // namespace kvs
