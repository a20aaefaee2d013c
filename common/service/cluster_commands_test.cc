#include <gtest/gtest.h>

#include "common/service/connection_commands.h"

namespace kvs {
namespace {

class ClusterCommandsTest : public testing::Test {
 protected:
  ClusterCommandsTest() {
    service_.acl = &acl_;
    service_.clients = &clients_;
    service_.clock = &clock_;
    service_.diagnostics = &diagnostics_;
    client_.info = clients_.Add(-1, 0);
    client_.authenticated = true;
    SlotMapParts parts;
    parts.name = "main";
    parts.epoch = 3;
    parts.shards.push_back({.id = "s1",
                            .master = {master_, {"10.0.0.1", 6371}},
                            .slaves = {{slave_, {"10.0.0.2", 6371}}},
                            .slots = {{0, 16383}}});
    service_.cluster = ClusterView::OfNode(master_, *SlotMap::Build(parts));
  }

  std::string Run(const std::vector<std::string_view>& args) {
    const CommandSpec* spec = ResolveCommand(args);
    if (spec == nullptr) {
      return CommandError(args);
    }
    if (NeedsCluster(*spec, service_)) {
      return std::string(kClusterDisabledError);
    }
    std::string out;
    bool muted = false;
    AnswerConnectionCommand(*spec, args, &service_, &client_, &out, &muted);
    return out;
  }

  const std::string master_ = std::string(kNodeIdSize, 'a');
  const std::string slave_ = std::string(kNodeIdSize, 'b');
  ClientRegistry clients_;
  ManualClock clock_;
  Diagnostics diagnostics_;
  AclStore acl_;
  ServiceContext service_;
  ClientState client_;
};

TEST_F(ClusterCommandsTest, WithoutAClusterAllAreRefusedInRedisWords) {
  service_.cluster = nullptr;
  for (const std::vector<std::string_view>& args :
       {std::vector<std::string_view>{"cluster", "info"},
        {"CLUSTER", "KEYSLOT", "a"},
        {"readonly"},
        {"READWRITE"},
        {"asking"},
        {"cluster", "countkeysinslot", "1"}}) {
    EXPECT_EQ(Run(args), "ERR This instance has cluster support disabled");
  }
  EXPECT_EQ(Run({"cluster"}), "ERR wrong number of arguments for 'cluster' command");
  EXPECT_EQ(Run({"cluster", "nosuch"}), "ERR unknown subcommand 'nosuch'. Try CLUSTER HELP.");
}

TEST_F(ClusterCommandsTest, EachSubcommandGivesItsPartOfTheView) {
  EXPECT_EQ(Run({"cluster", "keyslot", "{user1000}.following"}), ":3443\r\n");
  EXPECT_EQ(Run({"cluster", "myid"}), "$40\r\n" + master_ + "\r\n");
  EXPECT_TRUE(Run({"cluster", "myshardid"}).starts_with("$40\r\n"));
  EXPECT_EQ(Run({"cluster", "links"}), "*0\r\n");
  EXPECT_EQ(Run({"cluster", "count-failure-reports", slave_}), ":0\r\n");
  const std::string line = slave_ + " 10.0.0.2:6371@16371 slave " + master_ + " 0 0 3 connected";
  for (const char* name : {"replicas", "slaves"}) {
    EXPECT_EQ(Run({"cluster", name, master_}),
              "*1\r\n$" + std::to_string(line.size()) + "\r\n" + line + "\r\n");
    EXPECT_EQ(Run({"cluster", name, slave_}), "-ERR The specified node is not a master\r\n");
    EXPECT_EQ(Run({"cluster", name, "x"}), "-ERR Unknown node x\r\n");
  }
  EXPECT_TRUE(Run({"cluster", "info"}).find("cluster_state:ok") != std::string::npos);
  client_.protocol = 3;
  EXPECT_TRUE(Run({"cluster", "nodes"}).starts_with("="));
  EXPECT_TRUE(Run({"cluster", "shards"}).starts_with("*1\r\n%2\r\n$5\r\nslots\r\n*2\r\n"));
  EXPECT_TRUE(Run({"cluster", "slots"}).starts_with("*1\r\n*4\r\n:0\r\n:16383\r\n*4\r\n"));
}

TEST_F(ClusterCommandsTest, HelpListsTheSubcommands) {
  const std::string help = Run({"cluster", "help"});
  EXPECT_NE(help.find("CLUSTER <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"),
            std::string::npos);
  EXPECT_NE(help.find("KEYSLOT"), std::string::npos);
}

TEST_F(ClusterCommandsTest, WhatWouldChangeTheClusterNamesTheToolThatCan) {
  for (const std::vector<std::string_view>& args :
       {std::vector<std::string_view>{"cluster", "setslot", "1", "stable"},
        {"cluster", "meet", "10.0.0.3", "6371"},
        {"cluster", "forget", "x"},
        {"cluster", "addslots", "1"},
        {"cluster", "replicate", "x"},
        {"cluster", "reset"},
        {"cluster", "failover"}}) {
    EXPECT_TRUE(Run(args).starts_with("-ERR use kv_admin")) << args[1];
  }
}

TEST_F(ClusterCommandsTest, WhoAskedForTheTopologyIsKnownUntilReset) {
  Run({"cluster", "info"});
  Run({"cluster", "keyslot", "a"});
  EXPECT_FALSE(client_.knows_topology);
  for (const std::vector<std::string_view>& args :
       {std::vector<std::string_view>{"cluster", "slots"},
        {"cluster", "shards"},
        {"cluster", "nodes"},
        {"readonly"}}) {
    EXPECT_FALSE(Run(args).starts_with("-"));
    EXPECT_TRUE(client_.knows_topology) << args[0];
    Run({"reset"});
    EXPECT_FALSE(client_.knows_topology);
  }
  EXPECT_EQ(Run({"readwrite"}), "+OK\r\n");
  EXPECT_EQ(Run({"asking"}), "+OK\r\n");
}

}  // namespace
}  // namespace kvs
