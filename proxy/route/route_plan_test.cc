#include "proxy/route/route_plan.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kvs {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Addresses = std::vector<std::string>;

PoolSpec Pool(const std::vector<std::string>& servers) {
  PoolSpec spec;
  for (const std::string& text : servers) {
    spec.servers.push_back(*ParsePoolServer(text));
  }
  return spec;
}

TEST(RoutePlanTest, APoolOfAddressesNeedsNoLookups) {
  RoutePlan plan(0);
  EXPECT_FALSE(plan.MakeTable()->known);
  plan.SetPool(Pool({"10.0.0.1:1", "10.0.0.2:2"}), 0);
  EXPECT_TRUE(plan.complete());
  EXPECT_THAT(plan.TakeLookups(0), IsEmpty());
  const RouteTablePtr table = plan.MakeTable();
  EXPECT_TRUE(table->known);
  EXPECT_THAT(table->shards, ElementsAre(NodeAddress{"10.0.0.1", 1}, NodeAddress{"10.0.0.2", 2}));
  EXPECT_EQ(table->slot_to_shard[0], 0);
  EXPECT_EQ(table->slot_to_shard[kSlotCount - 1], 1);
  EXPECT_FALSE(plan.OnFailure({"10.0.0.1", 1}, 100, 0));
}

TEST(RoutePlanTest, NamesBecomeAddressesAndFollowThem) {
  RoutePlan plan(10'000);
  plan.SetPool(Pool({"one:1", "10.0.0.2:2", "unknown:3"}), 0);
  EXPECT_FALSE(plan.complete());
  EXPECT_THAT(plan.TakeLookups(0), ElementsAre("one", "unknown"));
  EXPECT_TRUE(plan.OnAddresses("one", Addresses{"10.0.0.1", "10.0.1.1"}));
  EXPECT_FALSE(plan.OnAddresses("unknown", Status::InvalidArgument("no")));
  EXPECT_TRUE(plan.complete());
  EXPECT_THAT(plan.MakeTable()->shards,
              ElementsAre(NodeAddress{"10.0.0.1", 1}, NodeAddress{"10.0.0.2", 2},
                          NodeAddress{"unknown", 3}));
  EXPECT_TRUE(plan.OnFailure({"10.0.0.1", 1}, 1, 5000));
  EXPECT_EQ(plan.MakeTable()->shards[0], (NodeAddress{"10.0.1.1", 1}));
  EXPECT_THAT(plan.TakeLookups(5000), ElementsAre("one", "unknown"));
  EXPECT_TRUE(plan.OnAddresses("one", Addresses{"10.0.2.1"}));
  EXPECT_EQ(plan.MakeTable()->shards[0], (NodeAddress{"10.0.2.1", 1}));
}

TEST(RoutePlanTest, AMapIsResolvedAndNothingIsNothing) {
  SlotMapParts parts;
  parts.name = "main";
  parts.epoch = 7;
  parts.shards.push_back(
      {"shard-1", {std::string(40, 'a'), {"node", 6371}}, {}, {{0, kSlotCount - 1}}});
  RoutePlan plan(0);
  plan.SetMap(**SlotMap::Build(parts));
  EXPECT_THAT(plan.TakeLookups(0), ElementsAre("node"));
  EXPECT_TRUE(plan.OnAddresses("node", Addresses{"10.0.0.9"}));
  RouteTablePtr table = plan.MakeTable();
  EXPECT_EQ(table->epoch, 7U);
  EXPECT_THAT(table->shards, ElementsAre(NodeAddress{"10.0.0.9", 6371}));
  plan.SetNothing();
  table = plan.MakeTable();
  EXPECT_FALSE(table->known);
  EXPECT_THAT(table->shards, IsEmpty());
}

TEST(RoutePlanTest, FailedServersOfARingAreLeftOutAlsoAfterAChangeOfThePool) {
  PoolSpec spec = Pool({"10.0.0.1:1", "10.0.0.2:2", "10.0.0.3:3"});
  spec.ring = ServerRing::Options();
  spec.remove_failed = true;
  spec.failure_limit = 3;
  spec.retry_ms = 1000;
  RoutePlan plan(0);
  plan.SetPool(spec, 0);
  EXPECT_FALSE(plan.OnFailure({"10.0.0.2", 2}, 2, 0));
  EXPECT_TRUE(plan.OnFailure({"10.0.0.2", 2}, 3, 0));
  EXPECT_FALSE(plan.MakeTable()->ring->live(1));
  spec.servers.erase(spec.servers.begin());
  plan.SetPool(spec, 500);
  EXPECT_FALSE(plan.MakeTable()->ring->live(0));
  EXPECT_TRUE(plan.MakeTable()->ring->live(1));
  EXPECT_FALSE(plan.OnTime(1499));
  EXPECT_TRUE(plan.OnTime(1500));
  EXPECT_TRUE(plan.MakeTable()->ring->live(0));
}

TEST(RoutePlanTest, SlotsMoveBetweenServers) {
  RoutePlan plan(0);
  PoolSpec spec = Pool({"10.0.0.1:1", "10.0.0.2:2", "10.0.0.3:3"});
  spec.slots = *ParseServerSlots({"0-99+101-16383", "100", "-"}, 3);
  plan.SetPool(spec, 0);
  const RouteTablePtr table = plan.MakeTable();
  for (size_t slot = 0; slot < kSlotCount; ++slot) {
    ASSERT_EQ(table->slot_to_shard[slot], slot == 100 ? 1 : 0) << slot;
  }
}

TEST(RoutePlanTest, SlotsThatDoNotFitAreRefusedWithTheReason) {
  const auto error = [](const Addresses& texts, size_t servers) {
    const auto slots = ParseServerSlots(texts, servers);
    return slots.ok() ? std::string("ok") : std::string(slots.status().message());
  };
  EXPECT_EQ(error({}, 3), "ok");
  EXPECT_EQ(error({"0-16383"}, 1), "ok");
  EXPECT_EQ(error({"0-16383"}, 2), "server-slots has 1 entries for 2 servers");
  EXPECT_EQ(error({"0-99", "101-16383"}, 2), "server-slots gives slot 100 to no servers");
  EXPECT_EQ(error({"0-100", "100-16383"}, 2), "server-slots gives slot 100 to several servers");
  for (const char* text : {"", "x", "0-", "-5", "5-3", "0-16384", "0-1-2", "0-99+", "1 - 2"}) {
    EXPECT_NE(error({text}, 1).find("no range of slots"), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace kvs
