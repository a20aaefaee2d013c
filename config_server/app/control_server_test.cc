#include "config_server/app/control_server.h"

#include <sys/socket.h>

#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/net/socket.h"
#include "common/resp/resp_writer.h"
#include "config_server/app/config_metrics.h"

namespace kvs {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

constexpr const char* kSecret = "0123456789abcdef";
constexpr const char* kRegistration =
    R"({"kind":"node","id":"00000000000000000000000000000000000000a1","address":"h:1"})";

std::string Request(std::initializer_list<std::string_view> args) {
  std::string bytes;
  EncodeRequest(args, &bytes);
  return bytes;
}
const std::string kHello = Request({"HELLO", "3", "AUTH", "cluster", kSecret});
const std::string kRegister = Request({"CONTROL", "REGISTER", kRegistration});
const std::string kBeat = Request({"CONTROL", "HEARTBEAT", R"({"epoch":7})"});

class FakeHost : public ControlHost {
 public:
  void OnRegister(LinkId link, const Registration& registration) override {
    registered.push_back(registration.id);
    last_link = link;
    if (!late) {
      server->FinishRegistration(link, RegistrationReply{"main", 7});
    }
  }
  uint64_t OnHeartbeat(LinkId /*link*/, Heartbeat heartbeat) override {
    return heartbeat.epoch + 1;
  }
  void OnLinkClosed(LinkId link) override { closed.push_back(link); }

  ControlServer* server = nullptr;
  bool late = false;
  LinkId last_link = kNoLink;
  std::vector<std::string> registered;
  std::vector<LinkId> closed;
};

class ControlServerTest : public testing::Test {
 protected:
  ControlServerTest() {
    Result<UniqueFd> fd = ListenTcp("127.0.0.1", 0, {});
    KVS_CHECK(fd.ok());
    server_ = std::make_unique<ControlServer>(&loop_, *std::move(fd),
                                              ControlServerOptions{.secret = kSecret}, &host_,
                                              metrics_.NewCells());
    host_.server = server_.get();
    KVS_CHECK(server_->Start().ok());
  }
  UniqueFd Connect() {
    Result<UniqueFd> fd = StartConnect("127.0.0.1", server_->port());
    KVS_CHECK(fd.ok());
    Turn();
    return *std::move(fd);
  }
  void Turn() {
    for (int i = 0; i < 6; ++i) {
      loop_.RunOnce(0);
    }
  }
  // Sends and returns what came back; "<closed>" stands for the end of the stream.
  std::string Talk(const UniqueFd& fd, std::string_view bytes) {
    KVS_CHECK(::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
              static_cast<ssize_t>(bytes.size()));
    return Receive(fd);
  }
  std::string Receive(const UniqueFd& fd) {
    std::string text;
    Turn();
    while (true) {
      char buffer[4096];
      const ssize_t got = ::recv(fd.get(), buffer, sizeof(buffer), MSG_DONTWAIT);
      if (got <= 0) {
        return got == 0 || errno == ECONNRESET ? text + "<closed>" : text;
      }
      text.append(buffer, static_cast<size_t>(got));
    }
  }
  void Advance(int64_t milliseconds) {
    clock_.AdvanceMicros(milliseconds * 1000);
    Turn();
  }

  ManualClock clock_;
  EventLoop loop_{"test", &clock_};
  MetricRegistry metrics_{"kvs_config_", ConfigMetricRows(), {}};
  FakeHost host_;
  std::unique_ptr<ControlServer> server_;
};

TEST_F(ControlServerTest, AProcessGreetsRegistersBeatsAndIsPushedTo) {
  const UniqueFd fd = Connect();
  EXPECT_THAT(Talk(fd, kHello), StartsWith("%3\r\n$6\r\nserver\r\n$9\r\nkv_config\r\n"));
  EXPECT_EQ(Talk(fd, kRegister), "$40\r\n{\"ok\":true,\"namespace\":\"main\",\"epoch\":7}\r\n");
  EXPECT_EQ(Talk(fd, kBeat), "$11\r\n{\"epoch\":8}\r\n");
  server_->Push(host_.last_link, ">1\r\n$1\r\nx\r\n");
  EXPECT_EQ(Receive(fd), ">1\r\n$1\r\nx\r\n");
}

TEST_F(ControlServerTest, StrangersGetNothing) {
  const UniqueFd fd = Connect();
  EXPECT_THAT(Talk(fd, kRegister), StartsWith("-NOAUTH "));
  EXPECT_THAT(Talk(fd, "PING\r\n"), StartsWith("-NOAUTH "));
  EXPECT_THAT(Talk(fd, Request({"HELLO", "3"})), StartsWith("-NOAUTH "));
  EXPECT_THAT(Talk(fd, Request({"HELLO", "2", "AUTH", "cluster", kSecret})),
              StartsWith("-NOPROTO "));
  EXPECT_TRUE(host_.registered.empty());
  const std::string wrong = Talk(fd, Request({"HELLO", "3", "AUTH", "cluster", "wrong"}));
  EXPECT_THAT(wrong, StartsWith("-WRONGPASS "));
  EXPECT_THAT(wrong, EndsWith("<closed>"));
}

TEST_F(ControlServerTest, AWrongUserIsAWrongSecret) {
  const UniqueFd fd = Connect();
  EXPECT_THAT(Talk(fd, Request({"HELLO", "3", "AUTH", "default", kSecret})),
              StartsWith("-WRONGPASS "));
}

TEST_F(ControlServerTest, StrangersMaySendLittle) {
  const UniqueFd fd = Connect();
  EXPECT_THAT(Talk(fd, "*1\r\n$20000\r\n"), EndsWith("<closed>"));
  const UniqueFd second = Connect();
  EXPECT_THAT(Talk(second, "*11\r\n"), EndsWith("<closed>"));
  EXPECT_EQ(metrics_.Value(kConfig_control_refused_total), 2);
}

TEST_F(ControlServerTest, RequestsAreLimitedInSizeAndRate) {
  const UniqueFd fd = Connect();
  Talk(fd, kHello);
  EXPECT_THAT(Talk(fd, "*1\r\n$65537\r\n"), EndsWith("<closed>"));

  const UniqueFd second = Connect();
  Talk(second, kHello + kRegister);
  std::string beats;
  for (int i = 0; i < kMaxControlRequestsPerSecond; ++i) {
    beats += kBeat;
  }
  const std::string answer = Talk(second, beats);
  EXPECT_THAT(answer, HasSubstr("-ERR too many requests"));
  EXPECT_THAT(answer, EndsWith("<closed>"));
}

TEST_F(ControlServerTest, WhatMakesNoSenseIsRefused) {
  const UniqueFd fd = Connect();
  Talk(fd, kHello);
  EXPECT_THAT(Talk(fd, kBeat), StartsWith("-ERR CONTROL REGISTER comes first"));
  EXPECT_THAT(Talk(fd, Request({"GET", "x"})), StartsWith("-ERR unknown command"));
  EXPECT_THAT(Talk(fd, Request({"CONTROL", "X"})), StartsWith("-ERR CONTROL knows"));
  EXPECT_THAT(Talk(fd, Request({"CONTROL", "REGISTER", "{"})), StartsWith("-ERR json"));
  EXPECT_THAT(Talk(fd, Request({"CONTROL", "REGISTER", "{}"})), HasSubstr("kind"));
  Talk(fd, kRegister);
  EXPECT_THAT(Talk(fd, kRegister), StartsWith("-ERR this link is registered already"));
  EXPECT_THAT(Talk(fd, Request({"CONTROL", "HEARTBEAT", "[]"})), StartsWith("-ERR "));
}

TEST_F(ControlServerTest, RequestsBehindALateRegistrationWait) {
  host_.late = true;
  const UniqueFd fd = Connect();
  Talk(fd, kHello);
  EXPECT_EQ(Talk(fd, kRegister + kBeat), "");
  Advance(60'000);
  server_->FinishRegistration(host_.last_link, RegistrationReply{"main", 7});
  const std::string answer = Receive(fd);
  EXPECT_THAT(answer, StartsWith("$40\r\n"));
  EXPECT_THAT(answer, EndsWith("$11\r\n{\"epoch\":8}\r\n"));
}

TEST_F(ControlServerTest, ALateAnswerForAClosedLinkIsDropped) {
  host_.late = true;
  {
    const UniqueFd fd = Connect();
    Talk(fd, kHello);
    Talk(fd, kRegister);
    const linger reset{1, 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
  }
  Turn();
  EXPECT_EQ(host_.closed, std::vector<LinkId>{host_.last_link});
  server_->FinishRegistration(host_.last_link, RegistrationReply{"main", 7});
  server_->Push(host_.last_link, "x");
}

TEST_F(ControlServerTest, ARefusedRegistrationEndsTheLink) {
  host_.late = true;
  const UniqueFd fd = Connect();
  Talk(fd, kHello + kRegister);
  server_->FinishRegistration(host_.last_link, Status::Busy("too many"));
  EXPECT_THAT(Receive(fd), EndsWith("<closed>"));
}

TEST_F(ControlServerTest, TheSilentAreCutOff) {
  const UniqueFd stranger = Connect();
  const UniqueFd quiet = Connect();
  const UniqueFd beating = Connect();
  Talk(quiet, kHello + kRegister);
  Talk(beating, kHello + kRegister);
  for (int i = 0; i < 6; ++i) {
    Advance(1000);
    Talk(beating, kBeat);
  }
  EXPECT_EQ(Receive(stranger), "<closed>");
  EXPECT_EQ(Receive(quiet), "<closed>");
  EXPECT_THAT(Talk(beating, kBeat), StartsWith("$11"));
}

TEST_F(ControlServerTest, ALinkThatDoesNotReadIsCutOff) {
  const UniqueFd fd = Connect();
  Talk(fd, kHello + kRegister);
  const std::string push(1 << 20, 'x');
  for (int i = 0; i < 64 && server_->link_count() == 1; ++i) {
    server_->Push(host_.last_link, push);
    Turn();
  }
  EXPECT_EQ(server_->link_count(), 0U);
}

TEST_F(ControlServerTest, StrangersAreFew) {
  std::vector<UniqueFd> strangers;
  for (size_t i = 0; i < kMaxControlStrangers; ++i) {
    strangers.push_back(Connect());
  }
  EXPECT_EQ(server_->link_count(), kMaxControlStrangers);
  EXPECT_EQ(Receive(Connect()), "<closed>");
}

}  // namespace
}  // namespace kvs
