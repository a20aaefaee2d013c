#include "config_server/app/members.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kvs {
namespace {

using testing::ElementsAre;

std::string Id(int number) {
  return std::string(kNodeIdSize - 1, '0') + std::to_string(number);
}

Registration Of(ControlKind kind, int number, const std::string& wanted = "",
                const std::string& map = "") {
  return {kind,  Id(number), {"h", static_cast<uint16_t>(9 - number)}, wanted,
          "1.0", map,        map.empty() ? uint64_t{0} : uint64_t{1}};
}

class MembersTest : public testing::Test {
 protected:
  void Create(const std::string& name, int node) {
    Apply(topology_.PlanRegister(Of(ControlKind::kNode, node), {}));
    NamespaceSpec spec;
    spec.name = name;
    spec.shards = 1;
    spec.nodes = {Id(node)};
    Apply(topology_.PlanCreate(spec, {Id(node)}));
  }
  void Apply(const Result<TopologyChange>& change) {
    ASSERT_TRUE(change.ok());
    topology_.Apply(*change);
  }
  std::string NamespaceOf(LinkId link) {
    return members_.NamespaceOf(*members_.FindByLink(link), topology_);
  }

  Topology topology_;
  Members members_;
};

TEST_F(MembersTest, ANewLinkOfAnIdReplacesTheOld) {
  EXPECT_EQ(members_.Attach(Of(ControlKind::kNode, 1), 5, 0), kNoLink);
  EXPECT_EQ(members_.Attach(Of(ControlKind::kNode, 1), 6, 0), 5U);
  members_.Detach(5, 0);
  EXPECT_THAT(members_.OnlineNodes(), ElementsAre(Id(1)));
  EXPECT_EQ(members_.FindByLink(5), nullptr);
  members_.Detach(6, 0);
  EXPECT_TRUE(members_.OnlineNodes().empty());
}

TEST_F(MembersTest, ANodeAndAProxyMayHaveOneId) {
  members_.Attach(Of(ControlKind::kNode, 1), 5, 0);
  EXPECT_EQ(members_.Attach(Of(ControlKind::kProxy, 1), 6, 0), kNoLink);
  EXPECT_EQ(members_.OnlineCount(ControlKind::kProxy), 1U);
}

TEST_F(MembersTest, AProxyJoinsTheOnlyNamespaceAndStaysThere) {
  members_.Attach(Of(ControlKind::kProxy, 1), 1, 0);
  members_.Attach(Of(ControlKind::kProxy, 2, "b"), 2, 0);
  members_.Attach(Of(ControlKind::kProxy, 3, "", "b"), 3, 0);
  EXPECT_EQ(NamespaceOf(1), "");
  Create("a", 7);
  EXPECT_EQ(NamespaceOf(1), "a");
  EXPECT_EQ(NamespaceOf(2), "");
  Create("b", 8);
  EXPECT_EQ(NamespaceOf(1), "") << "it was never told of a, and now there are two";
  EXPECT_EQ(NamespaceOf(2), "b");
  EXPECT_EQ(NamespaceOf(3), "b") << "it has b's map";
  members_.FindByLink(1)->pushed_namespace = "a";
  EXPECT_EQ(NamespaceOf(1), "a");
}

TEST_F(MembersTest, ANodeBelongsWhereTheTopologySays) {
  members_.Attach(Of(ControlKind::kNode, 7, "", "b"), 1, 0);
  EXPECT_EQ(NamespaceOf(1), "");
  Create("a", 7);
  EXPECT_EQ(NamespaceOf(1), "a");
}

TEST_F(MembersTest, ViewsShowAllNodesThatAreKnown) {
  Create("a", 7);
  Create("b", 8);
  members_.Attach(Of(ControlKind::kNode, 7), 1, 100);
  const std::vector<MemberView> views = members_.Views(ControlKind::kNode, topology_, 350);
  ASSERT_EQ(views.size(), 2U);
  EXPECT_EQ(views[0].registration.id, Id(8)) << "ordered by address";
  EXPECT_FALSE(views[0].online);
  EXPECT_EQ(views[0].heartbeat_age_ms, -1);
  EXPECT_EQ(views[0].namespace_name, "b");
  EXPECT_TRUE(views[1].online);
  EXPECT_EQ(views[1].heartbeat_age_ms, 250);
}

TEST_F(MembersTest, ProxiesThatAreGoneAreForgotten) {
  members_.Attach(Of(ControlKind::kProxy, 1), 1, 0);
  members_.Attach(Of(ControlKind::kProxy, 2), 2, 0);
  members_.Detach(1, 1000);
  members_.Forget(1000 + kForgetProxyMillis - 1);
  EXPECT_EQ(members_.Views(ControlKind::kProxy, topology_, 0).size(), 2U);
  members_.Forget(1000 + kForgetProxyMillis);
  EXPECT_EQ(members_.Views(ControlKind::kProxy, topology_, 0).size(), 1U);
}

}  // namespace
}  // namespace kvs
