// What operators do to the connections of a running node and proxy, and what they are told.

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "common/base/file.h"
#include "test_all/harness/cluster.h"
#include "test_all/harness/wait.h"

namespace kvs {
namespace {

// Long enough that a reply that is due would be there.
constexpr int64_t kQuietMs = 50;

// Runs a test against a node and against the proxy before it.
class ServiceTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override { ASSERT_EQ(cluster_.Start().ToString(), "ok"); }
  Server* server() {
    return std::string(GetParam()) == "node" ? cluster_.node(0) : cluster_.proxy();
  }
  RespClient Connect() { return server()->Connect(); }

  Cluster cluster_{{.nodes = 1, .node_options = {"--io-threads", "2"}}};
};

TEST_P(ServiceTest, APauseHoldsWritesUntilItIsEnded) {
  RespClient admin = Connect();
  RespClient writer = Connect();
  EXPECT_EQ(admin.Ask({"client", "pause", "100000", "write"}), "OK");
  ASSERT_TRUE(writer
                  .Send(EncodeWords({"get", "k"}) + EncodeWords({"set", "k", "v"}) +
                        EncodeWords({"get", "k"}))
                  .ok());
  bool closed = false;
  EXPECT_EQ(writer.ReadUntilQuiet(kQuietMs, &closed), "$-1\r\n");
  EXPECT_FALSE(closed);
  EXPECT_EQ(admin.Ask({"get", "k"}), "null");
  EXPECT_EQ(admin.Ask({"client", "unpause"}), "OK");
  EXPECT_EQ(*writer.ReadFrame(), "+OK\r\n");
  EXPECT_EQ(*writer.ReadFrame(), "$1\r\nv\r\n");
}

TEST_P(ServiceTest, APauseOfAllEndsByItself) {
  RespClient client = Connect();
  EXPECT_EQ(client.Ask({"client", "pause", "200"}), "OK");
  const int64_t start = NowMillis();
  EXPECT_EQ(client.Ask({"ping"}), "PONG");
  EXPECT_GE(NowMillis() - start, 150);
}

TEST_P(ServiceTest, TheListCountsWhatEachClientDid) {
  RespClient admin = Connect();
  RespClient client = Connect();
  const std::string set = EncodeWords({"set", "k", "value"});
  const std::string get = EncodeWords({"get", "k"});
  ASSERT_TRUE(client.Pipeline(set + get + get, 3).ok());
  const std::string id = EncodeWords({"client", "id"});
  ASSERT_TRUE(client.Send(id).ok());
  const Result<std::string> number = client.ReadFrame();
  ASSERT_TRUE(number.ok());
  const size_t in = set.size() + 2 * get.size() + id.size();
  const size_t out = std::string("+OK\r\n$5\r\nvalue\r\n$5\r\nvalue\r\n").size() + number->size();
  const std::string wanted =
      " tot-net-in=" + std::to_string(in) + " tot-net-out=" + std::to_string(out) + " tot-cmds=4\n";
  std::string line;
  // What was sent is counted when it is gone, perhaps by another loop than the one that answers.
  EXPECT_TRUE(WaitUntil(
      5000,
      [&] {
        line = admin.Do({"client", "list", "id", number->substr(1, number->size() - 3)})->text;
        return line.ends_with(wanted);
      }))
      << line << "wanted" << wanted;
}

TEST_P(ServiceTest, TheHottestKeyIsNamed) {
  RespClient client = Connect();
  std::string bytes;
  for (int i = 0; i < 4000; ++i) {
    bytes += EncodeWords({"get", i % 2 == 0 ? "hot" : "key:" + std::to_string(i)});
  }
  ASSERT_TRUE(client.Pipeline(bytes, 4000).ok());
  const Result<Reply> top = client.Do({"hotkeys", "get", "1"});
  ASSERT_TRUE(top.ok());
  ASSERT_EQ(top->elements.size(), 1U);
  EXPECT_EQ(top->elements[0].elements[0].text, "hot");
  EXPECT_GT(top->elements[0].elements[1].integer, 0);
  EXPECT_EQ(client.Ask({"hotkeys", "reset"}), "OK");
  EXPECT_EQ(client.Do({"hotkeys", "get"})->elements.size(), 0U);
}

TEST_P(ServiceTest, AKilledConnectionIsClosed) {
  RespClient admin = Connect();
  for (int i = 0; i < 8; ++i) {  // On every loop.
    RespClient victim = Connect();
    const std::string id = std::to_string(victim.Do({"client", "id"})->integer);
    EXPECT_EQ(admin.Ask({"client", "kill", "id", id}), "1");
    EXPECT_EQ(admin.Ask({"client", "list", "id", id}), "\"\"");
    bool closed = false;
    EXPECT_EQ(victim.ReadUntilQuiet(5000, &closed), "");
    EXPECT_TRUE(closed);
  }
  EXPECT_EQ(admin.Ask({"client", "kill", "type", "normal", "skipme", "no", "id",
                       std::to_string(admin.Do({"client", "id"})->integer)}),
            "1");
  bool closed = false;
  EXPECT_EQ(admin.ReadUntilQuiet(5000, &closed), "");
  EXPECT_TRUE(closed);
}

TEST_P(ServiceTest, RepliesThatNobodyWantsAreDropped) {
  RespClient client = Connect();
  std::string bytes = EncodeWords({"client", "reply", "off"});
  for (int i = 0; i < 1000; ++i) {
    bytes += EncodeWords({"incr", "n"}) + EncodeWords({"nosuch"}) + EncodeWords({"ping"});
  }
  bytes += EncodeWords({"client", "reply", "on"}) + EncodeWords({"get", "n"}) +
           EncodeWords({"client", "reply", "skip"}) + EncodeWords({"incr", "n"}) +
           EncodeWords({"get", "n"});
  const auto replies = client.Pipeline(bytes, 3);
  ASSERT_TRUE(replies.ok()) << replies.status().ToString();
  EXPECT_EQ(*replies, (Words{"+OK\r\n", "$4\r\n1000\r\n", "$4\r\n1001\r\n"}));
  EXPECT_EQ(client.Ask({"ping"}), "PONG");
}

TEST_P(ServiceTest, MonitorsSeeTheCommandsOfEveryLoop) {
  RespClient monitor = Connect();
  EXPECT_EQ(monitor.Ask({"monitor"}), "OK");
  for (int i = 0; i < 8; ++i) {
    const std::string value = "v" + std::to_string(i);
    EXPECT_EQ(Connect().Ask({"echo", value}), "\"" + value + "\"");
    std::string line;
    do {  // Others ask as well: the proxy, and whoever looks whether a server is there.
      const Result<std::string> frame = monitor.ReadFrame();
      ASSERT_TRUE(frame.ok()) << frame.status().ToString();
      line = *frame;
    } while (line.find("\"echo\"") == std::string::npos);
    EXPECT_NE(line.find(" [0 127.0.0.1:"), std::string::npos) << line;
    EXPECT_TRUE(line.ends_with("] \"echo\" \"" + value + "\"\r\n")) << line;
  }
}

TEST_P(ServiceTest, ShutdownStopsTheProcess) {
  RespClient client = Connect();
  EXPECT_EQ(client.Ask({"set", "k", "v"}), "OK");
  ASSERT_TRUE(client.Send(EncodeWords({"shutdown"})).ok());
  bool closed = false;
  EXPECT_EQ(client.ReadUntilQuiet(20'000, &closed), "");
  EXPECT_TRUE(closed);
  EXPECT_EQ(*server()->process()->Wait(20'000), 0);
  ASSERT_EQ(server()->Start().ToString(), "ok");
  ASSERT_TRUE(cluster_.WaitServing());
  EXPECT_EQ(Connect().Ask({"get", "k"}), "\"v\"");
}

TEST_P(ServiceTest, LatencyIsCountedByCommand) {
  RespClient client = Connect();
  EXPECT_EQ(client.Ask({"config", "resetstat"}), "OK");
  EXPECT_EQ(client.Ask({"set", "k", "v"}), "OK");
  EXPECT_EQ(client.Ask({"set", "k", "v"}), "OK");
  const Result<Reply> reply = client.Do({"latency", "histogram", "set"});
  ASSERT_TRUE(reply.ok() && reply->elements.size() == 2) << reply->ToString();
  EXPECT_EQ(reply->elements[0].text, "set");
  EXPECT_EQ(reply->elements[1].elements[1].integer, 2);
  EXPECT_EQ(reply->elements[1].elements[3].elements.back().integer, 2);
}

INSTANTIATE_TEST_SUITE_P(All, ServiceTest, testing::Values("node", "proxy"),
                         [](const auto& program) { return std::string(program.param); });

// Returns the stages of the latest entry in the slow log.
Reply LatestStages(RespClient* client) {
  Result<Reply> reply = client->Do({"slowlog", "stages", "1"});
  if (!reply.ok() || reply->elements.size() != 1 || reply->elements[0].elements.size() != 2) {
    ADD_FAILURE() << "no entry";
    return {};
  }
  return reply->elements[0].elements[1];
}

int64_t StageOf(const Reply& stages, const std::string& name) {
  for (size_t i = 0; i + 1 < stages.elements.size(); i += 2) {
    if (stages.elements[i].text == name) {
      return stages.elements[i + 1].integer;
    }
  }
  return -1;
}

TEST(SlowLogTest, TheTimeOfTheLogIsAStage) {
  Cluster cluster({.nodes = 1, .node_options = {"--binlog-sync", "always"}});
  ASSERT_EQ(cluster.Start().ToString(), "ok");
  RespClient node = cluster.node(0)->Connect();
  ASSERT_EQ(node.Ask({"config", "set", "slowlog-log-slower-than", "0"}), "OK");
  ASSERT_EQ(node.Ask({"set", "k", "v"}), "OK");
  const Reply write = LatestStages(&node);
  EXPECT_GT(StageOf(write, "commit"), 0) << write.ToString();
  EXPECT_GT(StageOf(write, "fsync"), 0) << write.ToString();
  EXPECT_EQ(StageOf(write, "node"), 0) << write.ToString();
  ASSERT_EQ(node.Ask({"get", "k"}), "\"v\"");
  const Reply read = LatestStages(&node);
  EXPECT_EQ(StageOf(read, "commit"), 0) << read.ToString();
  EXPECT_EQ(StageOf(read, "fsync"), 0) << read.ToString();

  RespClient proxy = cluster.proxy()->Connect();
  ASSERT_EQ(proxy.Ask({"config", "set", "slowlog-log-slower-than", "0"}), "OK");
  // The first request of a loop to a node also waits for the greeting, which is another stage.
  ASSERT_EQ(proxy.Ask({"set", "k", "v"}), "OK");
  ASSERT_EQ(proxy.Ask({"set", "k", "v"}), "OK");
  EXPECT_GT(StageOf(LatestStages(&proxy), "node"), 0);
}

TEST(ConnectTest, AUnixSocketIsServedAndRemoved) {
  Cluster cluster({.nodes = 0});
  const std::string path = cluster.dir().Join("s");
  auto node = MakeNode(cluster.dir(), "n", {"--unixsocket", path, "--unixsocketperm", "600"});
  ASSERT_EQ(node->Start().ToString(), "ok");
  struct stat info = {};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777u, 0600u);
  const Result<ToolResult> list = RunTool({"redis-cli", "-s", path, "client", "list"});
  ASSERT_TRUE(list.ok()) << list.status().ToString();
  EXPECT_NE(list->output.find("addr=" + path + ":0 laddr=" + path + ":0 "), std::string::npos)
      << list->output;
  EXPECT_NE(list->output.find(" flags=U "), std::string::npos) << list->output;
  EXPECT_EQ(*node->Stop(), 0);
  EXPECT_NE(::stat(path.c_str(), &info), 0);
}

TEST(ConnectTest, PermissionsThatAreNotOctalAreRefused) {
  const TempDir dir;
  const Result<ToolResult> refused =
      RunTool({BinaryPath("kv_node"), "--dir", dir.Join("d"), "--unixsocketperm", "688"});
  ASSERT_TRUE(refused.ok());
  EXPECT_NE(refused->exit_code, 0);
  EXPECT_NE(refused->output.find("octal"), std::string::npos) << refused->output;
}

TEST(RenameTest, CommandsHaveTheirNewNames) {
  Cluster cluster({.nodes = 2, .proxy_options = {"--rename-command", "flushall=wipe,keys="}});
  ASSERT_EQ(cluster.Start().ToString(), "ok");
  RespClient client = cluster.proxy()->Connect();
  EXPECT_EQ(client.Ask({"set", "k", "v"}), "OK");
  EXPECT_EQ(client.Ask({"flushall"}),
            "(error) \"ERR unknown command 'flushall', with args beginning with: \"");
  EXPECT_EQ(client.Ask({"keys", "*"}),
            "(error) \"ERR unknown command 'keys', with args beginning with: '*' \"");
  EXPECT_EQ(client.Ask({"get", "k"}), "\"v\"");
  EXPECT_EQ(client.Ask({"WIPE"}), "OK");
  EXPECT_EQ(client.Ask({"get", "k"}), "null");
}

TEST(RenameTest, ANodeRenamesAsTheFileOfRedisSaysIt) {
  const TempDir dir;
  const uint16_t port = FreePort();
  const std::string file = dir.Join("node.conf");
  ASSERT_TRUE(WriteFileAtomic(file, "dir " + dir.Join("data") + "\nport " + std::to_string(port) +
                                        "\nhttp-port 0\nrename-command CONFIG \"\"\n" +
                                        "rename-command get fetch\n")
                  .ok());
  Server node("node", port, {BinaryPath("kv_node"), file}, dir.path());
  ASSERT_EQ(node.Start().ToString(), "ok");
  RespClient client = node.Connect();
  EXPECT_EQ(client.Ask({"config", "get", "port"}),
            "(error) \"ERR unknown command 'config', with args beginning with: 'get' 'port' \"");
  EXPECT_EQ(client.Ask({"set", "k", "v"}), "OK");
  EXPECT_EQ(client.Ask({"get", "k"}),
            "(error) \"ERR unknown command 'get', with args beginning with: 'k' \"");
  EXPECT_EQ(client.Ask({"fetch", "k"}), "\"v\"");
}

}  // namespace
}  // namespace kvs
