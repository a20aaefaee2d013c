#include "config_server/topology/topology.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/base/random.h"
#include "config_server/meta/memory_meta_store.h"

namespace kvs {
namespace {

using testing::HasSubstr;

std::string Id(size_t number) {
  std::string digits = std::to_string(number);
  return std::string(kNodeIdSize - digits.size(), '0') + digits;
}

// A node that may join `wanted` only, and has the map of `map` at `epoch`.
Registration Node(size_t number, uint16_t port, const std::string& wanted = "",
                  const std::string& map = "", uint64_t epoch = 0) {
  return {ControlKind::kNode, Id(number), {"127.0.0.1", port}, wanted, "1.0", map, epoch};
}

// The topology with a store behind it, as the host uses them.
class TopologyTest : public testing::Test {
 protected:
  Status Do(const Result<TopologyChange>& change) {
    if (!change.ok()) {
      return change.status();
    }
    EXPECT_TRUE(store_.Commit(change->transaction).ok());
    topology_.Apply(*change);
    last_ = *change;
    return Status::Ok();
  }
  Status Register(const Registration& registration) {
    KVS_RETURN_IF_ERROR(Do(topology_.PlanRegister(registration, online_)));
    online_.insert(registration.id);
    return Status::Ok();
  }
  Status Create(const std::string& name, std::vector<std::string> nodes, size_t shards = 0) {
    NamespaceSpec spec;
    spec.name = name;
    spec.nodes = std::move(nodes);
    spec.shards = shards;
    return Do(topology_.PlanCreate(spec, online_));
  }
  Status Delete(const std::string& name) { return Do(topology_.PlanDelete(name)); }
  void RegisterNodes(size_t count) {
    for (size_t i = 1; i <= count; ++i) {
      ASSERT_TRUE(Register(Node(i, static_cast<uint16_t>(6000 + i))).ok());
    }
  }

  MemoryMetaStore store_;
  Topology topology_;
  std::set<std::string> online_;
  TopologyChange last_;
};

TEST_F(TopologyTest, ANamespaceGetsItsNodesAndEvenSlots) {
  RegisterNodes(3);
  ASSERT_TRUE(Create("main", {Id(3), "127.0.0.1:6001"}).ok());

  const SlotMapPtr map = topology_.FindMap("main");
  ASSERT_NE(map, nullptr);
  EXPECT_EQ(map->epoch(), 1U);
  EXPECT_EQ(map->assigned_slot_count(), kSlotCount);
  ASSERT_EQ(map->shards().size(), 2U);
  EXPECT_EQ(map->shards()[0].id, "shard-1-1");
  EXPECT_EQ(map->shards()[0].master.id, Id(3));
  EXPECT_EQ(map->shards()[0].slots, (std::vector<SlotRange>{{0, 8191}}));
  EXPECT_EQ(map->shards()[1].master.id, Id(1));
  EXPECT_EQ(topology_.FindNode(Id(1))->namespace_name, "main");
  EXPECT_EQ(topology_.FindNode(Id(2))->namespace_name, "");
}

TEST_F(TopologyTest, FreeNodesAreChosenByAddress) {
  RegisterNodes(4);
  online_.erase(Id(1));
  ASSERT_TRUE(Create("main", {}, 2).ok());
  EXPECT_EQ(topology_.FindMap("main")->shards()[0].master.id, Id(2));
  EXPECT_EQ(topology_.FindMap("main")->shards()[1].master.id, Id(3));
  EXPECT_EQ(Create("other", {}, 2).code(), Code::kUnavailable);
}

TEST_F(TopologyTest, ANodeThatIsKeptForANamespaceGoesNowhereElse) {
  ASSERT_TRUE(Register(Node(1, 6001, "mine")).ok());
  EXPECT_EQ(Create("other", {}, 1).code(), Code::kUnavailable);
  EXPECT_EQ(Create("other", {Id(1)}).code(), Code::kAlreadyExists);
  EXPECT_TRUE(Create("mine", {}, 1).ok());
}

TEST_F(TopologyTest, ErrorsTellTheRemedy) {
  RegisterNodes(3);
  ASSERT_TRUE(Create("main", {Id(1)}).ok());
  online_.erase(Id(3));
  const std::pair<Status, Code> cases[] = {
      {Create("main", {Id(2)}), Code::kAlreadyExists},
      {Create("b", {Id(1)}), Code::kAlreadyExists},
      {Create("b", {Id(2), "127.0.0.1:6002"}), Code::kInvalidArgument},
      {Create("b", {Id(2)}, 2), Code::kInvalidArgument},
      {Create("b", {}), Code::kInvalidArgument},
      {Create("b", {"127.0.0.1:1"}), Code::kNotFound},
      {Create("b", {Id(3)}), Code::kUnavailable},
      {Create("B", {Id(2)}), Code::kInvalidArgument},
      {Delete("b"), Code::kNotFound}};
  for (const auto& [status, code] : cases) {
    EXPECT_EQ(status.code(), code) << status.ToString();
    EXPECT_THAT(std::string(status.message()), HasSubstr("; ")) << "no remedy";
  }
}

TEST_F(TopologyTest, NamesAreChecked) {
  for (const char* good : {"a", "0", "a-b-9", "main"}) {
    EXPECT_TRUE(CheckNamespaceName(good).ok()) << good;
  }
  EXPECT_TRUE(CheckNamespaceName(std::string(63, 'x')).ok());
  for (const char* bad : {"", "-a", "A", "a_b", "a.b", "a/b", "ä", "a b"}) {
    EXPECT_FALSE(CheckNamespaceName(bad).ok()) << bad;
  }
  EXPECT_FALSE(CheckNamespaceName(std::string(64, 'x')).ok());
}

TEST_F(TopologyTest, SpecsAreReadStrictly) {
  const auto parse = [](std::string_view text) {
    return NamespaceSpec::FromJson(*Json::Parse(text));
  };
  const Result<NamespaceSpec> spec =
      parse(R"({"name":"main","mode":"cache","nodes":["h:1"],"shards":1})");
  ASSERT_TRUE(spec.ok()) << spec.status().ToString();
  EXPECT_EQ(spec->mode, ClusterMode::kCache);
  EXPECT_EQ(spec->nodes, std::vector<std::string>{"h:1"});
  EXPECT_EQ(parse(R"({"name":"main","shards":2})")->mode, ClusterMode::kStore);
  for (const char* bad :
       {R"({})", R"({"name":1})", R"({"name":"A"})", R"({"name":"a","mode":"raft"})",
        R"({"name":"a","nodes":"h:1"})", R"({"name":"a","nodes":[1]})",
        R"({"name":"a","shards":-1})", R"({"name":"a","shards":4097})",
        R"({"name":"a","colour":"red"})", R"([])"}) {
    EXPECT_EQ(parse(bad).status().code(), Code::kInvalidArgument) << bad;
  }
}

TEST_F(TopologyTest, EpochsGoOnAfterDeleteAndCreate) {
  RegisterNodes(1);
  ASSERT_TRUE(Create("main", {Id(1)}).ok());
  ASSERT_TRUE(Delete("main").ok());
  EXPECT_TRUE(topology_.FindNode(Id(1))->namespace_name.empty());
  EXPECT_TRUE(topology_.IsDead("main", 1));
  EXPECT_FALSE(topology_.IsDead("unknown", 1));

  ASSERT_TRUE(Create("main", {Id(1)}).ok());
  EXPECT_EQ(topology_.FindMap("main")->epoch(), 3U);
  EXPECT_EQ(topology_.FindMap("main")->shards()[0].id, "shard-3-1");
  EXPECT_FALSE(topology_.IsDead("main", 3));
}

TEST_F(TopologyTest, ARegistrationThatSaysNothingNewChangesNothing) {
  RegisterNodes(1);
  ASSERT_TRUE(Register(Node(1, 6001)).ok());
  EXPECT_TRUE(last_.empty());
  ASSERT_TRUE(Create("main", {Id(1)}).ok());
  ASSERT_TRUE(Register(Node(1, 6001, "", "main", 1)).ok());
  EXPECT_TRUE(last_.empty());
}

TEST_F(TopologyTest, ANewAddressOfANodeChangesItsMap) {
  RegisterNodes(2);
  ASSERT_TRUE(Create("main", {}, 2).ok());
  ASSERT_TRUE(Register(Node(2, 7002, "", "main", 1)).ok());
  const SlotMapPtr map = topology_.FindMap("main");
  EXPECT_EQ(map->epoch(), 2U);
  EXPECT_EQ(map->FindByNode(Id(2))->master.address.port, 7002);
}

TEST_F(TopologyTest, AnAddressBelongsToOneNodeAtATime) {
  RegisterNodes(2);
  EXPECT_EQ(Register(Node(3, 6001)).code(), Code::kAlreadyExists);
  online_.erase(Id(1));
  EXPECT_TRUE(Register(Node(3, 6001)).ok()) << "the first one is gone";
  ASSERT_TRUE(Create("main", {"127.0.0.1:6001"}).ok());
  EXPECT_EQ(topology_.FindMap("main")->shards()[0].master.id, Id(3)) << "the one that is online";
}

TEST_F(TopologyTest, EpochsThatOthersHaveSeenAreNotUsedAgain) {
  ASSERT_TRUE(Register(Node(1, 6001, "", "main", 41)).ok());
  EXPECT_THAT(last_.warning, HasSubstr("unknown here"));
  EXPECT_FALSE(topology_.IsDead("main", 41)) << "we lost our records: nobody is stopped";
  ASSERT_TRUE(Create("main", {Id(1)}).ok());
  EXPECT_EQ(topology_.FindMap("main")->epoch(), 42U);

  ASSERT_TRUE(Register(Node(1, 6001, "", "main", 50)).ok());
  EXPECT_THAT(last_.warning, HasSubstr("older than the cluster"));
  EXPECT_EQ(topology_.FindMap("main")->epoch(), 42U);
  EXPECT_EQ(Register(Node(2, 6002, "", "x", kMaxEpoch + 1)).code(), Code::kInvalidArgument);
}

TEST_F(TopologyTest, AProxyLeavesNoRecord) {
  ASSERT_TRUE(Register({ControlKind::kProxy, Id(9), {"h", 1}, "", "1.0", "", 0}).ok());
  EXPECT_TRUE(topology_.nodes().empty());
  EXPECT_TRUE(store_.List("")->empty());
}

TEST_F(TopologyTest, RecordsAreThoseOfTheDocument) {
  ASSERT_TRUE(Register(Node(1, 6371)).ok());
  ASSERT_TRUE(Create("main", {Id(1)}).ok());
  const std::vector<MetaRecord> records = *store_.List("");
  ASSERT_EQ(records.size(), 3U);
  EXPECT_EQ(records[0], MetaRecord("epoch/main", "1"));
  EXPECT_EQ(records[1],
            MetaRecord("namespace/main",
                       R"({"version":1,"namespace":"main","mode":"store","epoch":1,"shards":[)"
                       R"({"id":"shard-1-1","master":{"id":")"
                       R"(0000000000000000000000000000000000000001","address":"127.0.0.1:6371"},)"
                       R"("slaves":[],"slots":[[0,16383]]}]})"));
  EXPECT_EQ(records[2], MetaRecord("node/" + Id(1), R"({"id":")" + Id(1) +
                                                        R"(","address":"127.0.0.1:6371",)"
                                                        R"("namespace":""})"));
}

TEST_F(TopologyTest, DamagedRecordsAreRefused) {
  RegisterNodes(1);
  ASSERT_TRUE(Create("main", {Id(1)}).ok());
  const std::vector<MetaRecord> good = *store_.List("");
  ASSERT_TRUE(Topology::Load(good).ok());
  for (size_t i = 0; i < good.size(); ++i) {
    std::vector<MetaRecord> bad = good;
    bad.erase(bad.begin() + static_cast<ptrdiff_t>(i));
    if (good[i].first != "namespace/main") {
      EXPECT_EQ(Topology::Load(bad).status().code(), Code::kCorruption) << good[i].first;
    }
    bad = good;
    bad[i].second.pop_back();
    EXPECT_EQ(Topology::Load(bad).status().code(), Code::kCorruption) << good[i].first;
  }
  EXPECT_FALSE(Topology::Load({{"future/x", "1"}}).ok());
}

// Does whatever a cluster may do, in any order, and checks what must always hold.
class TopologyWalk : public TopologyTest, public testing::WithParamInterface<uint64_t> {
 protected:
  void Step() {
    const std::string name = names_[random_.Uniform(names_.size())];
    const size_t number = 1 + random_.Uniform(8);
    switch (random_.Uniform(5)) {
      case 0:
        (void)Create(name, {}, 1 + random_.Uniform(4));
        break;
      case 1:
        (void)Create(name, {Id(number), Id(1 + random_.Uniform(8))});
        break;
      case 2:
        (void)Delete(name);
        break;
      case 3:
        (void)Register(Node(number, static_cast<uint16_t>(6000 + random_.Uniform(10))));
        break;
      default:
        online_.erase(Id(number));
    }
  }

  void Check() {
    for (const auto& [name, map] : topology_.maps()) {
      ASSERT_EQ(map->assigned_slot_count(), kSlotCount);
      ASSERT_GE(map->epoch(), epochs_[name]) << "an epoch went back";
      if (map->epoch() == epochs_[name]) {
        ASSERT_EQ(map->ToJson(), seen_[name]) << "two maps with one epoch";
      }
      epochs_[name] = map->epoch();
      seen_[name] = map->ToJson();
      for (const Shard& shard : map->shards()) {
        ASSERT_EQ(topology_.FindNode(shard.master.id)->namespace_name, name);
        ASSERT_EQ(topology_.FindNode(shard.master.id)->address, shard.master.address);
      }
    }
    const Result<Topology> loaded = Topology::Load(*store_.List(""));
    ASSERT_TRUE(loaded.ok()) << loaded.status().ToString();
    ASSERT_EQ(loaded->maps().size(), topology_.maps().size());
    ASSERT_EQ(loaded->nodes().size(), topology_.nodes().size());
  }

  Random random_{GetParam()};
  const std::vector<std::string> names_{"a", "b", "c"};
  std::map<std::string, uint64_t> epochs_;
  std::map<std::string, Json> seen_;
};

INSTANTIATE_TEST_SUITE_P(Seeds, TopologyWalk, testing::Range<uint64_t>(1, 9));

TEST_P(TopologyWalk, OneOwnerPerSlotAndEpochsOnlyGrow) {
  for (int i = 0; i < 300; ++i) {
    Step();
    Check();
    if (HasFatalFailure()) {
      return;
    }
  }
  EXPECT_GT(epochs_.size(), 1U) << "the walk went nowhere";
}

}  // namespace
}  // namespace kvs
