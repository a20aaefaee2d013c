// What the programs do with options, passwords, limits and mistakes of whoever starts them.

#include <gtest/gtest.h>

#include "common/base/file.h"
#include "test_all/harness/cluster.h"
#include "test_all/harness/wait.h"

namespace kvs {
namespace {

ToolResult RunKvs(const std::string& program, const Words& arguments) {
  Words argv = {BinaryPath(program)};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  Result<ToolResult> result = RunTool(argv);
  EXPECT_TRUE(result.ok()) << result.status().ToString();
  return result.ok() ? *std::move(result) : ToolResult{.exit_code = -1, .output = {}};
}

class ProgramTest : public testing::TestWithParam<const char*> {};

TEST_P(ProgramTest, HelpAndVersionEndWithZeroAndMistakesWithTwo) {
  const ToolResult version = RunKvs(GetParam(), {"--version"});
  EXPECT_EQ(version.exit_code, 0);
  EXPECT_NE(version.output.find("1.0"), std::string::npos) << version.output;
  const ToolResult help = RunKvs(GetParam(), {"--help"});
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_NE(help.output.find("usage:"), std::string::npos);
  const ToolResult mistake = RunKvs(GetParam(), {"--no-such-option", "1"});
  EXPECT_NE(mistake.exit_code, 0);
  EXPECT_NE(mistake.output.find("no-such-option"), std::string::npos) << mistake.output;
}

TEST_P(ProgramTest, AFileIsTestedWithoutServing) {
  if (std::string(GetParam()) == "test_all") {
    return;  // It takes no file.
  }
  const TempDir dir;
  ASSERT_TRUE(WriteFileAtomic(dir.Join("good.conf"),
                              "dir " + dir.Join("d") + "\nport 20001\nservers 127.0.0.1:1\n")
                  .ok());
  if (std::string(GetParam()) != "kv_proxy") {
    ASSERT_TRUE(
        WriteFileAtomic(dir.Join("good.conf"), "dir " + dir.Join("d") + "\nport 20001\n").ok());
  } else {
    ASSERT_TRUE(WriteFileAtomic(dir.Join("good.conf"), "servers 127.0.0.1:1\nport 20001\n").ok());
  }
  ASSERT_TRUE(WriteFileAtomic(dir.Join("bad.conf"), "# comment\nport many\n").ok());
  EXPECT_EQ(RunKvs(GetParam(), {dir.Join("good.conf"), "--test-conf"}).exit_code, 0);
  const ToolResult bad = RunKvs(GetParam(), {dir.Join("bad.conf"), "--test-conf"});
  EXPECT_EQ(bad.exit_code, 1);
  EXPECT_NE(bad.output.find("port"), std::string::npos) << bad.output;
  EXPECT_FALSE(FileExists(dir.Join("d")));
}

INSTANTIATE_TEST_SUITE_P(All, ProgramTest, testing::Values("kv_node", "kv_proxy", "test_all"),
                         [](const auto& program) { return std::string(program.param); });

TEST(OptionsTest, ASecondProcessOnADataDirectoryIsRefused) {
  const TempDir dir;
  const auto node = MakeNode(dir, "node");
  ASSERT_EQ(node->Start().ToString(), "ok");
  const ToolResult second =
      RunKvs("kv_node", {"--dir", dir.Join("node"), "--port", "0", "--http-port", "0"});
  EXPECT_EQ(second.exit_code, 1);
  EXPECT_NE(second.output.find(dir.Join("node")), std::string::npos) << second.output;
  EXPECT_EQ(node->Connect().Ask({"set", "k", "v"}), node->Connect().Ask({"set", "k", "v"}));
}

TEST(OptionsTest, ATakenPortIsNamed) {
  const TempDir dir;
  const auto node = MakeNode(dir, "node");
  ASSERT_EQ(node->Start().ToString(), "ok");
  const std::string port = std::to_string(node->port());
  for (const ToolResult& second :
       {RunKvs("kv_node", {"--dir", dir.Join("other"), "--port", port, "--http-port", "0"}),
        RunKvs("kv_proxy", {"--servers", "127.0.0.1:1", "--port", port, "--http-port", "0"})}) {
    EXPECT_EQ(second.exit_code, 1);
    EXPECT_NE(second.output.find(port), std::string::npos) << second.output;
  }
}

TEST(OptionsTest, ConfigIsReadChangedAndWrittenBack) {
  const TempDir dir;
  const uint16_t port = FreePort();
  const std::string file = dir.Join("node.conf");
  ASSERT_TRUE(WriteFileAtomic(file, "# my node\ndir " + dir.Join("data") + "\nport " +
                                        std::to_string(port) + "\nhttp-port 0\nmaxclients 50\n")
                  .ok());
  Server node("node", port, {BinaryPath("kv_node"), file}, dir.path());
  ASSERT_EQ(node.Start().ToString(), "ok");
  RespClient client = node.Connect();
  EXPECT_EQ(client.Do({"config", "get", "maxclients"})->elements[1].text, "50");
  EXPECT_TRUE(client.Do({"config", "set", "maxclients", "60", "timeout", "100"})->is_ok());
  EXPECT_TRUE(client.Do({"config", "set", "maxclients", "70", "timeout", "x"})->is_error());
  EXPECT_EQ(client.Do({"config", "get", "maxclients"})->elements[1].text, "60");
  EXPECT_TRUE(client.Do({"config", "rewrite"})->is_ok());
  EXPECT_TRUE(client.Do({"config", "resetstat"})->is_ok());

  const Result<std::string> written = ReadFile(file);
  ASSERT_TRUE(written.ok());
  EXPECT_NE(written->find("# my node\n"), std::string::npos) << *written;
  EXPECT_NE(written->find("maxclients 60\n"), std::string::npos) << *written;
  EXPECT_EQ(*node.Stop(), 0);
  ASSERT_EQ(node.Start().ToString(), "ok");
  EXPECT_EQ(node.Connect().Do({"config", "get", "maxclients"})->elements[1].text, "60");
}

TEST(OptionsTest, PasswordsAreAskedForAndGivenToTheNodes) {
  Cluster cluster(
      {.nodes = 2,
       .node_options = {"--requirepass", "node secret"},
       .proxy_options = {"--requirepass", "proxy secret", "--backend-auth", "node secret"}});
  ASSERT_EQ(cluster.Start().ToString(), "ok");
  for (Server* server : {cluster.node(0), cluster.proxy()}) {
    const std::string right = server == cluster.proxy() ? "proxy secret" : "node secret";
    RespClient client = server->Connect();
    EXPECT_EQ(client.Do({"get", "k"})->text, "NOAUTH Authentication required.");
    EXPECT_EQ(client.Do({"auth", "wrong"})->text,
              "WRONGPASS invalid username-password pair or user is disabled.");
    EXPECT_TRUE(client.Do({"get", "k"})->is_error());
    EXPECT_TRUE(client.Do({"auth", right})->is_ok());
    EXPECT_TRUE(WaitUntil(5000, [&] { return !client.Do({"get", "k"})->is_error(); }));
    RespClient hello = server->Connect();
    EXPECT_EQ(hello.Do({"hello", "3", "auth", "default", right})->type, Reply::Type::kMap);
    EXPECT_FALSE(hello.Do({"exists", "k"})->is_error());
  }
}

TEST(OptionsTest, AProxyWithTheWrongPasswordSaysSoToItsClients) {
  const TempDir dir;
  const auto node = MakeNode(dir, "node", {"--requirepass", "right"});
  const auto proxy =
      MakeProxy(dir, "proxy", {"--servers", node->address(), "--backend-auth", "wrong"});
  ASSERT_EQ(node->Start().ToString(), "ok");
  ASSERT_EQ(proxy->Start().ToString(), "ok");
  RespClient client = proxy->Connect();
  EXPECT_TRUE(WaitUntil(5000, [&] {
    return client.Do({"get", "k"})->text.find("backend-auth") != std::string::npos;
  })) << client.Do({"get", "k"})->text;
}

TEST(OptionsTest, DebugIsForWhomTheOptionNames) {
  for (const std::string who : {"no", "local", "yes"}) {
    const TempDir dir;
    const auto node = MakeNode(dir, "node", {"--enable-debug-command", who});
    ASSERT_EQ(node->Start().ToString(), "ok");
    RespClient client = node->Connect();
    const Result<Reply> reply = client.Do({"debug", "sleep", "0"});
    EXPECT_EQ(reply->is_ok(), who != "no") << reply->text;
    EXPECT_TRUE(client.Do({"config", "set", "enable-debug-command", "yes"})->is_error());
  }
}

TEST(OptionsTest, WithoutActiveExpiryKeysStayUntilItIsSwitchedOn) {
  const TempDir dir;
  const auto node = MakeNode(dir, "node", {"--enable-debug-command", "local"});
  ASSERT_EQ(node->Start().ToString(), "ok");
  RespClient client = node->Connect();
  ASSERT_TRUE(client.Do({"debug", "set-active-expire", "0"})->is_ok());
  ASSERT_TRUE(client.Do({"set", "k", "v", "px", "1"})->is_ok());
  ASSERT_TRUE(client.Do({"debug", "sleep", "0.5"})->is_ok());  // Some slices of the sweeper.
  const auto has_expired = [&client](const std::string& count) {
    const std::string field = "expired_keys:" + count + "\r\n";
    return client.Do({"info", "stats"})->text.find(field) != std::string::npos;
  };
  EXPECT_TRUE(has_expired("0"));
  ASSERT_TRUE(client.Do({"debug", "set-active-expire", "1"})->is_ok());
  EXPECT_TRUE(WaitUntil(5000, [&] { return has_expired("1"); }));
}

TEST(OptionsTest, OneClientTooManyIsToldAndClosed) {
  Cluster cluster({.nodes = 1, .node_options = {}, .proxy_options = {"--maxclients", "5"}});
  ASSERT_EQ(cluster.Start().ToString(), "ok");
  const uint16_t port = cluster.proxy()->port();
  std::vector<RespClient> clients;
  // Connections of the start may still be on their way out.
  ASSERT_TRUE(WaitUntil(5000, [&] {
    clients.clear();
    for (int i = 0; i < 5; ++i) {
      Result<RespClient> client = RespClient::Connect(port);
      if (!client.ok() || !client->Do({"ping"}).ok()) {
        return false;
      }
      clients.push_back(*std::move(client));
    }
    return true;
  }));
  Result<RespClient> surplus = RespClient::Connect(port);
  ASSERT_TRUE(surplus.ok());
  const Result<std::string> reply = surplus->ReadFrame();
  ASSERT_TRUE(reply.ok()) << reply.status().ToString();
  EXPECT_EQ(*reply, "-ERR max number of clients reached\r\n");
  EXPECT_EQ(surplus->ReadFrame().status().code(), Code::kUnavailable);
  EXPECT_TRUE(clients[0].Do({"ping"}).ok());
}

}  // namespace
}  // namespace kvs
