#include "storage_node/commit/key_watch.h"

#include <gtest/gtest.h>

#include "common/base/thread.h"

namespace kvs {
namespace {

// Keys that begin alike share a slot.
uint16_t SlotFor(std::string_view key) {
  return static_cast<uint16_t>(key[0]);
}

std::shared_ptr<WatchMark> Watch(KeyWatches* watches, std::string_view key, bool exists) {
  auto mark = std::make_shared<WatchMark>();
  watches->Add(SlotFor(key), key, exists, mark);
  return mark;
}

TEST(KeyWatchTest, AChangeMarksThoseWhoWatchTheKeyAndNobodyElse) {
  KeyWatches watches;
  const auto one = Watch(&watches, "a", true);
  const auto two = Watch(&watches, "a", false);
  const auto other = Watch(&watches, "b", true);
  watches.OnChange(SlotFor("a"), "a", KeyChange::kWritten);
  EXPECT_TRUE(one->changed);
  EXPECT_TRUE(two->changed);
  EXPECT_FALSE(other->changed);
}

TEST(KeyWatchTest, AKeyThatGoesWasNoNewsForThoseWhoSawNone) {
  KeyWatches watches;
  const auto saw = Watch(&watches, "a", true);
  const auto missed = Watch(&watches, "a", false);
  watches.OnChange(SlotFor("a"), "a", KeyChange::kGone);
  EXPECT_TRUE(saw->changed);
  EXPECT_FALSE(missed->changed);
}

TEST(KeyWatchTest, AClearedSlotIsAChangeOfItsKeys) {
  KeyWatches watches;
  const auto in_slot = Watch(&watches, "x1", true);
  const auto missing = Watch(&watches, "x2", false);
  const auto elsewhere = Watch(&watches, "y1", true);
  // Another slot that shares a lock.
  const auto neighbour = std::make_shared<WatchMark>();
  watches.Add(static_cast<uint16_t>(SlotFor("x") + 64), "x1", true, neighbour);
  watches.OnSlotCleared(SlotFor("x"));
  EXPECT_TRUE(in_slot->changed);
  EXPECT_FALSE(missing->changed);
  EXPECT_FALSE(elsewhere->changed);
  EXPECT_FALSE(neighbour->changed);
}

TEST(KeyWatchTest, WhoIsRemovedHearsNothing) {
  KeyWatches watches;
  const auto gone = Watch(&watches, "a", true);
  const auto stays = Watch(&watches, "a", true);
  watches.Remove(SlotFor("a"), "a", gone.get());
  watches.Remove(SlotFor("a"), "a", gone.get());
  watches.Remove(SlotFor("never"), "never", stays.get());
  EXPECT_TRUE(watches.any());
  watches.OnChange(SlotFor("a"), "a", KeyChange::kWritten);
  EXPECT_FALSE(gone->changed);
  EXPECT_TRUE(stays->changed);
  watches.Remove(SlotFor("a"), "a", stays.get());
  EXPECT_FALSE(watches.any());
}

TEST(KeyWatchTest, ThreadsWatchAndChangeAtOnce) {
  KeyWatches watches;
  constexpr int kRounds = 20'000;
  Thread changer("changer", [&] {
    for (int i = 0; i < kRounds; ++i) {
      watches.OnChange(SlotFor("k"), "k" + std::to_string(i % 7), KeyChange::kWritten);
    }
  });
  for (int i = 0; i < kRounds; ++i) {
    const std::string key = "k" + std::to_string(i % 5);
    const auto mark = Watch(&watches, key, true);
    watches.OnChange(SlotFor(key), key, KeyChange::kWritten);
    EXPECT_TRUE(mark->changed);
    watches.Remove(SlotFor(key), key, mark.get());
  }
  changer.Join();
  EXPECT_FALSE(watches.any());
}

}  // namespace
}  // namespace kvs
