#include "storage_node/migrate/target_link.h"

#include <sys/socket.h>

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "common/base/clock.h"
#include "common/base/unique_fd.h"
#include "common/net/socket.h"

namespace kvs {
namespace {

constexpr int64_t kLongMs = 60'000;

class TargetLinkTest : public testing::Test, protected TargetLink::Owner {
 protected:
  void SetUp() override {
    Result<UniqueFd> listener = ListenTcp("127.0.0.1", 0, {});
    ASSERT_TRUE(listener.ok());
    listener_ = *std::move(listener);
    port_ = LocalPort(listener_.get());
  }

  void OnConnected() override { connected_ = true; }
  void OnInput() override {
    input_ += *link_.input();
    link_.input()->clear();
  }
  void OnSent() override { ++sent_; }
  void OnLost(TargetLoss loss) override { lost_ = loss; }

  // The clock advances with each turn of the loop, however long the turn took.
  bool RunUntil(const std::function<bool()>& done) {
    for (int i = 0; i < 2000 && !done(); ++i) {
      clock_.AdvanceMicros(10'000);
      loop_.RunOnce(10);
    }
    return done();
  }
  void Connect(int64_t timeout_ms) {
    link_.Open("127.0.0.1", port_, timeout_ms);
    ASSERT_TRUE(RunUntil([&] { return connected_; }));
    peer_ = UniqueFd(::accept(listener_.get(), nullptr, nullptr));
    ASSERT_TRUE(peer_.valid());
  }

  ManualClock clock_;
  EventLoop loop_{"test", &clock_};
  UniqueFd listener_;
  UniqueFd peer_;
  uint16_t port_ = 0;
  std::atomic<int> lookups_{0};
  TargetLink link_{&loop_, this,
                   [this](const std::string& host) -> Result<std::vector<std::string>> {
                     ++lookups_;
                     if (host == "nobody") {
                       return Status::InvalidArgument("no such host");
                     }
                     return std::vector<std::string>{"not-an-address", "127.0.0.1"};
                   }};
  bool connected_ = false;
  int sent_ = 0;
  std::string input_;
  std::optional<TargetLoss> lost_;
};

TEST_F(TargetLinkTest, BytesGoBothWays) {
  Connect(kLongMs);

  link_.Send("hello");
  ASSERT_TRUE(RunUntil([&] { return sent_ == 1; }));
  char bytes[16] = {};
  EXPECT_EQ(::recv(peer_.get(), bytes, sizeof(bytes), 0), 5);
  EXPECT_EQ(std::string(bytes), "hello");
  ASSERT_EQ(::send(peer_.get(), "+OK\r\n", 5, 0), 5);

  EXPECT_TRUE(RunUntil([&] { return input_ == "+OK\r\n"; }));
  EXPECT_FALSE(lost_.has_value());
}

TEST_F(TargetLinkTest, ANameIsLookedUpAndItsAddressesAreTried) {
  link_.Open("somebody", port_, kLongMs);

  EXPECT_TRUE(RunUntil([&] { return connected_; }));
  EXPECT_EQ(lookups_, 1);
}

TEST_F(TargetLinkTest, WhoCannotBeReachedIsLost) {
  link_.Open("nobody", port_, kLongMs);
  EXPECT_TRUE(RunUntil([&] { return lost_ == TargetLoss::kConnecting; }));

  listener_.reset();
  for (const uint16_t port : {port_, uint16_t{0}}) {
    lost_.reset();
    link_.Open("127.0.0.1", port, kLongMs);
    EXPECT_TRUE(RunUntil([&] { return lost_ == TargetLoss::kWriting; }));
  }
  EXPECT_FALSE(connected_);
}

TEST_F(TargetLinkTest, WhoSaysNothingIsLost) {
  Connect(1);

  EXPECT_TRUE(RunUntil([&] { return lost_ == TargetLoss::kReading; }));
}

TEST_F(TargetLinkTest, WhoReadsNothingIsLostWhileWriting) {
  Connect(50);

  link_.Send(std::string(size_t{64} << 20, 'x'));

  EXPECT_TRUE(RunUntil([&] { return lost_ == TargetLoss::kWriting; }));
  EXPECT_EQ(sent_, 0);
}

TEST_F(TargetLinkTest, WhatWasSaidBeforeTheEndIsHeard) {
  Connect(kLongMs);
  ASSERT_EQ(::send(peer_.get(), "-ERR full\r\n", 11, 0), 11);
  peer_.reset();

  EXPECT_TRUE(RunUntil([&] { return lost_.has_value(); }));

  EXPECT_EQ(input_, "-ERR full\r\n");
  EXPECT_EQ(lost_, TargetLoss::kReading);
}

TEST_F(TargetLinkTest, AClosedLinkSaysNothingAndCanBeOpenedAgain) {
  Connect(1);
  link_.Close();
  connected_ = false;

  Connect(kLongMs);

  EXPECT_FALSE(lost_.has_value());
  EXPECT_TRUE(input_.empty());
}

}  // namespace
}  // namespace kvs
