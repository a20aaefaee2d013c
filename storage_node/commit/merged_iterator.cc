#include "storage_node/commit/merged_iterator.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"

namespace kvs {

MergedIterator::MergedIterator(FreshRun fresh, std::unique_ptr<EngineIterator> engine)
    : elements_(),
      engine_(std::move(engine)),
      window_(std::move(fresh)),
      has_first_(true),
      has_last_(true) {}

MergedIterator::MergedIterator(const Elements& elements, RecordCache::Ticket ticket,
                               std::unique_ptr<EngineIterator> engine)
    : elements_(elements),
      engine_(std::move(engine)),
      ticket_(ticket),
      window_size_(elements.first_window) {}

Result<std::unique_ptr<MergedIterator>> MergedIterator::Open(const Elements& elements) {
  const RecordCache::Ticket ticket = elements.cache->TicketOf(elements.slot);
  KVS_ASSIGN_OR_RETURN(std::unique_ptr<EngineIterator> engine,
                       elements.engine->NewIterator({.range = elements.range}));
  return std::unique_ptr<MergedIterator>(new MergedIterator(elements, ticket, std::move(engine)));
}

void MergedIterator::Seek(std::string_view target) {
  backward_ = false;
  if (!ShowsFrom(target)) {
    const EngineRange& range = elements_.range;
    window_size_ = elements_.first_window;
    (void)FetchFrom(std::string(
        std::clamp(target, std::string_view(range.lower), std::string_view(range.upper))));
  }
  index_ = static_cast<ptrdiff_t>(window_.CountBefore(target));
  SeekEngine(target);
  SettleForward();
}

void MergedIterator::SeekBefore(std::string_view target) {
  backward_ = true;
  if (!ShowsBefore(target)) {
    const EngineRange& range = elements_.range;
    window_size_ = elements_.first_window;
    (void)FetchBefore(std::string(
        std::clamp(target, std::string_view(range.lower), std::string_view(range.upper))));
  }
  index_ = static_cast<ptrdiff_t>(window_.CountBefore(target)) - 1;
  SeekEngineBefore(target);
  SettleBackward();
}

void MergedIterator::SeekToLast() {
  if (elements_.cache != nullptr) {
    SeekBefore(elements_.range.upper);
    return;
  }
  backward_ = true;
  index_ = static_cast<ptrdiff_t>(window_.size()) - 1;
  engine_->SeekToLast();
  LoadEngine();
  SettleBackward();
}

void MergedIterator::Next() {
  KVS_CHECK(valid_);
  if (backward_) {
    std::string target(key());
    target.push_back('\0');  // No key lies between.
    Seek(target);
    return;
  }
  if (from_fresh_) {
    ++index_;
  } else {
    engine_->Next();
    LoadEngine();
  }
  SettleForward();
}

void MergedIterator::Prev() {
  KVS_CHECK(valid_);
  if (!backward_) {
    SeekBefore(std::string(key()));
    return;
  }
  if (from_fresh_) {
    --index_;
  } else {
    engine_->Prev();
    LoadEngine();
  }
  SettleBackward();
}

bool MergedIterator::FindBounds(std::string* first, std::string* last) {
  SeekToFirst();
  if (!valid_) {
    return false;
  }
  *first = key();
  SeekToLast();
  if (valid_) {
    *last = key();
  }
  return valid_;
}

// A window that is used up is left when the engine, too, has nothing more in it: then both go on
// from the window's end.
void MergedIterator::SettleForward() {
  while (failure_.ok()) {
    if (index_ == static_cast<ptrdiff_t>(window_.size())) {
      if (!has_last_ && (!engine_valid_ || engine_key_ >= high_)) {
        if (FetchFrom(std::move(high_))) {
          SeekEngine(low_);
        }
        index_ = 0;
        continue;
      }
      from_fresh_ = false;
      valid_ = engine_valid_;
      return;
    }
    const FreshRecord record = window_[static_cast<size_t>(index_)];
    const int order = engine_valid_ ? engine_key_.compare(record.key) : 1;
    if (order == 0) {
      engine_->Next();  // Hidden by the newer change.
      LoadEngine();
    }
    if (order < 0 || record.value.has_value()) {
      from_fresh_ = order >= 0;
      valid_ = true;
      return;
    }
    ++index_;
  }
  valid_ = false;
}

void MergedIterator::SettleBackward() {
  while (failure_.ok()) {
    if (index_ < 0) {
      if (!has_first_ && (!engine_valid_ || engine_key_ < low_)) {
        if (FetchBefore(std::move(low_))) {
          SeekEngineBefore(high_);
        }
        index_ = static_cast<ptrdiff_t>(window_.size()) - 1;
        continue;
      }
      from_fresh_ = false;
      valid_ = engine_valid_;
      return;
    }
    const FreshRecord record = window_[static_cast<size_t>(index_)];
    const int order = engine_valid_ ? engine_key_.compare(record.key) : -1;
    if (order == 0) {
      engine_->Prev();
      LoadEngine();
    }
    if (order > 0 || record.value.has_value()) {
      from_fresh_ = order <= 0;
      valid_ = true;
      return;
    }
    --index_;
  }
  valid_ = false;
}

bool MergedIterator::FetchFrom(std::string low) {
  const EngineRange& range = elements_.range;
  low_ = std::move(low);
  bool more = false;
  const bool reopened =
      Fetch({.lower = low_, .upper = range.upper, .max_count = NextWindow()}, &more);
  has_first_ = low_ == range.lower;
  has_last_ = !more;
  high_ = range.upper;
  if (more) {
    high_ = window_.key(window_.size() - 1);
    high_.push_back('\0');
  }
  return reopened;
}

bool MergedIterator::FetchBefore(std::string high) {
  const EngineRange& range = elements_.range;
  high_ = std::move(high);
  bool more = false;
  const bool reopened = Fetch(
      {.lower = range.lower, .upper = high_, .from_end = true, .max_count = NextWindow()}, &more);
  has_first_ = !more;
  has_last_ = high_ == range.upper;
  low_ = more ? std::string(window_.key(0)) : range.lower;
  return reopened;
}

bool MergedIterator::Fetch(const RecordCache::ElementRange& range, bool* more) {
  RecordCache::Ticket ticket;
  *more = elements_.cache->FreshElements(elements_.slot, range, &window_, &ticket);
  if (ticket == ticket_) {
    return false;
  }
  ticket_ = ticket;
  ReopenEngine();
  return true;
}

size_t MergedIterator::NextWindow() {
  return std::exchange(window_size_, std::min(window_size_ * 2, elements_.max_window));
}

bool MergedIterator::ShowsFrom(std::string_view key) const {
  return (has_first_ || low_ <= key) && (has_last_ || key < high_);
}

bool MergedIterator::ShowsBefore(std::string_view key) const {
  return (has_first_ || low_ < key) && (has_last_ || key <= high_);
}

void MergedIterator::ReopenEngine() {
  if (failure_.ok()) {
    failure_ = engine_->status();
  }
  Result<std::unique_ptr<EngineIterator>> engine =
      elements_.engine->NewIterator({.range = elements_.range});
  if (engine.ok()) {
    engine_ = *std::move(engine);
  } else {
    failure_ = engine.status();
  }
  engine_valid_ = false;
}

void MergedIterator::SeekEngine(std::string_view target) {
  engine_->Seek(target);
  LoadEngine();
}

void MergedIterator::SeekEngineBefore(std::string_view target) {
  engine_->Seek(target);
  if (engine_->Valid()) {
    engine_->Prev();
  } else {
    engine_->SeekToLast();
  }
  LoadEngine();
  if (engine_valid_ && engine_key_ >= target) {
    engine_valid_ = false;  // The first step has failed, and status() says so.
  }
}

void MergedIterator::LoadEngine() {
  engine_valid_ = engine_->Valid();
  if (engine_valid_) {
    engine_key_ = engine_->key();
  }
}

}  // namespace kvs
