#include "common/service/connection_commands.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace kvs {
namespace {

struct NoOptions {};

class ConnectionCommandsTest : public testing::Test {
 protected:
  ConnectionCommandsTest()
      : store_(rows_, {}, "", [](const NoOptions&) { return Status::Ok(); }, {{"save", ""}}),
        metrics_("kvs_test_", {}, {}) {
    service_.config = &store_;
    service_.acl = &acl_;
    service_.clients = &clients_;
    service_.metrics = &metrics_;
    service_.clock = &clock_;
    service_.pause = &pause_;
    service_.diagnostics = &diagnostics_;
    service_.info_sections = [] {
      std::vector<InfoSection> sections;
      sections.push_back(std::move(InfoSection("Server").Add("redis_version", "7.2.4")));
      sections.push_back(std::move(InfoSection("Extra", false).Add("x", 1)));
      return sections;
    };
    client_.info = clients_.Add(-1, 0);
    client_.authenticated = true;
  }

  std::string Run(const std::vector<std::string_view>& args) {
    const CommandSpec* spec = ResolveCommand(args);
    if (spec == nullptr) {
      return CommandError(args);
    }
    std::string out;
    AnswerConnectionCommand(*spec, args, &service_, &client_, &out, &muted_);
    return out;
  }

  const std::vector<OptionRow> rows_;
  ConfigStore<NoOptions> store_;
  MetricRegistry metrics_;
  ClientRegistry clients_;
  ManualClock clock_;
  AclStore acl_;
  ServiceContext service_;
  ClientPause pause_;
  Diagnostics diagnostics_;
  bool muted_ = false;
  ClientState client_;
};

TEST_F(ConnectionCommandsTest, SmallOnesAnswerAsRedisDoes) {
  EXPECT_EQ(Run({"ping"}), "+PONG\r\n");
  EXPECT_EQ(Run({"PING", "hi"}), "$2\r\nhi\r\n");
  EXPECT_EQ(Run({"ping", "a", "b"}), "-ERR wrong number of arguments for 'ping' command\r\n");
  EXPECT_EQ(Run({"echo", "x"}), "$1\r\nx\r\n");
  EXPECT_EQ(Run({"select", "0"}), "+OK\r\n");
  EXPECT_EQ(Run({"select", "1"}), "-ERR DB index is out of range\r\n");
  EXPECT_EQ(Run({"select", "x"}), "-ERR value is not an integer or out of range\r\n");
  EXPECT_EQ(Run({"time"}), "*2\r\n$10\r\n1700000000\r\n$1\r\n0\r\n");
  EXPECT_EQ(Run({"quit"}), "+OK\r\n");
  EXPECT_TRUE(client_.close_after_reply);
}

TEST_F(ConnectionCommandsTest, LolwutTellsTheVersionWhateverItIsAskedFor) {
  const std::string version = "$17\r\nRedis ver. 7.2.4\n\r\n";
  EXPECT_EQ(Run({"lolwut"}), version);
  EXPECT_EQ(Run({"LOLWUT", "VERSION", "5", "40"}), version);
  EXPECT_EQ(Run({"lolwut", "version", "x"}), "-ERR value is not an integer or out of range\r\n");
  client_.protocol = 3;
  EXPECT_EQ(Run({"lolwut"}), "=21\r\ntxt:Redis ver. 7.2.4\n\r\n");
}

TEST_F(ConnectionCommandsTest, MemoryTellsOfTheProcessAndOfThePartsItKnows) {
  EXPECT_EQ(Run({"memory", "stats"}).substr(0, 5), "*30\r\n");
  service_.memory_parts = [] { return std::vector<MemoryPart>{{"cache", 3 << 20}}; };
  EXPECT_EQ(Run({"memory", "stats"}).substr(0, 5), "*32\r\n");
  EXPECT_NE(Run({"memory", "doctor"}).find("cache: 3.0 MiB."), std::string::npos);
  EXPECT_EQ(Run({"memory", "purge"}), "+OK\r\n");
  EXPECT_EQ(Run({"memory", "malloc-stats"})[0], '$');
  EXPECT_NE(Run({"memory", "help"}).find("+USAGE key [SAMPLES count]\r\n"), std::string::npos);
  EXPECT_NE(Run({"object", "help"}).find("+IDLETIME key\r\n"), std::string::npos);
}

TEST_F(ConnectionCommandsTest, HelloSwitchesTheProtocolAndNamesTheServer) {
  EXPECT_EQ(Run({"hello", "3", "setname", "me"}),
            "%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.2.4\r\n"
            "$5\r\nproto\r\n:3\r\n$2\r\nid\r\n:1\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n"
            "$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n");
  EXPECT_EQ(client_.protocol, 3);
  EXPECT_EQ(client_.info->name(), "me");
  EXPECT_EQ(Run({"hello", "4"}), "-NOPROTO unsupported protocol version\r\n");
  EXPECT_EQ(Run({"hello", "x"}), "-ERR Protocol version is not an integer or out of range\r\n");
  EXPECT_EQ(Run({"hello", "2", "what"}), "-ERR Syntax error in HELLO option 'what'\r\n");
  EXPECT_EQ(client_.protocol, 3);
}

TEST_F(ConnectionCommandsTest, APasswordIsAskedForAndCompared) {
  EXPECT_EQ(Run({"auth", "x"}).substr(0, 20), "-ERR AUTH <password>");
  acl_.SetDefaultPassword("secret");
  client_.authenticated = false;
  EXPECT_EQ(Run({"auth", "wrong"}),
            "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
  EXPECT_EQ(Run({"auth", "somebody", "secret"}),
            "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
  EXPECT_EQ(Run({"hello", "3"}).substr(0, 13), "-NOAUTH HELLO");
  EXPECT_FALSE(client_.authenticated);
  EXPECT_EQ(Run({"hello", "2", "auth", "default", "secret"}).substr(0, 4), "*14\r");
  EXPECT_TRUE(client_.authenticated);
  EXPECT_EQ(Run({"reset"}), "+RESET\r\n");
  EXPECT_FALSE(client_.authenticated);
}

TEST_F(ConnectionCommandsTest, ClientKnowsItself) {
  EXPECT_EQ(Run({"client", "id"}), ":1\r\n");
  EXPECT_EQ(Run({"client", "getname"}), "$-1\r\n");
  EXPECT_EQ(Run({"client", "setname", "a b"}),
            "-ERR Client names cannot contain spaces, newlines or special characters.\r\n");
  EXPECT_EQ(Run({"client", "setname", "worker"}), "+OK\r\n");
  EXPECT_EQ(Run({"client", "getname"}), "$6\r\nworker\r\n");
  EXPECT_EQ(Run({"client", "setinfo", "lib-name", "redis-py"}), "+OK\r\n");
  EXPECT_EQ(Run({"client", "setinfo", "lib-what", "x"}), "-ERR Unrecognized option 'lib-what'\r\n");
  EXPECT_NE(Run({"client", "list"}).find("name=worker"), std::string::npos);
  EXPECT_NE(Run({"client", "info"}).find("lib-name=redis-py"), std::string::npos);
  EXPECT_EQ(Run({"client", "list", "id", "0"}), "$0\r\n\r\n");
  EXPECT_EQ(Run({"client", "list", "id", "99"}), "$0\r\n\r\n");
  EXPECT_EQ(Run({"client", "list", "type", "alien"}), "-ERR Unknown client type 'alien'\r\n");
}

TEST_F(ConnectionCommandsTest, ConfigShowsAndRefuses) {
  EXPECT_EQ(Run({"config", "get", "s*"}), "*2\r\n$4\r\nsave\r\n$0\r\n\r\n");
  EXPECT_EQ(Run({"config", "set", "nope", "1"}),
            "-ERR Unknown option or number of arguments for CONFIG SET - 'nope'\r\n");
  EXPECT_EQ(Run({"config", "rewrite"}), "-ERR The server is running without a config file\r\n");
  EXPECT_EQ(Run({"config", "resetstat"}), "+OK\r\n");
}

TEST_F(ConnectionCommandsTest, InfoShowsTheSectionsThatAreAskedFor) {
  EXPECT_EQ(Run({"info"}), "$31\r\n# Server\r\nredis_version:7.2.4\r\n\r\n");
  EXPECT_EQ(Run({"info", "EXTRA"}), "$14\r\n# Extra\r\nx:1\r\n\r\n");
  EXPECT_NE(Run({"info", "all"}).find("# Extra"), std::string::npos);
  EXPECT_EQ(Run({"info", "nonsense"}), "$0\r\n\r\n");
}

}  // namespace
}  // namespace kvs
