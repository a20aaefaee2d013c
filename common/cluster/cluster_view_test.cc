#include "common/cluster/cluster_view.h"

#include "gtest/gtest.h"

#include "common/base/strings.h"
#include "common/resp/reply_tree.h"

namespace kvs {
namespace {

std::string Id(char digit) {
  return std::string(kNodeIdSize, digit);
}

SlotMapPtr TwoShards() {
  SlotMapParts parts;
  parts.name = "main";
  parts.epoch = 9;
  parts.shards.push_back({.id = "s1",
                          .master = {Id('a'), {"10.0.0.1", 6371}},
                          .slaves = {{Id('c'), {"cache.example", 6372}}},
                          .slots = {{0, 99}, {200, 200}}});
  parts.shards.push_back({.id = "s2",
                          .master = {Id('b'), {"10.0.0.2", 6371}},
                          .slaves = {},
                          .slots = {{100, 199}, {201, 16383}}});
  return *SlotMap::Build(parts);
}

template <typename Write>
std::string Written(int protocol, Write write) {
  std::string bytes;
  RespWriter writer(protocol, &bytes);
  write(&writer);
  const Result<Reply> reply = ParseReply(bytes);
  EXPECT_TRUE(reply.ok()) << bytes;
  return reply.ok() ? reply->ToString() : bytes;
}

TEST(ClusterViewTest, NodesHasALineForEachAndOneMyself) {
  const ClusterViewPtr view = ClusterView::OfNode(Id('b'), TwoShards());

  EXPECT_EQ(view->NodesText(),
            Id('a') + " 10.0.0.1:6371@16371 master - 0 0 9 connected 0-99 200\n" + Id('c') +
                " cache.example:6372@16372,cache.example slave " + Id('a') + " 0 0 9 connected\n" +
                Id('b') +
                " 10.0.0.2:6371@16371 myself,master - 0 0 9 connected 100-199 201-16383\n");
  EXPECT_EQ(view->own_slots(), (std::vector<SlotRange>{{100, 199}, {201, 16383}}));
}

TEST(ClusterViewTest, SlotsAscendWhateverTheShards) {
  const ClusterViewPtr view = ClusterView::OfNode(Id('a'), TwoShards());
  const std::string a = "[\"10.0.0.1\", 6371, \"" + Id('a') +
                        "\", {}], [\"cache.example\", 6372, \"" + Id('c') + "\", {}]";
  const std::string b = "[\"10.0.0.2\", 6371, \"" + Id('b') + "\", {}]";

  EXPECT_EQ(Written(3, [&](RespWriter* reply) { view->WriteSlots(reply); }),
            "[[0, 99, " + a + "], [100, 199, " + b + "], [200, 200, " + a + "], [201, 16383, " + b +
                "]]");
}

TEST(ClusterViewTest, ShardsNameTheRoleOfEachNode) {
  const ClusterViewPtr view = ClusterView::OfNode(Id('a'), TwoShards());
  const std::string text = Written(3, [&](RespWriter* reply) { view->WriteShards(reply); });

  EXPECT_EQ(
      text.substr(0, text.find("}, {\"slots\"")),
      "[{\"slots\": [0, 99, 200, 200], \"nodes\": [{\"id\": \"" + Id('a') +
          "\", \"port\": 6371, \"ip\": \"10.0.0.1\", \"endpoint\": \"10.0.0.1\", \"role\": "
          "\"master\", \"replication-offset\": 0, \"health\": \"online\"}, {\"id\": \"" +
          Id('c') +
          "\", \"port\": 6372, \"ip\": \"cache.example\", \"endpoint\": \"cache.example\", "
          "\"hostname\": \"cache.example\", \"role\": \"replica\", \"replication-offset\": 0, "
          "\"health\": \"online\"}]");
}

TEST(ClusterViewTest, InfoTellsWhetherAllSlotsAreServed) {
  const std::string whole = ClusterView::OfNode(Id('a'), TwoShards())->InfoText();
  EXPECT_TRUE(whole.starts_with("cluster_state:ok\r\ncluster_slots_assigned:16384\r\n")) << whole;
  EXPECT_NE(
      whole.find("\r\ncluster_known_nodes:3\r\ncluster_size:2\r\ncluster_current_epoch:9\r\n"),
      std::string::npos)
      << whole;
  EXPECT_EQ(Split(whole, '\n').size(), 13U);

  const std::string none = ClusterView::OfNode(Id('a'), nullptr)->InfoText();
  EXPECT_TRUE(none.starts_with("cluster_state:fail\r\ncluster_slots_assigned:0\r\n")) << none;
}

TEST(ClusterViewTest, WhoIsAloneIsFoundWhereTheClientIs) {
  const ClusterViewPtr single = ClusterView::Single(Id('d'), {"0.0.0.0", 7400}, false);
  EXPECT_EQ(single->For("10.0.0.9:7400").NodesText(),
            Id('d') + " 10.0.0.9:7400@17400 myself,master - 0 0 1 connected 0-16383\n");
  EXPECT_EQ(single->For("[::1]:60000").NodesText(),
            Id('d') + " ::1:60000@0 myself,master - 0 0 1 connected 0-16383\n");
  EXPECT_EQ(single->For("/run/proxy.sock:0").shards()[0].master.address,
            (NodeAddress{"0.0.0.0", 7400}));

  const ClusterViewPtr announced = ClusterView::Single(Id('d'), {"proxy.example", 1}, true);
  EXPECT_EQ(announced->For("10.0.0.9:7400").shards()[0].master.address.host, "proxy.example");

  const ClusterViewPtr stranger = ClusterView::OfNode(Id('d'), TwoShards());
  EXPECT_TRUE(stranger->own_slots().empty());
  EXPECT_EQ(stranger->For("10.0.0.9:7400").shards()[2].master.address.port, 7400);
  EXPECT_EQ(stranger->For("/run/node.sock:0").shards()[2].master.address.host, "127.0.0.1");
}

TEST(ClusterViewTest, PeersAgreeWhateverOrderTheyHearOfEachOther) {
  const ShardNode a{Id('a'), {"10.0.0.1", 7400}};
  const ShardNode b{Id('b'), {"10.0.0.2", 7400}};
  const ShardNode c{Id('c'), {"10.0.0.3", 7400}};
  const ClusterViewPtr of_a = ClusterView::Peers(Id('a'), {c, a, b}, 4);
  const ClusterViewPtr of_c = ClusterView::Peers(Id('c'), {b, c, a}, 4);

  const auto slots = [](const ClusterViewPtr& view) {
    return Written(2, [&](RespWriter* reply) { view->WriteSlots(reply); });
  };
  EXPECT_EQ(slots(of_a), slots(of_c));
  EXPECT_EQ(of_a->own_slots(), std::vector{SpreadSlots(3)[0]});
  EXPECT_EQ(of_c->own_slots(), std::vector{SpreadSlots(3)[2]});
  EXPECT_TRUE(ClusterView::Peers(Id('f'), {a, b}, 4)->own_slots().empty());
}

TEST(ClusterViewTest, DerivedIdsAreIdsAndDiffer) {
  EXPECT_TRUE(IsValidNodeId(DerivedNodeId("10.0.0.1:7400")));
  EXPECT_EQ(DerivedNodeId("10.0.0.1:7400"), DerivedNodeId("10.0.0.1:7400"));
  EXPECT_NE(DerivedNodeId("10.0.0.1:7400"), DerivedNodeId("10.0.0.1:7401"));
  const Shard shard{.id = "s1", .master = {}, .slaves = {}, .slots = {}};
  EXPECT_TRUE(IsValidNodeId(ClusterView::ShardId(shard)));
}

}  // namespace
}  // namespace kvs
