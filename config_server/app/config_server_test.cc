#include "config_server/app/config_server.h"

#include <sys/socket.h>

#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/base/file.h"
#include "common/base/random.h"
#include "common/control/control_client.h"
#include "common/net/socket.h"
#include "config_server/meta/leveldb_meta_store.h"

namespace kvs {
namespace {

using testing::HasSubstr;

constexpr const char* kSecret = "0123456789abcdef0123456789abcdef";

// A node or proxy: its link, and what it was told.
struct Process {
  SlotMapPtr map;
  std::vector<std::string> freed;
  std::vector<ShardNode> proxies;
  std::unique_ptr<ControlClient> link;
};

// The server, its nodes and proxies and an HTTP client, all on one loop.
class ConfigServerTest : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = testing::TempDir() + "kvs_config_" + RandomHex(8);
    ASSERT_TRUE(CreateDirs(dir_).ok());
    options_.dir = dir_ + "/data";
    options_.port = 0;
    options_.http_port = 0;
    options_.cluster_secret_file = dir_ + "/secret";
    ASSERT_TRUE(WriteFileAtomic(options_.cluster_secret_file, kSecret, 0600).ok());
  }
  void TearDown() override {
    processes_.clear();
    server_.reset();
    ASSERT_TRUE(RemoveTree(dir_).ok());
  }

  void StartServer() {
    server_ = std::make_unique<ConfigServer>(&loop_, options_);
    const Status status = server_->Start();
    ASSERT_TRUE(status.ok()) << status.ToString();
    options_.port = server_->control_port();  // Where a restart will listen again.
  }

  Process* StartProcess(ControlKind kind, int number, const std::string& secret = kSecret) {
    auto process = std::make_unique<Process>();
    Process* const raw = process.get();
    ControlClientOptions options;
    options.servers = {{"127.0.0.1", server_->control_port()}};
    options.secret = secret;
    options.kind = kind;
    options.id = std::string(kNodeIdSize - 1, '0') + std::to_string(number);
    options.address = {"127.0.0.1", static_cast<uint16_t>(6000 + number)};
    options.on_map = [raw](const SlotMapPtr& map) { raw->map = map; };
    options.on_proxies = [raw](const std::vector<ShardNode>& proxies) { raw->proxies = proxies; };
    options.on_free = [raw](const std::string& name) { raw->freed.push_back(name); };
    process->link = std::make_unique<ControlClient>(&loop_, std::move(options));
    process->link->Start();
    processes_.push_back(std::move(process));
    return raw;
  }

  // Turns the loop until `done`, for at most ten seconds.
  testing::AssertionResult Until(const std::function<bool()>& done) {
    const int64_t deadline = Clock::System()->MonotonicMillis() + 10'000;
    while (!done()) {
      if (Clock::System()->MonotonicMillis() > deadline) {
        return testing::AssertionFailure() << "it did not happen in time";
      }
      loop_.RunOnce(10);
    }
    return testing::AssertionSuccess();
  }
  bool AllConnected() {
    return std::all_of(processes_.begin(), processes_.end(),
                       [](const auto& process) { return process->link->status().connected; });
  }
  bool AllAtEpoch(uint64_t epoch) {
    return std::all_of(processes_.begin(), processes_.end(), [&](const auto& process) {
      return process->map != nullptr && process->map->epoch() == epoch;
    });
  }

  // Returns the body of the answer, or its status line if it has none.
  std::string Http(const std::string& method, const std::string& path,
                   const std::string& body = "") {
    const Result<UniqueFd> fd = StartConnect("127.0.0.1", server_->http_port());
    KVS_CHECK(fd.ok());
    const std::string request = method + " " + path +
                                " HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: " +
                                std::to_string(body.size()) + "\r\n\r\n" + body;
    loop_.RunOnce(10);
    KVS_CHECK(::send(fd->get(), request.data(), request.size(), MSG_NOSIGNAL) > 0);
    std::string answer;
    const bool ended = Until([&] {
      char bytes[16384];
      const ssize_t got = ::recv(fd->get(), bytes, sizeof(bytes), MSG_DONTWAIT);
      answer.append(bytes, got > 0 ? static_cast<size_t>(got) : 0);
      return got == 0;
    });
    KVS_CHECK(ended);
    return answer;
  }

  EventLoop loop_{"test"};
  std::string dir_;
  ConfigOptions options_;
  std::unique_ptr<ConfigServer> server_;
  std::vector<std::unique_ptr<Process>> processes_;
};

TEST_F(ConfigServerTest, ANamespaceReachesEverybodyAndSurvivesARestart) {
  StartServer();
  StartProcess(ControlKind::kNode, 1);
  StartProcess(ControlKind::kNode, 2);
  StartProcess(ControlKind::kProxy, 3);
  ASSERT_TRUE(Until([&] { return AllConnected(); }));

  EXPECT_THAT(Http("POST", "/api/v1/namespaces", R"({"name":"main","shards":2})"),
              HasSubstr("201 Created"));
  ASSERT_TRUE(Until([&] { return AllAtEpoch(1); }));
  EXPECT_EQ(processes_[2]->map->shards().size(), 2U);
  const Json before = processes_[0]->map->ToJson();

  server_.reset();
  for (const auto& process : processes_) {
    process->link->Stop();
  }
  processes_.clear();
  StartServer();
  EXPECT_EQ(server_->topology().FindMap("main")->ToJson(), before);
  StartProcess(ControlKind::kProxy, 3);
  ASSERT_TRUE(Until([&] { return AllAtEpoch(1); }));
  EXPECT_EQ(processes_[0]->map->ToJson(), before);
}

TEST_F(ConfigServerTest, ProxiesOfANamespaceHearOfEachOther) {
  StartServer();
  Process* const node = StartProcess(ControlKind::kNode, 1);
  Process* const first = StartProcess(ControlKind::kProxy, 2);
  ASSERT_TRUE(Until([&] { return AllConnected(); }));
  EXPECT_TRUE(first->proxies.empty()) << "there is no namespace yet";
  Http("POST", "/api/v1/namespaces", R"({"name":"main","shards":1})");
  ASSERT_TRUE(Until([&] { return first->proxies.size() == 1; }));

  Process* const second = StartProcess(ControlKind::kProxy, 3);
  ASSERT_TRUE(Until([&] { return first->proxies.size() == 2 && second->proxies.size() == 2; }));
  EXPECT_EQ(first->proxies, second->proxies);
  EXPECT_EQ(first->proxies[1].address, (NodeAddress{"127.0.0.1", 6003}));

  second->link->Stop();
  ASSERT_TRUE(Until([&] { return first->proxies.size() == 1; }));
  EXPECT_EQ(first->proxies[0].address.port, 6002);
  EXPECT_TRUE(node->proxies.empty());
}

TEST_F(ConfigServerTest, LinksComeBackByThemselvesAfterARestart) {
  StartServer();
  StartProcess(ControlKind::kNode, 1);
  ASSERT_TRUE(Until([&] { return AllConnected(); }));
  server_.reset();
  ASSERT_TRUE(Until([&] { return !AllConnected(); }));
  StartServer();
  EXPECT_TRUE(Until([&] { return AllConnected(); }));
}

TEST_F(ConfigServerTest, ADeletedNamespaceFreesItsMembersAndEpochsGoOn) {
  StartServer();
  Process* const node = StartProcess(ControlKind::kNode, 1);
  Process* const proxy = StartProcess(ControlKind::kProxy, 2);
  ASSERT_TRUE(Until([&] { return AllConnected(); }));
  Http("POST", "/api/v1/namespaces", R"({"name":"main","shards":1})");
  ASSERT_TRUE(Until([&] { return AllAtEpoch(1); }));

  EXPECT_THAT(Http("DELETE", "/api/v1/namespaces/main"), HasSubstr("200 OK"));
  ASSERT_TRUE(Until([&] { return !node->freed.empty() && !proxy->freed.empty(); }));
  EXPECT_EQ(node->freed, std::vector<std::string>{"main"});

  Http("POST", "/api/v1/namespaces", R"({"name":"main","shards":1})");
  EXPECT_TRUE(Until([&] { return AllAtEpoch(3); }));
}

TEST_F(ConfigServerTest, AMemberThatMissedTheDeletionIsFreedWhenItComesBack) {
  StartServer();
  StartProcess(ControlKind::kNode, 1);
  ASSERT_TRUE(Until([&] { return AllConnected(); }));
  Http("POST", "/api/v1/namespaces", R"({"name":"main","shards":1})");
  ASSERT_TRUE(Until([&] { return AllAtEpoch(1); }));
  Process* const node = processes_[0].get();
  node->link->Stop();
  Http("DELETE", "/api/v1/namespaces/main");
  node->link->Start();
  EXPECT_TRUE(Until([&] { return !node->freed.empty(); }));
}

TEST_F(ConfigServerTest, ANodeWithANewAddressChangesTheMapOfAll) {
  StartServer();
  StartProcess(ControlKind::kNode, 1);
  Process* const proxy = StartProcess(ControlKind::kProxy, 2);
  ASSERT_TRUE(Until([&] { return AllConnected(); }));
  Http("POST", "/api/v1/namespaces", R"({"name":"main","shards":1})");
  ASSERT_TRUE(Until([&] { return AllAtEpoch(1); }));

  ControlClientOptions moved;
  moved.servers = {{"127.0.0.1", server_->control_port()}};
  moved.secret = kSecret;
  moved.id = std::string(kNodeIdSize - 1, '0') + "1";
  moved.address = {"127.0.0.1", 7001};
  moved.on_map = [](const SlotMapPtr&) {};
  processes_[0]->link->Stop();
  processes_[0]->link = std::make_unique<ControlClient>(&loop_, std::move(moved));
  processes_[0]->link->Start();

  ASSERT_TRUE(Until([&] { return proxy->map->epoch() == 2; }));
  EXPECT_EQ(proxy->map->shards()[0].master.address.port, 7001);
}

TEST_F(ConfigServerTest, StrangersAreRefused) {
  StartServer();
  Process* const stranger = StartProcess(ControlKind::kNode, 1, "wrong");
  ASSERT_TRUE(Until([&] { return !stranger->link->status().last_error.empty(); }));
  EXPECT_THAT(stranger->link->status().last_error, HasSubstr("WRONGPASS"));
  EXPECT_TRUE(server_->topology().nodes().empty());
}

TEST_F(ConfigServerTest, BootstrapWaitsForItsNodesAndHappensOnce) {
  options_.bootstrap = dir_ + "/bootstrap.json";
  ASSERT_TRUE(WriteFileAtomic(options_.bootstrap, R"({"name":"main","shards":2})").ok());
  StartServer();
  StartProcess(ControlKind::kNode, 1);
  ASSERT_TRUE(Until([&] { return AllConnected(); }));
  EXPECT_TRUE(server_->topology().maps().empty());
  StartProcess(ControlKind::kNode, 2);
  ASSERT_TRUE(Until([&] { return AllAtEpoch(1); }));

  Http("DELETE", "/api/v1/namespaces/main");
  server_.reset();
  StartServer();
  ASSERT_TRUE(Until([&] { return AllConnected(); }));
  EXPECT_TRUE(server_->topology().maps().empty()) << "what an operator deleted stays deleted";
}

TEST_F(ConfigServerTest, MetricsAndHealthAreServed) {
  StartServer();
  StartProcess(ControlKind::kNode, 1);
  ASSERT_TRUE(Until([&] { return AllConnected(); }));
  EXPECT_THAT(Http("GET", "/metrics"), HasSubstr("kvs_config_nodes_online 1"));
  EXPECT_THAT(Http("GET", "/healthz"), HasSubstr("200 OK"));
  EXPECT_THAT(Http("GET", "/readyz"), HasSubstr("200 OK"));
  EXPECT_THAT(Http("GET", "/api/v1/nodes"), HasSubstr("\"online\": true"));
}

TEST_F(ConfigServerTest, WhatIsWrongAtTheStartIsTold) {
  const auto start_error = [this] {
    ConfigServer server(&loop_, options_);
    return server.Start();
  };
  StartServer();
  EXPECT_EQ(start_error().code(), Code::kBusy) << "two servers on one directory";
  options_.dir = dir_ + "/other";
  EXPECT_EQ(start_error().code(), Code::kIoError) << "the port is taken";
  server_.reset();
  options_.port = 0;
  options_.bootstrap = dir_ + "/secret";
  EXPECT_THAT(std::string(start_error().message()), HasSubstr("bootstrap file"));
  options_.bootstrap = "";
  options_.cluster_secret_file = dir_ + "/none";
  EXPECT_THAT(std::string(start_error().message()), HasSubstr("make one"));
}

TEST(ConfigOptionsTest, RulesBetweenOptions) {
  ConfigOptions options;
  EXPECT_FALSE(ValidateConfigOptions(options).ok());
  options.dir = "d";
  EXPECT_FALSE(ValidateConfigOptions(options).ok());
  options.cluster_secret_file = "f";
  EXPECT_TRUE(ValidateConfigOptions(options).ok());
  options.http_port = options.port;
  EXPECT_FALSE(ValidateConfigOptions(options).ok());
}

}  // namespace
}  // namespace kvs
