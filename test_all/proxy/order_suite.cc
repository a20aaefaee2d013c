// A client's commands on one key are executed in its order, once each, whatever happens to the map.

#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <set>

#include "common/base/mutex.h"
#include "common/base/random.h"
#include "common/base/strings.h"
#include "common/resp/resp_writer.h"
#include "test_all/harness/fake_config_server.h"
#include "test_all/harness/settings.h"
#include "test_all/harness/wait.h"

namespace kvs {
namespace {

// The data that all nodes share, as if it moved with its slot in no time.
class SharedData {
 public:
  // A request with these keys has reached a node.
  void Arrive(size_t node, const Words& keys) KVS_EXCLUDES(mu_) {
    const MutexLock lock(&mu_);
    for (const std::string& key : keys) {
      std::map<size_t, int>& waiting = waiting_[key];
      ++waiting[node];
      for (const auto& [other, count] : waiting) {
        met_ += other != node && count > 0 ? 1 : 0;
      }
    }
  }

  std::string Execute(size_t node, const Words& request, const Words& keys) KVS_EXCLUDES(mu_) {
    const MutexLock lock(&mu_);
    for (const std::string& key : keys) {
      --waiting_[key][node];
      served_by_[key].insert(node);
    }
    std::string reply;
    RespWriter writer(3, &reply);
    if (request[0] == "append") {
      writer.Integer(static_cast<int64_t>(values_[keys[0]].append(request[2]).size()));
    } else if (request[0] == "incr") {
      int64_t number = 0;
      (void)ParseInt64(values_[keys[0]], &number);
      values_[keys[0]] = std::to_string(++number);
      writer.Integer(number);
    } else {
      writer.Array(keys.size());
      for (const std::string& key : keys) {
        writer.Bulk(values_[key]);
      }
    }
    return reply;
  }

  // How often a key had requests waiting at two nodes.
  int met() const KVS_EXCLUDES(mu_) {
    const MutexLock lock(&mu_);
    return met_;
  }
  int keys_served_by_several() const KVS_EXCLUDES(mu_) {
    const MutexLock lock(&mu_);
    int count = 0;
    for (const auto& [key, nodes] : served_by_) {
      count += nodes.size() > 1 ? 1 : 0;
    }
    return count;
  }

 private:
  mutable Mutex mu_;
  std::map<std::string, std::string> values_ KVS_GUARDED_BY(mu_);
  std::map<std::string, std::map<size_t, int>> waiting_ KVS_GUARDED_BY(mu_);
  std::map<std::string, std::set<size_t>> served_by_ KVS_GUARDED_BY(mu_);
  int met_ KVS_GUARDED_BY(mu_) = 0;
};

// A node that takes its time: it executes in the order of arrival, a random while later.
class SlowNode {
 public:
  SlowNode(size_t index, SharedData* data)
      : index_(index),
        data_(data),
        server_([this](FakePeer* peer, const Words& request) { OnRequest(peer, request); }) {}
  uint16_t port() const { return server_.port(); }

 private:
  void OnRequest(FakePeer* peer, const Words& request) {
    if (request[0] == "dbsize") {
      return peer->Send(":0\r\n");
    }
    const auto last = request[0] == "mget" ? request.end() : request.begin() + 2;
    const Words keys(request.begin() + 1, last);
    data_->Arrive(index_, keys);
    queues_[peer->id()].push_back({request, keys});
    const auto delay_ms = static_cast<int64_t>(random_.Uniform(random_.OneIn(50) ? 40 : 4));
    server_.loop()->After(delay_ms, [this, id = peer->id()] { ExecuteOne(id); });
  }
  void ExecuteOne(uint64_t id) {
    const auto [request, keys] = std::move(queues_[id].front());
    queues_[id].pop_front();
    const std::string reply = data_->Execute(index_, request, keys);
    if (FakePeer* peer = server_.Find(id)) {
      peer->Send(reply);
    }
  }

  const size_t index_;
  SharedData* const data_;
  Random random_ = Random::FromKernel();
  std::map<uint64_t, std::deque<std::pair<Words, Words>>> queues_;  // By connection.
  FakeServer server_;
};

// A client with keys of its own, which knows what each reply must be.
class StrictClient {
 public:
  StrictClient(int number, uint16_t port, uint64_t seed)
      : number_(number), random_(seed), thread_("client", [this, port] { Run(port); }) {}

  bool done() const { return done_; }
  // After done(): what was wrong first, or nothing.
  const std::string& mistake() const { return mistake_; }

 private:
  static constexpr int kDepth = 150;

  void Run(uint16_t port) {
    Result<RespClient> client = RespClient::Connect(port);
    if (!client.ok()) {
      mistake_ = client.status().ToString();
    }
    for (int round = 0; round < Loops(150, 50) && mistake_.empty(); ++round) {
      RunOne(&*client);
    }
    done_ = true;
  }

  void RunOne(RespClient* client) {
    std::string bytes;
    std::vector<std::string> expected;
    Words sent;
    for (int i = 0; i < kDepth; ++i) {
      const Words request = Next(&expected);
      sent.push_back(request[0] + " " + request[1]);
      bytes += EncodeWords(request);
    }
    const auto found = client->Pipeline(bytes, expected.size(),
                                        [this] { return size_t{1} + random_.Uniform(700); });
    if (!found.ok()) {
      mistake_ = found.status().ToString();
      return;
    }
    for (size_t i = 0; i < expected.size() && mistake_.empty(); ++i) {
      if ((*found)[i] != expected[i]) {
        mistake_ = sent[i] + ": " + (*found)[i] + " instead of " + expected[i];
      }
    }
  }

  std::string RandomKey() {
    return "client" + std::to_string(number_) + ":" + std::to_string(random_.Uniform(20));
  }

  Words Next(std::vector<std::string>* expected) {
    expected->emplace_back();
    RespWriter writer(2, &expected->back());
    if (random_.OneIn(8)) {
      Words request = {"mget"};
      for (uint64_t n = 1 + random_.Uniform(6); n > 0; --n) {
        request.push_back("a" + RandomKey());
      }
      writer.Array(request.size() - 1);
      for (size_t i = 1; i < request.size(); ++i) {
        writer.Bulk(texts_[request[i]]);
      }
      return request;
    }
    if (random_.OneIn(2)) {
      const std::string key = "i" + RandomKey();
      writer.Integer(++numbers_[key]);
      return {"incr", key};
    }
    const std::string key = "a" + RandomKey();
    const std::string piece = std::to_string(random_.Uniform(10)) + ",";
    writer.Integer(static_cast<int64_t>(texts_[key].append(piece).size()));
    return {"append", key, piece};
  }

  const int number_;
  Random random_;
  std::map<std::string, std::string> texts_;
  std::map<std::string, int64_t> numbers_;
  std::string mistake_;
  std::atomic<bool> done_{false};
  Thread thread_;
};

class OrderTest : public testing::Test {
 protected:
  static constexpr size_t kNodes = 3;

  void SetUp() override {
    for (size_t i = 0; i < kNodes; ++i) {
      nodes_.push_back(std::make_unique<SlowNode>(i, &data_));
    }
    MoveBlocks(kNodes);
    Words options = config_.JoinOptions();
    options.insert(options.end(), {"--backend-timeout", "60s"});
    proxy_ = MakeProxy(dir_, "proxy", options);
    ASSERT_EQ(proxy_->Start().ToString(), "ok");
    RespClient client = proxy_->Connect();
    ASSERT_TRUE(WaitUntil(10'000, [&] { return client.Ask({"dbsize"}) == "0"; }));
  }

  // Gives a third of the blocks to other ones of the first `nodes` nodes.
  void MoveBlocks(size_t nodes) {
    for (uint16_t& owner : owners_) {
      if (owner == 0 || random_.OneIn(3) || (nodes < kNodes && owner == nodes_.back()->port())) {
        owner = nodes_[random_.Uniform(nodes)]->port();
      }
    }
    config_.Publish(owners_);
  }

  TempDir dir_;
  const uint64_t seed_ = Random::FromKernel().Next();
  Random random_{seed_};
  SharedData data_;
  std::vector<std::unique_ptr<SlowNode>> nodes_;
  FakeConfigServer config_{dir_};
  std::vector<uint16_t> owners_ = std::vector<uint16_t>(FakeConfigServer::kBlocks);
  std::unique_ptr<Server> proxy_;
};

// Blocks of slots go back and forth, now and then a node leaves the map with requests in flight.
TEST_F(OrderTest, MovingSlotsChangeNoReplyAndRepeatNothing) {
  SCOPED_TRACE("seed " + std::to_string(seed_));
  std::vector<std::unique_ptr<StrictClient>> clients;
  for (int i = 0; i < 4; ++i) {
    clients.push_back(std::make_unique<StrictClient>(i, proxy_->port(), random_.Next()));
  }
  const auto all_done = [&clients] {
    return std::all_of(clients.begin(), clients.end(),
                       [](const auto& client) { return client->done(); });
  };
  const uint64_t first_epoch = config_.epoch();
  ASSERT_TRUE(WaitUntil(120'000, [&] {
    MoveBlocks(random_.OneIn(4) ? kNodes - 1 : kNodes);
    return all_done();
  }));
  for (const auto& client : clients) {
    EXPECT_EQ(client->mistake(), "");
  }
  EXPECT_EQ(data_.met(), 0) << "requests for one key waited at two nodes";
  EXPECT_GT(data_.keys_served_by_several(), 20);
  EXPECT_GT(config_.epoch() - first_epoch, 20U);
}

}  // namespace
}  // namespace kvs
