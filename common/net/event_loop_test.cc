#include "common/net/event_loop.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "common/base/thread.h"
#include "common/net/listener.h"
#include "common/net/socket.h"

namespace kvs {
namespace {

TEST(EventLoopTest, PostedTasksRunInOrderOnTheLoopsThread) {
  EventLoop loop("test");
  std::vector<int> order;
  Thread thread("loop", [&] { loop.Run(); });
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(loop.Post([&loop, &order, i] {
                      loop.AssertInLoop();
                      order.push_back(i);
                    })
                    .ok());
  }
  loop.PostAlways([&] { loop.Stop(); });
  thread.Join();

  ASSERT_EQ(order.size(), 1000U);
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(order[static_cast<size_t>(i)], i);
  }
}

TEST(EventLoopTest, TooManyPostedTasksAreRefused) {
  EventLoop loop("test");
  for (size_t i = 0; i < EventLoop::kMaxPosted; ++i) {
    ASSERT_TRUE(loop.Post([] {}).ok());
  }
  EXPECT_EQ(loop.Post([] {}).code(), Code::kBusy);
}

TEST(EventLoopTest, TimersFireInOrderAndNeverEarly) {
  ManualClock clock;
  EventLoop loop("test", &clock);
  std::string fired;
  loop.After(20, [&] { fired += "b"; });
  loop.After(10, [&] { fired += "a"; });
  const TimerId cancelled = loop.After(15, [&] { fired += "x"; });
  const TimerId periodic = loop.Every(8, [&] { fired += "."; });
  loop.Cancel(cancelled);

  loop.RunOnce(0);
  EXPECT_EQ(fired, "");
  clock.AdvanceMicros(10'000);
  loop.RunOnce(0);
  EXPECT_EQ(fired, ".a");
  clock.AdvanceMicros(10'000);
  loop.RunOnce(0);
  EXPECT_EQ(fired, ".a.b");
  loop.Cancel(periodic);
  clock.AdvanceMicros(100'000);
  loop.RunOnce(0);
  EXPECT_EQ(fired, ".a.b");
}

// Two handlers become ready in one turn and the first unwatches the second.
class Killer : public IoHandler {
 public:
  void OnReady(bool, bool) override {
    ++calls;
    if (victim != nullptr && *victim != nullptr) {
      loop->Unwatch(*victim);
      *victim = nullptr;
    }
  }
  EventLoop* loop = nullptr;
  IoWatch** victim = nullptr;
  int calls = 0;
};

TEST(EventLoopTest, AnUnwatchedHandlerIsNotCalledLaterInTheTurn) {
  EventLoop loop("test");
  int fds[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
  const UniqueFd a(fds[0]);
  const UniqueFd b(fds[1]);
  Killer first;
  Killer second;
  IoWatch* first_watch = *loop.Watch(a.get(), &first, kWritable);
  IoWatch* second_watch = *loop.Watch(b.get(), &second, kWritable);
  first.loop = second.loop = &loop;
  first.victim = &second_watch;
  second.victim = &first_watch;

  loop.RunOnce(0);

  EXPECT_EQ(first.calls + second.calls, 1);
  loop.Unwatch(first_watch != nullptr ? first_watch : second_watch);
}

TEST(EventLoopTest, ListenerAcceptsAndTellsThePeer) {
  EventLoop loop("test");
  Result<UniqueFd> socket = ListenTcp("127.0.0.1", 0, {});
  ASSERT_TRUE(socket.ok());
  const uint16_t port = LocalPort(socket->get());
  std::vector<UniqueFd> accepted;
  Listener listener(&loop, *std::move(socket),
                    [&](UniqueFd fd) { accepted.push_back(std::move(fd)); });
  ASSERT_TRUE(listener.Start().ok());

  const Result<UniqueFd> client = StartConnect("127.0.0.1", port);
  ASSERT_TRUE(client.ok());
  for (int i = 0; i < 100 && accepted.empty(); ++i) {
    loop.RunOnce(100);
  }

  ASSERT_EQ(accepted.size(), 1U);
  EXPECT_TRUE(ConnectError(client->get()).ok());
  EXPECT_EQ(PeerName(accepted[0].get()), LocalName(client->get()));
  EXPECT_TRUE(PeerIsLocal(accepted[0].get()));
}

TEST(EventLoopTest, ATakenPortIsToldWithARemedy) {
  const Result<UniqueFd> first = ListenTcp("127.0.0.1", 0, {});
  ASSERT_TRUE(first.ok());
  const Result<UniqueFd> second = ListenTcp("127.0.0.1", LocalPort(first->get()), {});
  ASSERT_FALSE(second.ok());
  EXPECT_NE(second.status().message().find("another port"), std::string_view::npos);
}

// Beside one that listens on the same port, too: that one alone gets the connections.
TEST(EventLoopTest, ABoundSocketTakesNobodyBeforeItListens) {
  const Result<UniqueFd> bound = BindTcp("127.0.0.1", 0, {.reuse_port = true});
  ASSERT_TRUE(bound.ok());
  const uint16_t port = LocalPort(bound->get());
  const auto connect = [port] {
    const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  };
  EXPECT_FALSE(connect());

  const Result<UniqueFd> other = ListenTcp("127.0.0.1", port, {.reuse_port = true});
  ASSERT_TRUE(other.ok());
  int accepted = 0;
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(connect());
    accepted += UniqueFd(::accept(other->get(), nullptr, nullptr)).valid() ? 1 : 0;
  }
  EXPECT_EQ(accepted, 20);
  for (int i = 0; i < 2; ++i) {  // The second time it does so already.
    EXPECT_EQ(ListenOnBound(bound->get(), {}).ToString(), "ok");
  }
}

}  // namespace
}  // namespace kvs
