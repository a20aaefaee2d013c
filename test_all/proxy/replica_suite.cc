// Reads from replicas of plain Redis servers: who answers, how old it may be, and what a client
// that has written sees.

#include <gtest/gtest.h>

#include <string>

#include "test_all/harness/cluster.h"
#include "test_all/harness/wait.h"

namespace kvs {
namespace {

// A master and its replica, each with a key that says who it is, and a proxy.
class ReplicaTest : public testing::Test {
 protected:
  void Start(const std::string& read_from, const std::string& staleness = "15s") {
    ASSERT_EQ(master_->Start().ToString(), "ok");
    ASSERT_EQ(replica_->Start().ToString(), "ok");
    RespClient master = master_->Connect();
    RespClient replica = replica_->Connect();
    ASSERT_EQ(replica.Ask({"replicaof", "127.0.0.1", std::to_string(master_->port())}), "OK");
    ASSERT_TRUE(WaitUntil(20'000, [&] {
      return replica.Do({"info", "replication"})->text.find("master_link_status:up") !=
             std::string::npos;
    }));
    ASSERT_EQ(replica.Ask({"config", "set", "replica-read-only", "no"}), "OK");
    ASSERT_EQ(replica.Ask({"mset", "who", "replica", "{who}2", "replica"}), "OK");
    ASSERT_EQ(master.Ask({"ping"}), "PONG");
    ASSERT_EQ(ProxyWith(read_from, staleness), "ok");
  }
  std::string ProxyWith(const std::string& read_from, const std::string& staleness) {
    const std::string master = "127.0.0.1:" + std::to_string(master_->port());
    const std::string replica = "127.0.0.1:" + std::to_string(replica_->port());
    proxy_ = MakeProxy(
        dir_, "proxy",
        {"--servers", master, "--replicas", replica + "=" + master, "--read-from", read_from,
         "--io-threads", "1", "--backend-timeout", "300ms", "--replica-max-staleness", staleness});
    return proxy_->Start().ToString();
  }
  // Who answers a client that has not written.
  bool AnswersSoon(const std::string& who) {
    return WaitUntil(10'000, [&] {
      RespClient client = proxy_->Connect();
      return client.Ask({"get", "who"}) == who;
    });
  }

  const std::string from_replica_ = "\"replica\"";
  const std::string from_master_ = "null";  // It has no such key.
  TempDir dir_;
  std::unique_ptr<Server> master_ = MakeRedis(dir_, "master", {"--repl-diskless-sync-delay", "0"});
  std::unique_ptr<Server> replica_ = MakeRedis(dir_, "replica", {});
  std::unique_ptr<Server> proxy_;
};

TEST_F(ReplicaTest, ReadsGoWhereThePolicySaysAndItChangesAtRunTime) {
  ASSERT_NO_FATAL_FAILURE(Start("master"));
  EXPECT_TRUE(AnswersSoon(from_master_));
  RespClient admin = proxy_->Connect();
  EXPECT_EQ(admin.Ask({"config", "set", "read-from", "prefer-slave"}), "OK");
  EXPECT_TRUE(AnswersSoon(from_replica_));
  RespClient client = proxy_->Connect();
  EXPECT_EQ(client.Ask({"mget", "who", "{who}2"}), "[\"replica\", \"replica\"]");
  EXPECT_EQ(client.Ask({"dbsize"}), "0") << "counts are the master's";
  EXPECT_EQ(admin.Ask({"config", "set", "read-from", "prefer-master"}), "OK");
  EXPECT_TRUE(AnswersSoon(from_master_));
  EXPECT_NE(admin.Ask({"config", "set", "read-from", "anybody"}).find("ERR"), std::string::npos);
}

TEST_F(ReplicaTest, AClientThatWritesReadsWhatItWrote) {
  ASSERT_NO_FATAL_FAILURE(Start("prefer-slave"));
  ASSERT_TRUE(AnswersSoon(from_replica_));
  RespClient client = proxy_->Connect();
  EXPECT_EQ(client.Ask({"get", "who"}), from_replica_);
  for (int round = 0; round < 20; ++round) {
    std::string bytes = EncodeWords({"get", "n"});
    for (int i = 0; i < 50; ++i) {
      bytes += EncodeWords({"incr", "n"}) + EncodeWords({"get", "n"});
    }
    const auto replies = client.Pipeline(bytes, 101);
    ASSERT_TRUE(replies.ok());
    for (int i = 0; i < 50; ++i) {
      const std::string n = std::to_string(round * 50 + i + 1);
      const auto at = static_cast<size_t>(2 * i + 1);
      ASSERT_EQ((*replies)[at], ":" + n + "\r\n");
      ASSERT_EQ((*replies)[at + 1], "$" + std::to_string(n.size()) + "\r\n" + n + "\r\n");
    }
  }
  EXPECT_EQ(client.Ask({"get", "who"}), from_master_) << "it may not see its own writes there";
  EXPECT_TRUE(AnswersSoon(from_replica_)) << "others go on";
}

TEST_F(ReplicaTest, AReplicaThatIsNoneAnyMoreIsNotReadFrom) {
  ASSERT_NO_FATAL_FAILURE(Start("prefer-slave"));
  ASSERT_TRUE(AnswersSoon(from_replica_));
  ASSERT_EQ(replica_->Connect().Ask({"replicaof", "no", "one"}), "OK");
  EXPECT_TRUE(AnswersSoon(from_master_));
  replica_->Kill();
  RespClient client = proxy_->Connect();
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(client.Ask({"get", "who"}), from_master_);
  }
}

TEST_F(ReplicaTest, AReplicaThatDiesCostsRequestsInFlightAtMost) {
  ASSERT_NO_FATAL_FAILURE(Start("nearest"));
  ASSERT_EQ(proxy_->Connect().Ask({"config", "set", "read-from", "prefer-slave"}), "OK");
  ASSERT_TRUE(AnswersSoon(from_replica_));
  replica_->Kill();
  RespClient client = proxy_->Connect();
  int errors = 0;
  ASSERT_TRUE(WaitUntil(10'000, [&] {
    const std::string answer = client.Ask({"get", "who"});
    errors +=
        answer.find("ERR") != std::string::npos || answer.find("CLUSTERDOWN") != std::string::npos
            ? 1
            : 0;
    return answer == from_master_;
  }));
  EXPECT_LE(errors, 2);
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(client.Ask({"get", "who"}), from_master_);
  }
}

TEST_F(ReplicaTest, WhileTheMasterIsDeadItsReplicaAnswers) {
  ASSERT_NO_FATAL_FAILURE(Start("prefer-master", "100s"));
  ASSERT_TRUE(AnswersSoon(from_master_));
  master_->Kill();
  EXPECT_TRUE(AnswersSoon(from_replica_));
  RespClient client = proxy_->Connect();
  EXPECT_NE(client.Ask({"set", "k", "v"}).find("CLUSTERDOWN"), std::string::npos);
  ASSERT_EQ(client.Ask({"config", "set", "replica-max-staleness", "1s"}), "OK");
  EXPECT_TRUE(WaitUntil(10'000, [&] {
    return proxy_->Connect().Ask({"get", "who"}).find("CLUSTERDOWN") != std::string::npos;
  })) << "too old by now";
}

TEST_F(ReplicaTest, WrongReplicasAreRefused) {
  ASSERT_NO_FATAL_FAILURE(Start("master"));
  RespClient admin = proxy_->Connect();
  const std::string master = "127.0.0.1:" + std::to_string(master_->port());
  for (const std::string& wrong :
       {std::string("127.0.0.1:1"), std::string("127.0.0.1:1=127.0.0.1:2"), "x=" + master,
        master + "=" + master, "127.0.0.1:1=" + master + " 127.0.0.1:1=" + master}) {
    EXPECT_NE(admin.Ask({"config", "set", "replicas", wrong}).find("ERR"), std::string::npos)
        << wrong;
  }
}

}  // namespace
}  // namespace kvs
