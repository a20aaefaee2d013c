// RingQueue: a queue in one allocation, made with the first element.  An empty std::deque takes
// half a KiB, which counts where there is one for each connection.
//
// Threads: as a standard container.
// Owner:   the object that it is a part of.

#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>

#include "common/base/check.h"

namespace kvs {

// T is default-constructible and movable; a default-constructed one owns nothing.
template <typename T>
class RingQueue {
 public:
  // Goes from the front to the back; any change of the queue ends it.
  template <typename Queue, typename Reference>
  class Iterator {
   public:
    Iterator(Queue* queue, size_t index) : queue_(queue), index_(index) {}
    Reference operator*() const { return queue_->at(index_); }
    auto* operator->() const { return &queue_->at(index_); }
    Iterator& operator++() {
      ++index_;
      return *this;
    }
    bool operator==(const Iterator& other) const { return index_ == other.index_; }

   private:
    Queue* queue_;
    size_t index_;
  };

  RingQueue() = default;
  RingQueue(RingQueue&& other) noexcept
      : slots_(std::move(other.slots_)),
        capacity_(std::exchange(other.capacity_, 0)),
        head_(std::exchange(other.head_, 0)),
        size_(std::exchange(other.size_, 0)) {}
  RingQueue& operator=(RingQueue&& other) noexcept {
    slots_ = std::move(other.slots_);
    capacity_ = std::exchange(other.capacity_, 0);
    head_ = std::exchange(other.head_, 0);
    size_ = std::exchange(other.size_, 0);
    return *this;
  }

  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }

  // REQUIRES: index < size(), counted from the front
  T& at(size_t index) { return slots_[(head_ + index) & (capacity_ - 1)]; }
  const T& at(size_t index) const { return slots_[(head_ + index) & (capacity_ - 1)]; }
  // REQUIRES, for these: not empty
  T& front() { return at(0); }
  const T& front() const { return at(0); }
  T& back() { return at(size_ - 1); }
  const T& back() const { return at(size_ - 1); }

  void push_back(T element) {
    if (size_ == capacity_) {
      Grow();
    }
    slots_[(head_ + size_) & (capacity_ - 1)] = std::move(element);
    ++size_;
  }
  void pop_front() {
    KVS_CHECK(size_ > 0);
    slots_[head_] = T();
    head_ = (head_ + 1) & (capacity_ - 1);
    --size_;
  }
  void clear() {
    while (size_ > 0) {
      pop_front();
    }
  }
  // Gives the memory back if the queue is empty.
  void ReleaseIfEmpty() {
    if (size_ == 0) {
      *this = RingQueue();
    }
  }

  auto begin() { return Iterator<RingQueue, T&>(this, 0); }
  auto end() { return Iterator<RingQueue, T&>(this, size_); }
  auto begin() const { return Iterator<const RingQueue, const T&>(this, 0); }
  auto end() const { return Iterator<const RingQueue, const T&>(this, size_); }

 private:
  static constexpr size_t kFirstCapacity = 4;  // Capacities are powers of two.

  void Grow() {
    const size_t capacity = std::max(kFirstCapacity, 2 * capacity_);
    std::unique_ptr<T[]> larger(new T[capacity]());
    for (size_t i = 0; i < size_; ++i) {
      larger[i] = std::move(at(i));
    }
    slots_ = std::move(larger);
    capacity_ = capacity;
    head_ = 0;
  }

  std::unique_ptr<T[]> slots_;
  size_t capacity_ = 0;
  size_t head_ = 0;
  size_t size_ = 0;
};

}  // namespace kvs
