#include "proxy/route/replica_book.h"

#include <string>

#include "gtest/gtest.h"

#include "common/base/random.h"

namespace kvs {
namespace {

const NodeAddress kMaster{"10.0.0.1", 6379};
const NodeAddress kNear{"10.0.0.2", 6379};
const NodeAddress kFar{"10.0.0.3", 6379};

TEST(ReplicationInfoTest, ASlaveOfRedisIsUnderstood) {
  const ReplicationReport report = ParseReplicationInfo(
      "# Replication\r\nrole:slave\r\nmaster_host:10.0.0.1\r\nmaster_port:6379\r\n"
      "master_link_status:up\r\nmaster_last_io_seconds_ago:3\r\nmaster_sync_in_progress:0\r\n"
      "slave_repl_offset:14\r\n");
  EXPECT_TRUE(report.is_slave);
  EXPECT_TRUE(report.link_up);
  EXPECT_FALSE(report.full_copy);
  EXPECT_EQ(report.silent_ms, 3999);
}

TEST(ReplicationInfoTest, WhatIsMissingOrOddIsNotTrusted) {
  EXPECT_FALSE(ParseReplicationInfo("role:master\r\nconnected_slaves:1\r\n").is_slave);
  EXPECT_FALSE(ParseReplicationInfo("role:slave\r\nmaster_link_status:up\r\n").link_up);
  for (const char* seconds : {"-1", "x", "", "99999999999999999999", "9999999999"}) {
    EXPECT_FALSE(ParseReplicationInfo("role:slave\nmaster_link_status:up\n"
                                      "master_last_io_seconds_ago:" +
                                      std::string(seconds) + "\n")
                     .link_up)
        << seconds;
  }
}

TEST(ReplicationInfoTest, AnyBytesAreSurvived) {
  Random random(3);
  for (int i = 0; i < 2000; ++i) {
    std::string text;
    for (uint64_t n = random.Uniform(60); n > 0; --n) {
      text += "role:slavemater_link\r\n0-9"[random.Uniform(25)];
    }
    const ReplicationReport report = ParseReplicationInfo(text);
    ASSERT_GE(report.silent_ms, 0);
  }
}

class ReplicaBookTest : public testing::Test {
 protected:
  ReplicaBookTest() { book_.SetShards({{kMaster, {kNear, kFar}}}); }

  static ReplicationReport Slave(int64_t silent_ms = 0) {
    return {.is_slave = true,
            .link_up = true,
            .full_copy = false,
            .silent_ms = silent_ms,
            .master = "10.0.0.1:6379"};
  }
  void AllAnswer(int64_t now_ms) {
    book_.OnReport(kMaster, {}, 1000, now_ms, 1);
    book_.OnReport(kNear, Slave(), 400, now_ms, 1);
    book_.OnReport(kFar, Slave(), 5000, now_ms, 1);
  }
  const NodeAddress* Choose(ReadFrom policy, int64_t now_ms = 0, size_t turn = 0) {
    return book_.Choose(0, policy, 10'000, now_ms, turn);
  }

  ReplicaBook book_;
};

TEST_F(ReplicaBookTest, EachPolicyChoosesItsCopy) {
  AllAnswer(0);
  EXPECT_EQ(Choose(ReadFrom::kMaster), nullptr);
  EXPECT_EQ(Choose(ReadFrom::kPreferMaster), nullptr);
  EXPECT_EQ(*Choose(ReadFrom::kPreferSlave, 0, 0), kNear);
  EXPECT_EQ(*Choose(ReadFrom::kPreferSlave, 0, 1), kFar) << "loops spread over the replicas";
  for (size_t turn = 0; turn < 4; ++turn) {
    EXPECT_EQ(*Choose(ReadFrom::kNearest, 0, turn), kNear);
  }
}

TEST_F(ReplicaBookTest, ADeadMasterLeavesItsReadsToAReplicaOnlyByPolicy) {
  AllAnswer(0);
  book_.OnFailure(kMaster);
  EXPECT_EQ(Choose(ReadFrom::kMaster), nullptr);
  EXPECT_EQ(*Choose(ReadFrom::kPreferMaster), kNear);
}

TEST_F(ReplicaBookTest, NothingIsReadFromAReplicaThatMayBeTooOld) {
  EXPECT_EQ(Choose(ReadFrom::kPreferSlave), nullptr) << "nobody has answered yet";
  book_.OnReport(kNear, Slave(9000), 100, 0, 1);
  EXPECT_EQ(*Choose(ReadFrom::kPreferSlave, 1000), kNear);
  EXPECT_EQ(Choose(ReadFrom::kPreferSlave, 1001), nullptr) << "the answer grows old too";
  book_.OnReport(kNear, Slave(0), 100, 2000, 1);
  EXPECT_NE(Choose(ReadFrom::kPreferSlave, 2000), nullptr);

  ReplicationReport copying = Slave();
  copying.full_copy = true;
  ReplicationReport promoted = Slave();
  promoted.is_slave = false;
  for (const ReplicationReport& report : {copying, promoted}) {
    book_.OnReport(kNear, report, 100, 2000, 1);
    EXPECT_EQ(Choose(ReadFrom::kPreferSlave, 2000), nullptr);
  }
  book_.OnReport(kNear, Slave(), 100, 2000, 1);
  book_.OnFailure(kNear);
  EXPECT_EQ(Choose(ReadFrom::kPreferSlave, 2000), nullptr);
}

// A link that breaks makes the data no older than they are, and a new one that does not stand yet
// makes them no younger.
TEST_F(ReplicaBookTest, AReplicaWithoutItsMasterServesUntilTheBound) {
  ReplicationReport cut = Slave();
  cut.link_up = false;
  book_.OnReport(kNear, cut, 100, 0, 1);
  EXPECT_FALSE(book_.IsFresh(kNear, 10'000, 0)) << "nobody knows since when";
  book_.OnReport(kNear, Slave(2000), 100, 1000, 1);
  book_.OnReport(kNear, cut, 100, 5000, 1);
  EXPECT_TRUE(book_.IsFresh(kNear, 10'000, 9000));
  book_.OnReport(kNear, cut, 100, 9001, 1);
  EXPECT_FALSE(book_.IsFresh(kNear, 10'000, 9001));

  // One that comes back, or follows somebody else, has to hear from its master first.
  book_.OnReport(kNear, Slave(), 100, 10'000, 1);
  book_.OnReport(kNear, cut, 100, 10'000, 2);
  EXPECT_FALSE(book_.IsFresh(kNear, 10'000, 10'000)) << "it was restarted";
  book_.OnReport(kNear, Slave(), 100, 10'000, 2);
  ReplicationReport other = cut;
  other.master = "10.9.9.9:1";
  book_.OnReport(kNear, other, 100, 10'000, 2);
  EXPECT_FALSE(book_.IsFresh(kNear, 10'000, 10'000)) << "it has another master";
  book_.OnReport(kNear, Slave(), 100, 10'000, 2);
  book_.OnFailure(kNear);
  book_.OnReport(kNear, cut, 100, 10'000, 2);
  EXPECT_FALSE(book_.IsFresh(kNear, 10'000, 10'000)) << "nobody knows what it did meanwhile";
}

TEST_F(ReplicaBookTest, WhatIsKnownOfServersThatStayIsKept) {
  AllAnswer(0);
  book_.SetShards({{kMaster, {kFar}}});
  EXPECT_EQ(*Choose(ReadFrom::kPreferSlave), kFar);
  book_.OnReport(kNear, Slave(), 1, 0, 1);  // Left: its late answer means nothing.
  EXPECT_FALSE(book_.IsFresh(kNear, 10'000, 0));
}

}  // namespace
}  // namespace kvs
