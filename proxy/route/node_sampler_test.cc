#include "proxy/route/node_sampler.h"

#include <map>
#include <memory>
#include <string>

#include "gtest/gtest.h"

#include "common/resp/resp_writer.h"
#include "proxy/backend/fake_node.h"

namespace kvs {
namespace {

TEST(NodeFiguresTest, AreReadFromTheirSections) {
  NodeFigures figures;
  ReadNodeFigures("# Stats\r\nkeyspace_hits:5\r\nkeyspace_misses:2\r\nexpired_keys:7\r\n",
                  &figures);
  ReadNodeFigures("# Keyspace\r\ndb0:keys=3,expires=1,avg_ttl=9\r\ndb1:keys=99,expires=9\r\n",
                  &figures);
  EXPECT_EQ(
      figures,
      (NodeFigures{
          .keys = 3, .expires = 1, .keyspace_hits = 5, .keyspace_misses = 2, .expired_keys = 7}));
}

TEST(NodeFiguresTest, NonsenseCountsNothing) {
  NodeFigures figures;
  for (const char* text : {"", ":", "keyspace_hits:x\nkeyspace_misses:-1\n", "db0:keys=,expires\n",
                           "db0:keys=99999999999999999999\n", "=9\r\nkeyspace_hits"}) {
    ReadNodeFigures(text, &figures);
    EXPECT_EQ(figures, NodeFigures{}) << text;
  }
}

// Two nodes with figures of their own; one may be silent.
class NodeSamplerTest : public testing::Test {
 protected:
  void SetUp() override {
    std::vector<NodeAddress> addresses;
    for (int i = 0; i < 2; ++i) {
      nodes_.push_back(std::make_unique<FakeNode>(
          &loop_, [this, i](const FakeNode::Args& args) { return Serve(i, args); }));
      addresses.push_back(nodes_.back()->address());
    }
    router_.SetTable(RouteTable::FromServers(addresses));
    sampler_ = std::make_unique<NodeSampler>(&loop_, &links_, &router_, &sums_);
  }
  void TearDown() override {
    sampler_->Stop();
    links_.Retain({});
    loop_.RunOnce(0);
  }
  std::string Serve(int node, const FakeNode::Args& args) {
    if (args[0] != "INFO") {
      return "+OK\r\n";
    }
    if (node == silent_) {
      return "-ERR no\r\n";
    }
    std::string reply;
    RespWriter(3, &reply).Verbatim(
        "txt", args[1] == "stats" ? "# Stats\r\nkeyspace_hits:10\r\n"
                                  : "# Keyspace\r\ndb0:keys=" + std::to_string(keys_[node]) +
                                        ",expires=1,avg_ttl=0\r\n");
    return reply;
  }
  // Runs the loop until the totals are as wanted.
  template <typename Wanted>
  bool WaitFor(Wanted wanted) {
    const int64_t deadline = loop_.clock()->MonotonicMillis() + 10'000;
    while (loop_.clock()->MonotonicMillis() < deadline) {
      loop_.RunOnce(10);
      links_.FlushAll();
      links_.CheckDeadlines();
      if (wanted(sums_.Ask(loop_.clock()->MonotonicMillis()))) {
        return true;
      }
    }
    return false;
  }

  EventLoop loop_{"test"};
  std::unique_ptr<NodeSampler> sampler_;  // The links may tell it of failures to the last.
  LinkPool links_{&loop_, {}};
  Router router_{&links_};
  NodeSums sums_;
  std::vector<std::unique_ptr<FakeNode>> nodes_;
  std::map<int, int> keys_ = {{0, 3}, {1, 4}};
  int silent_ = -1;
};

TEST_F(NodeSamplerTest, AddsUpWhatTheNodesSay) {
  EXPECT_EQ(sums_.Ask(0).sampled_ms, -1);
  EXPECT_TRUE(WaitFor([](const NodeTotals& totals) {
    return totals.answering == 2 && totals.silent == 0 && totals.sum.keys == 7 &&
           totals.sum.expires == 2 && totals.sum.keyspace_hits == 20;
  }));
  keys_[0] = 0;
  EXPECT_TRUE(WaitFor([](const NodeTotals& totals) { return totals.sum.keys == 4; }));
}

TEST_F(NodeSamplerTest, ASilentNodeIsLeftOutAndCounted) {
  EXPECT_TRUE(WaitFor([](const NodeTotals& totals) { return totals.answering == 2; }));
  silent_ = 1;
  EXPECT_TRUE(WaitFor([](const NodeTotals& totals) {
    return totals.answering == 1 && totals.silent == 1 && totals.sum.keys == 3;
  }));
  silent_ = -1;
  EXPECT_TRUE(WaitFor([](const NodeTotals& totals) { return totals.sum.keys == 7; }));
}

TEST_F(NodeSamplerTest, ANodeThatLeftIsForgotten) {
  EXPECT_TRUE(WaitFor([](const NodeTotals& totals) { return totals.answering == 2; }));
  router_.SetTable(RouteTable::FromServers({nodes_[1]->address()}));
  EXPECT_TRUE(WaitFor([](const NodeTotals& totals) {
    return totals.answering == 1 && totals.silent == 0 && totals.sum.keys == 4;
  }));
}

}  // namespace
}  // namespace kvs
