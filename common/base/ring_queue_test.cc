#include "common/base/ring_queue.h"

#include <gtest/gtest.h>

#include <deque>
#include <memory>

#include "common/base/random.h"

namespace kvs {
namespace {

TEST(RingQueueTest, IsAQueueWhateverIsDoneToIt) {
  Random random(7);
  std::deque<int> model;
  RingQueue<std::unique_ptr<int>> queue;
  for (int step = 0; step < 20'000; ++step) {
    const uint64_t kind = random.Uniform(100);
    if (kind < 52) {
      model.push_back(step);
      queue.push_back(std::make_unique<int>(step));
    } else if (kind < 98 && !model.empty()) {
      model.pop_front();
      queue.pop_front();
    } else if (kind == 98) {
      RingQueue<std::unique_ptr<int>> moved = std::move(queue);
      queue = std::move(moved);
      queue.ReleaseIfEmpty();
    } else if (kind == 99 && random.Uniform(20) == 0) {
      model.clear();
      queue.clear();
    }
    ASSERT_EQ(queue.size(), model.size());
    ASSERT_EQ(queue.empty(), model.empty());
    if (!model.empty()) {
      ASSERT_EQ(*queue.front(), model.front());
      ASSERT_EQ(*queue.back(), model.back());
    }
    size_t index = 0;
    for (const std::unique_ptr<int>& element : queue) {
      ASSERT_EQ(*element, model[index++]);
    }
    ASSERT_EQ(index, model.size());
  }
}

TEST(RingQueueTest, WhatIsPoppedOrClearedIsLetGoOf) {
  const auto held = std::make_shared<int>(1);
  RingQueue<std::shared_ptr<int>> queue;
  for (int i = 0; i < 10; ++i) {
    queue.push_back(held);
  }
  EXPECT_EQ(held.use_count(), 11);
  queue.pop_front();
  EXPECT_EQ(held.use_count(), 10);
  queue.clear();
  EXPECT_EQ(held.use_count(), 1);
}

}  // namespace
}  // namespace kvs
