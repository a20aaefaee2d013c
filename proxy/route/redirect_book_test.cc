#include "proxy/route/redirect_book.h"

#include <algorithm>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "common/base/random.h"

namespace kvs {
namespace {

constexpr int64_t kPatience = RedirectBook::kPatienceMs;

RefusedRequest Refused(uint64_t number, std::vector<int> slots, bool is_write = true) {
  return {.number = number,
          .is_write = is_write,
          .slots = std::move(slots),
          .generation = 1,
          .since_ms = 0,
          .give_up_ms = 1000};
}
Footprint Of(std::vector<int> slots) {
  return {.every_slot = false, .slots = std::move(slots)};
}

std::string Numbers(const std::vector<RefusedRequest>& requests) {
  std::string text;
  for (const RefusedRequest& request : requests) {
    text += std::to_string(request.number) + " ";
  }
  return text;
}

TEST(RedirectBookTest, ANewMapSendsAllOfThemInOrder) {
  RedirectBook book;
  book.Add(Refused(2, {7}));
  book.Add(Refused(1, {7}));
  book.Add(Refused(3, {8}));

  EXPECT_EQ(Numbers(book.TakeReady(1, {}, 1).send), "");
  const RedirectBook::Ready ready = book.TakeReady(2, {}, 1);

  EXPECT_EQ(Numbers(ready.send), "1 2 3 ");
  EXPECT_EQ(Numbers(ready.follow), "");
  EXPECT_TRUE(book.empty());
}

TEST(RedirectBookTest, WithoutANewMapTheNodeIsBelievedAfterAWhile) {
  RedirectBook book;
  book.Add(Refused(1, {7}));

  EXPECT_EQ(Numbers(book.TakeReady(1, {}, kPatience - 1).send), "");
  const RedirectBook::Ready ready = book.TakeReady(1, {}, kPatience);

  EXPECT_EQ(Numbers(ready.send), "1 ");
  EXPECT_EQ(Numbers(ready.follow), "1 ");
}

TEST(RedirectBookTest, WhatIsInFlightForTheSlotIsWaitedFor) {
  RedirectBook book;
  book.Add(Refused(1, {7}));
  book.Add(Refused(2, {8}));
  const std::vector<RedirectBook::InFlight> same = {{3, 7}};
  const std::vector<RedirectBook::InFlight> wide = {{3, SlotLanes::kEverySlot}};

  EXPECT_EQ(Numbers(book.TakeReady(2, wide, 1).send), "");
  EXPECT_EQ(Numbers(book.TakeReady(2, same, 1).send), "2 ");
  EXPECT_EQ(Numbers(book.TakeReady(2, {}, 1).send), "1 ");
}

TEST(RedirectBookTest, APartDoesNotWaitForTheOthersOfItsRequest) {
  RedirectBook book;
  book.Add(Refused(5, {7, 8}));
  const std::vector<RedirectBook::InFlight> itself = {{5, SlotLanes::kEverySlot}};

  EXPECT_EQ(book.CountOf(5), 1U);
  EXPECT_EQ(Numbers(book.TakeReady(2, itself, 1).send), "5 ");
}

TEST(RedirectBookTest, NobodyGoesBeforeAnEarlierOneOfItsSlot) {
  RedirectBook book;
  book.Add(Refused(1, {7, 8}));
  RefusedRequest later = Refused(2, {8, 9});
  later.generation = 0;  // There is news for this one alone.
  book.Add(later);

  EXPECT_EQ(Numbers(book.TakeReady(1, {}, 1).send), "");
  EXPECT_EQ(Numbers(book.TakeReady(1, {}, kPatience).send), "1 2 ");
}

TEST(RedirectBookTest, WhoWasOvertakenFailsUnlessBothOnlyRead) {
  RedirectBook book;
  book.Add(Refused(1, {7}, /*is_write=*/false));
  book.Add(Refused(2, {7}, /*is_write=*/true));
  book.Add(Refused(9, {7}, /*is_write=*/true));
  book.OnExecuted(3, Of({8}), true);
  book.OnExecuted(3, Of({7}), false);

  const RedirectBook::Ready ready = book.TakeReady(2, {}, 1);

  EXPECT_EQ(Numbers(ready.fail), "2 ");
  EXPECT_EQ(Numbers(ready.send), "1 9 ");
}

TEST(RedirectBookTest, WhoIsTooOldFails) {
  RedirectBook book;
  book.Add(Refused(1, {7}));

  EXPECT_EQ(Numbers(book.TakeReady(2, {}, 1000).fail), "1 ");
  EXPECT_TRUE(book.empty());
}

// Two nodes and one slot whose owner changes all the time, known to each node and to the sender at
// different moments.  Whatever they do, the requests that were executed were executed in their
// order.
TEST(RedirectBookTest, InASimulationTheOrderNeverChanges) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    Random random(seed);
    struct Node {
      bool owns;
      std::deque<uint64_t> inbox;
    };
    std::vector<Node> nodes = {{true, {}}, {false, {}}};
    RedirectBook book;
    uint64_t generation = 1;
    size_t owner = 0;                        // As the sender sees it.
    std::map<uint64_t, uint64_t> in_flight;  // And the generation that it was sent by.
    std::vector<uint64_t> executed;
    uint64_t failed = 0;
    const auto send = [&](uint64_t number) {
      in_flight[number] = generation;
      nodes[owner].inbox.push_back(number);
    };
    uint64_t next = 1;
    constexpr uint64_t kRequests = 60;
    for (int64_t now_ms = 0; executed.size() + failed < kRequests; ++now_ms) {
      ASSERT_LT(now_ms, 100'000) << "seed " << seed;
      if (random.OneIn(20)) {
        nodes[random.Uniform(2)].owns = random.OneIn(2);
      }
      if (random.OneIn(15)) {  // SlotLanes lets no table in while something is in flight.
        if (in_flight.empty()) {
          owner = random.Uniform(2);
          ++generation;
        }
      }
      if (next <= kRequests && book.empty() && random.OneIn(2)) {  // SlotLanes holds them else.
        send(next++);
      }
      for (Node& node : nodes) {
        if (node.inbox.empty() || random.OneIn(3)) {
          continue;
        }
        const uint64_t number = node.inbox.front();
        node.inbox.pop_front();
        const uint64_t sent_by = in_flight[number];
        in_flight.erase(number);
        if (node.owns) {
          executed.push_back(number);
          book.OnExecuted(number, Of({7}), true);
        } else {
          RefusedRequest refused = Refused(number, {7});
          refused.generation = sent_by;
          refused.since_ms = now_ms;
          refused.give_up_ms = 50'000;
          book.Add(refused);
        }
      }
      std::vector<RedirectBook::InFlight> waiting;
      for (const auto& [number, sent_by] : in_flight) {
        waiting.push_back({number, 7});
      }
      RedirectBook::Ready ready = book.TakeReady(generation, waiting, now_ms);
      failed += ready.fail.size();
      if (!ready.follow.empty()) {
        owner = 1 - owner;
        ++generation;
      }
      for (const RefusedRequest& request : ready.send) {
        send(request.number);
      }
    }
    EXPECT_TRUE(std::is_sorted(executed.begin(), executed.end())) << "seed " << seed;
    EXPECT_GT(executed.size(), kRequests / 4) << "seed " << seed;
  }
}

}  // namespace
}  // namespace kvs
