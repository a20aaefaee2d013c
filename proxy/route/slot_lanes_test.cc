#include "proxy/route/slot_lanes.h"

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/base/random.h"

namespace kvs {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr int kEvery = SlotLanes::kEverySlot;

MovedSlots Moved(std::initializer_list<size_t> slots) {
  MovedSlots moved;
  for (const size_t slot : slots) {
    moved.set(slot);
  }
  return moved;
}

Footprint Of(std::vector<int> slots) {
  return {.every_slot = false, .slots = std::move(slots)};
}
const Footprint kWide{.every_slot = true, .slots = {}};

TEST(SlotLanesTest, NothingIsHeldWhileNoOwnerChanges) {
  SlotLanes lanes;
  EXPECT_TRUE(lanes.open());
  lanes.Move(Moved({}));
  EXPECT_FALSE(lanes.Guard(Moved({}), 7));
  EXPECT_FALSE(lanes.Guard(Moved({8}), 7));
  EXPECT_FALSE(lanes.Guard(Moved({}), kEvery));
  EXPECT_TRUE(lanes.open());
  EXPECT_FALSE(lanes.Blocks(kWide));
}

TEST(SlotLanesTest, ASlotThatMovesIsGuardedUntilItsRequestsAreAnswered) {
  SlotLanes lanes;
  const MovedSlots moved = Moved({7, 8});
  lanes.Move(moved);
  EXPECT_TRUE(lanes.Guard(moved, 7));
  EXPECT_TRUE(lanes.Guard(moved, 7));
  EXPECT_TRUE(lanes.Blocks(Of({7})));
  EXPECT_FALSE(lanes.Blocks(Of({8}))) << "nothing of it is in flight";
  lanes.Hold(1, Of({7}));
  lanes.Finish(7);
  EXPECT_THAT(lanes.TakeReady(), IsEmpty());
  lanes.Finish(7);
  EXPECT_TRUE(lanes.Blocks(Of({7}))) << "one is held and goes first";
  EXPECT_THAT(lanes.TakeReady(), ElementsAre(1));
  EXPECT_TRUE(lanes.open());
}

TEST(SlotLanesTest, AHeldRequestHoldsWhatSharesASlotWithIt) {
  SlotLanes lanes;
  const MovedSlots moved = Moved({1, 2});
  ASSERT_TRUE(lanes.Guard(moved, 1));
  ASSERT_TRUE(lanes.Guard(moved, 2));
  lanes.Hold(1, Of({1, 5}));
  EXPECT_TRUE(lanes.Blocks(Of({5})));
  lanes.Hold(2, Of({5}));
  lanes.Hold(3, Of({2}));
  EXPECT_FALSE(lanes.Blocks(Of({6})));
  EXPECT_TRUE(lanes.Blocks(kWide));
  lanes.Hold(4, kWide);
  EXPECT_TRUE(lanes.Blocks(Of({6}))) << "behind what touches every slot";
  lanes.Hold(5, Of({6}));
  lanes.Finish(2);
  EXPECT_THAT(lanes.TakeReady(), ElementsAre(3));
  lanes.Finish(1);
  EXPECT_THAT(lanes.TakeReady(), ElementsAre(1, 2, 4, 5));
  EXPECT_TRUE(lanes.open());
}

TEST(SlotLanesTest, OfASlotThatIsTriedAloneOneRequestIsReleasedAtATime) {
  SlotLanes lanes;
  const MovedSlots moved = Moved({7});
  lanes.Move(moved);
  EXPECT_TRUE(lanes.Guard(moved, 7));
  lanes.Hold(1, Of({7}));
  lanes.Hold(2, Of({7}));
  lanes.Hold(3, kWide);
  lanes.Finish(7);
  EXPECT_THAT(lanes.TakeReady(moved), ElementsAre(1));
  EXPECT_THAT(lanes.TakeReady(moved), ElementsAre(2)) << "the first has failed at once";
  EXPECT_TRUE(lanes.Guard(moved, 7));
  EXPECT_THAT(lanes.TakeReady(moved), IsEmpty());
  lanes.Finish(7);
  EXPECT_THAT(lanes.TakeReady(moved), ElementsAre(3));
  EXPECT_TRUE(lanes.open());
}

TEST(SlotLanesTest, ARequestForEverySlotGuardsWhateverMovesMeanwhile) {
  SlotLanes lanes;
  EXPECT_TRUE(lanes.Guard(Moved({1}), kEvery));
  EXPECT_FALSE(lanes.Blocks(Of({2})));
  lanes.Move(Moved({2}));
  EXPECT_TRUE(lanes.Blocks(Of({1})));
  EXPECT_TRUE(lanes.Blocks(Of({2})));
  EXPECT_FALSE(lanes.Blocks(Of({3})));
  lanes.Finish(kEvery);
  EXPECT_TRUE(lanes.open());
  EXPECT_TRUE(lanes.Guard(Moved({3}), kEvery));
  EXPECT_FALSE(lanes.Blocks(Of({1}))) << "of the time before";
}

// A session, nodes that answer after random times, and owners that flap.
class Simulation {
 public:
  static constexpr size_t kSlots = 12;
  static constexpr size_t kNodes = 3;

  explicit Simulation(uint64_t seed) : random_(seed) {}

  void Run() {
    for (int step = 0; step < 600; ++step) {
      const uint64_t dice = random_.Uniform(100);
      if (dice < 45) {
        Request(MakeFootprint());
      } else if (dice < 50) {
        MoveSomeSlots();
      } else {
        AnswerOne(random_.Uniform(kNodes));
      }
    }
    for (int step = 0; step < 100'000 && (!flights_.empty() || lanes_.held() > 0); ++step) {
      AnswerOne(random_.Uniform(kNodes));
    }
    EXPECT_TRUE(flights_.empty());
    EXPECT_TRUE(lanes_.open()) << lanes_.held() << " are never sent";
    for (const std::vector<uint64_t>& executed : executed_) {
      EXPECT_TRUE(std::is_sorted(executed.begin(), executed.end()));
    }
    EXPECT_EQ(started_, last_id_);
  }
  int max_held() const { return max_held_; }

 private:
  struct Flight {
    Footprint footprint;
    int lane = kEvery;
    bool guards = false;
    size_t parts = 0;
  };

  Footprint MakeFootprint() {
    if (random_.OneIn(20)) {
      return kWide;
    }
    Footprint footprint;
    for (uint64_t n = random_.OneIn(5) ? 1 + random_.Uniform(3) : 1; n > 0; --n) {
      footprint.slots.push_back(static_cast<int>(random_.Uniform(kSlots)));
    }
    return footprint;
  }

  void Request(Footprint footprint) {
    const uint64_t id = ++last_id_;
    if (!lanes_.open() && lanes_.Blocks(footprint)) {
      requests_[id] = footprint;
      lanes_.Hold(id, std::move(footprint));
      max_held_ = std::max(max_held_, static_cast<int>(lanes_.held()));
      return;
    }
    Start(id, footprint);
  }

  void Start(uint64_t id, const Footprint& footprint) {
    ++started_;
    Flight flight{.footprint = footprint};
    std::map<size_t, std::vector<size_t>> parts;  // By node.
    for (size_t slot = 0; slot < kSlots; ++slot) {
      if (footprint.every_slot ||
          std::count(footprint.slots.begin(), footprint.slots.end(), static_cast<int>(slot)) > 0) {
        parts[owner_[slot]].push_back(slot);
        ExpectOneNode(slot);
      }
    }
    if (footprint.slots.size() == 1) {
      flight.lane = footprint.slots[0];
    }
    flight.parts = parts.size();
    for (const auto& [node, slots] : parts) {
      links_[node].push_back({id, slots});
      for (const size_t slot : slots) {
        sent_to_[{id, slot}] = node;
      }
    }
    flights_[id] = flight;
  }

  // What is in flight for the slot went to its owner.
  void ExpectOneNode(size_t slot) {
    for (const auto& [part, node] : sent_to_) {
      if (part.second == slot) {
        EXPECT_EQ(node, owner_[slot]) << "slot " << slot << " is in flight to two nodes";
      }
    }
  }

  void AnswerOne(size_t node) {
    if (links_[node].empty()) {
      return;
    }
    const auto [id, slots] = links_[node].front();
    links_[node].pop_front();
    for (const size_t slot : slots) {
      executed_[slot].push_back(id);
      sent_to_.erase({id, slot});
    }
    const auto flight = flights_.find(id);
    if (--flight->second.parts > 0) {
      return;
    }
    if (flight->second.guards) {
      lanes_.Finish(flight->second.lane);
    }
    flights_.erase(flight);
    if (random_.OneIn(2)) {
      Release();
    }
    if (links_[0].empty() && links_[1].empty() && links_[2].empty()) {
      Release();  // A turn ends sooner or later.
    }
  }

  void Release() {
    for (const uint64_t id : lanes_.TakeReady()) {
      Start(id, requests_[id]);
      requests_.erase(id);
    }
  }

  void MoveSomeSlots() {
    MovedSlots moved;
    for (size_t slot = 0; slot < kSlots; ++slot) {
      const size_t next = random_.OneIn(3) ? random_.Uniform(kNodes) : owner_[slot];
      moved[slot] = next != owner_[slot];
      owner_[slot] = next;
    }
    lanes_.Move(moved);
    for (auto& [id, flight] : flights_) {
      flight.guards = flight.guards || lanes_.Guard(moved, flight.lane);
    }
  }

  Random random_;
  SlotLanes lanes_;
  std::array<size_t, kSlots> owner_{};
  std::array<std::deque<std::pair<uint64_t, std::vector<size_t>>>, kNodes> links_;
  std::map<uint64_t, Flight> flights_;
  std::map<uint64_t, Footprint> requests_;
  std::map<std::pair<uint64_t, size_t>, size_t> sent_to_;
  std::array<std::vector<uint64_t>, kSlots> executed_;
  uint64_t last_id_ = 0;
  uint64_t started_ = 0;
  int max_held_ = 0;
};

TEST(SlotLanesTest, RequestsOfASlotNeverMeetOnTwoNodesAndKeepTheirOrder) {
  const uint64_t seed = Random::FromKernel().Next();
  int max_held = 0;
  for (uint64_t i = 0; i < 1000; ++i) {
    SCOPED_TRACE("seed " + std::to_string(seed + i));
    Simulation simulation(seed + i);
    simulation.Run();
    max_held = std::max(max_held, simulation.max_held());
    if (HasFailure()) {
      return;
    }
  }
  EXPECT_GT(max_held, 10);
}

}  // namespace
}  // namespace kvs
