#include "common/tracking/tracking_hub.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <set>
#include <utility>

#include "gtest/gtest.h"

#include "common/base/thread.h"

namespace kvs {
namespace {

class TrackingHubTest : public testing::Test {
 protected:
  // What was delivered, a line each, since the last call.
  std::vector<std::string> TakeLines() {
    const MutexLock lock(&mu_);
    return std::exchange(lines_, {});
  }

  bool Deliver(const InvalidationOrder& order) {
    const MutexLock lock(&mu_);
    if (gone_.contains(order.client)) {
      return false;
    }
    std::string text;
    switch (order.invalidation->kind) {
      case Invalidation::Kind::kKeys:
        text = fmt::format("{}", fmt::join(order.invalidation->keys, ","));
        break;
      case Invalidation::Kind::kEverything:
        text = "everything";
        break;
      case Invalidation::Kind::kRedirectBroken:
        text = fmt::format("broken {}", order.invalidation->redirect);
        break;
    }
    lines_.push_back(fmt::format("{}{}: {}", order.client, order.redirected ? "r" : "", text));
    return true;
  }

  Mutex mu_;
  std::vector<std::string> lines_;
  std::set<uint64_t> gone_;
  std::set<uint64_t> broken_;
  TrackingHub hub_{[this](const InvalidationOrder& order) { return Deliver(order); },
                   [this](uint64_t client) { broken_.insert(client); }};
};

using Lines = std::vector<std::string>;

TEST_F(TrackingHubTest, TellsOnceWhoHasReadTheKey) {
  EXPECT_FALSE(hub_.active());
  hub_.Set(1, {.on = true});
  hub_.Set(2, {.on = true});
  hub_.Track(1, "a");
  hub_.Track(2, "a");
  hub_.Track(2, "b");
  hub_.OnWrites({{9, "a"}, {9, "c"}});
  EXPECT_EQ(TakeLines(), (Lines{"1: a", "2: a"}));
  hub_.OnWrites({{9, "a"}});
  EXPECT_EQ(TakeLines(), Lines());
  EXPECT_EQ(hub_.counts().keys, 1u);
  hub_.End(2);
  hub_.OnWrites({{9, "b"}});
  EXPECT_EQ(TakeLines(), Lines());
}

TEST_F(TrackingHubTest, NoLoopLeavesOutOwnWritesUnlessOthersWroteTheKeyToo) {
  hub_.Set(1, {.on = true, .no_loop = true});
  hub_.Track(1, "a");
  hub_.Track(1, "b");
  hub_.Track(1, "c");
  hub_.OnWrites({{1, "a"}, {2, "b"}, {1, "c"}, {2, "c"}});
  EXPECT_EQ(TakeLines(), (Lines{"1: b", "1: c"}));
}

TEST_F(TrackingHubTest, PrefixesAreToldOfAllTheirKeysAtOnce) {
  hub_.Set(1, {.on = true, .bcast = true, .prefixes = {"u:", "v:"}});
  hub_.Set(2, {.on = true, .bcast = true, .no_loop = true, .prefixes = {""}});
  hub_.OnWrites({{9, "u:2"}, {2, "u:1"}, {9, "w"}, {9, "u:2"}});
  EXPECT_EQ(TakeLines(), (Lines{"2: u:2,w", "1: u:1,u:2"}));
  hub_.OnWrites({{2, "x"}});
  EXPECT_EQ(TakeLines(), Lines());
  EXPECT_EQ(hub_.counts().prefixes, 3u);
  hub_.Set(1, {.on = true, .bcast = true, .prefixes = {"v:"}});
  hub_.OnWrites({{9, "u:1"}});
  EXPECT_EQ(TakeLines(), Lines{"2: u:1"});
  hub_.End(1);
  hub_.End(2);
  EXPECT_EQ(hub_.counts().prefixes, 0u);
  EXPECT_FALSE(hub_.active());
}

TEST_F(TrackingHubTest, RedirectsAndTellsWhenNobodyIsThere) {
  hub_.Set(1, {.on = true, .redirect = 5});
  hub_.Track(1, "a");
  hub_.OnWrites({{9, "a"}});
  EXPECT_EQ(TakeLines(), Lines{"5r: a"});
  gone_.insert(5);
  hub_.Track(1, "a");
  hub_.OnWrites({{9, "a"}});
  EXPECT_EQ(TakeLines(), Lines{"1: broken 5"});
  EXPECT_EQ(broken_, std::set<uint64_t>{1});
}

TEST_F(TrackingHubTest, EverythingIsToldToAll) {
  hub_.Set(1, {.on = true});
  hub_.Set(2, {.on = true, .bcast = true, .prefixes = {"u:"}});
  hub_.Track(1, "a");
  hub_.OnEverything();
  std::vector<std::string> lines = TakeLines();
  std::sort(lines.begin(), lines.end());
  EXPECT_EQ(lines, (Lines{"1: everything", "2: everything"}));
  EXPECT_EQ(hub_.counts().keys, 0u);
}

TEST_F(TrackingHubTest, KeysBeyondTheLimitAreGivenUpAndTold) {
  hub_.Set(1, {.on = true});
  hub_.set_max_keys(64);
  for (int i = 0; i < 1000; ++i) {
    hub_.Track(1, "key:" + std::to_string(i));
  }
  const size_t kept = hub_.counts().keys;
  EXPECT_LE(kept, 2 * 64u);
  EXPECT_EQ(TakeLines().size(), 1000 - kept);
}

// A reader that has seen an old value is told of the new one, whatever else goes on.
TEST_F(TrackingHubTest, NobodyKeepsAnOldValueUntold) {
  constexpr int kRounds = 2000;
  std::atomic<int> value{0};
  std::atomic<int> told{-1};  // The value that the reader was last told to read anew.
  TrackingHub hub(
      [&](const InvalidationOrder& /*order*/) {
        told.store(value.load());
        return true;
      },
      [](uint64_t /*client*/) {});
  hub.Set(1, {.on = true});
  Thread writer("writer", [&] {
    for (int i = 1; i <= kRounds; ++i) {
      value.store(i);
      hub.OnWrites({{2, "k"}});
    }
  });
  int last_read = 0;
  while (last_read < kRounds) {
    hub.Track(1, "k");
    last_read = value.load();
    // Either it is the newest, or something is told that is newer.
    while (value.load() != last_read && told.load() <= last_read) {
    }
  }
  writer.Join();
  SUCCEED();
}

}  // namespace
}  // namespace kvs
