#include "storage_node/commit/txn_iterator.h"

#include "common/base/check.h"

namespace kvs {

ElementOverlay::const_iterator TxnIterator::LowerBound(std::string_view target) const {
  if (begin_ == end_ || begin_->first >= target) {
    return begin_;
  }
  return std::prev(end_)->first < target ? end_ : overlay_->lower_bound(target);
}

void TxnIterator::SeekToFirst() {
  backward_ = false;
  next_ = begin_;
  committed_->SeekToFirst();
  SettleForward();
}

void TxnIterator::SeekToNth(uint64_t count) {
  if (begin_ == end_) {
    backward_ = false;
    next_ = begin_;
    committed_->SeekToNth(count);
    SettleForward();
    return;
  }
  for (SeekToFirst(); Valid() && count > 0; --count) {
    Next();
  }
}

uint64_t TxnIterator::CountAll() {
  if (begin_ == end_) {
    return committed_->CountAll();
  }
  uint64_t count = 0;
  for (SeekToFirst(); Valid(); Next()) {
    ++count;
  }
  return count;
}

void TxnIterator::SeekToLast() {
  backward_ = true;
  next_ = end_;
  committed_->SeekToLast();
  SettleBackward();
}

void TxnIterator::Seek(std::string_view target) {
  backward_ = false;
  next_ = LowerBound(target);
  committed_->Seek(target);
  SettleForward();
}

void TxnIterator::SeekBefore(std::string_view target) {
  backward_ = true;
  next_ = LowerBound(target);
  committed_->SeekBefore(target);
  SettleBackward();
}

void TxnIterator::Next() {
  KVS_CHECK(Valid());
  if (backward_) {
    std::string target(key());
    target.push_back('\0');  // No key lies between.
    Seek(target);
    return;
  }
  if (source_ == Source::kOverlay) {
    ++next_;
  } else {
    committed_->Next();
  }
  SettleForward();
}

void TxnIterator::Prev() {
  KVS_CHECK(Valid());
  if (!backward_) {
    SeekBefore(std::string(key()));
    return;
  }
  if (source_ == Source::kOverlay) {
    --next_;
  } else {
    committed_->Prev();
  }
  SettleBackward();
}

void TxnIterator::SettleForward() {
  while (next_ != end_) {
    if (committed_->Valid() && committed_->key() < next_->first) {
      break;
    }
    if (committed_->Valid() && committed_->key() == next_->first) {
      committed_->Next();
    }
    if (next_->second.has_value()) {
      source_ = Source::kOverlay;
      return;
    }
    ++next_;
  }
  source_ = committed_->Valid() ? Source::kCommitted : Source::kNone;
}

void TxnIterator::SettleBackward() {
  while (next_ != begin_) {
    const ElementOverlay::const_iterator front = Front();
    if (committed_->Valid() && committed_->key() > front->first) {
      break;
    }
    if (committed_->Valid() && committed_->key() == front->first) {
      committed_->Prev();
    }
    if (front->second.has_value()) {
      source_ = Source::kOverlay;
      return;
    }
    --next_;
  }
  source_ = committed_->Valid() ? Source::kCommitted : Source::kNone;
}

}  // namespace kvs
