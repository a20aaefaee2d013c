#include "storage_node/engine/background_slots.h"

#include <algorithm>
#include <atomic>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "common/base/thread.h"

namespace kvs {
namespace {

TEST(BackgroundSlotsTest, NeverMoreWorkThanThereAreSlots) {
  BackgroundSlots slots(2);
  std::atomic<int> working{0};
  std::atomic<int> most{0};
  std::vector<Thread> threads;
  for (int t = 0; t < 6; ++t) {
    threads.emplace_back("job", [&, t] {
      for (int i = 0; i < 200; ++i) {
        slots.Acquire((i + t) % 3 == 0);
        const int now = working.fetch_add(1) + 1;
        int seen = most.load();
        while (now > seen && !most.compare_exchange_weak(seen, now)) {
        }
        SleepMicros(10);
        working.fetch_sub(1);
        slots.Release();
      }
    });
  }
  threads.clear();

  EXPECT_EQ(working.load(), 0);
  EXPECT_EQ(most.load(), 2);
}

TEST(BackgroundSlotsTest, WhoeverIsUrgentGetsTheNextSlot) {
  BackgroundSlots slots(1);
  slots.Acquire(false);
  Mutex mu;
  std::string order;
  std::atomic<int> begun{0};
  std::vector<Thread> threads;
  for (const char who : {'o', 'o', 'u'}) {
    threads.emplace_back("job", [&, who] {
      begun.fetch_add(1);
      slots.Acquire(who == 'u');
      {
        const MutexLock lock(&mu);
        order += who;
      }
      slots.Release();
    });
  }
  while (begun.load() < 3 || slots.waiting() < 3) {
    SleepMicros(100);
  }
  slots.Release();
  threads.clear();

  EXPECT_EQ(order, "uoo");
}

}  // namespace
}  // namespace kvs
