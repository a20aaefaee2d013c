#include "storage_node/server/blocked_clients.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace kvs {
namespace {

class BlockedClientsTest : public testing::Test, public UnblockHost {
 protected:
  void OnUnblocked(WaitTicket ticket, Unblocked unblocked) override {
    EXPECT_TRUE(replies_.emplace(ticket, unblocked.reply).second);
  }
  WaitTicket Add(uint64_t client_id, int protocol = 2) {
    auto command = std::make_shared<BlockedCommand>();
    command->host = this;
    command->client_id = client_id;
    command->protocol = protocol;
    command->keys = {"k"};
    return blocked_.Add(std::move(command));
  }

  BlockedClients blocked_;
  std::map<WaitTicket, std::string> replies_;
};

TEST_F(BlockedClientsTest, WhoIsServedEndsOnce) {
  const WaitTicket ticket = Add(7);
  EXPECT_EQ(blocked_.count().load(), 1u);
  EXPECT_EQ(blocked_.key_count(), 1u);
  const auto claimed = blocked_.Claim("k", 0);
  ASSERT_TRUE(claimed.has_value());
  EXPECT_EQ(claimed->ticket, ticket);
  EXPECT_EQ(claimed->command->client_id, 7u);

  blocked_.Finish(ticket);
  blocked_.Expire(ticket);
  blocked_.GiveUp(ticket);

  EXPECT_FALSE(blocked_.Unblock(7, false));
  EXPECT_EQ(blocked_.count().load(), 0u);
  EXPECT_TRUE(replies_.empty());  // The one who has served takes it there.
}

TEST_F(BlockedClientsTest, TheReplyOfATimeOutIsThatOfTheProtocol) {
  const WaitTicket two = Add(1, 2);
  const WaitTicket three = Add(2, 3);
  blocked_.Expire(two);
  blocked_.Expire(three);
  EXPECT_EQ(replies_[two], "*-1\r\n");
  EXPECT_EQ(replies_[three], "_\r\n");
  EXPECT_EQ(blocked_.count().load(), 0u);
}

TEST_F(BlockedClientsTest, AClientIsUnblockedByItsId) {
  const WaitTicket one = Add(1);
  const WaitTicket two = Add(2);
  EXPECT_FALSE(blocked_.Unblock(3, true));
  EXPECT_TRUE(blocked_.Unblock(2, true));
  EXPECT_TRUE(blocked_.Unblock(1, false));
  EXPECT_FALSE(blocked_.Unblock(1, false));
  EXPECT_EQ(replies_[one], "*-1\r\n");
  EXPECT_EQ(replies_[two], "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n");
}

TEST_F(BlockedClientsTest, WhoWantsTheEndOfAKeyIsKnown) {
  auto command = std::make_shared<BlockedCommand>();
  command->host = this;
  command->client_id = 5;
  command->keys = {"a", "b", "a"};
  command->wants_the_end = true;
  const WaitTicket ticket = blocked_.Add(std::move(command));
  Add(6);
  EXPECT_TRUE(blocked_.HasAnEnd("a") && blocked_.HasAnEnd("b"));
  EXPECT_FALSE(blocked_.HasAnEnd("k"));
  EXPECT_EQ(blocked_.KeysWithAnEnd(), (std::vector<std::string>{"a", "b"}));
  blocked_.GiveUp(ticket);
  EXPECT_TRUE(blocked_.KeysWithAnEnd().empty());
}

// What is asked of one that is being run waits until it is known to have got nothing.
TEST_F(BlockedClientsTest, WhoIsClaimedEndsOnlyIfItGetsNothing) {
  const WaitTicket late = Add(1);
  ASSERT_TRUE(blocked_.Claim("k", 0).has_value());
  blocked_.Expire(late);
  EXPECT_FALSE(blocked_.Unblock(1, true));
  EXPECT_TRUE(replies_.empty());
  EXPECT_FALSE(blocked_.PutBack(late));
  EXPECT_EQ(replies_[late], "*-1\r\n");

  const WaitTicket gone = Add(2);
  ASSERT_TRUE(blocked_.Claim("k", 0).has_value());
  blocked_.GiveUp(gone);
  EXPECT_EQ(blocked_.count().load(), 1u);
  EXPECT_FALSE(blocked_.PutBack(gone));
  EXPECT_EQ(blocked_.count().load(), 0u);
  EXPECT_FALSE(replies_.contains(gone));

  const WaitTicket served = Add(3);
  ASSERT_TRUE(blocked_.Claim("k", 0).has_value());
  blocked_.Expire(served);
  blocked_.Finish(served);
  EXPECT_FALSE(replies_.contains(served));
}

TEST_F(BlockedClientsTest, WhoIsRefusedGetsTheError) {
  const WaitTicket ticket = Add(1);
  blocked_.Refuse(ticket, "MOVED 1 a:2");
  blocked_.Refuse(ticket, "MOVED 1 a:2");
  EXPECT_EQ(replies_[ticket], "-MOVED 1 a:2\r\n");
  EXPECT_EQ(blocked_.Find(ticket), nullptr);
}

}  // namespace
}  // namespace kvs
