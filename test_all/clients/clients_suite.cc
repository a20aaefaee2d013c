// Client libraries that users have, unmodified and with their defaults: redis-py, ioredis and
// node-redis, plain and in cluster mode, against proxies and nodes.
//
// The programs beside this file talk and compare; here are the clusters that they talk to.

#include <gtest/gtest.h>

#include <algorithm>
#include <charconv>
#include <functional>

#include "common/base/file.h"
#include "test_all/harness/config_cluster.h"
#include "test_all/harness/settings.h"
#include "test_all/harness/wait.h"

namespace kvs {
namespace {

constexpr int64_t kTimeoutMs = 120'000;
constexpr const char* kPassword = "a-password";

struct Library {
  const char* name;
  const char* program;
  bool is_python;
};

void PrintTo(const Library& library, std::ostream* out) {
  *out << library.name;
}

// Debian's modules belong to Debian's python, whatever else `python3` may be.
Words CommandOf(const Library& library, const Words& arguments) {
  Words words = {library.is_python ? "/usr/bin/python3" : KVS_CLIENT_MODULES "/node",
                 std::string(KVS_CLIENT_PROGRAMS "/") + library.program};
  words.insert(words.end(), arguments.begin(), arguments.end());
  return words;
}

Words Environment() {
  return {"KVS_CLIENT_MODULES=" KVS_CLIENT_MODULES, "PYTHONDONTWRITEBYTECODE=1"};
}

// Whether a program ended well, having compared at least something.
testing::AssertionResult EndedWell(int exit_code, const std::string& output) {
  const size_t end = output.rfind(" values compared\n");
  const size_t start = end == std::string::npos ? end : output.rfind('\n', end);
  int compared = 0;
  if (end != std::string::npos) {
    const char* const from = output.data() + (start == std::string::npos ? 0 : start + 1);
    std::from_chars(from, output.data() + end, compared);
  }
  return exit_code == 0 && compared > 0
             ? testing::AssertionSuccess()
             : testing::AssertionFailure() << "exit code " << exit_code << ": " << output;
}

std::string PortOf(const Server& server) {
  return std::to_string(server.port());
}

class ClientsTest : public testing::TestWithParam<Library> {
 protected:
  void SetUp() override {
    ASSERT_TRUE(FileExists(KVS_CLIENT_MODULES "/node"))
        << "the clients are not installed: run ./build.sh deps";
  }

  // Runs the program to its end.
  testing::AssertionResult Passes(const Words& arguments) {
    const Result<ToolResult> result =
        RunTool(CommandOf(GetParam(), arguments), kTimeoutMs, Environment());
    if (!result.ok()) {
      return testing::AssertionFailure() << result.status().ToString();
    }
    return EndedWell(result->exit_code, result->output);
  }

  // Runs the program, calls `meanwhile` when it says that it is being served, and waits for its
  // end.
  testing::AssertionResult PassesWhile(const TempDir& dir, const Words& arguments,
                                       const std::function<void()>& meanwhile) {
    Result<std::unique_ptr<Process>> program =
        Process::Start({.argv = CommandOf(GetParam(), arguments),
                        .output_file = dir.Join("client-" + std::to_string(++programs_)),
                        .working_dir = {},
                        .env = Environment()});
    if (!program.ok()) {
      return testing::AssertionFailure() << program.status().ToString();
    }
    Process* const process = program->get();
    const auto is_served = [&] { return process->Output().find("serving\n") != std::string::npos; };
    if (!WaitUntil(30'000, [&] { return is_served() || !process->Running(); }) || !is_served()) {
      return testing::AssertionFailure() << "it never was served: " << process->Output();
    }
    meanwhile();
    const Result<int> exit_code = process->Wait(kTimeoutMs);
    return exit_code.ok() ? EndedWell(*exit_code, process->Output())
                          : testing::AssertionFailure() << "it hangs: " << process->Output();
  }

  // Each slot, or fewer in a short run.
  static std::string SlotStep() { return std::to_string(Loops(1, 16)); }

  int programs_ = 0;
};

TEST_P(ClientsTest, UsesAProxyOrANodeAsOneServer) {
  Cluster cluster({.nodes = 2, .node_options = {}, .proxy_options = {}});
  ASSERT_EQ(cluster.Start().ToString(), "ok");
  EXPECT_TRUE(Passes({"plain", PortOf(*cluster.proxy()), "client:"}));
  EXPECT_TRUE(Passes({"plain", PortOf(*cluster.node(0)), "client:"}));
}

TEST_P(ClientsTest, UsesAProxyAsAClusterOfOne) {
  Cluster cluster({.nodes = 2, .node_options = {}, .proxy_options = {}});
  ASSERT_EQ(cluster.Start().ToString(), "ok");
  EXPECT_TRUE(Passes({"cluster", PortOf(*cluster.proxy()), "1", SlotStep()}));
}

TEST_P(ClientsTest, FindsTheNodesOfACluster) {
  ConfigCluster cluster(3);
  ASSERT_EQ(cluster.Start().ToString(), "ok");
  EXPECT_TRUE(Passes({"cluster", PortOf(*cluster.node(1)), "3", SlotStep()}));
  // A client that knows nothing of clusters can use what one node has.
  EXPECT_TRUE(Passes({"plain", PortOf(*cluster.node(0)), "{" + cluster.KeyOn(0, "tag") + "}"}));
}

TEST_P(ClientsTest, FindsTheProxiesThatShareTheSlots) {
  ConfigCluster cluster(3);
  ASSERT_EQ(cluster.Start().ToString(), "ok");
  std::vector<std::unique_ptr<Server>> peers;
  for (const char* name : {"peer-1", "peer-2"}) {
    Words options = cluster.JoinOptions(cluster.secret_file());
    options.insert(options.end(), {"--cluster-emulation", "peers"});
    peers.push_back(MakeProxy(cluster.dir(), name, options));
    ASSERT_EQ(peers.back()->Start().ToString(), "ok");
  }
  // The proxy of the harness is a member too: it is stopped, to have two that share.
  ASSERT_EQ(*cluster.proxy()->Stop(), 0);
  ASSERT_TRUE(WaitUntil(15'000, [&] {
    return std::all_of(peers.begin(), peers.end(), [](const auto& peer) {
      RespClient client = peer->Connect();
      return client.Do({"cluster", "slots"})->elements.size() == 2 &&
             !client.Do({"dbsize"})->is_error();
    });
  }));

  EXPECT_TRUE(Passes({"cluster", PortOf(*peers[0]), "2", SlotStep()}));
  EXPECT_TRUE(Passes({"plain", PortOf(*peers[1]), "client:"}));
}

TEST_P(ClientsTest, IsServedWithThePasswordOnly) {
  Cluster cluster({.nodes = 2,
                   .node_options = {"--requirepass", kPassword},
                   .proxy_options = {"--requirepass", kPassword, "--backend-auth", kPassword}});
  ASSERT_EQ(cluster.Start().ToString(), "ok");
  EXPECT_TRUE(Passes({"password", PortOf(*cluster.proxy()), kPassword}));
  EXPECT_TRUE(Passes({"password", PortOf(*cluster.node(0)), kPassword}));
}

TEST_P(ClientsTest, ComesBackAfterARestart) {
  Cluster cluster({.nodes = 2, .node_options = {}, .proxy_options = {}});
  ASSERT_EQ(cluster.Start().ToString(), "ok");
  for (Server* server : {cluster.proxy(), cluster.node(0)}) {
    const auto stop = [server] { EXPECT_EQ(*server->Stop(), 0); };
    for (const std::function<void()>& end :
         {std::function<void()>(stop), std::function<void()>([server] { server->Kill(); })}) {
      EXPECT_TRUE(PassesWhile(cluster.dir(), {"restart", PortOf(*server), "client:"}, [&] {
        end();
        ASSERT_EQ(server->Start().ToString(), "ok");
      }));
    }
  }
}

TEST_P(ClientsTest, SeesNoErrorWhenAnotherProxyTakesOver) {
  Cluster cluster({.nodes = 2, .node_options = {}, .proxy_options = {}});
  const Words takeover = {"--takeover-socket", cluster.dir().Join("takeover"), "--shutdown-timeout",
                          "3s"};
  Words* const arguments = cluster.proxy()->arguments();
  arguments->insert(arguments->end(), takeover.begin(), takeover.end());
  ASSERT_EQ(cluster.Start().ToString(), "ok");
  Server successor("successor", cluster.proxy()->port(), *arguments, cluster.dir().path());
  EXPECT_TRUE(PassesWhile(cluster.dir(), {"handover", PortOf(*cluster.proxy()), "client:"}, [&] {
    ASSERT_EQ(successor.Launch().ToString(), "ok");
    EXPECT_EQ(*cluster.proxy()->process()->Wait(60'000), 0);
  }));
}

INSTANTIATE_TEST_SUITE_P(Libraries, ClientsTest,
                         testing::Values(Library{"RedisPy", "redis_py.py", true},
                                         Library{"Ioredis", "ioredis.mjs", false},
                                         Library{"NodeRedis", "node_redis.mjs", false}),
                         [](const testing::TestParamInfo<Library>& library) {
                           return library.param.name;
                         });

}  // namespace
}  // namespace kvs
