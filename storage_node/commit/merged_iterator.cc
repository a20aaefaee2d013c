#include "storage_node/commit/merged_iterator.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"

namespace kvs {
namespace {

// A longer walk is not likely to come again soon, or has other costs.
constexpr size_t kMostFilled = 1024;
constexpr size_t kMostFilledBytes = size_t{256} << 10;
// So many go into the cache at once, so that its lock is not held for long.
constexpr size_t kFillAtOnce = 64;
constexpr size_t kFillBytes = size_t{64} << 10;

}  // namespace

MergedIterator::MergedIterator(FreshRun fresh, std::unique_ptr<EngineIterator> engine)
    : elements_(), engine_(std::move(engine)), has_first_(true), has_last_(true) {
  window_ = std::move(fresh);
}

MergedIterator::MergedIterator(const Elements& elements)
    : elements_(elements), window_size_(elements.first_window) {}

MergedIterator::~MergedIterator() {
  EndFill();
}

void MergedIterator::Seek(std::string_view target) {
  EndFill();
  backward_ = false;
  engine_placed_ = false;
  if (!ShowsFrom(target)) {
    window_size_ = elements_.first_window;
    FetchFrom(Clamp(target));
  }
  index_ = static_cast<ptrdiff_t>(window_.CountBefore(target));
  PlaceEngine(target);
  SettleForward();
}

void MergedIterator::SeekBefore(std::string_view target) {
  EndFill();
  backward_ = true;
  engine_placed_ = false;
  if (!ShowsBefore(target)) {
    window_size_ = elements_.first_window;
    FetchBefore(Clamp(target));
  }
  index_ = static_cast<ptrdiff_t>(window_.CountBefore(target)) - 1;
  PlaceEngineBefore(target);
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

void MergedIterator::SeekToNth(uint64_t count) {
  const EngineRange& range = elements_.range;
  if (elements_.cache == nullptr || count < elements_.first_window || range.lower >= range.upper) {
    SeekToFirst();
  } else {
    EndFill();
    backward_ = false;
    engine_placed_ = false;
    window_size_ = elements_.first_window;
    FetchFrom(range.lower, count);
    if (part_.known) {
      count = 0;
      low_ = window_.empty() ? high_ : std::string(window_.key(0));
      has_first_ = false;
    }
    index_ = 0;
    PlaceEngine(low_);
    SettleForward();
  }
  for (; valid_ && count > 0; --count) {
    Next();
  }
}

uint64_t MergedIterator::CountAll() {
  uint64_t count = 0;
  if (elements_.cache != nullptr && elements_.range.lower < elements_.range.upper) {
    RecordCache::ElementPart part;
    elements_.cache->ReadElements(
        elements_.slot,
        {.lower = elements_.range.lower, .upper = elements_.range.upper, .skip = UINT64_MAX},
        &part);
    if (part.known) {
      return part.skipped;
    }
  }
  for (SeekToFirst(); valid_; Next()) {
    ++count;
  }
  return count;
}

void MergedIterator::Next() {
  KVS_CHECK(valid_);
  if (backward_) {
    std::string target(key());
    target.push_back('\0');  // No key lies between.
    Seek(target);
    return;
  }
  if (from_window_) {
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
  if (from_window_) {
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
        FetchFrom(std::move(high_));
        PlaceEngine(low_);
        index_ = 0;
        continue;
      }
      from_window_ = false;
      valid_ = engine_valid_;
      if (valid_) {
        NoteForFill(engine_key_, engine_->value());
      } else {
        EndFill(elements_.range.upper);
      }
      return;
    }
    const FreshRecord record = window_[static_cast<size_t>(index_)];
    const int order = engine_valid_ ? engine_key_.compare(record.key) : 1;
    if (order < 0) {
      NoteForFill(engine_key_, engine_->value());
      from_window_ = false;
      valid_ = true;
      return;
    }
    if (order == 0) {
      engine_->Next();  // Hidden by the newer change.
      LoadEngine();
    }
    NoteForFill(record.key, record.value);
    if (record.value.has_value()) {
      from_window_ = true;
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
        FetchBefore(std::move(low_));
        PlaceEngineBefore(high_);
        index_ = static_cast<ptrdiff_t>(window_.size()) - 1;
        continue;
      }
      from_window_ = false;
      valid_ = engine_valid_;
      if (valid_) {
        NoteForFill(engine_key_, engine_->value());
      } else {
        EndFill(elements_.range.lower);
      }
      return;
    }
    const FreshRecord record = window_[static_cast<size_t>(index_)];
    const int order = engine_valid_ ? engine_key_.compare(record.key) : -1;
    if (order > 0) {
      NoteForFill(engine_key_, engine_->value());
      from_window_ = false;
      valid_ = true;
      return;
    }
    if (order == 0) {
      engine_->Prev();
      LoadEngine();
    }
    NoteForFill(record.key, record.value);
    if (record.value.has_value()) {
      from_window_ = true;
      valid_ = true;
      return;
    }
    --index_;
  }
  valid_ = false;
}

void MergedIterator::FetchFrom(std::string low, uint64_t skip) {
  const EngineRange& range = elements_.range;
  low_ = std::move(low);
  Fetch({.lower = low_, .upper = range.upper, .max_count = NextWindow(), .skip = skip});
  has_first_ = low_ == range.lower;
  has_last_ = !part_.more;
  high_ = part_.more ? part_.edge : range.upper;
}

void MergedIterator::FetchBefore(std::string high) {
  const EngineRange& range = elements_.range;
  high_ = std::move(high);
  Fetch({.lower = range.lower, .upper = high_, .from_end = true, .max_count = NextWindow()});
  has_first_ = !part_.more;
  has_last_ = high_ == range.upper;
  low_ = part_.more ? part_.edge : range.lower;
}

void MergedIterator::Fetch(RecordCache::ElementRange range) {
  elements_.cache->ReadElements(elements_.slot, range, &part_);
  if (part_.known) {
    EndFill(backward_ ? high_ : low_);
    engine_placed_ = false;
    engine_valid_ = false;
    return;
  }
  if (engine_ == nullptr) {
    ticket_ = part_.ticket;
    OpenEngine();
    range.known_first = false;
    elements_.cache->ReadElements(elements_.slot, range, &part_);
  }
  if (!(part_.ticket == ticket_)) {
    EndFill(backward_ ? high_ : low_);
    ticket_ = part_.ticket;
    OpenEngine();
  }
}

size_t MergedIterator::NextWindow() {
  return std::exchange(window_size_, std::max(window_size_, elements_.max_window));
}

bool MergedIterator::ShowsFrom(std::string_view key) const {
  return (has_first_ || low_ <= key) && (has_last_ || key < high_);
}

bool MergedIterator::ShowsBefore(std::string_view key) const {
  return (has_first_ || low_ < key) && (has_last_ || key <= high_);
}

std::string MergedIterator::Clamp(std::string_view target) const {
  const EngineRange& range = elements_.range;
  return std::string(
      std::clamp(target, std::string_view(range.lower), std::string_view(range.upper)));
}

void MergedIterator::OpenEngine() {
  if (failure_.ok() && engine_ != nullptr) {
    failure_ = engine_->status();
  }
  Result<std::unique_ptr<EngineIterator>> engine =
      elements_.engine->NewIterator({.range = elements_.range});
  if (engine.ok()) {
    engine_ = *std::move(engine);
  } else {
    failure_ = engine.status();
  }
  engine_placed_ = false;
  engine_valid_ = false;
}

void MergedIterator::PlaceEngine(std::string_view target) {
  if (engine_placed_ || part_.known || !failure_.ok()) {
    return;
  }
  engine_placed_ = true;
  engine_->Seek(target);
  LoadEngine();
  BeginFill(target);
}

void MergedIterator::PlaceEngineBefore(std::string_view target) {
  if (engine_placed_ || part_.known || !failure_.ok()) {
    return;
  }
  engine_placed_ = true;
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
  BeginFill(target);
}

void MergedIterator::LoadEngine() {
  engine_valid_ = engine_->Valid();
  if (engine_valid_) {
    engine_key_ = engine_->key();
  }
}

void MergedIterator::BeginFill(std::string_view edge) {
  if (elements_.cache == nullptr || !elements_.cache->KeepsClean() || filled_ >= kMostFilled ||
      filled_bytes_ >= kMostFilledBytes) {
    return;
  }
  fills_ = true;
  fill_edge_ = Clamp(edge);
}

void MergedIterator::NoteForFill(std::string_view key, std::optional<std::string_view> value) {
  if (!fills_) {
    return;
  }
  ++filled_;
  if (value.has_value() && value->size() > elements_.cache->max_clean_value()) {
    // It is left out, and all is known up to it and behind it.
    std::string behind(key);
    behind.push_back('\0');
    const std::string at(key);
    EndFill(backward_ ? behind : at);
    BeginFill(backward_ ? at : behind);
    return;
  }
  fill_.Add(key, value);
  filled_bytes_ += key.size() + value.value_or("").size();
  if (fill_.size() < kFillAtOnce && fill_.byte_count() < kFillBytes) {
    return;
  }
  std::string edge(key);
  EndFill();
  if (!backward_) {
    edge.push_back('\0');
  }
  BeginFill(edge);
}

void MergedIterator::EndFill(std::optional<std::string_view> edge) {
  if (!std::exchange(fills_, false)) {
    return;
  }
  // An engine that cannot read a record has perhaps passed others.
  if (failure_.ok() && engine_->status().ok() && (edge.has_value() || !fill_.empty())) {
    RecordCache::ElementFill range;
    if (!backward_) {
      const std::string_view end = edge.has_value() ? *edge : fill_.key(fill_.size() - 1);
      range = {.low = fill_edge_, .high = end, .with_high = !edge.has_value()};
    } else {
      fill_.Reverse();
      const std::string_view begin = edge.has_value() ? *edge : fill_.key(0);
      range = {.low = begin, .high = fill_edge_};
    }
    elements_.cache->FillElements(elements_.slot, range, fill_, ticket_);
  }
  fill_.Clear();
}

}  // namespace kvs
