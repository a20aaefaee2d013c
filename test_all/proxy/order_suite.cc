// A client's commands on one key are executed in its order, once each, whatever happens to the map.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>

#include "common/base/mutex.h"
#include "common/base/random.h"
#include "common/base/strings.h"
#include "common/resp/resp_writer.h"
#include "common/slot/slot.h"
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

  // A request of the node's is not executed.
  std::string Refuse(size_t node, const Words& keys, const std::string& refusal) KVS_EXCLUDES(mu_) {
    const MutexLock lock(&mu_);
    for (const std::string& key : keys) {
      --waiting_[key][node];
    }
    return refusal;
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

// A node that takes its time: it executes in the order of arrival, a random while later.  It
// refuses what is not its own by the map that it knows, if it knows one.
class SlowNode {
 public:
  using Owners = std::vector<uint16_t>;  // By block, as FakeConfigServer publishes them.

  SlowNode(size_t index, SharedData* data)
      : index_(index),
        data_(data),
        server_([this](FakePeer* peer, const Words& request) { OnRequest(peer, request); }) {}
  uint16_t port() const { return server_.port(); }
  void Learn(const Owners& owners) {
    server_.Run([&] { owners_ = owners; });
  }
  int refusals() const { return refusals_; }

 private:
  void OnRequest(FakePeer* peer, const Words& request) {
    if (request[0] == "dbsize") {
      return peer->Send(":0\r\n");
    }
    Words keys;
    if (request[0] != "INFO") {  // The proxy asks for sums now and then.
      const auto last = request[0] == "mget" ? request.end() : request.begin() + 2;
      keys.assign(request.begin() + 1, last);
      data_->Arrive(index_, keys);
    }
    queues_[peer->id()].push_back({request, keys});
    const auto delay_ms = static_cast<int64_t>(random_.Uniform(random_.OneIn(50) ? 40 : 4));
    server_.loop()->After(delay_ms, [this, id = peer->id()] { ExecuteOne(id); });
  }
  void ExecuteOne(uint64_t id) {
    const auto [request, keys] = std::move(queues_[id].front());
    queues_[id].pop_front();
    if (keys.empty()) {
      if (FakePeer* peer = server_.Find(id)) {
        peer->Send("$0\r\n\r\n");
      }
      return;
    }
    const std::string refusal = RefusalOf(keys);
    const std::string reply = refusal.empty() ? data_->Execute(index_, request, keys)
                                              : data_->Refuse(index_, keys, refusal);
    if (FakePeer* peer = server_.Find(id)) {
      peer->Send(reply);
    }
  }

  std::string RefusalOf(const Words& keys) {
    for (const std::string& key : keys) {
      const size_t block = FakeConfigServer::BlockOf(key);
      if (!owners_.empty() && owners_[block] != port()) {
        ++refusals_;
        return "-MOVED " + std::to_string(SlotOf(key)) +
               " 127.0.0.1:" + std::to_string(owners_[block]) + "\r\n";
      }
    }
    return "";
  }

  const size_t index_;
  SharedData* const data_;
  Random random_ = Random::FromKernel();
  Owners owners_;
  std::atomic<int> refusals_{0};
  std::map<uint64_t, std::deque<std::pair<Words, Words>>> queues_;  // By connection.
  FakeServer server_;
};

// A client with keys of its own, which knows what each reply must be.
class StrictClient {
 public:
  StrictClient(int number, uint16_t port, uint64_t seed)
      : number_(number),
        random_(seed),
        quiet_keys_(QuietKeys()),
        thread_("client", [this, port] { Run(port); }) {}

  bool done() const { return done_; }
  // Pipelines whose replies have all come.
  int rounds() const { return rounds_; }
  // After done(): what was wrong first, or nothing.
  const std::string& mistake() const { return mistake_; }
  // Of commands that nothing can have overtaken, and of others.
  int refusals() const { return refusals_; }
  int overtaken() const { return overtaken_; }

 private:
  static constexpr int kDepth = 150;
  static constexpr uint64_t kKeys = 20;

  void Run(uint16_t port) {
    Result<RespClient> client = RespClient::Connect(port);
    if (!client.ok()) {
      mistake_ = client.status().ToString();
    }
    for (int round = 0; round < Loops(150, 50) && mistake_.empty(); ++round) {
      RunOne(&*client);
      ++rounds_;
    }
    done_ = true;
  }

  void RunOne(RespClient* client) {
    std::string bytes;
    std::vector<Words> sent;
    for (int i = 0; i < kDepth; ++i) {
      sent.push_back(Next());
      bytes += EncodeWords(sent.back());
    }
    const auto found =
        client->Pipeline(bytes, sent.size(), [this] { return size_t{1} + random_.Uniform(700); });
    if (!found.ok()) {
      mistake_ = found.status().ToString();
      return;
    }
    for (size_t i = 0; i < sent.size() && mistake_.empty(); ++i) {
      Judge(sent[i], (*found)[i]);
    }
  }

  std::string KeyAt(uint64_t n) const {
    return "client" + std::to_string(number_) + ":" + std::to_string(n);
  }
  std::string RandomKey() { return KeyAt(random_.Uniform(kKeys)); }
  // Returns keys whose slots the client never writes to.
  Words QuietKeys() const {
    std::set<int> written = {SlotOf("b")};
    for (uint64_t n = 0; n < kKeys; ++n) {
      written.insert({SlotOf("a" + KeyAt(n)), SlotOf("i" + KeyAt(n))});
    }
    Words keys;
    for (uint64_t n = 0; keys.size() < kKeys; ++n) {
      if (!written.contains(SlotOf("q" + KeyAt(n)))) {
        keys.push_back("q" + KeyAt(n));
      }
    }
    return keys;
  }

  Words Next() {
    if (random_.OneIn(8)) {
      Words request = {"mget"};
      const bool quiet = random_.OneIn(2);
      for (uint64_t n = 1 + random_.Uniform(6); n > 0; --n) {
        request.push_back(quiet ? quiet_keys_[random_.Uniform(kKeys)] : "a" + RandomKey());
      }
      return request;
    }
    if (random_.OneIn(2)) {
      return {"incr", "i" + RandomKey()};
    }
    if (random_.OneIn(10)) {
      Words request = {"rename", "a" + RandomKey(), "b"};
      if (SlotOf(request[1]) != SlotOf(request[2])) {
        return request;
      }
    }
    return {"append", "a" + RandomKey(), std::to_string(random_.Uniform(10)) + ","};
  }

  // What is refused with TRYAGAIN, as a whole or in part, has not been executed.
  void Judge(const Words& request, const std::string& reply) {
    constexpr std::string_view kTryAgain = "-TRYAGAIN ";
    if (reply.find(kTryAgain) != std::string::npos) {
      // A node refuses keys of several slots together: what it executed behind them for one that it
      // still owns, if it writes, has overtaken them.
      const bool may_be_overtaken = request[0] == "mget" && request[1][0] == 'a';
      ++(may_be_overtaken ? overtaken_ : refusals_);
      if (request[0] != "mget" || reply.starts_with(kTryAgain)) {
        return;
      }
    }
    std::string expected;
    RespWriter writer(2, &expected);
    if (request[0] == "incr") {
      writer.Integer(++numbers_[request[1]]);
    } else if (request[0] == "rename") {
      writer.Error("CROSSSLOT Keys in request don't hash to the same slot");
    } else if (request[0] == "append") {
      writer.Integer(static_cast<int64_t>(texts_[request[1]].append(request[2]).size()));
    } else {
      writer.Array(request.size() - 1);
      for (size_t i = 1; i < request.size(); ++i) {
        const std::string error =
            reply.substr(std::min(expected.size(), reply.size()), kTryAgain.size());
        if (error == kTryAgain) {
          expected += reply.substr(expected.size(),
                                   reply.find('\n', expected.size()) + 1 - expected.size());
        } else {
          writer.Bulk(texts_[request[i]]);
        }
      }
    }
    if (reply != expected) {
      mistake_ = request[0] + " " + request[1] + ": " + reply + " instead of " + expected;
    }
  }

  const int number_;
  Random random_;
  const Words quiet_keys_;
  std::map<std::string, std::string> texts_;
  std::map<std::string, int64_t> numbers_;
  std::string mistake_;
  int refusals_ = 0;
  int overtaken_ = 0;
  std::atomic<int> rounds_{0};
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
  void ChooseOwners(size_t nodes) {
    for (uint16_t& owner : owners_) {
      if (owner == 0 || random_.OneIn(3) || (nodes < kNodes && owner == nodes_.back()->port())) {
        owner = nodes_[random_.Uniform(nodes)]->port();
      }
    }
  }
  void MoveBlocks(size_t nodes) {
    ChooseOwners(nodes);
    config_.Publish(owners_);
  }
  void StartClients() {
    for (int i = 0; i < 4; ++i) {
      clients_.push_back(std::make_unique<StrictClient>(i, proxy_->port(), random_.Next()));
    }
  }
  bool AllDone() const {
    return std::all_of(clients_.begin(), clients_.end(),
                       [](const auto& client) { return client->done(); });
  }

  TempDir dir_;
  const uint64_t seed_ = Random::FromKernel().Next();
  Random random_{seed_};
  SharedData data_;
  std::vector<std::unique_ptr<SlowNode>> nodes_;
  FakeConfigServer config_{dir_};
  std::vector<uint16_t> owners_ = std::vector<uint16_t>(FakeConfigServer::kBlocks);
  std::unique_ptr<Server> proxy_;
  std::vector<std::unique_ptr<StrictClient>> clients_;
};

// Blocks of slots go back and forth, now and then a node leaves the map with requests in flight.
TEST_F(OrderTest, MovingSlotsChangeNoReplyAndRepeatNothing) {
  SCOPED_TRACE("seed " + std::to_string(seed_));
  StartClients();
  const uint64_t first_epoch = config_.epoch();
  ASSERT_TRUE(WaitUntil(120'000, [&] {
    MoveBlocks(random_.OneIn(4) ? kNodes - 1 : kNodes);
    return AllDone();
  }));
  for (const auto& client : clients_) {
    EXPECT_EQ(client->mistake(), "");
    EXPECT_EQ(client->refusals() + client->overtaken(), 0);
  }
  EXPECT_EQ(data_.met(), 0) << "requests for one key waited at two nodes";
  EXPECT_GT(data_.keys_served_by_several(), 20);
  EXPECT_GT(config_.epoch() - first_epoch, 20U);
}

// The nodes know the map too, and refuse what is not theirs; each of them and the proxy learns a
// change at another moment.  Clients do not notice.
TEST_F(OrderTest, ANodeThatRefusesASlotCorrectsTheProxy) {
  SCOPED_TRACE("seed " + std::to_string(seed_));
  for (const auto& node : nodes_) {
    node->Learn(owners_);
  }
  StartClients();
  std::deque<std::function<void()>> steps;
  std::vector<int> rounds(clients_.size(),
                          -2);  // Of each client, when all had learnt the last map.
  EXPECT_TRUE(WaitUntil(120'000, [&] {
    // No slot comes back to a node while a pipeline is under way that the node has refused.
    for (size_t i = 0; steps.empty() && i < clients_.size(); ++i) {
      if (!clients_[i]->done() && clients_[i]->rounds() < rounds[i] + 2) {
        return false;
      }
    }
    if (steps.empty()) {
      ChooseOwners(kNodes);
      steps.emplace_back([&] { config_.Publish(owners_); });
      for (const auto& node : nodes_) {
        steps.emplace_back([&] { node->Learn(owners_); });
      }
      for (size_t i = steps.size(); i > 1; --i) {
        std::swap(steps[i - 1], steps[random_.Uniform(i)]);
      }
      steps.emplace_back([&] {
        for (size_t i = 0; i < clients_.size(); ++i) {
          rounds[i] = clients_[i]->rounds();
        }
      });
    }
    steps.front()();
    steps.pop_front();
    return AllDone();
  }));
  int refusals = 0;
  for (const auto& node : nodes_) {
    refusals += node->refusals();
  }
  EXPECT_GT(refusals, 50);
  for (const auto& client : clients_) {
    EXPECT_EQ(client->mistake(), "");
    EXPECT_EQ(client->refusals(), 0);
  }
  EXPECT_EQ(data_.met(), 0) << "requests for one key waited at two nodes";
}

// Nobody tells the proxy about the change but the nodes.
TEST_F(OrderTest, WithoutAConfigServerTheNodesCorrectTheProxy) {
  SCOPED_TRACE("seed " + std::to_string(seed_));
  for (const auto& node : nodes_) {
    node->Learn(owners_);
  }
  for (int round = 0; round < 3; ++round) {
    ChooseOwners(kNodes);
    for (const auto& node : nodes_) {
      node->Learn(owners_);
    }
    RespClient client = proxy_->Connect();
    for (int i = 0; i < 50; ++i) {
      const std::string key = "round" + std::to_string(round) + ":" + std::to_string(i);
      EXPECT_EQ(client.Ask({"incr", key}), "1") << key;
      EXPECT_EQ(client.Ask({"append", key, "0"}), "2") << key;
    }
    const std::string keys =
        client.Ask({"mget", "round" + std::to_string(round) + ":0", "b", "c", "d"});
    EXPECT_EQ(keys.find("TRYAGAIN"), std::string::npos) << keys;
  }
}

}  // namespace
}  // namespace kvs
