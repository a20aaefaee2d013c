#include "common/service/client_pause.h"

#include "gtest/gtest.h"

#include "common/command/command_table.h"

namespace kvs {
namespace {

class ClientPauseTest : public testing::Test {
 protected:
  bool Holds(CommandId id) const {
    return pause_.Holds(GetCommand(id), [this] { return now_ms_; });
  }

  ClientPause pause_;
  int64_t now_ms_ = 1000;
};

TEST_F(ClientPauseTest, EndsByItself) {
  EXPECT_FALSE(Holds(CommandId::kSet));
  pause_.Pause(true, 1500, now_ms_);
  EXPECT_TRUE(Holds(CommandId::kSet));
  EXPECT_TRUE(Holds(CommandId::kPing));
  now_ms_ = 1499;
  EXPECT_TRUE(pause_.InForce(now_ms_));
  now_ms_ = 1500;
  EXPECT_FALSE(pause_.InForce(now_ms_));
  EXPECT_FALSE(Holds(CommandId::kSet));
}

TEST_F(ClientPauseTest, HoldsOnlyWritesIfToldSo) {
  pause_.Pause(false, 1500, now_ms_);
  EXPECT_TRUE(Holds(CommandId::kSet));
  EXPECT_FALSE(Holds(CommandId::kGet));
  pause_.Unpause();
  EXPECT_FALSE(Holds(CommandId::kSet));
}

TEST_F(ClientPauseTest, IsNeverMadeShorterOrWeaker) {
  pause_.Pause(true, 2000, now_ms_);
  pause_.Pause(false, 1100, now_ms_);
  now_ms_ = 1900;
  EXPECT_TRUE(Holds(CommandId::kGet));
  now_ms_ = 2500;
  pause_.Pause(false, 3000, now_ms_);
  EXPECT_FALSE(Holds(CommandId::kGet));
  EXPECT_TRUE(Holds(CommandId::kSet));
}

}  // namespace
}  // namespace kvs
