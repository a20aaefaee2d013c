// WaitQueues against what it stands for: a list of those who wait, which is walked whole each time.

#include "storage_node/server/wait_queues.h"

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "common/base/random.h"
#include "common/base/slowness.h"

namespace kvs {
namespace {

using Keys = std::vector<std::string>;

TEST(WaitQueuesTest, WhoCameFirstIsClaimedFirst) {
  WaitQueues queues;
  const WaitTicket first = queues.Add(Keys{"a", "b"});
  const WaitTicket second = queues.Add(Keys{"b"});
  EXPECT_EQ(queues.Claim("c", 0), std::nullopt);
  EXPECT_EQ(queues.Claim("b", 0), first);
  EXPECT_EQ(queues.Claim("b", 0), second);
  EXPECT_EQ(queues.Claim("b", 0), std::nullopt);
  EXPECT_TRUE(queues.Remove(first));
  EXPECT_FALSE(queues.Remove(first));
  EXPECT_EQ(queues.size(), 1u);
  EXPECT_EQ(queues.key_count(), 1u);
}

TEST(WaitQueuesTest, WhoIsPutBackKeepsItsPlace) {
  WaitQueues queues;
  const WaitTicket first = queues.Add(Keys{"a"});
  const WaitTicket second = queues.Add(Keys{"a"});
  EXPECT_EQ(queues.Claim("a", 0), first);
  EXPECT_FALSE(queues.PutBack(first));
  EXPECT_EQ(queues.Claim("a", first), second);
  EXPECT_FALSE(queues.PutBack(second));
  EXPECT_EQ(queues.Claim("a", 0), first);
}

TEST(WaitQueuesTest, AnOfferThatPassesByIsToldOf) {
  WaitQueues queues;
  const WaitTicket first = queues.Add(Keys{"a", "b"});
  const WaitTicket second = queues.Add(Keys{"b"});
  EXPECT_EQ(queues.Claim("a", 0), first);
  EXPECT_EQ(queues.Claim("b", 0), second);  // Past the first one, which another one serves.
  EXPECT_TRUE(queues.PutBack(first));
  EXPECT_EQ(queues.Claim("b", 0), first);
  EXPECT_FALSE(queues.PutBack(first));
}

TEST(WaitQueuesTest, AKeyMayBeNamedTwice) {
  WaitQueues queues;
  const WaitTicket ticket = queues.Add(Keys{"a", "a"});
  EXPECT_EQ(queues.Claim("a", 0), ticket);
  EXPECT_EQ(queues.Claim("a", 0), std::nullopt);
  EXPECT_TRUE(queues.Remove(ticket));
  EXPECT_EQ(queues.key_count(), 0u);
}

// Several servers, as the loops of a node, have elements of keys that they hold, and serve who
// waits; each step of each of them may be the next one.  In the end nobody waits for a key that has
// an element, and who got one had no earlier one waiting for that key, unless that was just being
// served.
class WaitSimulation {
 public:
  explicit WaitSimulation(uint64_t seed) : random_(seed) {}

  void Run(int steps) {
    for (int i = 0; i < steps; ++i) {
      Step();
      if (testing::Test::HasFatalFailure()) {
        return;
      }
    }
    while (
        std::any_of(servers_.begin(), servers_.end(), [](const Server& s) { return s.busy(); })) {
      for (Server& server : servers_) {
        Advance(&server);
      }
    }
    for (const Client& client : clients_) {
      for (const std::string& key : client.keys) {
        ASSERT_EQ(elements_[key], 0) << "somebody waits for " << key << ", which has an element";
      }
    }
    ASSERT_EQ(queues_.size(), clients_.size());
  }

 private:
  struct Client {
    WaitTicket ticket;
    Keys keys;
    bool claimed = false;
  };
  // What one loop does: it offers keys, one after the other.
  struct Server {
    Keys offers;
    WaitTicket after = 0;
    WaitTicket claimed = 0;
    bool busy() const { return !offers.empty() || claimed != 0; }
  };

  std::string Key() { return std::string(1, static_cast<char>('a' + random_.Uniform(4))); }

  void Step() {
    switch (random_.Uniform(6)) {
      case 0: {
        Keys keys = {Key()};
        while (random_.OneIn(2)) {
          keys.push_back(Key());
        }
        // It looks itself first.
        if (std::none_of(keys.begin(), keys.end(),
                         [this](const std::string& key) { return elements_[key] > 0; })) {
          clients_.push_back({queues_.Add(keys), keys});
        }
        return;
      }
      case 1: {
        const std::string key = Key();
        ++elements_[key];
        servers_[random_.Uniform(servers_.size())].offers.push_back(key);
        return;
      }
      case 2: {
        // Somebody takes an element without waiting.
        const std::string key = Key();
        elements_[key] = std::max(elements_[key] - 1, 0);
        return;
      }
      case 3:
        if (!clients_.empty() && random_.OneIn(3)) {
          const size_t i = random_.Uniform(clients_.size());
          if (!clients_[i].claimed) {
            ASSERT_TRUE(queues_.Remove(clients_[i].ticket));
            clients_.erase(clients_.begin() + static_cast<std::ptrdiff_t>(i));
          }
        }
        return;
      default:
        return Advance(&servers_[random_.Uniform(servers_.size())]);
    }
  }

  void Advance(Server* server) {
    if (server->claimed != 0) {
      return Serve(server);
    }
    if (server->offers.empty()) {
      return;
    }
    const std::string key = server->offers.front();
    const std::optional<WaitTicket> ticket = queues_.Claim(key, server->after);
    if (!ticket.has_value()) {
      server->offers.erase(server->offers.begin());
      server->after = 0;
      return;
    }
    for (Client& client : clients_) {
      const bool waits = std::count(client.keys.begin(), client.keys.end(), key) > 0;
      if (client.ticket == *ticket) {
        ASSERT_TRUE(waits && !client.claimed);
        client.claimed = true;
        break;
      }
      ASSERT_TRUE(!waits || client.claimed || client.ticket <= server->after)
          << client.ticket << " was passed over for " << *ticket;
    }
    server->claimed = *ticket;
    server->after = *ticket;
  }

  void Serve(Server* server) {
    const auto client = std::find_if(clients_.begin(), clients_.end(),
                                     [&](const Client& c) { return c.ticket == server->claimed; });
    ASSERT_NE(client, clients_.end());
    server->claimed = 0;
    for (const std::string& key : client->keys) {
      if (elements_[key] > 0) {
        --elements_[key];
        ASSERT_TRUE(queues_.Remove(client->ticket));
        clients_.erase(client);
        return;
      }
    }
    client->claimed = false;
    if (queues_.PutBack(client->ticket)) {
      server->offers.insert(server->offers.end(), client->keys.begin(), client->keys.end());
    }
  }

  Random random_;
  WaitQueues queues_;
  std::map<std::string, int> elements_;
  std::vector<Client> clients_;  // In the order in which they came.
  std::array<Server, 3> servers_;
};

TEST(WaitQueuesTest, NobodyWaitsForWhatIsThere) {
  for (uint64_t seed = 1; seed <= 400 / kSlownessFactor; ++seed) {
    WaitSimulation(seed).Run(400);
    if (testing::Test::HasFatalFailure()) {
      FAIL() << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace kvs
