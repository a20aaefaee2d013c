// A proxy that ends, or hands over to another process: no client sees an error for it.

#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <set>

#include "common/base/file.h"
#include "common/base/mutex.h"
#include "common/base/random.h"
#include "common/base/strings.h"
#include "common/base/thread.h"
#include "test_all/harness/cluster.h"
#include "test_all/harness/fake_config_server.h"
#include "test_all/harness/fake_server.h"
#include "test_all/harness/settings.h"
#include "test_all/harness/wait.h"

namespace kvs {
namespace {

constexpr int kClients = 6;
constexpr int kRestarts = 5;

// One redis-server, and proxies on one port in front of it.
class DrainTest : public testing::Test {
 protected:
  DrainTest() : redis_(MakeRedis(dir_, "redis")), port_(FreePort()) {}
  void SetUp() override { ASSERT_EQ(redis_->Start().ToString(), "ok"); }
  void TearDown() override { redis_->process()->Signal(SIGCONT); }

  std::unique_ptr<Server> MakeNext(const Words& more = {}) {
    Words words = {BinaryPath("kv_proxy"),
                   "--port",
                   std::to_string(port_),
                   "--http-port",
                   "0",
                   "--servers",
                   redis_->address(),
                   "--backend-timeout",
                   "60s",
                   "--shutdown-timeout",
                   "30s",
                   "--takeover-socket",
                   dir_.Join("takeover"),
                   "--pidfile",
                   dir_.Join("pid")};
    words.insert(words.end(), more.begin(), more.end());
    return std::make_unique<Server>("proxy-" + std::to_string(++proxies_), port_, words,
                                    dir_.path());
  }
  std::string PidFileText() const {
    const Result<std::string> text = ReadFile(dir_.Join("pid"));
    return text.ok() ? *text : "";
  }
  static std::string PidText(Server* server) {
    return std::to_string(server->process()->pid()) + "\n";
  }
  // Lets a good successor take over; it stands in `*proxy` then.
  testing::AssertionResult HandsOver(std::unique_ptr<Server>* proxy) {
    std::unique_ptr<Server> next = MakeNext();
    if (Status status = next->Launch(); !status.ok()) {
      return testing::AssertionFailure() << status.ToString();
    }
    const Result<int> ended = (*proxy)->process()->Wait(60'000);
    proxy->swap(next);
    return ended.ok() && *ended == 0 && PidFileText() == PidText(proxy->get())
               ? testing::AssertionSuccess()
               : testing::AssertionFailure() << (*proxy)->process()->Output();
  }
  bool Refuses() const { return !RespClient::Connect(port_).ok(); }

  TempDir dir_;
  std::unique_ptr<Server> redis_;
  uint16_t port_;
  int proxies_ = 0;
};

// Clients that connect for some requests each, until they are told to stop.
class Load {
 public:
  explicit Load(uint16_t port) : port_(port) {
    for (int i = 0; i < kClients; ++i) {
      threads_.emplace_back("client", [this, i] { Run(i); });
    }
  }
  ~Load() { Finish(); }
  void Finish() {
    stop_ = true;
    for (Thread& thread : threads_) {
      if (thread.joinable()) {
        thread.Join();
      }
    }
  }
  int64_t connections() const { return connections_; }
  std::multiset<std::string> errors() {
    const MutexLock lock(&mu_);
    return errors_;
  }

 private:
  void Note(const std::string& error) {
    const MutexLock lock(&mu_);
    errors_.insert(error);
  }
  void Run(int number) {
    Random random(static_cast<uint64_t>(number));
    int64_t written = 0;
    const std::string key = "load:" + std::to_string(number);
    while (!stop_) {
      Result<RespClient> client = RespClient::Connect(port_);
      if (!client.ok()) {
        Note("connect: " + client.status().ToString());
        continue;
      }
      ++connections_;
      for (uint64_t n = 1 + random.Uniform(5); n > 0; --n) {
        const Result<Reply> reply = client->Do({"incr", key});
        if (!reply.ok() || reply->integer != ++written) {
          Note("incr: " + (reply.ok() ? reply->text + std::to_string(reply->integer)
                                      : reply.status().ToString()));
          return;  // What is written now is not known.
        }
      }
    }
  }

  const uint16_t port_;
  std::atomic<bool> stop_{false};
  std::atomic<int64_t> connections_{0};
  Mutex mu_;
  std::multiset<std::string> errors_ KVS_GUARDED_BY(mu_);
  std::vector<Thread> threads_;
};

TEST_F(DrainTest, RestartsUnderLoadShowNoErrorToAnyClient) {
  std::unique_ptr<Server> proxy = MakeNext();
  ASSERT_EQ(proxy->Start().ToString(), "ok");
  Load load(port_);
  for (int i = 0; i < kRestarts; ++i) {
    SCOPED_TRACE("restart " + std::to_string(i));
    const int64_t before = load.connections();
    ASSERT_TRUE(WaitUntil(20'000, [&] { return load.connections() > before + 100; }));
    // With another number of loops each time.
    std::unique_ptr<Server> next = MakeNext({"--io-threads", std::to_string(1 + (i + 2) % 3)});
    ASSERT_EQ(next->Launch().ToString(), "ok");
    const Result<int> ended = proxy->process()->Wait(60'000);
    ASSERT_TRUE(ended.ok()) << next->process()->Output();
    EXPECT_EQ(*ended, 0) << proxy->process()->Output();
    EXPECT_EQ(PidFileText(), PidText(next.get()));
    proxy = std::move(next);
  }
  const int64_t before = load.connections();
  EXPECT_TRUE(WaitUntil(20'000, [&] { return load.connections() > before + 100; }));
  load.Finish();
  const std::multiset<std::string> errors = load.errors();
  EXPECT_TRUE(errors.empty()) << errors.size() << " errors, such as " << *errors.begin();
}

TEST_F(DrainTest, ConnectionsEndBetweenCommandsAndNoneBegins) {
  const auto proxy = MakeNext();
  ASSERT_EQ(proxy->Start().ToString(), "ok");
  RespClient idle = proxy->Connect();
  RespClient waiting = proxy->Connect();
  RespClient half = proxy->Connect();
  ASSERT_EQ(idle.Ask({"set", "k", "v"}), "OK");
  for (RespClient* client : {&waiting, &half}) {  // Their loops have links.
    ASSERT_EQ(client->Ask({"get", "k"}), idle.Ask({"get", "k"}));
  }
  const std::string get = EncodeWords({"get", "k"});
  ASSERT_TRUE(half.Send(get.substr(0, get.size() - 3)).ok());
  ASSERT_EQ(redis_->process()->Pause().ToString(), "ok");
  ASSERT_TRUE(waiting.Send(get).ok());
  ASSERT_TRUE(WaitUntil(10'000, [&] { return InfoNumber(&idle, "requests_in_flight") == 1; }));

  proxy->process()->Signal(SIGTERM);
  EXPECT_EQ(idle.ReadFrame().status().code(), Code::kUnavailable) << "it is closed at once";
  EXPECT_TRUE(WaitUntil(10'000, [&] { return Refuses(); }));
  EXPECT_TRUE(proxy->process()->Running());

  redis_->process()->Signal(SIGCONT);
  EXPECT_EQ(*waiting.ReadFrame(), "$1\r\nv\r\n");
  EXPECT_EQ(waiting.ReadFrame().status().code(), Code::kUnavailable);
  ASSERT_TRUE(half.Send(get.substr(get.size() - 3)).ok());
  EXPECT_EQ(*half.ReadFrame(), "$1\r\nv\r\n");
  EXPECT_EQ(half.ReadFrame().status().code(), Code::kUnavailable);
  EXPECT_EQ(*proxy->process()->Wait(10'000), 0);
  EXPECT_EQ(PidFileText(), "");
}

TEST_F(DrainTest, ASecondTermEndsAtOnce) {
  const auto proxy = MakeNext();
  ASSERT_EQ(proxy->Start().ToString(), "ok");
  RespClient client = proxy->Connect();
  ASSERT_EQ(client.Ask({"set", "k", "v"}), "OK");
  ASSERT_EQ(redis_->process()->Pause().ToString(), "ok");
  ASSERT_TRUE(client.Send(EncodeWords({"get", "k"})).ok());
  RespClient other = proxy->Connect();
  ASSERT_TRUE(WaitUntil(10'000, [&] { return InfoNumber(&other, "requests_in_flight") == 1; }));
  proxy->process()->Signal(SIGTERM);
  ASSERT_TRUE(WaitUntil(10'000, [&] { return Refuses(); }));
  EXPECT_TRUE(proxy->process()->Running());
  proxy->process()->Signal(SIGTERM);
  EXPECT_EQ(*proxy->process()->Wait(10'000), 0);
  EXPECT_EQ(client.ReadFrame().status().code(), Code::kUnavailable);
}

TEST_F(DrainTest, WhatIsInUseAtTheEndOfTheTimeIsCut) {
  const auto proxy = MakeNext({"--shutdown-timeout", "300ms"});
  ASSERT_EQ(proxy->Start().ToString(), "ok");
  RespClient client = proxy->Connect();
  ASSERT_EQ(client.Ask({"set", "k", "v"}), "OK");
  ASSERT_EQ(redis_->process()->Pause().ToString(), "ok");
  ASSERT_TRUE(client.Send(EncodeWords({"get", "k"})).ok());
  EXPECT_EQ(*proxy->process()->Terminate(10'000), 0);
  EXPECT_EQ(client.ReadFrame().status().code(), Code::kUnavailable);
}

TEST_F(DrainTest, ClientsThatAskedAreToldWhereToMoveAndMayGoOnMeanwhile) {
  const auto proxy = MakeNext();
  ASSERT_EQ(proxy->Start().ToString(), "ok");
  RespClient told = proxy->Connect();
  RespClient without_address = proxy->Connect();
  RespClient other = proxy->Connect();
  for (RespClient* client : {&told, &without_address, &other}) {
    ASSERT_TRUE(client->Do({"hello", "3"}).ok());
  }
  ASSERT_EQ(
      told.Ask({"client", "maint_notifications", "on", "moving-endpoint-type", "external-ip"}),
      "OK");
  ASSERT_EQ(
      without_address.Ask({"client", "maint_notifications", "on", "moving-endpoint-type", "none"}),
      "OK");
  const auto next = MakeNext();
  ASSERT_EQ(next->Launch().ToString(), "ok");
  const Result<std::string> push = told.ReadFrame();
  ASSERT_TRUE(push.ok()) << push.status().ToString();
  const std::string address = "127.0.0.1:" + std::to_string(port_);
  EXPECT_TRUE(push->starts_with(">4\r\n$6\r\nMOVING\r\n:")) << *push;
  EXPECT_TRUE(push->ends_with("\r\n$" + std::to_string(address.size()) + "\r\n" + address + "\r\n"))
      << *push;
  const Result<std::string> null = without_address.ReadFrame();
  ASSERT_TRUE(null.ok()) << null.status().ToString();
  EXPECT_TRUE(null->ends_with("\r\n_\r\n")) << *null;
  EXPECT_EQ(told.Ask({"set", "k", "v"}), "OK");
  EXPECT_EQ(other.Ask({"set", "k", "v"}), "OK") << "nobody has told it anything";
  // Who is silent is not in the middle of something.
  for (RespClient* client : {&told, &without_address, &other}) {
    EXPECT_EQ(client->ReadFrame().status().code(), Code::kUnavailable);
  }
  EXPECT_EQ(*proxy->process()->Wait(10'000), 0);
  EXPECT_EQ(next->Connect().Ask({"set", "k", "v"}), "OK");
}

TEST_F(DrainTest, ASuccessorThatCannotStartChangesNothing) {
  const auto proxy = MakeNext();
  ASSERT_EQ(proxy->Start().ToString(), "ok");
  RespClient client = proxy->Connect();
  const auto next = MakeNext({"--unixsocket", dir_.Join("no/such/folder")});
  ASSERT_EQ(next->Launch().ToString(), "ok");
  EXPECT_EQ(*next->process()->Wait(10'000), 1);
  EXPECT_EQ(client.Ask({"set", "k", "v"}), "OK");
  EXPECT_EQ(proxy->Connect().Ask({"set", "k", "v"}), "OK");
  EXPECT_EQ(PidFileText(), PidText(proxy.get()));
  // And the next one may try.
  const auto better = MakeNext();
  ASSERT_EQ(better->Launch().ToString(), "ok");
  EXPECT_EQ(*proxy->process()->Wait(20'000), 0);
}

// It has the sockets, and sockets of its own for more loops, but it never gets a map.
TEST_F(DrainTest, ASuccessorThatDiesBeforeItIsReadyCostsNoClientAnything) {
  std::unique_ptr<Server> proxy = MakeNext({"--io-threads", "1"});
  ASSERT_EQ(proxy->Start().ToString(), "ok");
  Load load(port_);
  const auto serves = [&load] {
    const int64_t before = load.connections();
    return WaitUntil(20'000, [&] { return load.connections() > before + 100; });
  };
  FakeServer silent([](FakePeer* /*peer*/, const Words& /*request*/) {}, /*greets=*/false);
  ASSERT_TRUE(WriteFileAtomic(dir_.Join("secret"), std::string(64, 'a'), 0600).ok());
  for (int i = 0; i < Loops(5, 2); ++i) {
    SCOPED_TRACE("successor " + std::to_string(i));
    const int dialled = silent.accepted();
    const auto next = MakeNext({"--servers", "", "--config-servers", silent.address(),
                                "--cluster-secret-file", dir_.Join("secret"), "--io-threads", "3"});
    ASSERT_EQ(next->Launch().ToString(), "ok");
    ASSERT_TRUE(WaitUntil(20'000, [&] { return silent.accepted() > dialled; }))
        << next->process()->Output();
    EXPECT_TRUE(serves());
    const auto third = MakeNext();
    ASSERT_EQ(third->Launch().ToString(), "ok");
    const Result<int> ended = third->process()->Wait(10'000);
    ASSERT_TRUE(ended.ok()) << ended.status().ToString();
    EXPECT_EQ(*ended, 1) << "one at a time";
    if (i % 2 == 1) {
      ASSERT_EQ(next->process()->Pause().ToString(), "ok");
      EXPECT_TRUE(serves());
    }
    next->Kill();
    EXPECT_TRUE(serves());
    EXPECT_EQ(PidFileText(), PidText(proxy.get()));
  }
  EXPECT_TRUE(HandsOver(&proxy));
  EXPECT_TRUE(serves());
  load.Finish();
  const std::multiset<std::string> errors = load.errors();
  EXPECT_TRUE(errors.empty()) << errors.size() << " errors, such as " << *errors.begin();
}

// It listens for its own successor already when it finds that it cannot write its pid file.
TEST_F(DrainTest, ASuccessorThatFailsInTheMiddleCostsNoClientAnything) {
  std::unique_ptr<Server> proxy = MakeNext({"--io-threads", "2"});
  ASSERT_EQ(proxy->Start().ToString(), "ok");
  Load load(port_);
  const auto serves = [&load] {
    const int64_t before = load.connections();
    return WaitUntil(20'000, [&] { return load.connections() > before + 100; });
  };
  for (int i = 0; i < Loops(10, 3); ++i) {
    SCOPED_TRACE("successor " + std::to_string(i));
    const auto next =
        MakeNext({"--pidfile", dir_.Join("no/such/folder"), "--io-threads", std::to_string(1 + i)});
    ASSERT_EQ(next->Launch().ToString(), "ok");
    EXPECT_EQ(*next->process()->Wait(20'000), 1) << next->process()->Output();
    EXPECT_TRUE(proxy->process()->Running());
    EXPECT_TRUE(serves());
  }
  EXPECT_TRUE(HandsOver(&proxy));
  EXPECT_TRUE(serves());
  load.Finish();
  const std::multiset<std::string> errors = load.errors();
  EXPECT_TRUE(errors.empty()) << errors.size() << " errors, such as " << *errors.begin();
}

// The old process is held up, so the new one has said that it serves, and listens in its place.
TEST_F(DrainTest, ASuccessorThatIsKilledBeforeItsWordIsHeardIsReplaced) {
  std::unique_ptr<Server> proxy = MakeNext();
  ASSERT_EQ(proxy->Start().ToString(), "ok");
  ASSERT_EQ(proxy->Connect().Ask({"set", "k", "v"}), "OK");
  FakeConfigServer config(dir_);
  Words options = config.JoinOptions();
  options.insert(options.end(), {"--servers", ""});
  const auto next = MakeNext(options);
  ASSERT_EQ(next->Launch().ToString(), "ok");
  ASSERT_TRUE(WaitUntil(20'000, [&] { return config.registered() > 0; }));
  ASSERT_EQ(proxy->process()->Pause().ToString(), "ok");
  config.Publish(std::vector<uint16_t>(FakeConfigServer::kBlocks, redis_->port()));
  ASSERT_TRUE(WaitUntil(20'000, [&] { return PidFileText() == PidText(next.get()); }));
  RespClient client = next->Connect();  // It serves: nobody else could answer.
  ASSERT_TRUE(WaitUntil(10'000, [&] { return client.Ask({"get", "k"}) == "\"v\""; }));
  next->Kill();
  proxy->process()->Signal(SIGCONT);
  ASSERT_TRUE(WaitUntil(10'000, [&] { return PidFileText() == PidText(proxy.get()); }));
  EXPECT_EQ(proxy->Connect().Ask({"get", "k"}), "\"v\"");
  ASSERT_TRUE(HandsOver(&proxy));
  EXPECT_EQ(proxy->Connect().Ask({"get", "k"}), "\"v\"");
}

TEST_F(DrainTest, UnixSocketsAndHttpChangeTheirProcessAsWell) {
  const Words more = {"--unixsocket", dir_.Join("clients")};
  const auto proxy = MakeNext(more);
  ASSERT_EQ(proxy->Start().ToString(), "ok");
  const auto next = MakeNext(more);
  ASSERT_EQ(next->Launch().ToString(), "ok");
  EXPECT_EQ(*proxy->process()->Wait(20'000), 0);
  EXPECT_TRUE(FileExists(dir_.Join("clients"))) << "the successor listens there";
  EXPECT_EQ(*next->Stop(), 0);
  EXPECT_FALSE(FileExists(dir_.Join("clients")));
  EXPECT_FALSE(FileExists(dir_.Join("takeover")));
}

}  // namespace
}  // namespace kvs
