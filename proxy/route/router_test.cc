#include "proxy/route/router.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "common/resp/reply_tree.h"
#include "common/resp/request_parser.h"
#include "common/resp/resp_writer.h"
#include "proxy/backend/fake_node.h"

namespace kvs {
namespace {

// Three fake nodes that keep strings, and a session that takes the replies in order.
class RouterTest : public testing::Test, public ExchangeOwner {
 protected:
  void SetUp() override {
    std::vector<NodeAddress> addresses;
    for (size_t i = 0; i < 3; ++i) {
      nodes_.push_back(std::make_unique<FakeNode>(
          &loop_, [this, i](const FakeNode::Args& args) { return Serve(i, args); }));
      addresses.push_back(nodes_.back()->address());
    }
    router_.SetTable(RouteTable::FromServers(addresses));
  }
  void TearDown() override {
    links_.Retain({});
    loop_.RunOnce(0);
  }

  std::string Serve(size_t node, const FakeNode::Args& args) {
    if (broken_ == static_cast<int>(node)) {
      return "-ERR disk on fire\r\n";
    }
    std::string reply;
    RespWriter writer(3, &reply);
    if (args[0] == "SET") {
      data_[node][args[1]] = args[2];
      writer.Ok();
    } else if (args[0] == "GET") {
      Value(node, args[1], &writer);
    } else if (args[0] == "MGET") {
      writer.Array(args.size() - 1);
      for (size_t i = 1; i < args.size(); ++i) {
        Value(node, args[i], &writer);
      }
    } else if (args[0] == "MSET") {
      for (size_t i = 1; i < args.size(); i += 2) {
        data_[node][args[i]] = args[i + 1];
      }
      writer.Ok();
    } else if (args[0] == "DEL") {
      int64_t count = 0;
      for (size_t i = 1; i < args.size(); ++i) {
        count += static_cast<int64_t>(data_[node].erase(args[i]));
      }
      writer.Integer(count);
    } else if (args[0] == "DBSIZE") {
      writer.Integer(static_cast<int64_t>(data_[node].size()));
    } else if (args[0] == "KEYS") {
      writer.Array(data_[node].size());
      for (const auto& [key, value] : data_[node]) {
        writer.Bulk(key);
      }
    } else if (args[0] == "RANDOMKEY") {
      data_[node].empty() ? writer.Null() : writer.Bulk(data_[node].begin()->first);
    } else if (args[0] == "SCAN") {
      // Two pages: cursor 0 leads to 5, 5 to the end.
      writer.Array(2);
      writer.Bulk(args[1] == "0" ? "5" : "0");
      writer.Array(1);
      writer.Bulk("node" + std::to_string(node) + "page" + args[1]);
    } else if (args[0] == "SMEMBERS") {  // The letters of a string; 'x' makes it another type.
      ++reads_;
      if (refusals_ > 0) {
        --refusals_;
        return "-MOVED 1 127.0.0.1:1\r\n";
      }
      const std::string& letters = data_[node][args[1]];
      if (letters.starts_with('x')) {
        return "-WRONGTYPE not a set\r\n";
      }
      writer.Set(letters.size());
      for (const char letter : letters) {
        writer.Bulk(std::string(1, letter));
      }
    } else if (args[0] == "SINTER" || args[0] == "SINTERCARD") {
      writer.Simple("joined by node " + std::to_string(node));
    } else if (args[0] == "CLUSTER") {
      writer.Integer(static_cast<int64_t>(node));
    } else {
      writer.Ok();
    }
    return reply;
  }
  void Value(size_t node, const std::string& key, RespWriter* writer) {
    const auto found = data_[node].find(key);
    found == data_[node].end() ? writer->Null() : writer->Bulk(found->second);
  }

  std::string Run(const std::vector<std::string_view>& args, int protocol = 2) {
    const CommandSpec* spec = ResolveCommand(args);
    KVS_CHECK(spec != nullptr);
    std::string frame;
    EncodeRequest(args, &frame);
    RequestParser parser;
    KVS_CHECK(parser.Parse(frame) == RequestParser::Outcome::kRequest);
    exchange_ = pool_.New(this, spec, protocol, 0);
    router_.Start(exchange_, parser.args(), frame, nullptr, scope_);
    return Await();
  }

  // Returns the reply of exchange_.
  std::string Await() {
    for (int i = 0; i < 2000 && exchange_ != nullptr; ++i) {
      links_.FlushAll();
      loop_.RunOnce(5);
      links_.CheckDeadlines();
      for (const uint32_t part : std::exchange(refused_parts_, {})) {
        if (resends_) {
          refusals_ = 0;
          router_.Resend(exchange_, part);
        }
      }
    }
    EXPECT_EQ(exchange_, nullptr);
    std::string reply;
    output_.CopyTo(&reply);
    output_.Clear();
    return reply;
  }

  bool Admit(size_t bytes) override { return bytes <= room_; }
  void OnPart(Exchange* /*exchange*/, uint32_t /*part*/, size_t /*bytes*/) override {}
  NodeLink* OwnLink(const NodeAddress& address) override { return links_.Borrow(address); }
  bool OnRefused(Exchange* /*exchange*/, uint32_t part, std::string_view /*error*/) override {
    refused_parts_.push_back(part);
    return resends_;
  }
  OutputQueue* DirectOutput(const Exchange*) override { return &output_; }
  void OnDone(Exchange* exchange, bool written) override {
    if (!written) {
      exchange->WriteTo(&output_);
    }
    pool_.Written(exchange);
    exchange_ = nullptr;
  }

  EventLoop loop_{"test"};
  std::vector<std::unique_ptr<FakeNode>> nodes_;
  std::map<size_t, std::map<std::string, std::string>> data_;
  int broken_ = -1;
  int reads_ = 0;     // By SMEMBERS.
  int refusals_ = 0;  // So many times SMEMBERS is refused.
  bool resends_ = false;
  std::vector<uint32_t> refused_parts_;
  size_t room_ = SIZE_MAX;  // For one reply.
  ExchangePool pool_;
  LinkPool links_{&loop_, {}};
  Router router_{&links_};
  Router::Scope scope_ = Router::Scope::kAll;
  OutputQueue output_;
  Exchange* exchange_ = nullptr;
};

TEST_F(RouterTest, KeysSpreadOverNodesAndAreFoundAgain) {
  for (int i = 0; i < 50; ++i) {
    const std::string key = "key" + std::to_string(i);
    ASSERT_EQ(Run({"SET", key, "v"}), "+OK\r\n");
    ASSERT_EQ(Run({"GET", key}), "$1\r\nv\r\n");
  }
  for (const auto& [node, data] : data_) {
    EXPECT_GT(data.size(), 5U) << node;
  }
  EXPECT_EQ(Run({"DBSIZE"}), ":50\r\n");
  EXPECT_EQ(pool_.in_use(), 0U);
}

TEST_F(RouterTest, ANullIsWordedForTheClientsProtocol) {
  EXPECT_EQ(Run({"GET", "none"}, 2), "$-1\r\n");
  EXPECT_EQ(Run({"GET", "none"}, 3), "_\r\n");
  EXPECT_EQ(Run({"MGET", "a", "b", "c"}, 2), "*3\r\n$-1\r\n$-1\r\n$-1\r\n");
  EXPECT_EQ(Run({"MGET", "a", "b", "c"}, 3), "*3\r\n_\r\n_\r\n_\r\n");
}

TEST_F(RouterTest, SplitCommandsKeepTheOrderOfTheirKeysAlsoOfDoubleOnes) {
  ASSERT_EQ(Run({"MSET", "a", "1", "b", "2", "c", "3", "d", "4"}), "+OK\r\n");
  EXPECT_EQ(Run({"MGET", "d", "none", "a", "c", "b", "a"}),
            "*6\r\n$1\r\n4\r\n$-1\r\n$1\r\n1\r\n$1\r\n3\r\n$1\r\n2\r\n$1\r\n1\r\n");
  EXPECT_EQ(Run({"DEL", "a", "b", "c", "none"}), ":3\r\n");
  EXPECT_EQ(Run({"MSET", "a", "1", "b"}), "-ERR wrong number of arguments for 'mset' command\r\n");
}

// As an inline request comes, whose words stand in no frame.
TEST_F(RouterTest, WordsWithoutAFrameAreSplitToo) {
  const std::vector<std::string_view> set = {"MSET", "a", "1", "b", "", "c", "3", "d", "4"};
  exchange_ = pool_.New(this, &GetCommand(CommandId::kMSet), 2, 0);
  router_.Start(exchange_, set, "", nullptr, scope_);
  EXPECT_EQ(Await(), "+OK\r\n");
  EXPECT_EQ(Run({"MGET", "d", "c", "b", "a"}), "*4\r\n$1\r\n4\r\n$1\r\n3\r\n$0\r\n\r\n$1\r\n1\r\n");
}

TEST_F(RouterTest, AFailedShardIsNeverNilNeverOkNeverAnUndercount) {
  const std::vector<std::string_view> keys = {"a", "b", "c", "d", "e", "f"};
  ASSERT_EQ(Run({"MSET", "a", "1", "b", "1", "c", "1", "d", "1", "e", "1", "f", "1"}), "+OK\r\n");
  broken_ = 1;
  const std::string values = Run({"MGET", "a", "b", "c", "d", "e", "f"});
  EXPECT_EQ(values.find("$-1"), std::string::npos) << values;
  EXPECT_NE(values.find("-ERR disk on fire"), std::string::npos) << values;
  EXPECT_EQ(Run({"DEL", "a", "b", "c", "d", "e", "f"})[0], '-');
  EXPECT_EQ(Run({"MSET", "a", "1", "b", "1", "c", "1", "d", "1"})[0], '-');
  EXPECT_EQ(Run({"DBSIZE"})[0], '-');
  EXPECT_EQ(Run({"KEYS", "*"})[0], '-');
  EXPECT_EQ(Run({"FLUSHALL"})[0], '-');
}

TEST_F(RouterTest, AReplyWithoutRoomIsAnErrorThatSaysSo) {
  const std::string large(2000, 'v');
  ASSERT_EQ(Run({"MSET", "a", large, "b", "1", "c", "1", "d", "1"}), "+OK\r\n");
  room_ = 100;
  EXPECT_TRUE(Run({"GET", "a"}).starts_with("-ERR a reply of 2009 bytes is dropped"));
  EXPECT_EQ(Run({"GET", "b"}), "$1\r\n1\r\n");
  const Reply values = *ParseReply(Run({"MGET", "a", "b", "c", "d"}));
  EXPECT_TRUE(values.elements[0].is_error()) << values.ToString();
  EXPECT_TRUE(std::any_of(values.elements.begin(), values.elements.end(),
                          [](const Reply& value) { return value.text == "1"; }));
}

TEST_F(RouterTest, LargeElementsAreMergedInTheirPlaces) {
  const std::string large(5000, 'v');
  ASSERT_EQ(Run({"MSET", "a", large, "b", "1", "c", large, "d", "4"}), "+OK\r\n");
  const std::string bulk = "$5000\r\n" + large + "\r\n";
  EXPECT_EQ(Run({"MGET", "a", "b", "none", "c", "d"}),
            "*5\r\n" + bulk + "$1\r\n1\r\n$-1\r\n" + bulk + "$1\r\n4\r\n");
}

TEST_F(RouterTest, KeysThatMustShareASlotDoSo) {
  EXPECT_EQ(Run({"MSETNX", "a", "1", "b", "2"}),
            "-CROSSSLOT Keys in request don't hash to the same slot\r\n");
  EXPECT_EQ(Run({"MSETNX", "{t}a", "1", "{t}b", "2"}), "+OK\r\n");
  for (const char* name : {"RENAME", "RENAMENX", "COPY", "LCS"}) {
    EXPECT_EQ(Run({name, "a", "b"}), "-CROSSSLOT Keys in request don't hash to the same slot\r\n");
    EXPECT_EQ(Run({name, "{t}a", "{t}b"}).find("CROSSSLOT"), std::string::npos) << name;
  }
}

TEST_F(RouterTest, PatternsOfSortStayInTheSlotOfTheKey) {
  const std::string denied =
      " option of SORT denied in Cluster mode when keys formed by the pattern may be in different "
      "slots.\r\n";
  EXPECT_EQ(Run({"SORT", "{t}l", "BY", "w_*"}), "-ERR BY" + denied);
  EXPECT_EQ(Run({"SORT_RO", "{t}l", "GET", "#", "GET", "w_*"}), "-ERR GET" + denied);
  for (const char* pattern : {"{t}w_*", "nosort", "x{t}*->f"}) {
    EXPECT_EQ(Run({"SORT", "{t}l", "BY", pattern}).find("denied"), std::string::npos) << pattern;
  }
  EXPECT_EQ(Run({"SORT", "{t}l", "STORE", "{u}d"}),
            "-CROSSSLOT Keys in request don't hash to the same slot\r\n");
}

TEST_F(RouterTest, DebugReachesNoNode) {
  EXPECT_EQ(Run({"DEBUG", "sleep", "0"}), "-ERR " + std::string(kDebugRefusal) + "\r\n");
}

TEST_F(RouterTest, ScanWalksOverAllNodes) {
  std::vector<std::string> cursors;
  std::string cursor = "0";
  std::string seen;
  for (int i = 0; i < 10; ++i) {
    const std::string reply = Run({"SCAN", cursor});
    const size_t start = reply.find("\r\n", 4) + 2;
    cursor = reply.substr(start, reply.find("\r\n", start) - start);
    seen += reply.substr(reply.rfind("node"));
    if (cursor == "0") {
      break;
    }
  }
  EXPECT_EQ(cursor, "0");
  for (int node = 0; node < 3; ++node) {
    for (const char* page : {"page0", "page5"}) {
      EXPECT_NE(seen.find("node" + std::to_string(node) + page), std::string::npos) << seen;
    }
  }
  EXPECT_EQ(Run({"SCAN", "x"}), "-ERR invalid cursor\r\n");
  EXPECT_EQ(Run({"SCAN", "99999999999999999999999"}), "-ERR invalid cursor\r\n");
}

// Whatever the shares, each shard is counted by exactly one proxy.
TEST_F(RouterTest, SharesAddUpToTheWhole) {
  for (int i = 0; i < 50; ++i) {
    ASSERT_EQ(Run({"SET", "key" + std::to_string(i), "v"}), "+OK\r\n");
  }
  for (size_t proxies = 1; proxies <= 5; ++proxies) {
    size_t counted = 0;
    size_t listed = 0;
    std::multiset<std::string> pages;
    for (const SlotRange& range : SpreadSlots(proxies)) {
      router_.SetShare({range});
      scope_ = Router::Scope::kShare;
      counted += static_cast<size_t>(ParseReply(Run({"DBSIZE"}))->integer);
      listed += ParseReply(Run({"KEYS", "*"}))->elements.size();
      std::string cursor = "0";
      do {
        const Reply page = *ParseReply(Run({"SCAN", cursor}));
        cursor = page.elements[0].text;
        for (const Reply& key : page.elements[1].elements) {
          pages.insert(key.text);
        }
      } while (cursor != "0");
      scope_ = Router::Scope::kAll;
      EXPECT_EQ(Run({"DBSIZE"}), ":50\r\n");
    }
    EXPECT_EQ(counted, 50U) << proxies;
    EXPECT_EQ(listed, 50U) << proxies;
    EXPECT_EQ(pages, (std::multiset<std::string>{"node0page0", "node0page5", "node1page0",
                                                 "node1page5", "node2page0", "node2page5"}));
  }
}

TEST_F(RouterTest, ARingDecidesWhereKeysAreAndWhichBelongTogether) {
  std::vector<PoolServer> servers;
  std::vector<NodeAddress> addresses;
  for (const auto& node : nodes_) {
    addresses.push_back(node->address());
    servers.push_back(*ParsePoolServer(FormatAddress(node->address())));
  }
  const auto ring =
      std::make_shared<ServerRing>(ServerRing::Options(), servers, std::vector{true, true, true});
  router_.SetTable(RouteTable::FromServers(addresses, ring));
  // FNV hardly mixes the last bytes: keys that differ only there have the same server.
  const auto name = [](int i) { return std::to_string(i) + " and what is mixed in"; };
  int apart = 0;
  for (int i = 0; i < 50; ++i) {
    const std::string key = name(i);
    ASSERT_EQ(Run({"SET", key, "v"}), "+OK\r\n");
    EXPECT_TRUE(data_[static_cast<size_t>(ring->Find(key))].contains(key));
    const bool together = ring->Find(key) == ring->Find(name(0));
    apart += together ? 0 : 1;
    EXPECT_EQ(Run({"RENAME", name(0), key}).starts_with("-CROSSSLOT"), !together);
  }
  EXPECT_GT(apart, 10);
  EXPECT_EQ(Run({"MGET", name(1), name(2), name(3)}), "*3\r\n$1\r\nv\r\n$1\r\nv\r\n$1\r\nv\r\n");

  router_.SetTable(RouteTable::FromServers(
      addresses, std::make_shared<ServerRing>(ServerRing::Options(), servers,
                                              std::vector{false, false, false})));
  EXPECT_TRUE(Run({"GET", name(1)}).starts_with("-CLUSTERDOWN all servers of the pool"));
  EXPECT_TRUE(Run({"MSET", name(1), "v", name(2), "v"}).starts_with("-CLUSTERDOWN all servers"));
}

TEST_F(RouterTest, ANamedSlotLeadsToItsShardAndAMistakeToAny) {
  EXPECT_EQ(Run({"CLUSTER", "COUNTKEYSINSLOT", "0"}), ":0\r\n");
  EXPECT_EQ(Run({"CLUSTER", "COUNTKEYSINSLOT", "5462"}), ":1\r\n");
  EXPECT_EQ(Run({"CLUSTER", "COUNTKEYSINSLOT", "16383"}), ":2\r\n");
  EXPECT_EQ(Run({"CLUSTER", "COUNTKEYSINSLOT", "16384"}), ":0\r\n");
  EXPECT_EQ(Run({"CLUSTER", "GETKEYSINSLOT", "x", "1"}), ":0\r\n");
}

TEST_F(RouterTest, RandomKeyFindsTheOnlyKeyWhereverItIs) {
  EXPECT_EQ(Run({"RANDOMKEY"}), "$-1\r\n");
  ASSERT_EQ(Run({"SET", "only", "v"}), "+OK\r\n");
  EXPECT_EQ(Run({"RANDOMKEY"}), "$4\r\nonly\r\n");
}

TEST_F(RouterTest, WithoutAMapTheErrorSaysSo) {
  Router router(&links_);
  EXPECT_FALSE(router.table()->known);
  exchange_ = pool_.New(this, FindCommand("get"), 2, 0);
  const std::vector<std::string_view> args = {"GET", "a"};
  router.Start(exchange_, args, "*2\r\n$3\r\nGET\r\n$1\r\na\r\n", nullptr);
  std::string reply;
  output_.CopyTo(&reply);
  output_.Clear();
  EXPECT_EQ(reply.substr(0, 12), "-CLUSTERDOWN");
}

TEST_F(RouterTest, KeysOfSeveralNodesAreReadAndJoinedHere) {
  std::vector<std::string> on(3);  // A key of each node.
  for (int i = 0; std::count(on.begin(), on.end(), "") > 0; ++i) {
    const std::string key = "key" + std::to_string(i);
    const auto shard = static_cast<size_t>(router_.table()->slot_to_shard[SlotOf(key)]);
    on[shard] = on[shard].empty() ? key : on[shard];
  }
  ASSERT_EQ(Run({"SET", on[0], "abc"}), "+OK\r\n");
  ASSERT_EQ(Run({"SET", on[1], "bcd"}), "+OK\r\n");
  EXPECT_EQ(Run({"SINTERCARD", "2", on[0], on[1]}), ":2\r\n");
  EXPECT_EQ(Run({"SINTERCARD", "2", on[0], on[1], "LIMIT", "1"}), ":1\r\n");
  EXPECT_EQ(Run({"SDIFF", on[0], on[1]}), "*1\r\n$1\r\na\r\n");
  EXPECT_EQ(Run({"SDIFF", on[0], on[1]}, 3), "~1\r\n$1\r\na\r\n");
  EXPECT_EQ(Run({"SDIFF", on[2], on[1]}), "*0\r\n");
  reads_ = 0;
  EXPECT_EQ(Run({"SDIFF", on[0], on[1], on[0], on[1]}), "*0\r\n");
  EXPECT_EQ(reads_, 2);  // One of each key.
  EXPECT_EQ(ParseReply(Run({"SUNION", on[0], on[2], on[1]}))->elements.size(), 4U);

  EXPECT_EQ(Run({"SINTER", on[1], on[1]}), "+joined by node 1\r\n");
  EXPECT_EQ(Run({"SINTERCARD", "0", on[1]}), "+joined by node 0\r\n");  // Which words the mistake.
  EXPECT_EQ(Run({"SINTERCARD", "2", on[0], on[1], "LIMIT", "x"}),
            "-ERR LIMIT can't be negative\r\n");

  ASSERT_EQ(Run({"SET", on[2], "x"}), "+OK\r\n");
  EXPECT_EQ(Run({"SUNION", on[0], on[1], on[2]}), "-WRONGTYPE not a set\r\n");
  broken_ = 1;
  const std::string reply = Run({"SINTER", on[0], on[1]});
  EXPECT_TRUE(reply.starts_with("-ERR disk on fire (at node")) << reply;
  broken_ = -1;
  std::vector<std::string_view> words(4098, on[0]);
  words[0] = "SUNION";
  words.back() = on[1];
  EXPECT_TRUE(Run(words).starts_with("-ERR keys on several nodes")) << Run(words);
  room_ = 100;
  EXPECT_TRUE(Run({"SUNION", on[0], on[1]}).starts_with("-ERR the keys live on several nodes"));
}

TEST_F(RouterTest, AReadOfAJoinThatIsRefusedIsSentAgainByItself) {
  auto table = std::make_shared<RouteTable>(*router_.table());
  table->epoch = 1;
  router_.SetTable(std::move(table));
  ASSERT_EQ(Run({"SET", "a", "abc"}), "+OK\r\n");
  ASSERT_EQ(Run({"SET", "b", "bcd"}), "+OK\r\n");
  ASSERT_NE(router_.table()->slot_to_shard[SlotOf("a")],
            router_.table()->slot_to_shard[SlotOf("b")]);
  resends_ = true;
  for (int refusals = 0; refusals <= 2; ++refusals) {
    refusals_ = refusals;
    EXPECT_EQ(Run({"SINTERCARD", "2", "a", "b"}), ":2\r\n");
    EXPECT_EQ(refusals_, 0);
  }
  resends_ = false;
  refusals_ = 1;
  EXPECT_TRUE(Run({"SINTERCARD", "2", "a", "b"}).starts_with("-TRYAGAIN "));
}

TEST_F(RouterTest, ADeadNodeFailsItsKeysAloneAndAtOnce) {
  ASSERT_EQ(Run({"MSET", "a", "1", "b", "1", "c", "1", "d", "1", "e", "1"}), "+OK\r\n");
  nodes_[0].reset();
  int failed = 0;
  int served = 0;
  for (int round = 0; round < 2; ++round) {
    for (const char* key : {"a", "b", "c", "d", "e"}) {
      const std::string reply = Run({"GET", key});
      if (reply == "$1\r\n1\r\n") {
        ++served;
      } else {
        EXPECT_EQ(reply.substr(0, 20), "-CLUSTERDOWN node 12") << reply;
        ++failed;
      }
    }
  }
  EXPECT_GT(failed, 0);
  EXPECT_GT(served, 0);
}

}  // namespace
}  // namespace kvs
