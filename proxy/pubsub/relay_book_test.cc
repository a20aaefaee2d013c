#include "proxy/pubsub/relay_book.h"

#include <algorithm>
#include <memory>
#include <optional>

#include "gtest/gtest.h"

#include "common/base/random.h"
#include "common/base/slowness.h"

namespace kvs {
namespace {

using Key = std::pair<ChannelKind, std::string>;

NodeAddress Node(int number) {
  return {"node", static_cast<uint16_t>(number)};
}

struct Waiter : RelayWaiter {
  void OnOpened(const Status& status) override { outcomes.push_back(status); }
  std::vector<Status> outcomes;
};

// Nodes that answer when the test lets them.  A channel "cN" is that of node N % node_count.
class FakeNodes : public RelayPort {
 public:
  Result<std::vector<NodeAddress>> NodesOf(ChannelKind kind, std::string_view name) override {
    if (kind != ChannelKind::kPattern) {
      return std::vector<NodeAddress>{Node((name.back() - '0' + shift) % node_count)};
    }
    std::vector<NodeAddress> all;
    for (int i = 0; i < node_count; ++i) {
      all.push_back(Node(i));
    }
    return all;
  }
  Status Send(const NodeAddress& node, std::string_view verb, std::string_view name) override {
    if (down.contains(node)) {
      return Status::Unavailable("down");
    }
    sent[node].push_back(std::string(verb) + " " + std::string(name));
    return Status::Ok();
  }
  void OnLost(ChannelKind kind, const std::string& name) override { lost.emplace_back(kind, name); }

  // Executes the first order of a node and returns whether there was one.
  bool Execute(RelayBook* book, const NodeAddress& node, const Status& status = Status::Ok()) {
    std::deque<std::string>& orders = sent[node];
    if (orders.empty()) {
      return false;
    }
    const std::string order = orders.front();
    orders.pop_front();
    if (status.ok()) {
      Apply(node, order);
    }
    book->OnAnswer(node, status);
    return true;
  }
  void ExecuteAll(RelayBook* book) {
    for (int i = 0; i < node_count; ++i) {
      while (Execute(book, Node(i))) {
      }
    }
  }
  void Break(RelayBook* book, const NodeAddress& node) {
    sent[node].clear();
    held[node].clear();
    down.insert(node);
    book->OnBroken(node, Status::Unavailable("broken"));
    down.erase(node);
  }

  int node_count = 3;
  int shift = 0;
  std::map<NodeAddress, std::deque<std::string>> sent;
  std::map<NodeAddress, std::set<Key>> held;  // What a node sends messages for.
  std::set<NodeAddress> down;
  std::vector<Key> lost;

 private:
  void Apply(const NodeAddress& node, const std::string& order) {
    const std::string verb = order.substr(0, order.find(' '));
    const std::string name = order.substr(order.find(' ') + 1);
    for (const ChannelKind kind :
         {ChannelKind::kChannel, ChannelKind::kPattern, ChannelKind::kShard}) {
      if (verb == SubscribeVerb(kind)) {
        held[node].emplace(kind, name);
      } else if (verb == UnsubscribeVerb(kind)) {
        held[node].erase({kind, name});
      }
    }
  }
};

class RelayBookTest : public testing::Test {
 protected:
  FakeNodes nodes_;
  RelayBook book_{&nodes_};
  Waiter one_;
  Waiter two_;
};

TEST_F(RelayBookTest, ManyClientsAreOneSubscriptionOfTheNode) {
  book_.Open(ChannelKind::kChannel, {"c1"}, &one_);
  book_.Open(ChannelKind::kChannel, {"c1"}, &two_);
  EXPECT_EQ(nodes_.sent[Node(1)], std::deque<std::string>{"subscribe c1"});
  EXPECT_TRUE(one_.outcomes.empty());
  nodes_.ExecuteAll(&book_);
  ASSERT_EQ(one_.outcomes.size() + two_.outcomes.size(), 2U);
  Waiter three;
  book_.Open(ChannelKind::kChannel, {"c1"}, &three);
  EXPECT_EQ(three.outcomes.size(), 1U) << "it is in force: nobody needs to be asked";
  for (int i = 0; i < 2; ++i) {
    book_.Release(ChannelKind::kChannel, "c1");
    EXPECT_TRUE(nodes_.sent[Node(1)].empty());
  }
  book_.Release(ChannelKind::kChannel, "c1");
  EXPECT_EQ(nodes_.sent[Node(1)], std::deque<std::string>{"unsubscribe c1"});
}

TEST_F(RelayBookTest, APatternIsInForceWhenAllNodesSaySo) {
  book_.Open(ChannelKind::kPattern, {"c*"}, &one_);
  nodes_.Execute(&book_, Node(0));
  nodes_.Execute(&book_, Node(2));
  EXPECT_TRUE(one_.outcomes.empty());
  nodes_.Execute(&book_, Node(1));
  EXPECT_EQ(one_.outcomes.size(), 1U);
}

TEST_F(RelayBookTest, OneNodeThatRefusesLeavesNothingBehind) {
  book_.Open(ChannelKind::kPattern, {"a*", "b*"}, &one_);
  nodes_.Execute(&book_, Node(0));
  nodes_.Execute(&book_, Node(1), Status::Unavailable("no"));
  ASSERT_EQ(one_.outcomes.size(), 1U);
  EXPECT_EQ(one_.outcomes[0].message(), "no");
  nodes_.ExecuteAll(&book_);
  EXPECT_EQ(book_.topic_count(), 0U);
  for (int i = 0; i < nodes_.node_count; ++i) {
    EXPECT_TRUE(nodes_.held[Node(i)].empty());
  }
  EXPECT_TRUE(nodes_.lost.empty()) << "nobody had it";
}

TEST_F(RelayBookTest, ANodeThatIsDownIsAnErrorAtOnce) {
  nodes_.down.insert(Node(1));
  book_.Open(ChannelKind::kChannel, {"c0", "c1"}, &one_);
  ASSERT_EQ(one_.outcomes.size(), 1U);
  EXPECT_FALSE(one_.outcomes[0].ok());
  EXPECT_EQ(book_.topic_count(), 0U);
  EXPECT_EQ(nodes_.sent[Node(0)], (std::deque<std::string>{"subscribe c0", "unsubscribe c0"}));
}

TEST_F(RelayBookTest, WhoHadASubscriptionOfABrokenNodeHears) {
  book_.Open(ChannelKind::kChannel, {"c0", "c1"}, &one_);
  nodes_.ExecuteAll(&book_);
  book_.Open(ChannelKind::kChannel, {"c4"}, &two_);  // Also node 1, not confirmed yet.
  nodes_.Break(&book_, Node(1));
  EXPECT_EQ(nodes_.lost, (std::vector<Key>{{ChannelKind::kChannel, "c1"}}));
  ASSERT_EQ(two_.outcomes.size(), 1U);
  EXPECT_FALSE(two_.outcomes[0].ok());
  EXPECT_EQ(book_.topic_count(), 1U);
}

TEST_F(RelayBookTest, ASubscriptionFollowsItsChannelToAnotherNode) {
  book_.Open(ChannelKind::kChannel, {"c1"}, &one_);
  nodes_.ExecuteAll(&book_);
  nodes_.shift = 1;
  book_.OnTable();
  nodes_.ExecuteAll(&book_);
  EXPECT_TRUE(nodes_.held[Node(1)].contains({ChannelKind::kChannel, "c1"})) << "for a while";
  EXPECT_TRUE(nodes_.held[Node(2)].contains({ChannelKind::kChannel, "c1"}));
  book_.EndLeft();
  book_.EndLeft();
  nodes_.ExecuteAll(&book_);
  EXPECT_TRUE(nodes_.held[Node(1)].empty());
  EXPECT_TRUE(nodes_.held[Node(2)].contains({ChannelKind::kChannel, "c1"}));
  EXPECT_TRUE(nodes_.lost.empty());
  // What has left is not missed.
  nodes_.Break(&book_, Node(1));
  EXPECT_TRUE(nodes_.lost.empty());
}

TEST_F(RelayBookTest, WhoWaitsForANodeThatLeavesIsNotForgotten) {
  book_.Open(ChannelKind::kPattern, {"c*"}, &one_);
  nodes_.Execute(&book_, Node(0));
  nodes_.Execute(&book_, Node(1));
  nodes_.node_count = 2;
  book_.OnTable();
  ASSERT_EQ(one_.outcomes.size(), 1U);
  EXPECT_TRUE(one_.outcomes[0].ok());
}

// Clients that come and go, nodes that answer late, refuse and break, and tables that change.
class RelaySimulation : public testing::TestWithParam<uint64_t> {
 protected:
  struct Client : RelayWaiter {
    explicit Client(RelaySimulation* simulation) : owner(simulation) {}
    void OnOpened(const Status& status) override {
      ASSERT_TRUE(waits.has_value());
      if (status.ok()) {
        has.insert(waits->begin(), waits->end());
      }
      waits.reset();
    }
    RelaySimulation* const owner;
    std::optional<std::vector<Key>> waits;
    std::multiset<Key> has;  // Once for each time that it was opened.
  };

  void Open(Client* client) {
    const auto kind = static_cast<ChannelKind>(random_.Uniform(kChannelKinds));
    std::set<std::string> names;
    for (uint64_t i = 0; i <= random_.Uniform(3); ++i) {
      names.insert("c" + std::to_string(random_.Uniform(6)));
    }
    std::vector<Key> keys;
    for (const std::string& name : names) {
      keys.emplace_back(kind, name);
    }
    client->waits = std::move(keys);
    book_.Open(kind, {names.begin(), names.end()}, client);
  }
  void Step() {
    Client* const client = clients_[random_.Uniform(clients_.size())].get();
    const NodeAddress node = Node(static_cast<int>(random_.Uniform(3)));
    switch (random_.Uniform(12)) {
      case 0:
      case 1:
      case 2:
        return client->waits.has_value() ? Cancel(client) : Open(client);
      case 3:
      case 4:
        if (!client->has.empty()) {
          const Key key = *client->has.begin();
          client->has.erase(client->has.begin());
          book_.Release(key.first, key.second);
        }
        return;
      case 5:
        if (random_.OneIn(4)) {
          nodes_.Break(&book_, node);
        }
        return;
      case 6:
        if (random_.OneIn(4)) {
          nodes_.shift = static_cast<int>(random_.Uniform(3));
          book_.OnTable();
        }
        return;
      case 7:
        return book_.EndLeft();
      case 8:
        if (random_.OneIn(3) && nodes_.sent[node].size() > 0 &&
            nodes_.sent[node].front().find("unsubscribe") == std::string::npos) {
          nodes_.Execute(&book_, node, Status::Unavailable("refused"));
        }
        return;
      default:
        nodes_.Execute(&book_, node);
    }
  }
  void Cancel(Client* client) {
    book_.Cancel(client);
    client->waits.reset();
  }
  void ForgetLost() {
    for (const Key& key : std::exchange(nodes_.lost, {})) {
      for (const auto& client : clients_) {
        client->has.erase(key);
      }
    }
  }
  // Every client is heard at the nodes that its names belong to, once they have done what they were
  // told.
  void CheckHeard() {
    nodes_.ExecuteAll(&book_);
    ForgetLost();
    for (const auto& client : clients_) {
      for (const Key& key : client->has) {
        for (const NodeAddress& node : *nodes_.NodesOf(key.first, key.second)) {
          ASSERT_TRUE(nodes_.held[node].contains(key)) << key.second;
        }
      }
      ASSERT_FALSE(client->waits.has_value()) << "everything has been answered";
    }
  }

  Random random_{GetParam()};
  FakeNodes nodes_;
  RelayBook book_{&nodes_};
  std::vector<std::unique_ptr<Client>> clients_;
};

TEST_P(RelaySimulation, NobodyIsDeafAndNothingIsLeftBehind) {
  for (int i = 0; i < 5; ++i) {
    clients_.push_back(std::make_unique<Client>(this));
  }
  for (int step = 0; step < 6000 / kSlownessFactor; ++step) {
    Step();
    ForgetLost();
    if (random_.OneIn(20)) {
      CheckHeard();
    }
    if (HasFatalFailure()) {
      FAIL() << "step " << step;
    }
  }
  for (const auto& client : clients_) {
    if (client->waits.has_value()) {
      Cancel(client.get());
    }
    for (const Key& key : std::exchange(client->has, {})) {
      book_.Release(key.first, key.second);
    }
  }
  nodes_.ExecuteAll(&book_);
  EXPECT_EQ(book_.topic_count(), 0U);
  for (int i = 0; i < nodes_.node_count; ++i) {
    EXPECT_TRUE(nodes_.held[Node(i)].empty());
    EXPECT_FALSE(book_.UsesNode(Node(i)));
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RelaySimulation, testing::Range<uint64_t>(1, 41));

TEST_F(RelayBookTest, WhoWaitsHearsOfTheLossOfWhatWasInForce) {
  book_.Open(ChannelKind::kChannel, {"c0"}, &one_);
  nodes_.ExecuteAll(&book_);
  book_.Open(ChannelKind::kChannel, {"c0", "c1"}, &two_);
  nodes_.Break(&book_, Node(0));
  ASSERT_EQ(two_.outcomes.size(), 1U);
  EXPECT_FALSE(two_.outcomes[0].ok());
  nodes_.ExecuteAll(&book_);
  EXPECT_EQ(book_.topic_count(), 0U);
}

}  // namespace
}  // namespace kvs
