#include "common/command/command_table.h"

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/base/random.h"
#include "common/base/strings.h"

namespace kvs {
namespace {

using Args = std::vector<std::string_view>;

std::vector<std::string_view> KeysOf(const Args& args) {
  std::vector<std::string_view> keys;
  const CommandSpec* spec = ResolveCommand(args);
  EXPECT_NE(spec, nullptr);
  ForEachKey(*spec, args, [&keys](std::string_view key) { keys.push_back(key); });
  return keys;
}

TEST(CommandTableTest, EveryNameIsFoundInAnyCase) {
  for (const CommandSpec& spec : kCommands) {
    SCOPED_TRACE(spec.name);
    std::string mixed(spec.name);
    mixed[0] = static_cast<char>(mixed[0] - 'a' + 'A');
    EXPECT_EQ(FindCommand(spec.name), &spec);
    EXPECT_EQ(FindCommand(ToUpper(spec.name)), &spec);
    EXPECT_EQ(FindCommand(mixed), &spec);
    EXPECT_EQ(&GetCommand(IdOf(spec)), &spec);
  }
}

// A name is never taken for another that folds, hashes or starts alike.
TEST(CommandTableTest, OtherNamesAreNotFound) {
  EXPECT_EQ(FindCommand(""), nullptr);
  EXPECT_EQ(FindCommand("getx"), nullptr);
  Random random(1);
  for (const CommandSpec& spec : kCommands) {
    SCOPED_TRACE(spec.name);
    EXPECT_EQ(FindCommand(std::string(spec.name) + '\0'), nullptr);
    for (int i = 0; i < 200; ++i) {
      std::string changed(spec.name);
      const size_t at = random.Uniform(changed.size());
      changed[at] = static_cast<char>(random.Uniform(256));
      const CommandSpec* found = FindCommand(changed);
      EXPECT_TRUE(found == nullptr || found->name == ToLower(changed)) << QuoteForLog(changed);
    }
  }
}

TEST(CommandTableTest, SubcommandsAreResolvedThroughTheirContainer) {
  const Args set_name = {"client", "SETNAME", "me"};
  EXPECT_EQ(ResolveCommand(set_name), &GetCommand(CommandId::kClientSetName));
  const Args count = {"COMMAND", "count"};
  EXPECT_EQ(ResolveCommand(count), &GetCommand(CommandId::kCommandCount));
  const Args bare = {"command"};
  EXPECT_EQ(ResolveCommand(bare), &GetCommand(CommandId::kCommand));
  const Args piped = {"client|id"};
  EXPECT_EQ(ResolveCommand(piped), nullptr);
  EXPECT_EQ(SubcommandsOf(GetCommand(CommandId::kGet)).size(), 0u);
  EXPECT_EQ(SubcommandsOf(GetCommand(CommandId::kConfig)).size(), 5u);
}

TEST(CommandTableTest, ArityIsChecked) {
  const Args good[] = {{"get", "k"}, {"mget", "a"}, {"mget", "a", "b"}, {"ping"}, {"ping", "x"}};
  for (const Args& args : good) {
    EXPECT_NE(ResolveCommand(args), nullptr) << args[0];
  }
  const Args bad[] = {{"get"}, {"get", "a", "b"}, {"mget"}, {"client"}, {"client", "id", "x"}};
  for (const Args& args : bad) {
    EXPECT_EQ(ResolveCommand(args), nullptr) << args[0];
  }
}

TEST(CommandTableTest, ErrorsAreTheWordsOfRedis) {
  const struct {
    Args args;
    std::string text;
  } cases[] = {
      {{"nosuch", "a", "b"}, "ERR unknown command 'nosuch', with args beginning with: 'a' 'b' "},
      {{"nosuch"}, "ERR unknown command 'nosuch', with args beginning with: "},
      {{"Client", "foo"}, "ERR unknown subcommand 'foo'. Try CLIENT HELP."},
      {{"COMMAND", "x\r\ny"}, "ERR unknown subcommand 'x  y'. Try COMMAND HELP."},
      {{"GET"}, "ERR wrong number of arguments for 'get' command"},
      {{"client"}, "ERR wrong number of arguments for 'client' command"},
      {{"CLIENT", "setName"}, "ERR wrong number of arguments for 'client|setname' command"},
      {{"client|id"}, "ERR unknown command 'client|id', with args beginning with: "},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(CommandError(c.args), c.text);
  }
}

TEST(CommandTableTest, LongAndBinaryNamesAreCutInErrors) {
  const std::string long_text(300, 'x');
  const std::string cut(128, 'x');
  const Args name = {long_text};
  EXPECT_EQ(CommandError(name), "ERR unknown command '" + cut + "', with args beginning with: ");
  const Args two = {"nosuch", long_text, "b"};
  EXPECT_EQ(CommandError(two),
            "ERR unknown command 'nosuch', with args beginning with: '" + cut + "' ");
  const std::string_view with_nul("no\0such", 7);
  const Args nul = {with_nul, "a\nb"};
  EXPECT_EQ(CommandError(nul), "ERR unknown command 'no', with args beginning with: 'a b' ");
}

TEST(CommandTableTest, KeysStandWhereTheRowSays) {
  using testing::ElementsAre;
  using testing::IsEmpty;
  EXPECT_THAT(KeysOf({"get", "k"}), ElementsAre("k"));
  EXPECT_THAT(KeysOf({"set", "k", "v", "EX", "1"}), ElementsAre("k"));
  EXPECT_THAT(KeysOf({"mget", "a", "b", "c"}), ElementsAre("a", "b", "c"));
  EXPECT_THAT(KeysOf({"mset", "a", "1", "b", "2"}), ElementsAre("a", "b"));
  EXPECT_THAT(KeysOf({"ping"}), IsEmpty());
  EXPECT_THAT(KeysOf({"scan", "0"}), IsEmpty());
}

TEST(CommandTableTest, AKeyWithoutItsValueIsToldApart) {
  const Args odd = {"mset", "a", "1", "b"};
  const KeyPositions keys = FindKeys(GetCommand(CommandId::kMSet), odd);
  EXPECT_EQ(keys.count, 2u);
  EXPECT_FALSE(keys.complete);
  const Args even = {"mset", "a", "1", "b", "2"};
  EXPECT_TRUE(FindKeys(GetCommand(CommandId::kMSet), even).complete);
}

TEST(CommandTableTest, CountedKeysFollowTheirCount) {
  const CommandSpec spec = {.name = "zunion", .arity = -3, .keys = KeysCountedAt(1)};
  const struct {
    Args args;
    size_t count;
    bool complete;
  } cases[] = {
      {{"zunion", "2", "a", "b", "WITHSCORES"}, 2, true},
      {{"zunion", "0", "a"}, 0, true},
      {{"zunion", "3", "a", "b"}, 0, false},
      {{"zunion", "-1", "a"}, 0, false},
      {{"zunion", "x", "a"}, 0, false},
      {{"zunion", "9223372036854775807", "a"}, 0, false},
  };
  for (const auto& c : cases) {
    const KeyPositions keys = FindKeys(spec, c.args);
    EXPECT_EQ(keys.count, c.count) << c.args[1];
    EXPECT_EQ(keys.complete, c.complete) << c.args[1];
    EXPECT_EQ(keys.index(0), 2u);
  }
}

TEST(CommandTableTest, AKeyMayStandBeforeCountedOnes) {
  const struct {
    Args args;
    Args keys;
    bool complete;
  } cases[] = {
      {{"zunionstore", "d", "2", "a", "b", "WEIGHTS", "1", "2"}, {"d", "a", "b"}, true},
      {{"zunionstore", "d", "0", "a"}, {"d"}, true},
      {{"zunionstore", "d", "3", "a", "b"}, {}, false},
      {{"zunionstore", "d", "x", "a"}, {}, false},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(KeysOf(c.args), c.keys) << c.args[2];
    EXPECT_EQ(FindKeys(GetCommand(CommandId::kZUnionStore), c.args).complete, c.complete);
  }
}

TEST(CommandTableTest, AReadOfStreamsWaitsOnlyIfItSaysSo) {
  const CommandSpec& read = GetCommand(CommandId::kXRead);
  using Words = std::vector<std::string_view>;
  EXPECT_FALSE(MayWait(read, Words{"xread", "streams", "block", "0"}));
  EXPECT_FALSE(GoesAlone(read, Words{"xread", "count", "1", "streams", "a", "0"}));
  EXPECT_TRUE(MayWait(read, Words{"xread", "count", "1", "Block", "0", "streams", "a", "0"}));
  EXPECT_TRUE(GoesAlone(read, Words{"xread", "block", "0", "streams", "a", "0"}));
  const CommandSpec& group = GetCommand(CommandId::kXReadGroup);
  EXPECT_TRUE(MayWait(
      group, Words{"xreadgroup", "group", "g", "c", "noack", "block", "0", "streams", "a", ">"}));
  EXPECT_FALSE(
      MayWait(group, Words{"xreadgroup", "group", "block", "0", "noack", "streams", "block", ">"}));
  EXPECT_TRUE(GoesAlone(GetCommand(CommandId::kBLPop), Words{"blpop", "a", "0"}));
  EXPECT_TRUE(GoesAlone(GetCommand(CommandId::kWatch), Words{"watch", "a"}));
  EXPECT_FALSE(GoesAlone(GetCommand(CommandId::kLPop), Words{"lpop", "a"}));
}

TEST(CommandTableTest, KeysBehindAWordAreTheFirstHalf) {
  const CommandSpec& spec = GetCommand(CommandId::kXRead);
  const auto keys_of = [&spec](const std::vector<std::string_view>& args) {
    std::vector<std::string_view> keys;
    const KeyPositions positions = FindKeys(spec, args);
    EXPECT_TRUE(positions.complete);
    for (size_t i = 0; i < positions.count; ++i) {
      keys.push_back(args[positions.index(i)]);
    }
    return keys;
  };
  using Keys = std::vector<std::string_view>;
  EXPECT_EQ(keys_of({"xread", "streams", "a", "0"}), Keys{"a"});
  EXPECT_EQ(keys_of({"xread", "count", "2", "Streams", "a", "b", "0", "$"}), (Keys{"a", "b"}));
  EXPECT_EQ(keys_of({"xread", "BLOCK", "streams", "streams", "streams", "0"}), Keys{"streams"});
  for (const Keys& args :
       {Keys{"xread", "streams", "a", "b", "0"}, Keys{"xread", "count", "2", "a", "0"},
        Keys{"xread", "nonsense", "streams", "a", "0"}, Keys{"xread", "a", "b", "streams"}}) {
    const KeyPositions positions = FindKeys(spec, args);
    EXPECT_FALSE(positions.complete);
    EXPECT_EQ(positions.count, 0u);
  }
}

TEST(CommandTableTest, AGroupMayHaveAnyName) {
  const CommandSpec& spec = GetCommand(CommandId::kXReadGroup);
  using Words = std::vector<std::string_view>;
  for (const Words& args :
       {Words{"xreadgroup", "GROUP", "streams", "block", "streams", "a", "b", ">", ">"},
        Words{"xreadgroup", "noack", "group", "g", "c", "count", "1", "STREAMS", "a", "b", "0",
              "0"}}) {
    const KeyPositions keys = FindKeys(spec, args);
    EXPECT_TRUE(keys.complete);
    ASSERT_EQ(keys.count, 2u);
    EXPECT_EQ(args[keys.index(0)], "a");
    EXPECT_EQ(args[keys.index(1)], "b");
  }
  EXPECT_FALSE(
      FindKeys(spec, Words{"xreadgroup", "group", "g", "c", "d", "streams", "a", ">"}).complete);
}

TEST(CommandTableTest, ProxyRowsAndNodeRowsAreSeparate) {
  std::set<std::string> proxy;
  std::set<std::string> node;
#define KVS_COMMAND(id, ...) node.insert(#id);
#define KVS_PROXY_COMMAND(id, ...) proxy.insert(#id);
#define KVS_CONTAINER(id, ...)
#include "common/command/commands.def"
  EXPECT_TRUE(node.contains("Get"));
  EXPECT_TRUE(proxy.contains("ClientId"));
  EXPECT_FALSE(proxy.contains("Client"));
  for (const std::string& id : proxy) {
    EXPECT_FALSE(node.contains(id)) << id;
  }
  for (const CommandSpec& spec : kCommands) {
    // One node is asked, and its reply is passed on.
    const bool forwards = spec.route == Route::kAnyShard && spec.merge == Merge::kNone;
    if (spec.route == Route::kPinned || forwards) {
      continue;
    }
    EXPECT_EQ(spec.route == Route::kProxy || spec.route == Route::kRefused ||
                  spec.route == Route::kBySlot || spec.route == Route::kByChannel,
              !spec.has_keys() && spec.merge == Merge::kNone)
        << spec.name;
  }
}

}  // namespace
}  // namespace kvs
