// Many proxies of one config server: how soon the last of them routes by a new map.

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "test_all/harness/config_cluster.h"
#include "test_all/harness/fake_server.h"
#include "test_all/harness/settings.h"
#include "test_all/harness/wait.h"

namespace kvs {
namespace {

constexpr int kManyProxies = 100;
constexpr int kFewProxies = 20;
constexpr int kChanges = 6;
constexpr int64_t kMostMillis = 1000;

int ProxyCount() {
  return ShortRun() || kSlownessFactor > 1 ? kFewProxies : kManyProxies;
}

// The only node of a namespace, which moves between two ports; each says which one it is.
class MovingNode {
 public:
  explicit MovingNode(const ConfigCluster* cluster) : cluster_(cluster) {}

  std::string address(size_t place) const { return servers_[place].address(); }
  static std::string AnswerAt(size_t place) { return "place-" + std::to_string(place); }

  // Tells the config server that the node is there from now on.
  std::string MoveTo(size_t place) {
    Result<RespClient> link = RespClient::Connect(cluster_->config_port());
    if (!link.ok()) {
      return link.status().ToString();
    }
    const std::string hello = link->Ask({"hello", "3", "auth", "cluster", cluster_->secret()});
    const std::string registration = R"({"kind":"node","id":")" + std::string(40, 'a') +
                                     R"(","address":")" + address(place) + R"("})";
    const Result<Reply> reply = link->Do({"control", "register", registration});
    link_ = *std::move(link);
    return reply.ok() && !reply->is_error() ? "ok" : hello + ", " + reply->ToString();
  }

 private:
  static FakeServer::Handler HandlerOf(size_t place) {
    return [text = "+" + AnswerAt(place) + "\r\n"](FakePeer* peer, const Words& /*request*/) {
      peer->Send(text);
    };
  }

  const ConfigCluster* const cluster_;
  std::array<FakeServer, 2> servers_{FakeServer(HandlerOf(0)), FakeServer(HandlerOf(1))};
  RespClient link_;  // The node is online while it stands.
};

class FleetTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(cluster_.StartFree().ToString(), "ok");
    ASSERT_EQ(node_.MoveTo(0), "ok");
    const Result<HttpAnswer> created =
        cluster_.Call("POST", "/api/v1/namespaces",
                      R"({"name":"main","mode":"store","nodes":[")" + node_.address(0) + R"("]})");
    ASSERT_TRUE(created.ok());
    ASSERT_EQ(created->status, 201) << created->body;
    ASSERT_NO_FATAL_FAILURE(StartProxies());
  }
  void StartProxies() {
    Words options = cluster_.JoinOptions(cluster_.secret_file());
    options.insert(options.end(), {"--io-threads", "1"});
    for (int i = 0; i < ProxyCount(); ++i) {
      proxies_.push_back(MakeProxy(cluster_.dir(), "fleet-" + std::to_string(i), options));
      ASSERT_EQ(proxies_.back()->Launch().ToString(), "ok");
    }
    for (const auto& proxy : proxies_) {
      ASSERT_EQ(proxy->WaitReady(60'000).ToString(), "ok");
      clients_.push_back(proxy->Connect());
    }
    ASSERT_TRUE(AllReach(0, 60'000));
  }
  // Waits until every proxy sends requests to the node's place.
  bool AllReach(size_t place, int64_t timeout_ms) {
    return WaitUntil(timeout_ms, [&] {
      while (reached_ < clients_.size() &&
             clients_[reached_].Ask({"get", "k"}) == MovingNode::AnswerAt(place)) {
        ++reached_;
      }
      return reached_ == clients_.size();
    });
  }

  ConfigCluster cluster_{0};
  MovingNode node_{&cluster_};
  std::vector<std::unique_ptr<Server>> proxies_;
  std::vector<RespClient> clients_;  // One for each.
  size_t reached_ = 0;               // So many of them are known to route by the newest map.
};

TEST_F(FleetTest, AMapReachesEveryProxyInLessThanASecond) {
  for (size_t change = 1; change <= kChanges; ++change) {
    SCOPED_TRACE("change " + std::to_string(change));
    reached_ = 0;
    const int64_t begin_ms = NowMillis();
    ASSERT_EQ(node_.MoveTo(change % 2), "ok");
    ASSERT_TRUE(AllReach(change % 2, 20'000)) << "proxy " << reached_ << " has not heard of it";
    EXPECT_LT(NowMillis() - begin_ms, kMostMillis * kSlownessFactor);
    const auto epoch = static_cast<int64_t>(cluster_.Epoch());
    EXPECT_EQ(epoch, static_cast<int64_t>(change) + 1);
    for (RespClient& client : clients_) {
      EXPECT_EQ(InfoNumber(&client, "map_epoch"), epoch);
    }
  }
  EXPECT_TRUE(
      WaitUntil(10'000, [&] { return cluster_.OnlineCount("proxies") == clients_.size() + 1; }));
}

}  // namespace
}  // namespace kvs
