#include "common/control/control_client.h"

#include <sys/socket.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/net/listener.h"
#include "common/net/socket.h"
#include "common/resp/request_parser.h"

namespace kvs {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kId = "00000000000000000000000000000000000000a1";
constexpr const char* kRegistered = "$40\r\n{\"ok\":true,\"namespace\":\"main\",\"epoch\":7}\r\n";

SlotMapPtr MakeMap(uint64_t epoch, const std::string& name = "main") {
  SlotMapParts parts;
  parts.name = name;
  parts.epoch = epoch;
  parts.shards.push_back({"shard-1", {kId, {"127.0.0.1", 6371}}, {}, {{0, kSlotCount - 1}}});
  return *SlotMap::Build(parts);
}

// A config server of one connection that says what the test tells it to.
class FakeServer {
 public:
  explicit FakeServer(EventLoop* loop) {
    Result<UniqueFd> fd = ListenTcp("127.0.0.1", 0, {});
    KVS_CHECK(fd.ok());
    port_ = LocalPort(fd->get());
    listener_ = std::make_unique<Listener>(loop, *std::move(fd), [this](UniqueFd client) {
      client_ = std::move(client);
      SetNoDelay(client_.get());  // What is sent is to be there at the next turn.
      input_.clear();
      ++accepted_;
    });
    KVS_CHECK(listener_->Start().ok());
  }
  NodeAddress address() const { return {"127.0.0.1", port_}; }
  int accepted() const { return accepted_; }
  void Hangup() { client_.reset(); }

  // Returns the next request, or none if it is not there yet.
  std::vector<std::string> Receive() {
    char bytes[4096];
    const ssize_t got = ::recv(client_.get(), bytes, sizeof(bytes), MSG_DONTWAIT);
    input_.append(bytes, got > 0 ? static_cast<size_t>(got) : 0);
    RequestParser parser;
    if (parser.Parse(input_) != RequestParser::Outcome::kRequest) {
      return {};
    }
    std::vector<std::string> request(parser.args().begin(), parser.args().end());
    input_.erase(0, parser.frame_size());
    return request;
  }
  void Send(std::string_view bytes) {
    ASSERT_EQ(::send(client_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  void Push(const SlotMap& map) {
    std::string bytes;
    EncodeMapPush(map, &bytes);
    Send(bytes);
  }

 private:
  uint16_t port_ = 0;
  std::unique_ptr<Listener> listener_;
  UniqueFd client_;
  std::string input_;
  int accepted_ = 0;
};

class ControlClientTest : public testing::Test {
 protected:
  ControlClientOptions Options() {
    ControlClientOptions options;
    options.servers = {server_.address()};
    options.secret = "secret";
    options.id = kId;
    options.address = {"127.0.0.1", 6371};
    options.version = "1.0";
    options.on_map = [this](const SlotMapPtr& map) { epochs_.push_back(map->epoch()); };
    options.on_free = [this](const std::string& name) { freed_.push_back(name); };
    options.stats = [] { return Json::MakeObject({{"keys", 12}}); };
    return options;
  }
  void Start(ControlClientOptions options) {
    client_ = std::make_unique<ControlClient>(&loop_, std::move(options));
    client_->Start();
    Turn();
  }
  void Turn() {
    for (int i = 0; i < 8; ++i) {
      loop_.RunOnce(0);
    }
  }
  void Advance(int64_t milliseconds) {
    clock_.AdvanceMicros(milliseconds * 1000);
    Turn();
  }
  void Register() {
    ASSERT_THAT(server_.Receive(), ElementsAre("HELLO", "3", "AUTH", "cluster", "secret"));
    server_.Send("%0\r\n");
    Turn();
    ASSERT_THAT(server_.Receive(), ElementsAre("CONTROL", "REGISTER", testing::_));
    server_.Send(kRegistered);
    Turn();
    ASSERT_TRUE(client_->status().connected);
  }

  ManualClock clock_;
  EventLoop loop_{"test", &clock_};
  FakeServer server_{&loop_};
  std::vector<uint64_t> epochs_;
  std::vector<std::string> freed_;
  std::unique_ptr<ControlClient> client_;
};

TEST_F(ControlClientTest, GreetsRegistersAndBeats) {
  ControlClientOptions options = Options();
  options.known_namespace = "main";
  options.known_epoch = 3;
  Start(std::move(options));

  EXPECT_THAT(server_.Receive(), ElementsAre("HELLO", "3", "AUTH", "cluster", "secret"));
  EXPECT_FALSE(client_->status().connected);
  server_.Send("%0\r\n");
  Turn();
  EXPECT_THAT(server_.Receive(),
              ElementsAre("CONTROL", "REGISTER",
                          R"({"kind":"node","id":"00000000000000000000000000000000000000a1",)"
                          R"("address":"127.0.0.1:6371","namespace":"","version":"1.0",)"
                          R"("map":"main","epoch":3})"));
  server_.Send(kRegistered);
  Turn();
  EXPECT_TRUE(client_->status().connected);
  server_.Push(*MakeMap(7));
  Turn();
  Advance(1000);
  EXPECT_THAT(server_.Receive(),
              ElementsAre("CONTROL", "HEARTBEAT", R"({"epoch":7,"stats":{"keys":12}})"));
  EXPECT_THAT(epochs_, ElementsAre(7));
}

TEST_F(ControlClientTest, OnlyNewerMapsComeIntoForce) {
  ControlClientOptions options = Options();
  options.known_namespace = "main";
  options.known_epoch = 5;
  Start(std::move(options));
  Register();
  for (const uint64_t epoch : {4U, 5U, 6U, 6U, 9U, 8U}) {
    server_.Push(*MakeMap(epoch));
  }
  Turn();
  EXPECT_THAT(epochs_, ElementsAre(6, 9));
  server_.Push(*MakeMap(2, "other"));
  Turn();
  EXPECT_THAT(epochs_, ElementsAre(6, 9, 2));
}

TEST_F(ControlClientTest, MapsOfForeignNamespacesAreIgnored) {
  ControlClientOptions options = Options();
  options.namespace_name = "main";
  Start(std::move(options));
  Register();
  server_.Push(*MakeMap(2, "other"));
  server_.Push(*MakeMap(1));
  Turn();
  EXPECT_THAT(epochs_, ElementsAre(1));
}

TEST_F(ControlClientTest, FreeIsHandedOnForOurNamespaceOnly) {
  Start(Options());
  Register();
  server_.Push(*MakeMap(7));
  server_.Send(">2\r\n$4\r\nfree\r\n$5\r\nother\r\n>2\r\n$4\r\nfree\r\n$4\r\nmain\r\n");
  server_.Push(*MakeMap(7));
  Turn();
  EXPECT_THAT(freed_, ElementsAre("main"));
  EXPECT_THAT(epochs_, ElementsAre(7));
}

TEST_F(ControlClientTest, AMapInPiecesArrivesOnce) {
  Start(Options());
  Register();
  std::string bytes;
  EncodeMapPush(*MakeMap(7), &bytes);
  for (const char byte : bytes) {
    server_.Send({&byte, 1});
    loop_.RunOnce(0);
  }
  Turn();
  EXPECT_THAT(epochs_, ElementsAre(7));
}

TEST_F(ControlClientTest, AMapThatCannotBeReadKeepsTheLinkAndTheMapBefore) {
  Start(Options());
  Register();
  server_.Send(">3\r\n$3\r\nmap\r\n$4\r\nmain\r\n$2\r\n{}\r\n");
  Turn();
  EXPECT_TRUE(client_->status().connected);
  EXPECT_THAT(client_->status().last_error, HasSubstr("version"));
  EXPECT_TRUE(epochs_.empty());
}

TEST_F(ControlClientTest, ABrokenLinkIsDialledAgainAfterAPause) {
  Start(Options());
  Register();
  server_.Hangup();
  Turn();
  EXPECT_FALSE(client_->status().connected);
  EXPECT_EQ(client_->status().last_error, "the server closed the connection");
  Advance(49);
  EXPECT_EQ(server_.accepted(), 1);
  Advance(51);
  EXPECT_EQ(server_.accepted(), 2);
  Register();
}

TEST_F(ControlClientTest, PausesGrowUpToTheLimit) {
  Start(Options());
  std::vector<int64_t> pauses;
  for (int i = 0; i < 8; ++i) {
    server_.Send("-NOAUTH no\r\n");
    Turn();
    const int accepted = server_.accepted();
    int64_t pause = 0;
    for (; server_.accepted() == accepted; pause += 10) {
      ASSERT_LE(pause, 3000);
      Advance(10);
    }
    pauses.push_back(pause);
  }
  for (size_t i = 0; i < pauses.size(); ++i) {
    const int64_t longest = std::min<int64_t>(3000, int64_t{100} << i);
    EXPECT_GE(pauses[i], longest / 2) << i;
    EXPECT_LE(pauses[i], longest + 10) << i;
  }
}

TEST_F(ControlClientTest, RefusalsAreTold) {
  Start(Options());
  server_.Send("-WRONGPASS wrong secret\r\n");
  Turn();
  EXPECT_EQ(client_->status().last_error, "the server refused: WRONGPASS wrong secret");
}

TEST_F(ControlClientTest, ServersAreTriedInTurn) {
  FakeServer other(&loop_);
  ControlClientOptions options = Options();
  options.servers.push_back(other.address());
  Start(std::move(options));
  server_.Hangup();
  Turn();
  Advance(100);
  EXPECT_EQ(other.accepted(), 1);
  EXPECT_EQ(client_->status().server, FormatAddress(other.address()));
  other.Hangup();
  Turn();
  Advance(200);
  EXPECT_EQ(server_.accepted(), 2);
}

TEST_F(ControlClientTest, ASilentServerIsLeftAtTheDeadline) {
  Start(Options());
  Register();
  Advance(1000);
  EXPECT_THAT(server_.Receive(), ElementsAre("CONTROL", "HEARTBEAT", testing::_));
  Advance(2999);
  EXPECT_TRUE(client_->status().connected);
  EXPECT_TRUE(server_.Receive().empty());  // Beats do not pile up.
  Advance(1);
  EXPECT_FALSE(client_->status().connected);
  EXPECT_EQ(client_->status().last_error, "no reply in time");
}

TEST_F(ControlClientTest, NonsenseEndsTheLink) {
  for (const char* nonsense : {"nonsense\r\n", "$99999999999\r\n", "%0\r\n%0\r\n%0\r\n"}) {
    SCOPED_TRACE(nonsense);
    Start(Options());
    server_.Send(nonsense);
    Turn();
    EXPECT_FALSE(client_->status().connected);
    EXPECT_FALSE(client_->status().last_error.empty());
    client_.reset();
  }
}

// The server listens on one of the addresses of its name.
TEST_F(ControlClientTest, NamesAreLookedUpAndEachOfTheirAddressesIsTried) {
  ControlClientOptions options = Options();
  options.servers[0].host = "config.example";
  options.lookup = [](const std::string& host) -> Result<std::vector<std::string>> {
    if (host != "config.example") {
      return Status::InvalidArgument("cannot resolve host");
    }
    return std::vector<std::string>{"::1", "127.0.0.99", "127.0.0.1"};
  };
  Start(std::move(options));
  // The lookup runs in a thread of its own; its answer wakes the loop.
  for (int i = 0; i < 100 && server_.accepted() == 0; ++i) {
    loop_.RunOnce(100);
  }
  EXPECT_EQ(server_.accepted(), 1);
  EXPECT_EQ(client_->status().attempts, 1U);
  EXPECT_EQ(client_->status().last_error, "");
}

TEST_F(ControlClientTest, ANameThatNobodyKnowsIsAskedForAgain) {
  ControlClientOptions options = Options();
  options.servers[0].host = "config.example";
  std::atomic<int> lookups{0};
  options.lookup = [&lookups](const std::string&) -> Result<std::vector<std::string>> {
    if (++lookups < 3) {
      return Status::InvalidArgument("cannot resolve host");
    }
    return std::vector<std::string>{"127.0.0.1"};
  };
  Start(std::move(options));
  for (int i = 0; i < 1000 && server_.accepted() == 0; ++i) {
    clock_.AdvanceMicros(1'000'000);
    loop_.RunOnce(10);
  }
  EXPECT_EQ(server_.accepted(), 1);
  EXPECT_EQ(lookups, 3);
  client_.reset();  // It may be asked again until here.
}

TEST_F(ControlClientTest, StopEndsTheLinkForGood) {
  Start(Options());
  Register();
  client_->Stop();
  Advance(10'000);
  EXPECT_FALSE(client_->status().connected);
  EXPECT_EQ(server_.accepted(), 1);
}

}  // namespace
}  // namespace kvs
