// The config server with nodes and a proxy: making and deleting a namespace, strangers, members
// that move, and the cluster without it.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <atomic>

#include "common/base/file.h"
#include "common/base/thread.h"
#include "common/slot/slot.h"
#include "test_all/harness/config_cluster.h"
#include "test_all/harness/settings.h"
#include "test_all/harness/wait.h"

namespace kvs {
namespace {

constexpr const char* kNamespaces = "/api/v1/namespaces";
constexpr const char* kMain = "/api/v1/namespaces/main";

class ConfigTest : public testing::Test {
 protected:
  // An answer of the config server; status 0 if there was none.
  HttpAnswer Call(const std::string& method, const std::string& path,
                  const std::string& body = "") {
    Result<HttpAnswer> answer = cluster_.Call(method, path, body);
    EXPECT_TRUE(answer.ok()) << method << " " << path << ": " << answer.status().ToString();
    return answer.ok() ? *std::move(answer) : HttpAnswer();
  }
  static std::string Text(const HttpAnswer& answer, const char* member) {
    const Result<std::string> text = answer.json.GetString(member, "");
    return text.ok() ? *text : "<" + text.status().ToString() + ">";
  }
  // The addresses and ids of the nodes that the config server knows, on one line.
  std::string KnownNodes() { return Call("GET", "/api/v1/nodes").json.ToString(); }
  // Waits until the proxy gives `key` as `value` over `client`.
  bool Finds(RespClient* client, const std::string& key, const std::string& value) {
    return WaitUntil(15'000, [&] {
      const Result<Reply> reply = client->Do({"get", key});
      return reply.ok() && !reply->is_error() && reply->text == value;
    });
  }

  ConfigCluster cluster_;
};

// Writes through a proxy until it is stopped, and counts what came back.
class SteadyWriter {
 public:
  explicit SteadyWriter(uint16_t port) : thread_("writer", [this, port] { Run(port); }) {}
  ~SteadyWriter() { Stop(); }

  void Stop() {
    stop_ = true;
    thread_.Join();
  }
  bool WaitForMore(int64_t writes) {
    const int64_t before = acknowledged_;
    return WaitUntil(30'000, [&] { return acknowledged_ >= before + writes; });
  }
  int64_t acknowledged() const { return acknowledged_; }
  int64_t failed() const { return failed_; }

 private:
  void Run(uint16_t port) {
    Result<RespClient> client = RespClient::Connect(port);
    for (int64_t n = 0; !stop_ && client.ok() && client->connected(); ++n) {
      const Result<Reply> reply = client->Do({"set", "steady:" + std::to_string(n), "v"});
      const bool good = reply.ok() && reply->is_ok();
      ++(good ? acknowledged_ : failed_);
    }
  }

  std::atomic<bool> stop_{false};
  std::atomic<int64_t> acknowledged_{0};
  std::atomic<int64_t> failed_{0};
  Thread thread_;
};

TEST_F(ConfigTest, ANamespaceMadeOverHttpIsServedByAllItsNodes) {
  ASSERT_EQ(cluster_.StartFree().ToString(), "ok");
  const std::string first = cluster_.KeyOn(0, "a");
  const std::string second = cluster_.KeyOn(1, "b");
  // Before there is a namespace nobody serves anything.
  EXPECT_TRUE(cluster_.proxy()->Connect().Do({"get", first})->text.starts_with("CLUSTERDOWN"));
  EXPECT_TRUE(cluster_.node(0)->Connect().Do({"get", first})->text.starts_with("CLUSTERDOWN"));

  const Result<HttpAnswer> created = cluster_.CreateNamespace();
  ASSERT_TRUE(created.ok());
  ASSERT_EQ(created->status, 201) << created->body;
  EXPECT_EQ(*created->json.GetUint("epoch"), 1U);
  EXPECT_EQ(*created->json.GetUint("slot_count"), 16384U);
  EXPECT_EQ(*created->json.GetUint("shard_count"), 2U);
  const HttpAnswer map = Call("GET", std::string(kMain) + "/map");
  ASSERT_EQ(map.status, 200) << map.body;
  const std::string shards = map.json.ToString();
  EXPECT_NE(shards.find("[[0,8191]]"), std::string::npos) << shards;
  EXPECT_NE(shards.find("[[8192,16383]]"), std::string::npos) << shards;
  ASSERT_TRUE(cluster_.WaitServing());

  RespClient client = cluster_.proxy()->Connect();
  ASSERT_TRUE(cluster_.WaitServing(&client));
  EXPECT_TRUE(client.Do({"set", first, "1"})->is_ok());
  EXPECT_TRUE(client.Do({"set", second, "2"})->is_ok());
  EXPECT_EQ(client.Do({"get", first})->text, "1");
  const Result<Reply> both = client.Do({"mget", second, first});
  ASSERT_TRUE(both.ok());
  ASSERT_EQ(both->elements.size(), 2U) << both->ToString();
  EXPECT_EQ(both->elements[0].text, "2");
  EXPECT_EQ(both->elements[1].text, "1");
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(cluster_.node(i)->Connect().Do({"dbsize"})->integer, 1);
  }
}

TEST_F(ConfigTest, NobodyNoticesThatTheConfigServerIsKilledAndStartedAgain) {
  ASSERT_EQ(cluster_.Start().ToString(), "ok");
  ASSERT_TRUE(cluster_.WaitServing());
  const std::string map = Call("GET", std::string(kMain) + "/map").body;
  SteadyWriter writer(cluster_.proxy()->port());
  const int64_t writes = Loops(2000, 300);
  ASSERT_TRUE(writer.WaitForMore(writes));
  const int64_t failed = writer.failed();  // Of the moments before its loop reached the nodes.

  for (int round = 0; round < Loops(3, 1); ++round) {
    cluster_.config()->Kill();
    ASSERT_TRUE(writer.WaitForMore(writes));
    ASSERT_EQ(cluster_.config()->Start().ToString(), "ok");
    ASSERT_TRUE(cluster_.WaitOnline()) << KnownNodes();
    ASSERT_TRUE(writer.WaitForMore(writes));
    EXPECT_EQ(cluster_.Epoch(), 1U);
    EXPECT_EQ(Call("GET", std::string(kMain) + "/map").body, map);
  }
  writer.Stop();
  EXPECT_EQ(writer.failed(), failed);
}

// A config server that hangs looks otherwise than one that is dead.
TEST_F(ConfigTest, AProxyThatLostTheConfigServerServesAndSaysSo) {
  ASSERT_EQ(cluster_.Start().ToString(), "ok");
  ASSERT_TRUE(cluster_.WaitServing());
  RespClient client = cluster_.proxy()->Connect();
  const auto connected_soon = [&](int64_t connected) {
    return WaitUntil(15'000,
                     [&] { return InfoNumber(&client, "config_server_connected") == connected; });
  };
  const auto says_why = [&] {
    const std::string info = client.Do({"info", "kvstore"})->text;
    return info.find("config_server_last_error:\r\n") == std::string::npos;
  };
  ASSERT_TRUE(connected_soon(1));
  SteadyWriter writer(cluster_.proxy()->port());
  const int64_t writes = Loops(2000, 300);
  ASSERT_TRUE(writer.WaitForMore(writes));
  const int64_t failed = writer.failed();  // Of the moments before its loop reached the nodes.

  ASSERT_EQ(cluster_.config()->process()->Pause().ToString(), "ok");
  EXPECT_TRUE(connected_soon(0));
  EXPECT_TRUE(says_why());
  EXPECT_EQ(InfoNumber(&client, "map_epoch"), 1);
  EXPECT_TRUE(writer.WaitForMore(writes));
  cluster_.config()->process()->Signal(SIGCONT);
  EXPECT_TRUE(connected_soon(1));

  cluster_.config()->Kill();
  EXPECT_TRUE(connected_soon(0));
  EXPECT_TRUE(says_why());
  EXPECT_TRUE(writer.WaitForMore(writes));
  ASSERT_EQ(cluster_.config()->Start().ToString(), "ok");
  EXPECT_TRUE(connected_soon(1));
  ASSERT_TRUE(writer.WaitForMore(writes));
  writer.Stop();
  EXPECT_EQ(writer.failed(), failed);

  // It hears of changes again.
  ASSERT_TRUE(cluster_.WaitOnline()) << KnownNodes();
  EXPECT_EQ(Call("DELETE", kMain).status, 200);
  EXPECT_TRUE(WaitUntil(10'000, [&] { return InfoNumber(&client, "map_known") == 0; }));
}

TEST_F(ConfigTest, ProxyAndNodesStartAgainWithoutTheConfigServer) {
  ASSERT_EQ(cluster_.Start().ToString(), "ok");
  const std::string first = cluster_.KeyOn(0, "a");
  const std::string second = cluster_.KeyOn(1, "b");
  RespClient client = cluster_.proxy()->Connect();
  ASSERT_TRUE(cluster_.WaitServing(&client));
  ASSERT_TRUE(client.Do({"mset", first, "1", second, "2"})->is_ok());
  cluster_.config()->Kill();

  cluster_.proxy()->Kill();
  ASSERT_EQ(cluster_.proxy()->Start().ToString(), "ok");
  client = cluster_.proxy()->Connect();
  EXPECT_TRUE(Finds(&client, first, "1"));
  EXPECT_TRUE(Finds(&client, second, "2"));

  cluster_.node(1)->Kill();
  ASSERT_EQ(cluster_.node(1)->Start().ToString(), "ok");
  RespClient direct = cluster_.node(1)->Connect();
  EXPECT_EQ(direct.Do({"get", second})->text, "2");
  EXPECT_TRUE(direct.Do({"get", first})->text.starts_with("MOVED "));
  EXPECT_TRUE(Finds(&client, second, "2"));
  EXPECT_TRUE(client.Do({"set", second, "3"})->is_ok());

  ASSERT_EQ(cluster_.config()->Start().ToString(), "ok");
  EXPECT_TRUE(cluster_.WaitOnline()) << KnownNodes();
  EXPECT_EQ(cluster_.Epoch(), 1U);
}

TEST_F(ConfigTest, ANodeWithAnotherSecretNeverJoins) {
  ASSERT_EQ(cluster_.StartFree().ToString(), "ok");
  const std::string wrong = cluster_.dir().Join("wrong-secret");
  ASSERT_TRUE(WriteFileAtomic(wrong, std::string(64, 'a'), 0600).ok());
  const auto stranger = MakeNode(cluster_.dir(), "stranger", cluster_.JoinOptions(wrong));
  ASSERT_EQ(stranger->Start().ToString(), "ok");

  // It was refused, more than once: it comes back with the same secret.
  ASSERT_TRUE(WaitUntil(15'000, [&] {
    const std::string log = cluster_.config()->process()->Output();
    const size_t once = log.find("WRONGPASS");
    return once != std::string::npos && log.find("WRONGPASS", once + 1) != std::string::npos;
  })) << cluster_.config()->process()->Output();
  EXPECT_EQ(KnownNodes().find(stranger->address()), std::string::npos) << KnownNodes();
  const HttpAnswer answer =
      Call("POST", kNamespaces, R"({"name":"theirs","nodes":[")" + stranger->address() + R"("]})");
  EXPECT_EQ(answer.status, 404) << answer.body;
  EXPECT_EQ(cluster_.OnlineCount("nodes"), 2U);
}

TEST_F(ConfigTest, AConnectionWithoutTheSecretIsRefusedAndClosed) {
  ASSERT_EQ(cluster_.config()->Start().ToString(), "ok");
  const std::string registration = R"({"kind":"node","id":")" + std::string(40, 'a') +
                                   R"(","address":"127.0.0.1:1",)" + R"("namespace":""})";

  RespClient silent = cluster_.config()->Connect();
  EXPECT_TRUE(silent.Do({"control", "register", registration})->text.starts_with("NOAUTH "));
  EXPECT_TRUE(silent.Do({"hello", "3"})->text.starts_with("NOAUTH "));
  for (const auto& [user, secret] :
       std::vector<std::pair<std::string, std::string>>{{"cluster", std::string(64, 'a')},
                                                        {"cluster", ""},
                                                        {"cluster", cluster_.secret() + "0"},
                                                        {"default", cluster_.secret()}}) {
    RespClient client = cluster_.config()->Connect();
    const Result<Reply> reply = client.Do({"hello", "3", "auth", user, secret});
    ASSERT_TRUE(reply.ok()) << reply.status().ToString();
    EXPECT_TRUE(reply->text.starts_with("WRONGPASS ")) << reply->ToString();
    EXPECT_EQ(client.ReadFrame().status().code(), Code::kUnavailable);
  }
  // Who never shows the secret is shown the door.
  bool closed = false;
  EXPECT_EQ(silent.ReadUntilQuiet(10'000 * kSlownessFactor, &closed), "");
  EXPECT_TRUE(closed);

  EXPECT_EQ(KnownNodes(), R"({"nodes":[]})");
  RespClient friendly = cluster_.config()->Connect();
  EXPECT_FALSE(friendly.Do({"hello", "3", "auth", "cluster", cluster_.secret()})->is_error());
  EXPECT_FALSE(friendly.Do({"control", "register", registration})->is_error());
  EXPECT_EQ(cluster_.OnlineCount("nodes"), 1U);
}

TEST_F(ConfigTest, ANodeOnAnotherPortIsFoundAgain) {
  ASSERT_EQ(cluster_.Start().ToString(), "ok");
  const std::string key = cluster_.KeyOn(1, "k");
  RespClient client = cluster_.proxy()->Connect();
  ASSERT_TRUE(cluster_.WaitServing(&client));
  ASSERT_TRUE(client.Do({"set", key, "v"})->is_ok());
  const std::string before = cluster_.node(1)->address();

  cluster_.node(1)->Kill();
  cluster_.MoveNode(1);
  ASSERT_EQ(cluster_.node(1)->Start().ToString(), "ok");

  EXPECT_TRUE(WaitUntil(10'000, [&] { return cluster_.Epoch() == 2; })) << cluster_.Epoch();
  EXPECT_TRUE(Finds(&client, key, "v"));
  EXPECT_TRUE(client.Do({"set", key, "w"})->is_ok());
  const std::string map = Call("GET", std::string(kMain) + "/map").body;
  EXPECT_NE(map.find('"' + cluster_.node(1)->address() + '"'), std::string::npos) << map;
  EXPECT_EQ(map.find('"' + before + '"'), std::string::npos) << map;
  // The other node sends clients to the new port.
  RespClient other = cluster_.node(0)->Connect();
  EXPECT_TRUE(WaitUntil(10'000, [&] {
    return other.Do({"get", key})->text.ends_with(" " + cluster_.node(1)->address());
  })) << other.Ask({"get", key});
  EXPECT_EQ(cluster_.Epoch(), 2U);
}

TEST_F(ConfigTest, MistakesAreAnsweredWithCodeMessageAndRemedy) {
  ASSERT_EQ(cluster_.Start().ToString(), "ok");
  const std::string taken = cluster_.node(0)->address();
  const struct {
    const char* method;
    std::string path;
    std::string body;
    int status;
    const char* code;
  } cases[] = {
      {"POST", kNamespaces, R"({"name":"no spaces","shards":1})", 400, "invalid_argument"},
      {"POST", kNamespaces, R"({"name":"../up","shards":1})", 400, "invalid_argument"},
      {"POST", kNamespaces, R"({"name":")" + std::string(65, 'x') + R"(","shards":1})", 400,
       "invalid_argument"},
      {"POST", kNamespaces, R"({"shards":1})", 400, "invalid_argument"},
      {"POST", kNamespaces, R"({"name":"other"})", 400, "invalid_argument"},
      {"POST", kNamespaces, R"({"name":"other","mode":"none","shards":1})", 400,
       "invalid_argument"},
      {"POST", kNamespaces, "not json", 400, "invalid_argument"},
      {"POST", kNamespaces, R"({"name":"main","shards":1})", 409, "already_exists"},
      {"POST", kNamespaces, R"({"name":"other","shards":1})", 503, "unavailable"},
      {"POST", kNamespaces, R"({"name":"other","nodes":["127.0.0.1:1"]})", 404, "not_found"},
      {"GET", "/api/v1/namespaces/none", "", 404, "not_found"},
      {"GET", "/api/v1/namespaces/none/map", "", 404, "not_found"},
      {"DELETE", "/api/v1/namespaces/none", "", 404, "not_found"},
  };
  for (const auto& row : cases) {
    SCOPED_TRACE(std::string(row.method) + " " + row.path + " " + row.body);
    const HttpAnswer answer = Call(row.method, row.path, row.body);
    EXPECT_EQ(answer.status, row.status) << answer.body;
    EXPECT_EQ(Text(answer, "code"), row.code) << answer.body;
    EXPECT_NE(Text(answer, "message"), "") << answer.body;
    EXPECT_NE(Text(answer, "remedy"), "") << answer.body;
  }
  // A node that serves already is not given away.
  const HttpAnswer busy =
      Call("POST", kNamespaces, R"({"name":"other","nodes":[")" + taken + R"("]})");
  EXPECT_GE(busy.status, 400) << busy.body;
  EXPECT_NE(Text(busy, "remedy"), "") << busy.body;
  EXPECT_EQ(cluster_.Epoch(), 1U);
  const HttpAnswer list = Call("GET", kNamespaces);
  const auto namespaces = list.json.GetArray("namespaces");
  ASSERT_TRUE(namespaces.ok()) << list.body;
  EXPECT_EQ((*namespaces)->size(), 1U);
}

TEST_F(ConfigTest, ADeletedNamespaceIsServedByNobody) {
  ASSERT_EQ(cluster_.Start().ToString(), "ok");
  const std::string keys[] = {cluster_.KeyOn(0, "a"), cluster_.KeyOn(1, "b")};
  RespClient client = cluster_.proxy()->Connect();
  ASSERT_TRUE(cluster_.WaitServing(&client));

  EXPECT_EQ(Call("DELETE", kMain).status, 200);
  EXPECT_EQ(Call("GET", kMain).status, 404);

  for (size_t i = 0; i < 2; ++i) {
    const auto refuses = [&](RespClient* link) {
      return WaitUntil(10'000, [&] {
        const Result<Reply> reply = link->Do({"set", keys[i], "v"});
        return reply.ok() && reply->is_error() && reply->text.starts_with("CLUSTERDOWN ");
      });
    };
    EXPECT_TRUE(refuses(&client));
    RespClient direct = cluster_.node(i)->Connect();
    EXPECT_TRUE(refuses(&direct)) << direct.Ask({"get", keys[i]});
  }
  // The nodes are free for the next one, whose maps are newer than the old ones.
  const Result<HttpAnswer> again = cluster_.CreateNamespace();
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->status, 201) << again->body;
  EXPECT_TRUE(cluster_.WaitServing(&client));
  EXPECT_GT(cluster_.Epoch(), 1U);
}

TEST_F(ConfigTest, TheWrongNodeNamesTheRightOne) {
  ASSERT_EQ(cluster_.Start().ToString(), "ok");
  for (size_t i = 0; i < 2; ++i) {
    const std::string mine = cluster_.KeyOn(i, "k");
    const std::string others = cluster_.KeyOn(1 - i, "k");
    RespClient direct = cluster_.node(i)->Connect();
    EXPECT_TRUE(direct.Do({"set", mine, "v"})->is_ok());
    const std::string moved =
        "MOVED " + std::to_string(SlotOf(others)) + " " + cluster_.node(1 - i)->address();
    EXPECT_EQ(direct.Do({"set", others, "v"})->text, moved);
    EXPECT_EQ(direct.Do({"get", others})->text, moved);
    EXPECT_EQ(direct.Do({"mget", mine, others})->text, moved);
  }
}

ToolResult RunConfig(Words arguments) {
  arguments.insert(arguments.begin(), BinaryPath("kv_config"));
  Result<ToolResult> result = RunTool(std::move(arguments));
  EXPECT_TRUE(result.ok()) << result.status().ToString();
  return result.ok() ? *std::move(result) : ToolResult{.exit_code = -1, .output = {}};
}

TEST(ConfigProgramTest, ExitCodesSayWhatHappened) {
  const TempDir dir;
  const ToolResult version = RunConfig({"--version"});
  EXPECT_EQ(version.exit_code, 0);
  EXPECT_TRUE(version.output.starts_with("kv_config 1.0")) << version.output;
  const ToolResult help = RunConfig({"--help"});
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_NE(help.output.find("--cluster-secret-file"), std::string::npos) << help.output;
  const ToolResult mistake = RunConfig({"--no-such-option", "1"});
  EXPECT_NE(mistake.exit_code, 0);
  EXPECT_NE(mistake.output.find("no-such-option"), std::string::npos) << mistake.output;

  const std::string file = dir.Join("config.conf");
  const std::string data = dir.Join("data");
  ASSERT_TRUE(
      WriteFileAtomic(file, "dir " + data + "\ncluster-secret-file " + dir.Join("secret") + "\n")
          .ok());
  EXPECT_EQ(RunConfig({file, "--test-conf"}).exit_code, 0);
  EXPECT_NE(RunConfig({file, "--test-conf", "--port", "many"}).exit_code, 0);
  const ToolResult without = RunConfig({"--dir", data, "--test-conf"});
  EXPECT_NE(without.exit_code, 0);
  EXPECT_NE(without.output.find("cluster-secret-file"), std::string::npos) << without.output;
  EXPECT_FALSE(FileExists(data));
}

TEST(ConfigProgramTest, ASecretThatOthersCanReadIsRefused) {
  const TempDir dir;
  const std::string secret = dir.Join("secret");
  ASSERT_TRUE(WriteFileAtomic(secret, std::string(64, 'a'), 0600).ok());
  const Words options = {"--dir", dir.Join("data"),        "--port", "0", "--http-port",
                         "0",     "--cluster-secret-file", secret};
  for (const mode_t mode : {mode_t{0644}, mode_t{0640}, mode_t{0604}}) {
    ASSERT_EQ(::chmod(secret.c_str(), mode), 0);
    const ToolResult result = RunConfig(options);
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_NE(result.output.find("chmod 600"), std::string::npos) << result.output;
    EXPECT_EQ(result.output.find(std::string(64, 'a')), std::string::npos) << result.output;
  }
}

}  // namespace
}  // namespace kvs
